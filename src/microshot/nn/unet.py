"""Encoder-decoder networks that return one feature map of the input's size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable


def _conv_relu(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(inplace=True))


def _upsample(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")  # (N, C, 2Y, 2X)


class UNet(nn.Module):
    """U-Net of the StarDist default: no normalisation layers, nearest-neighbour upsampling.

    Input (N, in_channels, Y, X) float32 with sides divisible by ``2**depth``; output
    (N, out_channels, Y, X). Two 3×3 convolutions per level, ``width * 2**level`` features.

    References
    ----------
    .. [1] Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28 (idea).
    .. [2] Schmidt et al. 2018, doi:10.1007/978-3-030-00934-2_30; layer widths as in CSBDeep's
       ``unet_block`` with depth 3, base 32.
    """

    def __init__(self, in_channels: int, width: int = 32, depth: int = 3) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.encoder = nn.ModuleList()
        n = in_channels
        for w in widths[:-1]:
            self.encoder.append(nn.Sequential(_conv_relu(n, w), _conv_relu(w, w)))
            n = w
        self.bottleneck = nn.Sequential(
            _conv_relu(n, widths[-1]), _conv_relu(widths[-1], widths[max(depth - 1, 0)])
        )
        n = widths[max(depth - 1, 0)]
        self.decoder = nn.ModuleList()
        for level in reversed(range(depth)):
            w, w_next = widths[level], widths[max(level - 1, 0)]
            self.decoder.append(nn.Sequential(_conv_relu(n + w, w), _conv_relu(w, w_next)))
            n = w_next
        self.out_channels = n

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, Y, X) to (N, out_channels, Y, X)."""
        skips = []
        for level in self.encoder:
            x = level(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottleneck(x)
        for level in self.decoder:
            x = level(torch.cat([_upsample(x), skips.pop()], dim=1))
        return x


class Bottleneck(nn.Module):
    """1×1 (f) – 3×3 (f) – 1×1 (4f) convolutions, each with batch normalisation, and a shortcut.

    ``project`` puts a 1×1 convolution into the shortcut, for the first block of a stack.
    ``residual=False`` gives the plain block without shortcut (for comparison).

    References
    ----------
    .. [1] He et al. 2016, doi:10.1109/CVPR.2016.90 (bottleneck block, Fig. 5).
    """

    def __init__(self, n_in: int, features: int, *, project: bool, residual: bool = True) -> None:
        super().__init__()
        out = 4 * features

        def bn(n: int) -> nn.BatchNorm2d:
            return nn.BatchNorm2d(n, eps=1.001e-5)  # as in the published framework

        self.body = nn.Sequential(
            nn.Conv2d(n_in, features, 1), bn(features), nn.ReLU(inplace=True),
            nn.Conv2d(features, features, 3, padding=1), bn(features), nn.ReLU(inplace=True),
            nn.Conv2d(features, out, 1), bn(out),
        )  # fmt: skip
        self.residual = residual
        self.shortcut: nn.Module = nn.Identity()
        if residual and project:
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, out, 1), bn(out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, n_in, Y, X) to (N, 4 * features, Y, X)."""
        y = self.body(x)
        return F.relu(y + self.shortcut(x) if self.residual else y)


def _stack(n_in: int, features: int, n_blocks: int, *, residual: bool) -> nn.Sequential:
    blocks = [Bottleneck(n_in, features, project=True, residual=residual)]
    blocks += [
        Bottleneck(4 * features, features, project=False, residual=residual)
        for _ in range(n_blocks - 1)
    ]
    return nn.Sequential(*blocks)


class ResUNet(nn.Module):
    """Res-U-Net of bottleneck blocks; ``residual=False`` is the plain U-Net of the same shape.

    Input (N, in_channels, Y, X); output (N, 4 * width, Y, X). Features 16, 32, 64 down, 128 in
    the middle and back up for ``width=16``; 2, 3, 2 blocks per level, 2 in the middle.

    References
    ----------
    .. [1] Wilhelm 2019, "Evaluating the applicability of transfer learning for deep learning
       based segmentation of microscope images", University of Konstanz (Res-U-Net, Fig. 6).
    """

    def __init__(
        self, in_channels: int, width: int = 16, depth: int = 3, *, residual: bool = True
    ) -> None:
        super().__init__()
        features = [width * 2**level for level in range(depth + 1)]
        blocks = [3 if level == 1 else 2 for level in range(depth)]
        self.encoder = nn.ModuleList()
        n = in_channels
        for f, k in zip(features, blocks, strict=False):
            self.encoder.append(_stack(n, f, k, residual=residual))
            n = 4 * f
        self.bottleneck = _stack(n, features[-1], 2, residual=residual)
        n = 4 * features[-1]
        self.up = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for level in reversed(range(depth)):
            f = features[level]
            self.up.append(nn.Conv2d(n, 4 * f, 2))
            self.decoder.append(_stack(8 * f, f, blocks[level], residual=residual))
            n = 4 * f
        self.out_channels = n

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, Y, X) to (N, out_channels, Y, X)."""
        skips = []
        for level in self.encoder:
            x = level(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottleneck(x)
        for up, level in zip(self.up, self.decoder, strict=True):
            x = up(F.pad(_upsample(x), (0, 1, 0, 1)))  # 2×2 kernel, same size
            x = level(torch.cat([x, skips.pop()], dim=1))
        return x


BACKBONES: dict[str, Callable[..., nn.Module]] = {
    "unet": UNet,
    "res-unet": ResUNet,
    "plain-unet": lambda *args, **kwargs: ResUNet(*args, **kwargs, residual=False),
}
