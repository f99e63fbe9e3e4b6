"""Density maps: from points to a map of spots, and from a map back to points."""

from __future__ import annotations

import numpy as np

#: Maxima lower than this part of the highest are left for a later round.
_LEAST_PEAK = 0.05
#: Rounds of taking away found objects and looking again.
_MAX_ROUNDS = 20
#: Spots end at so many standard deviations.
_REACH = 4.0


def spots(points: np.ndarray, shape: tuple[int, int], spread: float, cell: int = 1) -> np.ndarray:
    """Return a map with one Gaussian spot per point that adds up to the number of points.

    Parameters
    ----------
    points : (n, 2) y and x in px, from the middle of the first pixel; all in the image.
    shape : (Y, X) of the map.
    spread : standard deviation of a spot in px.
    cell : px per value of the map; value (i, j) is what lies in px i · cell to (i + 1) · cell - 1.

    Returns
    -------
    (Y, X) float32 objects per value. A spot is cut at the map's edges and what is left of it
    made to add up to 1, so that the map of an image says how many objects are in the image.

    References
    ----------
    .. [1] Lempitsky & Zisserman 2010, "Learning to count objects in images", NIPS 23, Eq. 1.
    """
    if not len(points):
        return np.zeros(shape, np.float32)
    (rows, y), (columns, x) = (
        _masses(np.asarray(points, float)[:, axis], shape[axis], spread, cell) for axis in (0, 1)
    )
    places = y[:, :, None] * shape[1] + x[:, None]  # (points, window, window)
    masses = rows[:, :, None] * columns[:, None]
    size = shape[0] * shape[1]
    made = np.bincount(places.ravel(), masses.ravel(), size)
    return made.reshape(shape).astype(np.float32)


def _masses(
    positions: np.ndarray, n: int, spread: float, cell: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return what part of each spot lies in which of the `n` cells along an axis.

    Masses and indices of the cells, (points, window) each.
    """
    from scipy.special import ndtr

    reach = min(int(np.ceil(_REACH * spread / cell)) + 1, n)  # beyond is no cell
    middle = np.floor((positions + 0.5) / cell).astype(np.int64)
    cells = middle[:, None] + np.arange(-reach, reach + 1)
    edge = cells * cell - 0.5 - positions[:, None]
    masses = ndtr((edge + cell) / spread) - ndtr(edge / spread)
    masses[(cells < 0) | (cells >= n)] = 0
    return masses / masses.sum(1, keepdims=True), np.clip(cells, 0, n - 1)


def find_points(density: np.ndarray, n: int, spread: float) -> np.ndarray:
    """Return `n` points (y, x) that explain a map of objects, clearest first.

    Maxima of the smoothed map are taken from the highest on; the spots of those taken are
    subtracted and the rest is searched again, until there are `n`.

    Parameters
    ----------
    density : (Y, X) float32, not negative.
    spread : standard deviation of a spot in values of the map.

    Returns
    -------
    (n, 2) float32 in values of the map, from the middle of the first.
    """
    from scipy.ndimage import gaussian_filter

    found = np.zeros((0, 2), np.float32)
    rest = density
    for _ in range(_MAX_ROUNDS):
        if len(found) >= n:
            break
        smooth = gaussian_filter(rest, spread / 2, mode="nearest")
        found = np.concatenate([found, _maxima(smooth, n - len(found), spread)])
        rest = np.maximum(density - spots(found, density.shape, spread), 0)
    if len(found) < n:  # a map with more objects than places for them
        ranked = np.argsort(-density, axis=None)[np.arange(n - len(found)) % density.size]
        more = np.stack(np.unravel_index(ranked, density.shape), 1)
        found = np.concatenate([found, more.astype(np.float32)])
    return found


def _maxima(values: np.ndarray, most: int, spread: float) -> np.ndarray:
    """Return up to `most` maxima (y, x), highest first, to a part of a value; at least one."""
    from scipy.ndimage import maximum_filter

    reach = max(1, round(spread))
    peak = values >= maximum_filter(values, 2 * reach + 1, mode="nearest")
    peak &= values >= _LEAST_PEAK * values.max()
    y, x = np.nonzero(peak)
    order = np.argsort(-values[y, x], kind="stable")[:most]
    y, x = y[order], x[order]
    padded = np.pad(values, 1, mode="edge")
    offsets = []
    for before, after in (
        (padded[y, x + 1], padded[y + 2, x + 1]),
        (padded[y + 1, x], padded[y + 1, x + 2]),
    ):
        curvature = 2 * values[y, x] - before - after
        shift = 0.5 * (after - before) / np.where(curvature > 0, curvature, 1.0)
        offsets.append(np.clip(shift, -0.5, 0.5))
    return (np.stack([y, x], 1) + np.stack(offsets, 1)).astype(np.float32)


def clarity(density: np.ndarray, points: np.ndarray, spread: float) -> float:
    """Return how much of a map is spots of single objects at `points`, 0 to 1.

    One less the overlap that is missing between the map d and the spots s: 1 - Σ|d - s| /
    Σ(d + s). Without points, one less twice the objects that the map adds up to.
    """
    total = float(density.sum())
    if not len(points):
        return max(0.0, 1 - 2 * total)
    missing = float(np.abs(density - spots(points, density.shape, spread)).sum())
    return min(1.0, max(0.0, 1 - missing / (total + len(points))))
