"""A linear count on the mean features of a published encoder that itself does not learn."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

from microshot.nn.geometry import RESNETS
from microshot.nn.resnet import ResNetEncoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Features that one level of an encoder may have.
MOST_WIDTH = 4096
#: Levels that an encoder of a U-Net may have.
MOST_LEVELS = 8


class UNetEncoder(nn.Module):
    """Downward path of a plain U-Net: two 3×3 convolutions with ReLU per level, max-pool 2 between.

    Parameter names equal those of the U-Nets of torch-em and the BioImage Model Zoo
    (``encoders.0.0``, ``encoders.0.1`` … ``base.1``).
    """

    def __init__(self, in_channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        pairs = [
            nn.ModuleList([nn.Conv2d(a, b, 3, padding=1), nn.Conv2d(b, b, 3, padding=1)])
            for a, b in pairwise([in_channels, *widths])
        ]
        self.encoders = nn.ModuleList(pairs[:-1])
        self.base = pairs[-1]
        self.out_channels = list(widths)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Map (N, C, Y, X) to one feature map per level."""
        maps = []
        for level, (first, second) in enumerate([*self.encoders, self.base]):  # type: ignore[misc]
            if level:
                x = F.max_pool2d(x, 2, ceil_mode=True)
            x = F.relu(second(F.relu(first(x))))
            maps.append(x)
        return maps


class FrozenCounter(nn.Module):
    """Objects per px from the mean of every feature of every level of an encoder."""

    def __init__(self, architecture: Mapping[str, Any]) -> None:
        super().__init__()
        n, kind = int(architecture["in_channels"]), str(architecture["encoder"])
        self.encoder: UNetEncoder | ResNetEncoder
        if kind == "unet":
            self.encoder = UNetEncoder(n, architecture["widths"])
        else:
            self.encoder = ResNetEncoder(n, kind)
        self.requires_grad_(requires_grad=False)
        self.register_buffer("slope", torch.zeros(sum(self.encoder.out_channels)))
        self.register_buffer("intercept", torch.zeros(()))

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, Y, X) to the means of its features, (N, F)."""
        return torch.cat([level.mean(dim=(2, 3)) for level in self.encoder(x)], dim=1)

    def set(self, slope: torch.Tensor, intercept: float) -> None:
        """Use other weights of the sum."""
        self.slope.copy_(slope)  # type: ignore[operator]
        self.intercept.fill_(intercept)  # type: ignore[operator]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, Y, X) to the mean number of objects per px, (N, 1, 1, 1)."""
        density = self.features(x) @ self.slope + self.intercept  # type: ignore[operator]
        return density[:, None, None, None]


def described(tensors: Mapping[str, torch.Tensor], file: str) -> dict[str, Any]:
    """Return which encoder a file's tensors belong to: entries ``encoder`` and ``widths``.

    Raises
    ------
    ValueError
        If they belong to none that is known.
    """
    if "encoders.0.0.weight" in tensors and "base.0.weight" in tensors:
        n = sum(f"encoders.{level}.0.weight" in tensors for level in range(MOST_LEVELS))
        names = [*(f"encoders.{level}.0.weight" for level in range(n)), "base.0.weight"]
        return {"encoder": "unet", "widths": [int(tensors[name].shape[0]) for name in names]}
    if "conv1.weight" in tensors and "layer4.0.conv1.weight" in tensors:
        third = "layer3.5.conv1.weight" in tensors  # six blocks in layer3 of ResNet-34 and -50
        deep = "layer1.0.conv3.weight" in tensors
        kind = "resnet50" if deep else "resnet34" if third else "resnet18"
        return {"encoder": kind, "widths": []}
    raise ValueError(
        f"{file}: expected the weights of a ResNet-18, -34 or -50 (layer1 to layer4) or of a plain "
        f"U-Net (encoders, base), found {len(tensors)} tensors of another network; choose another file."
    )


def check_architecture(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an architecture that can be built.

    Raises
    ------
    ValueError
        Naming the entry, what is allowed and what was found.
    """
    a = {"widths": [], "in_channels": 1, **given}
    kinds = ("unet", *RESNETS)
    if not isinstance(a.get("encoder"), str) or a["encoder"] not in kinds:
        raise ValueError(
            f"Frozen network: expected one of {', '.join(kinds)} as encoder, found "
            f"{a.get('encoder')!r:.60}."
        )
    widths = a["widths"]
    n = [a["in_channels"], *widths] if isinstance(widths, list) else [None]
    right = all(type(w) is int and 1 <= w <= MOST_WIDTH for w in n) and len(n) <= MOST_LEVELS + 2
    if not right or (a["encoder"] == "unet") != bool(widths):
        raise ValueError(
            "Frozen network: expected whole numbers of channels and of features per level, found "
            f"{a['in_channels']!r:.30} and {widths!r:.60}."
        )
    return a
