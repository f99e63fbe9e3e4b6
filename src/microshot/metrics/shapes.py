"""Size and shape of every object in a label image, all objects at once.

The definitions are those of scikit-image's `regionprops`, which measures one object after the other
and takes about twenty times as long where objects are many and small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

#: Length that a pixel of an outline adds, by 1 + 2 x (its neighbours on the outline above, below and
#: beside it) + 10 x (those across corners) [1]_.
_LENGTHS = np.zeros(50)
_LENGTHS[[5, 7, 15, 17, 25, 27]] = 1
_LENGTHS[[21, 33]] = 2**0.5
_LENGTHS[[13, 23]] = (1 + 2**0.5) / 2
#: Pixels looked at together; what is made of all of them at once takes memory, and that time.
_AT_ONCE = 1 << 16
#: Stands for a row without pixels.
_NOWHERE = -(1 << 40)


@dataclass(frozen=True, eq=False)
class Shapes:
    """Arrays (n,) with a value for each object, ascending by id."""

    id: np.ndarray
    y: np.ndarray
    """Centre of mass, px."""
    x: np.ndarray
    area: np.ndarray
    """px."""
    perimeter: np.ndarray
    """px."""
    major: np.ndarray
    """Longer axis of the ellipse of equal second moments, px."""
    minor: np.ndarray
    eccentricity: np.ndarray
    """0 circle to 1 line."""
    solidity: np.ndarray
    """Area over that of the convex hull, up to 1."""
    intensity: np.ndarray
    """Mean of the image."""


def shapes(labels: np.ndarray, image: np.ndarray) -> Shapes:
    """Measure all objects.

    Parameters
    ----------
    labels : (Y, X) integers; objects are positive. Ids are counted up to, so they should have few
        gaps.
    image : (Y, X) numbers to average.

    References
    ----------
    .. [1] Benkrid & Crookes, Design and FPGA implementation of a perimeter estimator, 2000.
    """
    run = _runs(labels, image)
    n = int(run.id.max(initial=0)) + 1
    ids = np.flatnonzero(np.bincount(run.id, minlength=n))
    compact = np.zeros(n, np.int64)
    compact[ids] = np.arange(len(ids))
    own, n = compact[run.id], len(ids)
    top, left = _least(run.row, own, n), _least(run.first, own, n)
    y, x, end = run.row - top[own], run.first - left[own], run.last - left[own]
    length, sum_x = end - x + 1, (x + end) * (end - x + 1) // 2  # small numbers, exact sums

    def summed(values: np.ndarray) -> np.ndarray:
        return np.bincount(own, values, minlength=n)

    area = summed(length)
    my, mx = summed(y * length) / area, summed(sum_x) / area
    yy = summed(y * y * length) / area - my**2
    xx = summed(_squares(end) - _squares(x - 1)) / area - mx**2
    yx = summed(y * sum_x) / area - my * mx
    middle, apart = (yy + xx) / 2, np.sqrt(((yy - xx) / 2) ** 2 + yx**2)
    long, short = middle + apart, np.maximum(middle - apart, 0)
    part = np.divide(short, long, out=np.ones(n), where=long > 0)
    return Shapes(
        ids, my + top, mx + left, area, _perimeters(labels, compact, n), 4 * np.sqrt(long),
        4 * np.sqrt(short), np.sqrt(np.maximum(1 - part, 0)),
        area / _hulls(y, x, end, own, n), summed(run.light) / area,
    )  # fmt: skip


class _Runs(NamedTuple):
    """Neighbouring pixels of one object in one row, (m,) each: far fewer than there are pixels."""

    id: np.ndarray
    row: np.ndarray
    first: np.ndarray
    """Column of the first pixel."""
    last: np.ndarray
    light: np.ndarray
    """Sum of the image."""


def _runs(labels: np.ndarray, image: np.ndarray) -> _Runs:
    step = max(1, _AT_ONCE // max(1, labels.shape[1]))
    parts = [
        _runs_of_rows(labels[top : top + step], image[top : top + step], top)
        for top in range(0, max(1, len(labels)), step)
    ]
    return _Runs(*map(np.concatenate, zip(*parts, strict=True)))


def _runs_of_rows(labels: np.ndarray, image: np.ndarray, top: int) -> _Runs:
    begins = np.ones(labels.shape, bool)
    np.not_equal(labels[:, 1:], labels[:, :-1], out=begins[:, 1:])
    begin = np.flatnonzero(begins)
    length = np.diff(begin, append=labels.size)
    light = np.add.reduceat(image.ravel(), begin, dtype=np.float64) if len(begin) else begin
    own = labels.ravel()[begin]
    (row, first), inside = np.divmod(begin, labels.shape[1] or 1), own > 0
    found = (own, row + top, first, first + length - 1, light)
    return _Runs(*(values[inside] for values in found))


def _squares(n: np.ndarray) -> np.ndarray:
    """Return 1² + 2² + … + n²; 0 for -1, too."""
    return n * (n + 1) * (2 * n + 1) // 6


def _least(values: np.ndarray, own: np.ndarray, n: int) -> np.ndarray:
    made = np.full(n, np.iinfo(np.int64).max)
    np.minimum.at(made, own, values)
    return made


def _perimeters(labels: np.ndarray, compact: np.ndarray, n: int) -> np.ndarray:
    """Return the lengths of outlines (n,) float64 px."""
    padded = np.pad(np.maximum(labels, 0), 1)
    inside = padded[1:-1, 1:-1]
    edge = np.zeros(padded.shape, bool)
    middle = edge[1:-1, 1:-1]
    for other in (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]):
        middle |= inside != other
    middle &= inside > 0
    flat, wide = padded.ravel(), padded.shape[1]
    inner = np.flatnonzero(edge)
    label = flat[inner]
    outline = np.where(edge, padded, 0).ravel()
    beside, across = (-wide, -1, 1, wide), (-wide - 1, -wide + 1, wide - 1, wide + 1)
    near = sum((outline[inner + step] == label).astype(np.int64) for step in beside)
    far = sum((outline[inner + step] == label).astype(np.int64) for step in across)
    return np.bincount(compact[label], _LENGTHS[1 + 2 * near + 10 * far], minlength=n)


def _hulls(
    y: np.ndarray, first: np.ndarray, last: np.ndarray, own: np.ndarray, n: int
) -> np.ndarray:
    """Return how many pixels have their centre in the convex hull of each object, (n,) float64.

    The hull is that of the middles of all edges of pixels. In units of half a pixel all is whole.
    """
    height = np.zeros(n, np.int64)
    np.maximum.at(height, own, y + 1)
    begin = np.concatenate([[0], np.cumsum(height)])  # first row of each object among all rows
    row = begin[own] + y
    ends = []
    for side in (last, -first):
        end = np.full(begin[-1], _NOWHERE)
        np.maximum.at(end, row, side)
        ends.append(_farthest(end, height, begin))
    return np.bincount(np.repeat(np.arange(n), height), ends[0] + ends[1] + 1, minlength=n)


def _farthest(end: np.ndarray, height: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return the last whole px of the convex hull in every row of every object.

    Parameters
    ----------
    end : last px of the object in the row; `_NOWHERE` for rows without any.
    height, first : number of rows of each object, and its first one.
    """
    owner = np.repeat(np.arange(len(height)), height)
    begin = 2 * first[:-1] + np.arange(len(height))  # an object of h rows has 2 h + 1 half rows
    middle = begin[owner] + 1 + 2 * (np.arange(len(end)) - first[owner])
    half = np.full(int(2 * first[-1]) + len(height), 2 * _NOWHERE)
    half[middle] = 2 * end + 1
    for step in (-1, 1):
        np.maximum.at(half, middle + step, 2 * end)
    of = np.repeat(np.arange(len(height)), 2 * height + 1)
    corner = _corners(np.flatnonzero(half > _NOWHERE), half, of)
    after = np.searchsorted(corner, middle, side="right")
    a, b = corner[after - 1], corner[after]
    reach = half[a] * (b - a) + (half[b] - half[a]) * (middle - a)
    return reach // (2 * (b - a))


def _corners(kept: np.ndarray, half: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Return the places of `kept` at which the hull of `half` has corners, object by object.

    What lies on or below the line between its neighbours is no corner, whatever else is none.
    """
    while True:
        a, p, b = kept[:-2], kept[1:-1], kept[2:]
        below = (half[p] - half[a]) * (b - p) <= (half[b] - half[p]) * (p - a)
        below &= (of[a] == of[p]) & (of[p] == of[b])
        if not below.any():
            return kept
        kept = np.delete(kept, 1 + np.flatnonzero(below))
