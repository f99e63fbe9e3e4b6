"""Intervals around predicted counts that hold the true count as often as they say.

They come from the errors on labelled images that the model was not trained on and assume
nothing else but that new images are of the same kind as these.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from microshot.words import form

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def rank(n: int, level: float) -> int:
    """Return which of `n` errors, from 1 for the smallest, bounds a new one with `level`.

    ⌈(n + 1) · level⌉; more than `n` where there are too few errors to say.
    """
    return math.ceil((n + 1) * level - 1e-9)  # 10 · 0.9 is 9, not 10


def least_images(level: float) -> int:
    """Return the number of calibration images from which on an interval of `level` is finite."""
    return math.ceil(level / (1 - level) - 1e-9)


def quantile(errors: ArrayLike, level: float) -> float:
    """Return the conformal quantile of `errors` (n,); inf where n is too small.

    A new error, exchangeable with these, is not greater with probability `level` at least
    (and at most level + 1/(n + 1) where no two are equal).

    References
    ----------
    .. [1] Papadopoulos et al. 2002, doi:10.1007/3-540-36755-1_29 (split conformal).
    .. [2] Lei et al. 2018, doi:10.1080/01621459.2017.1307116, Theorem 2.2.
    """
    _check_level(level)
    ordered = np.sort(np.asarray(errors, float).ravel())
    k = rank(len(ordered), level)
    return float(ordered[k - 1]) if k <= len(ordered) else math.inf


def scatter(predicted: ArrayLike) -> np.ndarray:
    """Return what errors are measured in at a predicted count: √count, at least 1.

    So counts of independent objects scatter; crowded images get wider intervals than sparse ones.

    References
    ----------
    .. [1] Lei et al. 2018, doi:10.1080/01621459.2017.1307116, section 5.2 (locally weighted).
    """
    return np.sqrt(np.maximum(np.asarray(predicted, float), 1.0))


def errors_of(truth: ArrayLike, predicted: ArrayLike) -> np.ndarray:
    """Return the nonconformity scores |truth - predicted| / `scatter` of images, (n,) float64."""
    predicted = np.asarray(predicted, float)
    return np.abs(np.asarray(truth, float) - predicted) / scatter(predicted)


def whole(count: float, low: float, high: float) -> tuple[float, float]:
    """Return the least and the greatest whole number of an interval around a count, not below 0.

    A true count is whole, so it lies between these as often as in the interval itself. Where that
    holds no whole number, the rounded count.
    """
    least, most = math.ceil(max(low, 0.0) - 1e-9), math.floor(high + 1e-9)
    if least > most:
        least = most = round(count)
    return float(least), float(most)


def around(count: float, half_width: float) -> tuple[float, float]:
    """Return the interval of a predicted count, in whole numbers from 0 on.

    `half_width` is the conformal quantile of errors, in units of `scatter`; inf where it is not
    known.
    """
    if not math.isfinite(half_width):
        return 0.0, math.inf
    reach = half_width * float(scatter(count))
    return whole(count, count - reach, count + reach)


def too_few(n: int, level: float) -> str:
    """Say how many images an interval of `level` needs; empty where `n` is enough."""
    _check_level(level)
    needed = least_images(level)
    if n >= needed:
        return ""
    have = "none" if n == 0 else str(n)
    return (
        f"An interval that holds {level:.0%} of the true counts needs at least {needed} labelled "
        f"images that the model was not trained on; there {form(n, 'was', 'were')} {have}."
    )


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"Interval: expected a level between 0 and 1, found {level!r:.60}.")
