"""Losses of the task *translate*: `x` is what the network says, `y` what is true.

Formulas with their defaults are those of the adipocyte system (HASTE report, Eq. 3 to 9) as its
released code computes them; where report and code differ the docstring says so.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from microshot.nn.losses import masked_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from microshot.nn.lupi import LupiOutput

#: Least median to divide by: stains fill little of an image, and the median of none is 0.
MEDIAN_FLOOR = 1e-3
#: Weight of a pixel whose class the network gets wrong.
WRONG_WEIGHT = 2.0
#: Weights of the terms of the loss for nuclei, Eq. 6: loss-weight modules, medMAE, BCE.
NUCLEI_WEIGHTS = (0.1, 0.5, 1.0)
#: Score maps that the relativistic loss averages over.
POOL = 50


def lsl(x: torch.Tensor, y: torch.Tensor, floor: float = 1e-8) -> torch.Tensor:
    """Mean of ln((y + floor) / (x + floor))², least squares on logarithms (Eq. 3).

    `floor` acts as the noise floor: with 1e-8, as published, a pixel of 0 that is predicted
    as 0.01 counts for 191; 1e-3 suits stains with a black background.
    """
    return ((y + floor).log() - (x + floor).log()).square().mean()


def med_mae(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Mean of |x - y| over the median of `y` in the batch, at least 0.001 (Eq. 4)."""
    return (x - y).abs().mean() / guarded_median(y)


def guarded_median(y: torch.Tensor) -> torch.Tensor:
    """Median of all values (the lower of two middle ones), at least `MEDIAN_FLOOR`."""
    return y.median().clamp_min(MEDIAN_FLOOR)


def gradient_loss(x: torch.Tensor, y: torch.Tensor, *, signed: bool = False) -> torch.Tensor:
    """Mean over both directions of ||∇x| - |∇y||, ∇ being forward differences (Eq. 5).

    The difference beyond the last row and column is 0. The released code takes absolute values
    before it subtracts; `signed` gives the report's formula, the mean of |∇x - ∇y|.
    """
    total = x.new_zeros(())
    for dim in (-1, -2):
        a, b = x.diff(dim=dim), y.diff(dim=dim)
        total = total + ((a - b) if signed else (a.abs() - b.abs())).abs().sum()
    return total / (2 * x.numel())


def l1(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Mean of |x - y|."""
    return (x - y).abs().mean()


def l2(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Mean of (x - y)²."""
    return (x - y).square().mean()


def foreground_l1(x: torch.Tensor, y: torch.Tensor, gain: float = 4.0) -> torch.Tensor:
    """Mean of |x - y| weighted with 1 + `gain` · y, y kept within 0 to 1.

    A stained pixel counts up to 1 + `gain` times as much as a dark one, so that a network does
    not get away with predicting background everywhere.
    """
    return masked_mean((x - y).abs(), 1 + gain * y.clamp(0, 1))


#: Reconstruction terms by the name they have in a model file.
TERMS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "lsl": lsl,
    "lsl_black": partial(lsl, floor=1e-3),
    "med_mae": med_mae,
    "gradient": gradient_loss,
    "l1": l1,
    "l2": l2,
    "foreground_l1": foreground_l1,
}


# ------------------------------------------------------------------- masks that teach (nuclei)


def mask_bce(logits: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return binary cross-entropy per pixel (N, Y, X), and where it counts.

    Parameters
    ----------
    logits : (N, 2, Y, X) of background and nucleus, each a yes or no of its own.
    mask : (N, Y, X) 1 nucleus, 0 background, negative = not annotated.
    """
    nucleus = (mask > 0).to(logits.dtype)
    wanted = torch.stack([1 - nucleus, nucleus], dim=1)
    bce = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean(dim=1)
    return bce, (mask >= 0).to(logits.dtype)


def pixel_weights(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return (N, 1, Y, X): 2 where the likelier class is the wrong one, else 1 (Eq. 7)."""
    wrong = (logits.argmax(dim=1) != (mask > 0)) & (mask >= 0)
    return torch.where(wrong, WRONG_WEIGHT, 1.0).to(logits.dtype).unsqueeze(1)


def weighted_med_mae(x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean of weight · |x - y| over the guarded median of `y`; `weight` is (N, 1, Y, X)."""
    return (weight * (x - y).abs()).mean() / guarded_median(y)


def side_losses(
    sides: tuple[torch.Tensor, ...], y: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Sum over the coarser outputs of `weighted_med_mae`, truth and weights at their size (Eq. 7).

    Both are resized by taking the nearest pixel.
    """
    total = y.new_zeros(())
    for side in sides:
        size = side.shape[-2:]
        here = F.interpolate(y, size=size, mode="nearest")
        total = total + weighted_med_mae(side, here, F.interpolate(weight, size=size))
    return total


def nuclei_loss(out: LupiOutput, y: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the loss for nuclei and its terms (Eq. 6).

    0.5 · weighted medMAE + weighted BCE + 0.1 · side losses + BCE + 0.5 · medMAE. The report's
    third weight is the one of BCE, 1, as in the released code; sums over pixels are means.
    Pixels that are not annotated teach the stain but not the mask.
    """
    side_weight, mae_weight, bce_weight = NUCLEI_WEIGHTS
    x, logits = out.image.float(), out.logits.float()
    weight = pixel_weights(logits, mask)
    bce, counts = mask_bce(logits, mask)
    plain, hard = masked_mean(bce, counts), masked_mean(bce * weight[:, 0], counts)
    stain = med_mae(x, y)
    sides = side_losses(tuple(side.float() for side in out.sides), y, weight)
    loss = mae_weight * (stain + weighted_med_mae(x, y, weight)) + bce_weight * (plain + hard)
    return {"loss": loss + side_weight * sides, "med_mae": stain, "mask_bce": plain, "sides": sides}


# ----------------------------------------------------------------------------- adversary


class ScorePool:
    """Mean over the score maps of the last `size` patches, of the current batch too.

    Maps are remembered by their mean, for all have one size; nothing flows back through it.
    """

    def __init__(self, size: int = POOL) -> None:
        self.means: deque[torch.Tensor] = deque(maxlen=size)

    def add(self, scores: torch.Tensor) -> None:
        """Take in a batch of maps (N, 1, Y, X); the oldest go."""
        self.means.extend(scores.detach().float().mean(dim=(1, 2, 3)))

    def mean(self) -> torch.Tensor:
        """Return the mean score."""
        return torch.stack(list(self.means)).mean()


class RelativisticLoss:
    """Relativistic average least squares, for the discriminator and for the generator.

    With D a map of scores, r and f the pools' means for real and made stains::

        L_D = ½ [ mean (D(real) - f - 1)² + mean (D(made) - r + 1)² ]
        L_G = ½ [ mean (D(real) - f + 1)² + mean (D(made) - r - 1)² ]

    The pools fill in the discriminator's step. The "image pool" of the report holds scores, not
    images, in its code.

    References
    ----------
    .. [1] Jolicoeur-Martineau 2018, arXiv:1807.00734, Eq. 16 (RaLSGAN).
    .. [2] Kupyn et al. 2019, doi:10.1109/ICCV.2019.00897 (the pool).
    """

    def __init__(self, size: int = POOL) -> None:
        self.real, self.made = ScorePool(size), ScorePool(size)

    def discriminator(self, real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
        """Remember the score maps of a step and return L_D."""
        self.real.add(real)
        self.made.add(made)
        return self._loss(real, made, 1.0)

    def generator(self, real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
        """Return L_G; its gradient flows through `made` alone."""
        return self._loss(real, made, -1.0)

    def _loss(self, real: torch.Tensor, made: torch.Tensor, sign: float) -> torch.Tensor:
        r, f = self.real.mean(), self.made.mean()
        above = (real.float() - f - sign).square().mean()
        below = (made.float() - r + sign).square().mean()
        return (above + below) / 2
