"""The objects of a label image: their ids, their sizes, where they lie.

Ids above 0 are objects, 0 is background; what is negative is to be ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from microshot.data.bands import AT_ONCE, bands

if TYPE_CHECKING:
    from collections.abc import Iterable


def renumbered(labels: np.ndarray) -> np.ndarray:
    """Return `labels` with objects numbered 1, 2, 3 … in the order of their ids, (Y, X) int32."""
    ids = np.unique(labels[labels > 0])
    numbers = np.searchsorted(ids, labels) + 1
    return np.where(labels > 0, numbers, np.minimum(labels, 0)).astype(np.int32)


def selected(labels: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Return some of the objects, numbered 1, 2, 3 … in the order of their ids, (Y, X) int32.

    Parameters
    ----------
    labels : (Y, X) ids 0 to n.
    keep : (n,) bool, for the ids 1 to n.
    """
    number = np.concatenate([[0], np.cumsum(keep) * keep]).astype(np.int32)
    return number[labels]


def id_counts(labels: np.ndarray, n: int = 0) -> np.ndarray:
    """Return how many px have the id 0 or below, 1, 2, …: at least (`n`,) int64."""
    n = max(n, int(labels.max(initial=0)) + 1)
    counts = np.zeros(n, np.int64)
    for rows in bands(labels, max(AT_ONCE, 4 * n)):  # adding up takes little beside counting
        counts += np.bincount(np.maximum(labels[rows], 0).ravel(), minlength=n)
    return counts


def object_areas(labels: np.ndarray) -> np.ndarray:
    """Return the area of every object in px, (n,) int64 by id."""
    if _are_any_numbers(labels):
        return np.unique(labels[labels > 0], return_counts=True)[1]
    counts = id_counts(labels)[1:]
    return counts[counts > 0]


def object_diameters(labels: np.ndarray) -> np.ndarray:
    """Return the diameter in px of a circle of every object's area, (n,) float64 by id."""
    return np.sqrt(4 * object_areas(labels) / np.pi)


def median_diameter(label_images: Iterable[np.ndarray]) -> float | None:
    """Return the median of the `object_diameters` of all images; None without objects."""
    diameters = np.concatenate([np.zeros(0), *map(object_diameters, label_images)])
    return float(np.median(diameters)) if len(diameters) else None


def centroids(labels: np.ndarray) -> np.ndarray:
    """Return the middle (y, x) of every object in px, (n, 2) float64 by id.

    Of an object that the image's edge cuts, that of the visible part.
    """
    y, x = np.nonzero(labels > 0)
    own = labels[y, x]
    if _are_any_numbers(labels):
        own = np.unique(own, return_inverse=True)[1] + 1
    areas = np.bincount(own)
    ids = np.flatnonzero(areas)
    sums = [np.bincount(own, axis)[ids] for axis in (y, x)]
    return np.stack(sums, 1) / areas[ids, None]


def _are_any_numbers(labels: np.ndarray) -> bool:
    """Say whether ids are so large that nothing should count up to them."""
    return labels.max(initial=0) > max(1 << 20, labels.size)
