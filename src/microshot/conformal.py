"""Intervals around predicted counts that hold the true count as often as they say.

They come from the errors on labelled images that the model was not trained on and assume
nothing else but that new images are of the same kind as these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from microshot.words import form

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

Scale = Literal["constant", "sqrt"]


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


def width_scale(predicted: ArrayLike, scale: Scale = "sqrt") -> np.ndarray:
    """Return what errors are measured in at a predicted count.

    ``constant``: in objects. ``sqrt``: in √count, at least 1, as counts of independent
    objects scatter; crowded images get wider intervals than sparse ones.

    References
    ----------
    .. [1] Lei et al. 2018, doi:10.1080/01621459.2017.1307116, section 5.2 (locally weighted).
    """
    if scale not in get_args(Scale):
        raise ValueError(
            f"Interval: expected one of {', '.join(get_args(Scale))} as scale, found {scale!r:.60}."
        )
    counts = np.asarray(predicted, float)
    return np.ones_like(counts) if scale == "constant" else np.sqrt(np.maximum(counts, 1.0))


def errors_of(truth: ArrayLike, predicted: ArrayLike, scale: Scale = "sqrt") -> np.ndarray:
    """Return the nonconformity scores |truth - predicted| / scale of images, (n,) float64."""
    predicted = np.asarray(predicted, float)
    return np.abs(np.asarray(truth, float) - predicted) / width_scale(predicted, scale)


def whole(count: float, low: float, high: float) -> tuple[float, float]:
    """Return the least and the greatest whole number of an interval around a count, not below 0.

    A true count is whole, so it lies between these as often as in the interval itself. Where that
    holds no whole number, the rounded count.
    """
    least, most = math.ceil(max(low, 0.0) - 1e-9), math.floor(high + 1e-9)
    if least > most:
        least = most = round(count)
    return float(least), float(most)


def around(
    count: float, half_width: float, scale: Scale = "sqrt", *, rounded: bool = True
) -> tuple[float, float]:
    """Return the interval of a predicted count; `half_width` is a conformal quantile."""
    if not math.isfinite(half_width):
        return 0.0, math.inf
    reach = half_width * float(width_scale(count, scale))
    low, high = max(0.0, count - reach), max(0.0, count + reach)
    return whole(count, low, high) if rounded else (low, high)


@dataclass(frozen=True)
class Calibration:
    """Errors of a model on images it was not trained on; all that intervals need."""

    errors: tuple[float, ...] = ()
    """Nonconformity scores (see `errors_of`), in no order."""
    scale: Scale = "sqrt"

    @classmethod
    def of(cls, truth: ArrayLike, predicted: ArrayLike, scale: Scale = "sqrt") -> Calibration:
        """Compare true with predicted counts (n,) of images held out or left out."""
        return cls(tuple(sorted(errors_of(truth, predicted, scale).tolist())), scale)

    @property
    def n(self) -> int:
        """Number of calibration images."""
        return len(self.errors)

    def half_width(self, level: float) -> float:
        """Return the half-width of intervals in units of `scale`; inf with too few images."""
        return quantile(self.errors, level)

    def interval(self, count: float, level: float, *, rounded: bool = True) -> tuple[float, float]:
        """Return the interval of a predicted count, not below 0, whole numbers if `rounded`."""
        return around(count, self.half_width(level), self.scale, rounded=rounded)

    def note(self, level: float) -> str:
        """Say why there is no interval of `level`; empty where there is one."""
        return too_few(self.n, level)

    def to_json(self) -> dict[str, Any]:
        """Return a document of strings, numbers and lists."""
        return {"scale": self.scale, "errors": list(self.errors)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Calibration:
        """Return what `to_json` wrote.

        Raises
        ------
        ValueError
            If an error is no finite number from 0 on, or the scale is unknown.
        """
        errors, scale = document.get("errors", ()), document.get("scale", "sqrt")
        ok = isinstance(errors, list | tuple) and all(
            isinstance(e, int | float) and not isinstance(e, bool) and 0 <= e < math.inf
            for e in errors
        )
        if not ok:
            raise ValueError(
                f"Calibration: expected a list of finite numbers from 0 on as errors, found "
                f"{errors!r:.60}."
            )
        width_scale(0.0, scale)
        return cls(tuple(float(e) for e in errors), scale)


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
