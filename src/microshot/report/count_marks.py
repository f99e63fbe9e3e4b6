"""Marks of counted objects over a photograph: rings where counted, dots where truly one is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from microshot.report import overlay

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Least and greatest radius of a ring on the screen, in px for every px of its line.
LEAST_RADIUS, MOST_RADIUS = 2.6, 4.5
#: Part of the distance between points that a ring's radius takes.
_RADIUS_PART = 0.3
#: Radius of the dot of a true object, in px for every px of a ring's line.
_DOT = 1.3


def marks_layer(
    counted: np.ndarray | None,
    true: np.ndarray | None,
    part: tuple[slice, slice],
    shape: tuple[int, int],
    width: int,
) -> overlay.Layer:
    """Return rings around counted objects and dots on true ones, with a dark casing.

    Parameters
    ----------
    counted, true : (n, 2) y and x in px of the image, from the middle of its first pixel.
    part : of the image that is shown.
    shape : size (Y, X) at which the part is shown.
    width : of a ring's line in px.
    """
    marks = np.zeros(shape, np.uint8)
    rings, dots = (_on_screen(points, part, shape) for points in (counted, true))
    apart = np.sqrt(shape[0] * shape[1] / max(len(rings), 1))
    radius = float(np.clip(_RADIUS_PART * apart, LEAST_RADIUS * width, MOST_RADIUS * width))
    _paint(marks, rings, radius - width, radius, overlay.MARKS["found"])
    _paint(marks, dots, -1.0, _DOT * width, overlay.MARKS["truth"])
    casing = marks > 0
    for _ in range(max(1, width - 1)):
        casing |= overlay.beside(casing)
    marks[casing & (marks == 0)] = overlay.CASING
    return overlay.Layer(marks)


def _on_screen(
    points: np.ndarray | None, part: tuple[slice, slice], shape: tuple[int, int]
) -> np.ndarray:
    """Return the points of `part` in px of the screen, (n, 2) float64."""
    if points is None or not len(points):
        return np.zeros((0, 2))
    begin = np.array([part[0].start or 0, part[1].start or 0], float)
    size = np.array([part[0].stop, part[1].stop], float) - begin
    at = np.asarray(points, float).reshape(-1, 2) - begin
    inside = ((at >= -0.5) & (at < size - 0.5)).all(1)
    return (at[inside] + 0.5) * np.array(shape) / size - 0.5


def _paint(
    marks: np.ndarray, points: Sequence[Sequence[float]] | np.ndarray, inner: float, outer: float,
    mark: int,
) -> None:  # fmt: skip
    """Paint rings (discs where `inner` is below 0) into `marks`; they may end at its edges."""
    reach = int(np.ceil(outer)) + 1
    for y, x in points:
        top, left = max(int(y) - reach, 0), max(int(x) - reach, 0)
        cut = marks[top : int(y) + reach + 1, left : int(x) + reach + 1]
        rows, columns = np.indices(cut.shape)
        distance = np.hypot(rows + top - y, columns + left - x)
        cut[(distance > inner) & (distance <= outer)] = mark
