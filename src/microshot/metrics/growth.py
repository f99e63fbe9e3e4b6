"""Growth from counts over time: an exponential curve and its doubling time.

References
----------
.. [1] McCullagh & Nelder 1989, doi:10.1007/978-1-4899-3242-6, section 6.2 (counts with a mean whose
   logarithm is linear, fitted by iteratively reweighted least squares) and chapter 9 (quasi-likelihood:
   a variance in proportion to the mean, and the standard errors that follow from it).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Sequence

#: How often the interval is to hold the true rate.
LEVEL = 0.95
#: Times at which something was counted, at least.
LEAST_TIMES = 3
_STEPS = 50
_MOST_EXPONENT = 700.0
#: Sums of squares below this are rounding.
_LEAST = 1e-12


@dataclass(frozen=True)
class Growth:
    """Mean count exp(level + rate · (time - middle))."""

    middle: float
    """Mean of the times; absolute ones, such as days of a calendar, are far from 0."""
    level: float
    """Natural logarithm of the count at that time."""
    rate: float
    """Part by which the count grows per unit of time, when small; ln 2 / doubling time."""
    rate_low: float
    rate_high: float
    """Interval of the rate."""
    n_images: int
    n_times: int

    @property
    def doubling(self) -> float:
        """Time in which the count doubles; negative where it halves, inf where it stays."""
        return math.log(2) / self.rate if self.rate else math.inf

    @property
    def start(self) -> float | None:
        """Count at time 0; None where time 0 is too far away for a number."""
        exponent = self.level - self.rate * self.middle
        return math.exp(exponent) if abs(exponent) < _MOST_EXPONENT else None

    def at(self, time: float) -> float:
        """Return the mean count at a time."""
        return math.exp(min(self.level + self.rate * (time - self.middle), _MOST_EXPONENT))

    def _seen(self) -> str:
        return f"{how_many(self.n_images, 'image')} at {how_many(self.n_times, 'time')}"

    def sentence(self, unit: str = "") -> str:
        """Say how fast the count grows."""
        behind = f" {unit}" if unit else ""
        if self.rate_low <= 0 <= self.rate_high:
            return f"No growth or decay that is more than chance may make ({self._seen()})."
        ends = sorted(abs(math.log(2) / r) for r in (self.rate_low, self.rate_high))
        word = "doubles" if self.rate > 0 else "halves"
        return (
            f"The count {word} every {abs(self.doubling):.3g}{behind} (95 % interval {ends[0]:.3g} "
            f"to {ends[1]:.3g}; {self._seen()})."
        )


def growth(times: Sequence[float], counts: Sequence[float]) -> Growth:
    """Fit an exponential curve to counts; the interval follows from how they scatter around it.

    Parameters
    ----------
    times : in any unit, not necessarily in order.
    counts : 0 or more, one per image; several images may share a time.

    Raises
    ------
    ValueError
        If there are fewer than three times or all counts are 0.

    Notes
    -----
    The counts' variance is taken to be proportional to their mean, which also holds for counts that
    scatter more than Poisson's; so an image with many objects does not outweigh the others as
    it would with least squares, and zeros need no special care as with logarithms.
    """
    t, y = np.asarray(times, float), np.asarray(counts, float)
    n_times = len(np.unique(t))
    if n_times < LEAST_TIMES:
        raise ValueError(
            f"A growth curve needs counts at {LEAST_TIMES} or more times, found {n_times}; give "
            "images of more times."
        )
    if not y.any():
        raise ValueError("A growth curve needs counts above 0; all counts are 0.")
    middle, width = float(t.mean()), float(np.ptp(t))
    x = (t - middle) / width
    slope, level = _fitted(x, y)
    reach = _reach(x, y, np.exp(level + slope * x)) / width
    rate = slope / width
    return Growth(middle, level, rate, rate - reach, rate + reach, len(t), n_times)


def _fitted(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Fit log mean = level + slope · x to counts `y` at `x`, both (n,); return slope and level."""
    level, slope = float(np.log(y.mean())), 0.0
    for _ in range(_STEPS):
        mean = np.exp(np.clip(level + slope * x, -30, 30))
        residual = y - mean
        weight = float(mean.sum())
        centre, spread = _moments(x, mean)
        change = float((residual * (x - centre)).sum()) / max(spread, _LEAST)
        change = float(np.clip(change, -2, 2))
        slope = float(np.clip(slope + change, -60, 60))
        level += float(np.clip(residual.sum() / weight - change * centre, -2, 2))
        if abs(change) < 1e-9:
            break
    return slope, level


def _reach(x: np.ndarray, y: np.ndarray, mean: np.ndarray) -> float:
    """Return half the width of the slope's interval, t(n - 2) · sqrt(phi / Σ mean (x - centre)²).

    phi is Pearson's chi² / (n - 2) [1]_. Counts exactly on the curve do not tell how they scatter:
    Poisson's variance is taken for known, phi = 1 and t of infinitely many degrees of freedom.
    """
    from scipy.special import stdtrit

    chi2, free = float(((y - mean) ** 2 / mean).sum()), len(y) - 2.0
    phi, free = (chi2 / free, free) if chi2 > _LEAST else (1.0, math.inf)
    _, spread = _moments(x, mean)
    return float(stdtrit(free, (1 + LEVEL) / 2)) * math.sqrt(phi / max(spread, _LEAST))


def _moments(x: np.ndarray, mean: np.ndarray) -> tuple[float, float]:
    """Return the centre of `x` weighted by `mean`, and the weighted sum of squares around it."""
    centre = float((mean * x).sum() / mean.sum())
    return centre, float((mean * (x - centre) ** 2).sum())
