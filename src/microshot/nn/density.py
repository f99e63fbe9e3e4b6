"""The network that says how many objects lie at every pixel, and its loss."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from microshot.nn.geometry import SHARPNESS
from microshot.nn.losses import masked_mean
from microshot.nn.segmenter import Segmenter

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Least output the head begins with, in heights of a spot; below, its gradient fades.
LEAST_START = 0.02


class DensityNetwork(Segmenter):
    """Network of the density counter: (N, C, Y, X) float32 to (N, 1, Y/g, X/g) float32.

    The output is never negative; its sum is the number of objects. An output of one unit
    (`unit` objects) is the height of a single object's spot. Parameters have the names of
    `Segmenter`, so that parts are frozen, renewed and taken over as there.

    References
    ----------
    .. [1] Lempitsky & Zisserman 2010, "Learning to count objects in images", NIPS 23 (density).
    .. [2] Xie et al. 2018, doi:10.1080/21681163.2016.1149104 (by a fully convolutional network).
    """

    def __init__(self, architecture: Mapping[str, Any]) -> None:
        super().__init__(architecture)
        spread = float(architecture["spread_px"]) / int(architecture["grid"])
        self.unit = 1 / (2 * math.pi * spread**2)
        per_px = float(architecture.get("initial_density", 0.0))
        start = max(LEAST_START, per_px * self.grid**2 / self.unit)
        assert self.head.bias is not None
        x = SHARPNESS * start  # softplus(b) = start; from 30 on, e**x - 1 is e**x
        bias = x if x > 30 else math.log(math.expm1(x))
        torch.nn.init.constant_(self.head.bias, bias / SHARPNESS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, Y, X), sides divisible by `geometry.side_multiple`, to (N, 1, Y/g, X/g) objects."""
        return F.softplus(super().forward(x).float(), beta=SHARPNESS) * self.unit


def density_loss(
    output: torch.Tensor,
    density: torch.Tensor,
    weight: torch.Tensor,
    count: torch.Tensor,
    placed: torch.Tensor,
    *,
    unit: float,
    count_weight: float,
) -> dict[str, torch.Tensor]:
    """Return the loss on maps and on counts, and its terms.

    Parameters
    ----------
    output, density : (N, Y, X) objects per output pixel, predicted and true.
    weight : (N, Y, X) 1 where the pixel matters, 0 where not.
    count : (N,) true objects where the weight is 1.
    placed : (N,) 1 where `density` is known, 0 where only `count` is.
    unit : height of a single object's spot.
    count_weight : of the count's term for images with `density`.

    Notes
    -----
    Map: 2 Σ w (o - d)² / (unit (c + 1)), which is c / (c + 1) for an empty output and spots that
    do not overlap. Count: (2 √(S + 3/8) - 2 √(c + 3/8))² with S = Σ w o, the squared error in
    units of the scatter of a Poisson count (Anscombe's transform).

    References
    ----------
    .. [1] Anscombe 1948, doi:10.1093/biomet/35.3-4.246.
    """
    squares = (weight * (output - density).square()).sum((1, 2))
    per_map = 2 * squares / (unit * (count + 1))
    total = (weight * output).sum((1, 2))
    per_count = 4 * ((total + 0.375).sqrt() - (count + 0.375).sqrt()).square()
    map_loss = masked_mean(per_map, placed)
    share = torch.where(placed > 0, count_weight, 1.0)
    count_loss = (share * per_count).mean()
    error = (total - count).abs().mean()
    return {
        "loss": map_loss * placed.mean() + count_loss,
        "map_loss": map_loss,
        "count_loss": count_loss,
        "count_error": error,
    }
