"""How well predicted counts agree with true ones."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def rounded(predicted: ArrayLike) -> np.ndarray:
    """Return counts as whole numbers, halves to the even one, (n,) float64."""
    return np.rint(np.asarray(predicted, float))


def count_scores(truth: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """Compare true and predicted counts of n images, (n,) each.

    Returns
    -------
    With l the truth, p the prediction, r = `rounded` (p), and means over all images:

    =================  =======================================================
    ``n``              number of images
    ``mae``            mean |r - l|, mean absolute error
    ``mae_unrounded``  mean |p - l|
    ``mre``            mean |1 - r / l| over images with l > 0, relative error
    ``accuracy``       part of the images with r = l
    ``bias``           mean (p - l); negative where too few are counted
    ``rmse``           √ mean (p - l)²
    =================  =======================================================

    Without any image (for ``mre``: without any that holds an object) they are NaN.

    Raises
    ------
    ValueError
        If the two differ in length, or a count is negative or not finite.

    References
    ----------
    .. [1] Kenneweg, Stallmann & Hammer 2022, doi:10.1007/s00521-022-08115-2, Table 2 (MAE, MRE
       and accuracy; on rounded counts, as in the released code).
    """
    true, p = _pair(truth, predicted)
    r, some = rounded(p), true > 0
    return {
        "n": float(len(true)),
        "mae": _mean(np.abs(r - true)),
        "mae_unrounded": _mean(np.abs(p - true)),
        "mre": _mean(np.abs(1 - r[some] / true[some])),
        "accuracy": _mean(r == true),
        "bias": _mean(p - true),
        "rmse": math.sqrt(_mean(np.square(p - true))),
    }


def coverage(truth: ArrayLike, low: ArrayLike, high: ArrayLike) -> float:
    """Return the part of the true counts that lie in their intervals; NaN without any."""
    true, low, high = (np.asarray(values, float).ravel() for values in (truth, low, high))
    return _mean((low <= true) & (true <= high))


def _mean(values: np.ndarray) -> float:
    """Return the mean; NaN of nothing."""
    return float(values.mean()) if len(values) else math.nan


def _pair(truth: ArrayLike, predicted: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    true, p = np.asarray(truth, float).ravel(), np.asarray(predicted, float).ravel()
    if len(true) != len(p):
        raise ValueError(
            f"Counts: expected as many predictions as true counts, found {len(p)} and {len(true)}."
        )
    for what, values in (("true", true), ("predicted", p)):
        bad = values[~(np.isfinite(values) & (values >= 0))]
        if len(bad):
            raise ValueError(
                f"Counts: expected numbers from 0 on as {what} counts, found {bad[0]:g}."
            )
    return true, p
