"""How much a predicted stain is like the measured one, pixel by pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Least median to divide by, as part of the range of the truth.
MEDIAN_FLOOR = 1e-3
#: Percentiles between which a stain's range lies; a hot pixel does not set it.
RANGE_PERCENTILES = (0.1, 99.9)
#: Least side of an image for the structural similarity: its window.
SSIM_WINDOW_PX = 11


def med_mae(truth: Sequence[np.ndarray], prediction: Sequence[np.ndarray]) -> float:
    """Mean of |prediction - truth| over the median of the truth, all images together.

    The pixel score of the adipocyte challenge. Where the median lies below a thousandth of the
    truth's range (a stain that fills less than half of a black image), that takes its place; NaN
    where the truth is 0 everywhere.
    """
    pairs = list(zip(truth, prediction, strict=True))
    errors = sum(float(np.abs(_float(p) - _float(t)).sum()) for t, p in pairs)
    mean = errors / sum(t.size for t, _ in pairs)
    values = np.concatenate([_float(t).ravel() for t, _ in pairs])
    return _over(mean, guarded_median(values))


def guarded_median(truth: np.ndarray) -> float:
    """Return the median of all values, at least a thousandth of their range."""
    values = _float(truth)
    return max(float(np.median(values)), MEDIAN_FLOOR * float(np.ptp(values)))


def pearson(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Pearson's correlation of all pixels, -1 to 1.

    0 for a constant prediction, NaN for a constant truth, which nothing can correlate with.
    """
    t, p = _float(truth).ravel(), _float(prediction).ravel()
    if not np.ptp(t) > 0:
        return float("nan")
    if np.ptp(p) == 0:  # less its rounded mean, it would be next to 0, not 0
        return 0.0
    t, p = t - t.mean(), p - p.mean()
    norm = float(np.sqrt((t @ t) * (p @ p)))
    return float(np.clip((t @ p) / norm, -1, 1)) if norm > 0 else 0.0


def data_range(truth: np.ndarray) -> float:
    """Return the distance of the 0.1 and 99.9 percentiles; of minimum and maximum if that is 0.

    References
    ----------
    .. [1] Weigert et al. 2018, doi:10.1038/s41592-018-0216-7 (percentile range for PSNR, SSIM).
    """
    low, high = np.percentile(truth, RANGE_PERCENTILES)
    return float(high - low) or float(np.ptp(_float(truth)))


def psnr(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB: 10 log10(range² / mean squared error).

    The range is that of `data_range`. Infinite for a perfect prediction, NaN for a constant truth.
    """
    span = data_range(truth)
    if not span > 0:
        return float("nan")
    error = float(np.square(_float(prediction) - _float(truth)).mean())
    return float("inf") if error == 0 else float(10 * np.log10(span**2 / error))


def ssim(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Mean structural similarity of two images (Y, X), at most 1.

    Gaussian window of sd 1.5 px, population covariance, the range of `data_range`. NaN for a
    constant truth and for images with a side below 11 px.

    References
    ----------
    .. [1] Wang et al. 2004, doi:10.1109/TIP.2003.819861; scikit-image's `structural_similarity`.
    """
    span = data_range(truth)
    if not span > 0 or min(truth.shape) < SSIM_WINDOW_PX:
        return float("nan")
    from skimage.metrics import structural_similarity

    value = structural_similarity(
        _float(truth), _float(prediction), data_range=span, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False,
    )  # fmt: skip
    return float(value)  # type: ignore[arg-type]


def _float(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float64)


def _over(value: float, by: float) -> float:
    return value / by if by > 0 else float("nan")
