"""Fill many polygons at once: all their edges are cut with the rows of pixels in one go."""

from __future__ import annotations

import numpy as np

#: Polygons filled together; bounds the memory for the pixels inside them.
_AT_ONCE = 1024


def filled(outlines: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return which polygon covers each pixel; the first of several lies on top.

    A pixel is covered where its middle lies inside a polygon by the even-odd rule, or on an edge
    to the left or right; equal to ``skimage.draw.polygon`` but for corners that meet a pixel's
    middle exactly.

    Parameters
    ----------
    outlines : (M, R, 2) corners (y, x) in px, from the middle of the first pixel; finite.
    shape : (Y, X) of the image.

    Returns
    -------
    (Y, X) int32: 0 where there is none, else the polygon's index + 1.
    """
    covered = np.zeros(shape, np.int32)
    for start in reversed(range(0, len(outlines), _AT_ONCE)):  # the first one last, on top
        part = np.asarray(outlines[start : start + _AT_ONCE], np.float64)
        polygon, row, left, right = _spans(part, shape)
        length = right - left
        end = np.cumsum(length)
        # pixels of all spans, one after another
        index = np.arange(end[-1] if len(end) else 0) + np.repeat(
            row * shape[1] + left - (end - length), length
        )
        covered.ravel()[index] = np.repeat(start + 1 + polygon, length)
    return covered


def _spans(
    outlines: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the runs of pixels inside: polygon, row, first and one past the last column.

    Ordered by polygon, the last one first.
    """
    y, x = outlines[..., 0], outlines[..., 1]
    y_next, x_next = np.roll(y, -1, axis=1), np.roll(x, -1, axis=1)
    first = np.clip(np.ceil(np.minimum(y, y_next)), 0, shape[0]).astype(np.int64)
    past = np.clip(np.ceil(np.maximum(y, y_next)), 0, shape[0]).astype(np.int64)
    n_rows = (past - first).ravel()
    edge = np.repeat(np.arange(n_rows.size), n_rows)
    end = np.cumsum(n_rows)
    row = np.arange(edge.size) + np.repeat(first.ravel() - (end - n_rows), n_rows)
    y, x, y_next, x_next = (v.ravel()[edge] for v in (y, x, y_next, x_next))
    cut = x + (row - y) * ((x_next - x) / (y_next - y))
    polygon = edge // outlines.shape[1]
    order = np.lexsort((cut, row - polygon * shape[0]))
    enter, leave = (
        order[0::2],
        order[1::2],
    )  # every row meets a closed outline an even number of times
    left = np.clip(np.ceil(cut[enter]), 0, shape[1]).astype(np.int64)
    right = np.clip(np.floor(cut[leave]) + 1, 0, shape[1]).astype(np.int64)
    inside = right > left
    enter = enter[inside]
    return polygon[enter], row[enter], left[inside], right[inside]
