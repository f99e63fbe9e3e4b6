"""A U-Net whose encoder is an ImageNet-style ResNet, so that published weights fit in."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from microshot.nn.geometry import RESNETS


class _Block(nn.Module):
    """Basic (3×3, 3×3) or bottleneck (1×1, 3×3, 1×1) block; names as in published state dicts."""

    def __init__(self, n_in: int, features: int, *, stride: int, bottleneck: bool) -> None:
        super().__init__()
        out = features * (4 if bottleneck else 1)
        if bottleneck:
            self.conv1 = nn.Conv2d(n_in, features, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(features)
            self.conv2 = nn.Conv2d(features, features, 3, stride, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(features)
            self.conv3 = nn.Conv2d(features, out, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(out)
        else:
            self.conv1 = nn.Conv2d(n_in, features, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(features)
            self.conv2 = nn.Conv2d(features, out, 3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(out)
        self.bottleneck = bottleneck
        self.downsample: nn.Module | None = None
        if stride != 1 or n_in != out:
            self.downsample = nn.Sequential(
                nn.Conv2d(n_in, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        if self.bottleneck:
            x = self.bn3(self.conv3(F.relu(x)))
        return F.relu(x + shortcut)


class ResNetEncoder(nn.Module):
    """ResNet-18/34/50 without its classifier: five feature maps at 1/2 to 1/32 of the input.

    Parameter names equal those of the widely published ImageNet weights (``conv1``, ``bn1``,
    ``layer1.0.conv1`` …).

    References
    ----------
    .. [1] He et al. 2016, doi:10.1109/CVPR.2016.90, Table 1.
    """

    def __init__(self, in_channels: int, variant: str) -> None:
        super().__init__()
        bottleneck, blocks = RESNETS[variant]
        expansion = 4 if bottleneck else 1
        self.conv1 = nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        n = 64
        for stage, (features, n_blocks) in enumerate(zip((64, 128, 256, 512), blocks, strict=True)):
            layers = []
            for index in range(n_blocks):
                stride = 2 if index == 0 and stage > 0 else 1
                layers.append(_Block(n, features, stride=stride, bottleneck=bottleneck))
                n = features * expansion
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.out_channels = [64, *(f * expansion for f in (64, 128, 256, 512))]

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Map (N, C, Y, X) to feature maps at 1/2, 1/4, 1/8, 1/16 and 1/32 of Y, X."""
        x = F.relu(self.bn1(self.conv1(x)))
        maps = [x]
        x = F.max_pool2d(x, 3, 2, 1)
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
            maps.append(x)
        return maps


class ResNetUNet(nn.Module):
    """U-Net decoder on a `ResNetEncoder`: (N, C, Y, X) to (N, 16, Y, X), sides divisible by 32."""

    def __init__(self, in_channels: int, variant: str) -> None:
        super().__init__()
        self.encoder = ResNetEncoder(in_channels, variant)
        skips = [*reversed(self.encoder.out_channels[:-1]), 0]
        n = self.encoder.out_channels[-1]
        self.decoder = nn.ModuleList()
        for skip, width in zip(skips, (256, 128, 64, 32, 16), strict=True):
            self.decoder.append(
                nn.Sequential(
                    nn.Conv2d(n + skip, width, 3, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(inplace=True),
                    nn.Conv2d(width, width, 3, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(inplace=True),
                )
            )
            n = width
        self.out_channels = n

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, Y, X) to (N, 16, Y, X)."""
        maps = self.encoder(x)
        x = maps.pop()
        for level in self.decoder:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            if maps:
                x = torch.cat([x, maps.pop()], dim=1)
            x = level(x)
        return x
