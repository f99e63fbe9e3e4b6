"""Between masks and polygons along pixel edges, exact both ways: holes, pieces, single pixels.

Corners are x and y in pixels from the *corner* of the first pixel, as in ImageJ's areas, QuPath and
COCO: the first pixel reaches from 0 to 1. A pixel is inside where its middle is, by the even-odd
rule, so that holes need no rule of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Pixels filled at a time, and crossings of edges with rows held at a time.
_BAND_PX, _CROSSINGS = 1 << 22, 1 << 22
#: Crossings of one outline with rows of pixels from which on it is refused.
_MOST_CROSSINGS = 1 << 31
#: Corners further away than this from the first pixel are refused.
MOST_PX = 1e7
#: Corners on a quarter of an oval per px of its width and height.
_DENSITY = 2.0

Ring = np.ndarray
"""(n, 2) x and y of the corners, the last joined to the first."""


def outlines(mask: np.ndarray, offset: tuple[int, int] = (0, 0)) -> list[list[Ring]]:
    """Return the polygons that enclose the true pixels, traced along pixel edges.

    Parameters
    ----------
    mask : (Y, X) bool.
    offset : y and x of the mask's first pixel in the image.

    Returns
    -------
    One polygon per piece (pixels joined over edges), in the order of their first pixels: the outer
    ring first, then its holes. Rings are (n, 2) int64 without corners on straight lines; none
    passes a corner twice, so that the polygons are valid as geometries (OGC Simple Features).
    Outer rings turn from x towards y, holes the other way (RFC 7946, 3.1.6).
    """
    from scipy import ndimage

    padded = np.pad(np.asarray(mask, bool), 1)
    pieces = np.empty(padded.shape, np.int32)
    n = cast("int", ndimage.label(padded, output=pieces))
    found: list[list[Ring]] = [[] for _ in range(n)]
    shift = np.asarray([offset[1] - 1, offset[0] - 1])
    for ring in _rings(padded):
        x, y = _inner_pixel(ring)
        corners = _without_straight(np.asarray(ring, np.int64)) + shift
        polygon = found[pieces[y, x] - 1]
        polygon.insert(0 if _twice_area(corners) > 0 else len(polygon), corners)
    return found


def _rings(mask: np.ndarray) -> Iterator[list[tuple[int, int]]]:
    """Yield closed walks along the edges, mask on the right hand as seen with y down."""
    after: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for (dy, dx), start, end in (
        ((-1, 0), (0, 0), (1, 0)),  # no neighbour above: along the top, rightwards
        ((0, 1), (1, 0), (1, 1)),
        ((1, 0), (1, 1), (0, 1)),
        ((0, -1), (0, 1), (0, 0)),
    ):
        ys, xs = np.nonzero(mask & ~np.roll(mask, (-dy, -dx), (0, 1)))
        for y, x in zip(ys.tolist(), xs.tolist(), strict=True):
            after.setdefault((x + start[0], y + start[1]), []).append((x + end[0], y + end[1]))
    while after:
        yield from _simple(after, next(iter(after)))


def _simple(
    after: dict[tuple[int, int], list[tuple[int, int]]], start: tuple[int, int]
) -> Iterator[list[tuple[int, int]]]:
    """Walk from `start` until no edge is left, and cut the walk wherever it meets itself."""
    walk, place = [start], {start: 0}
    while walk:
        here = walk[-1]
        if here not in after:
            return
        there = _next(after, walk)
        if there not in place:
            place[there] = len(walk)
            walk.append(there)
            continue
        first = place[there]
        ring = walk[first:]
        for corner in ring[1:]:
            del place[corner]
        del walk[first + 1 :]
        yield ring


def _next(
    after: dict[tuple[int, int], list[tuple[int, int]]], walk: list[tuple[int, int]]
) -> tuple[int, int]:
    """Take the next edge; where pixels touch at a corner only, the one around the same pixel."""
    x, y = walk[-1]
    edges = after[x, y]
    if len(edges) == 1 or len(walk) == 1:
        there = edges[0]
    else:
        x_before, y_before = walk[-2]
        there = (x - (y - y_before), y + (x - x_before))  # to the right
    edges.remove(there)
    if not edges:
        del after[x, y]
    return there


def _inner_pixel(ring: list[tuple[int, int]]) -> tuple[int, int]:
    """Return x and y of the pixel on the right of a ring's first edge."""
    (xa, ya), (xb, yb) = ring[0], ring[1]
    if ya == yb:
        return (xa, ya) if xb > xa else (xb, ya - 1)
    return (xa - 1, ya) if yb > ya else (xa, yb)


def _without_straight(ring: Ring) -> Ring:
    """Leave out the corners at which a ring of unit steps does not turn."""
    turns = (ring - np.roll(ring, 1, 0) != np.roll(ring, -1, 0) - ring).any(axis=1)
    return ring[turns]


def _twice_area(ring: Ring) -> float:
    x, y = ring.T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())


def filled(
    rings: Sequence[np.ndarray], shape: tuple[int, int]
) -> tuple[tuple[slice, slice], np.ndarray]:
    """Return the pixels inside rings: where they lie in an image, and which they are there.

    Parameters
    ----------
    rings : (n, 2) x and y each, any numbers; what leaves the image is cut off.
    shape : (Y, X) of the image.

    Returns
    -------
    Slices of rows and columns around the rings, and the mask (bool) in them.

    Raises
    ------
    ValueError : the end of a sentence, for corners that are no finite numbers within `MOST_PX`, or
        an outline far too long to be one.
    """
    edges = _edges(rings)
    corners = edges.reshape(-1, 2)
    low, high = corners.min(axis=0, initial=MOST_PX), corners.max(axis=0, initial=-MOST_PX)
    x0, y0 = (int(v) for v in np.clip(np.floor(low), 0, (shape[1], shape[0])))
    x1, y1 = (int(v) for v in np.clip(np.ceil(high), 0, (shape[1], shape[0])))
    y1, x1 = max(y0, y1), max(x0, x1)
    mask = np.zeros((y1 - y0, x1 - x0), bool)
    if mask.size:
        rows = _rows(edges)
        if int((np.clip(rows[1], y0, y1) - np.clip(rows[0], y0, y1)).sum()) > _MOST_CROSSINGS:
            raise ValueError("an outline with far too many corners for one object")
        step = max(1, _BAND_PX // (x1 - x0))
        for top in range(y0, y1, step):
            band = mask[top - y0 : top - y0 + step]
            _fill_band(band, edges, rows, top, x0)
    return (slice(y0, y1), slice(x0, x1)), mask


def oval(middle: Sequence[float], radii: Sequence[float], angle: float = 0.0) -> Ring:
    """Return an ellipse as a ring: `middle` and `radii` are those in x and y in px.

    Parameters
    ----------
    angle : by which it is turned from x towards y, in radians.
    """
    reach = min(2 * float(np.abs(radii).sum()), 1e5)
    turn = np.linspace(0, 2 * np.pi, 4 * max(8, int(_DENSITY * reach)), endpoint=False)
    cosine, sine = np.cos(angle), np.sin(angle)
    with np.errstate(over="ignore", invalid="ignore"):  # absurd corners are refused when drawn
        x, y = radii[0] * np.cos(turn), radii[1] * np.sin(turn)
        return np.stack([middle[0] + x * cosine - y * sine, middle[1] + x * sine + y * cosine], 1)


def holds(rings: Sequence[np.ndarray], x: float, y: float) -> bool:
    """Say whether a point lies inside rings."""
    n = 0
    for ring in rings:
        (xa, ya), (xb, yb) = ring.T, np.roll(ring, -1, 0).T
        passed = np.flatnonzero((ya <= y) != (yb <= y))
        share = (y - ya[passed]) / (yb[passed] - ya[passed])
        n += int(np.count_nonzero(xa[passed] + share * (xb[passed] - xa[passed]) > x))
    return n % 2 == 1


def _edges(rings: Sequence[np.ndarray]) -> np.ndarray:
    """Return the edges (n, 2, 2) from corner to corner, x before y, that are not horizontal."""
    made = [np.zeros((0, 2, 2))]
    for ring in rings:
        corners = np.asarray(ring, float)
        if not (np.abs(corners) <= MOST_PX).all():  # NaN is not
            raise ValueError(f"a corner that is no number of pixels up to {MOST_PX:g}")
        made.append(np.stack([corners, np.roll(corners, -1, 0)], axis=1))
    edges = np.concatenate(made)
    return edges[edges[:, 0, 1] != edges[:, 1, 1]]


def _rows(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first row whose middle each edge passes, and the first that it does not."""
    ends = np.ceil(edges[:, :, 1] - 0.5).astype(np.int64)
    return ends.min(axis=1), ends.max(axis=1)


def _fill_band(
    band: np.ndarray, edges: np.ndarray, rows: tuple[np.ndarray, np.ndarray], top: int, left: int
) -> None:
    """Fill some rows: a pixel is inside where edges cross its row an odd number of times before."""
    height, width = band.shape
    first = np.clip(rows[0] - top, 0, height)
    n = np.clip(rows[1] - top, 0, height) - first
    crossed = np.zeros(height * (width + 1), np.int64)
    passing = np.flatnonzero(n)
    groups = np.cumsum(n[passing]) // _CROSSINGS
    for group in np.unique(groups):
        some = passing[groups == group]
        which = np.repeat(some, n[some])
        row = np.arange(len(which)) - np.repeat(np.cumsum(n[some]) - n[some], n[some])
        row += first[which]
        (xa, ya), (xb, yb) = edges[which, 0].T, edges[which, 1].T
        x = xa + (row + top + 0.5 - ya) * (xb - xa) / (yb - ya)
        column = np.clip(np.ceil(x - 0.5) - left, 0, width).astype(np.int64)
        crossed += np.bincount(row * (width + 1) + column, minlength=len(crossed))
    parity = np.cumsum(crossed.reshape(height, width + 1), axis=1) % 2
    band[:] = parity[:, :width] == 1
