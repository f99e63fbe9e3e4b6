"""Ridge regression whose penalty is chosen by the error on examples left out one by one."""

from __future__ import annotations

import numpy as np

#: Penalties tried, in units of the mean squared singular value of the standardised features.
PENALTIES = tuple(float(p) for p in 10.0 ** np.arange(-4, 4.01, 0.5))


def ridge(features: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Fit a line to examples by least squares with a penalty on its slope.

    Features are brought to deviation 1 first. The error on left-out examples has a closed
    form (Golub, Heath & Wahba 1979, doi:10.1080/00401706.1979.10489751, equation 1.2), so
    every penalty of `PENALTIES` is tried.

    Parameters
    ----------
    features : (n, F), n at least 1.
    target : (n,).

    Returns
    -------
    Slope (F,) float64 and intercept in the features' own units, and the root mean square error
    on left-out examples (NaN with one example). With one example, or features that never
    differ, the slope is 0.
    """
    x, y = np.asarray(features, np.float64), np.asarray(target, np.float64)
    middle, level = x.mean(axis=0), float(y.mean())
    spread = x.std(axis=0)
    varies = spread > 1e-6 * np.maximum(np.abs(middle), 1e-6)
    if len(y) < 2 or not varies.any():
        return np.zeros(x.shape[1]), level, float("nan")
    scale = np.where(varies, spread, 1.0)
    z = np.where(varies, (x - middle) / scale, 0.0)
    u, s, vt = np.linalg.svd(z, full_matrices=False)
    projected = u.T @ (y - level)
    unit = float(np.mean(np.square(s)))
    best: tuple[float, np.ndarray] | None = None
    for penalty in PENALTIES:
        shrink = np.square(s) / (np.square(s) + penalty * unit)
        leverage = 1 / len(y) + np.square(u) @ shrink
        left_out = (y - level - u @ (shrink * projected)) / np.maximum(1 - leverage, 1e-9)
        error = float(np.sqrt(np.mean(np.square(left_out))))
        if best is None or error < best[0]:
            weights = vt.T @ (s / (np.square(s) + penalty * unit) * projected)
            best = error, weights
    assert best is not None
    slope = best[1] / scale
    return slope, level - float(slope @ middle), best[0]
