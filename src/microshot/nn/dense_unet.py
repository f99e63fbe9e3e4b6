"""The Dense U-Net ("one hundred layers tiramisu") that turns bright-field planes into stains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from microshot.nn.stain_head import StainHead
from microshot.nn.upsampling import PixelShuffleUp

if TYPE_CHECKING:
    from collections.abc import Sequence


class DenseLayer(nn.Module):
    """Batch normalisation, ReLU, 3×3 convolution to `growth` features, dropout.

    Where `frugal` is set (see `be_frugal`) the inner features are not kept for the gradient but
    computed again, which needs a fraction of the memory and about a third more time.
    """

    frugal = False

    def __init__(self, n_in: int, growth: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(n_in)
        self.conv = nn.Conv2d(n_in, growth, 3, padding=1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """Map feature maps (N, k_i, Y, X), n_in in all, to (N, growth, Y, X)."""
        if not (self.training or torch.is_grad_enabled()):
            return self._features_in_place(parts)
        if not (self.frugal and self.training and torch.is_grad_enabled()):
            return self._features(*parts)
        seen = False

        def once_or_again(*parts: torch.Tensor) -> torch.Tensor:
            nonlocal seen
            again, seen = seen, True
            return self._features(*parts, count=not again)

        return checkpoint(once_or_again, *parts, use_reentrant=False)  # type: ignore[return-value]

    def _features(self, *parts: torch.Tensor, count: bool = True) -> torch.Tensor:
        x = torch.cat(parts, dim=1)
        n = self.norm
        if count:
            x = n(x)
        else:  # the same batch a second time: it must not move the running statistics again
            x = F.batch_norm(
                x, n.running_mean, n.running_var, n.weight, n.bias,
                training=n.training, momentum=0.0, eps=n.eps,
            )  # fmt: skip
        return self.dropout(self.conv(torch.relu(x)))

    def _features_in_place(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """Do the same to one copy of the parts where no gradient asks for what was in between."""
        n = self.norm
        assert n.running_mean is not None
        assert n.running_var is not None
        scale = n.weight * torch.rsqrt(n.running_var + n.eps)
        shift = n.bias - n.running_mean * scale
        x = torch.cat(list(parts), dim=1)
        x.mul_(scale[:, None, None]).add_(shift[:, None, None])
        return self.conv(x.relu_())


def be_frugal(model: nn.Module, *, frugal: bool) -> None:
    """Let all dense layers of `model` compute features again instead of keeping them, or not."""
    for module in model.modules():
        if isinstance(module, DenseLayer):
            module.frugal = frugal


class DenseBlock(nn.Module):
    """Dense layers, each of which sees the input and all features made before it.

    Returns the new features, after the input where `keep_input` is set.

    References
    ----------
    .. [1] Huang et al. 2017, doi:10.1109/CVPR.2017.243.
    """

    def __init__(
        self, n_in: int, growth: int, n_layers: int, dropout: float, *, keep_input: bool
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DenseLayer(n_in + i * growth, growth, dropout) for i in range(n_layers)
        )
        self.keep_input = keep_input
        self.out_channels = n_layers * growth + (n_in if keep_input else 0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, n_in, Y, X) to (N, out_channels, Y, X)."""
        parts = [x]
        for layer in self.layers:
            parts.append(layer(parts))
        return torch.cat(parts if self.keep_input else parts[1:], dim=1)


def transition_down(n: int, dropout: float) -> nn.Sequential:
    """Batch normalisation, ReLU, 1×1 convolution, channel dropout, maximum of 2×2."""
    return nn.Sequential(
        nn.BatchNorm2d(n), nn.ReLU(), nn.Conv2d(n, n, 1), nn.Dropout2d(dropout), nn.MaxPool2d(2)
    )


class DenseEncoder(nn.Module):
    """Dense blocks that keep their input, each followed by a halving of the sides."""

    def __init__(self, n_in: int, growth: int, n_layers: int, depth: int, dropout: float) -> None:
        super().__init__()
        self.blocks, self.down = nn.ModuleList(), nn.ModuleList()
        self.skip_channels: list[int] = []
        for _ in range(depth):
            block = DenseBlock(n_in, growth, n_layers, dropout, keep_input=True)
            n_in = block.out_channels
            self.blocks.append(block)
            self.down.append(transition_down(n_in, dropout))
            self.skip_channels.append(n_in)
        self.out_channels = n_in

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the coarsest features and those before each halving, finest first."""
        skips = []
        for block, down in zip(self.blocks, self.down, strict=True):
            x = block(x)
            skips.append(x)
            x = down(x)
        return x, skips


class DenseUNet(nn.Module):
    """Dense U-Net: (N, in_channels, Y, X) float32 to (N, out_channels, Y, X).

    Sides must be divisible by ``2**depth``. The defaults are the published network for lipids
    and cytoplasm (1,230,913 parameters with 7 planes and one stain); a smaller `width`,
    `growth` and `layers` suit a CPU. The output is a scaled tanh, 0 to 1, or unbounded.

    References
    ----------
    .. [1] Jégou et al. 2017, doi:10.1109/CVPRW.2017.156 (fully convolutional DenseNet).
    .. [2] Pielawski et al. 2020, doi:10.1109/ISBI45749.2020.9098359 (pixel shuffle with blur).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 1,
        *,
        width: int = 48,
        growth: int = 12,
        layers: int = 4,
        depth: int = 4,
        dropout: float = 0.2,
        output: str = "scaled-tanh",
    ) -> None:
        super().__init__()
        n = growth * layers
        self.stem = nn.Conv2d(in_channels, width, 3, padding=1)
        self.encoder = DenseEncoder(width, growth, layers, depth, dropout)
        self.bottleneck = DenseBlock(
            self.encoder.out_channels, growth, layers, dropout, keep_input=False
        )
        self.decoder, self.up = nn.ModuleList(), nn.ModuleList()
        last = n
        for level in reversed(range(depth)):
            self.up.append(PixelShuffleUp(n, n))
            n_in = n + self.encoder.skip_channels[level]
            block = DenseBlock(n_in, growth, layers, dropout, keep_input=level == 0)
            self.decoder.append(block)
            last = block.out_channels
        self.head = StainHead(last, out_channels, output)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, in_channels, Y, X) to (N, out_channels, Y, X)."""
        x, skips = self.encoder(self.stem(x))
        x = self.bottleneck(x)
        for up, block in zip(self.up, self.decoder, strict=True):
            x = block(torch.cat([up(x), skips.pop()], dim=1))
        return self.head(x)
