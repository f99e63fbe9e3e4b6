"""Learning curves: a score against what was spent, such as labelled images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from microshot.report.plot import (
    WIDTH,
    Canvas,
    Frame,
    Scale,
    left_out,
    legend,
    linear,
    logarithmic,
    no_values,
    sides,
)
from microshot.report.style import QUIET, SERIES
from microshot.report.wording import count_of, number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Curve:
    """One line: how good a way to train is with so much spent on it."""

    name: str
    points: Sequence[tuple[float, float, float, float]]
    """(spent, mean, low, high)."""


@dataclass(frozen=True)
class Spent:
    """What a score is drawn against."""

    name: str
    axis: str
    of_point: Callable[[float], str]
    """Says how much it was, for example ``with 4 images``."""
    most_linear: float
    """The axis is logarithmic where a curve goes further."""


IMAGES = Spent(
    "the number of images", "labelled images", lambda n: f"with {count_of(n, 'image')}", 12
)


def learning_curves(
    curves: Sequence[Curve],
    label: str,
    spread: str = "",
    *,
    zero: bool = False,
    spent: Spent = IMAGES,
) -> str:
    """Draw a score against what was spent, a line and a band per curve, as one SVG element.

    `spread` says what the band is, for example ``least to greatest of 5 repeats``; with `zero` the
    score's axis begins at 0. Points without a score are left out.
    """
    scored = [Curve(c.name, [p for p in c.points if math.isfinite(p[1])]) for c in curves]
    every = [c for c in scored if c.points]
    known = every[: len(SERIES)]
    points = [p for c in known for p in c.points]
    if not points:
        return no_values(label)
    canvas = Canvas(WIDTH, 340, f"{label} against {spent.name}")
    items = [("line", SERIES[i], c.name) for i, c in enumerate(known)]
    items += [("band", QUIET, spread)] if spread else []
    items += left_out(len(every), len(known))
    top = legend(canvas, 0, 16, items) + 34
    y = linear([v for p in points for v in p[1:]], zero=zero, least_span=0.05)
    much = [p[0] for p in points]
    log = max(much) > spent.most_linear and min(much) > 0
    x = logarithmic(much) if log else Scale(float(min(0, *much)), float(max(*much, 1)))
    canvas.height = top + 290
    n = 6 if log else int(min(6, max(much)))
    left, right = sides(WIDTH, x, y, n)
    frame = Frame(canvas, left, top, right, canvas.height - 46, x, y)
    frame.y_axis(label)
    frame.x_axis(spent.axis, n)
    for i, curve in enumerate(known):
        upper = [frame.at(p[0], p[3]) for p in curve.points]
        lower = [frame.at(p[0], p[2]) for p in reversed(curve.points)]
        if any(p[2] != p[3] for p in curve.points):
            canvas.area([*upper, *lower], SERIES[i])
    for i, curve in enumerate(known):
        canvas.path([frame.at(p[0], p[1]) for p in curve.points], SERIES[i], 2.5)
        for p in curve.points:
            told = f"{curve.name}: {number(p[1])} {spent.of_point(p[0])}"
            canvas.dot(*frame.at(p[0], p[1]), SERIES[i], 4, title=told)
    return canvas.svg()
