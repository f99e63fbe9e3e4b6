"""What is shown of counts over time: a curve per group and how fast each grows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from microshot.metrics.growth import Growth, growth
from microshot.report.page import Markup, figure, notes_list, paragraph, section, table
from microshot.report.plot import (
    WIDTH,
    Canvas,
    Frame,
    left_out,
    legend,
    linear,
    no_values,
    sides,
)
from microshot.report.style import SERIES
from microshot.report.wording import number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLUMNS = {
    "group": "Group",
    "doubling": "Doubling time",
    "low": "From",
    "high": "To",
    "start": "Count at time 0",
    "images": "Images",
    "times": "Times",
}
_STEPS = 60
#: One image: (time, count).
Points = list[tuple[float, float]]


def grouped(rows: Sequence[Mapping[str, Any]]) -> dict[str, Points]:
    """Return the points of every group of rows with ``time`` and ``count`` (and ``group``)."""
    found: dict[str, Points] = {}
    for row in rows:
        time, count = row.get("time"), row.get("count")
        if time is not None and count is not None and math.isfinite(time) and math.isfinite(count):
            found.setdefault(str(row.get("group") or ""), []).append((float(time), float(count)))
    return found


def fits(groups: Mapping[str, Points]) -> tuple[dict[str, Growth], list[str]]:
    """Return the growth of every group, and why some have none."""
    made, notes = {}, []
    for name, points in groups.items():
        try:
            made[name] = growth([t for t, _ in points], [max(c, 0.0) for _, c in points])
        except ValueError as error:
            notes.append(f"{name}: {error}" if name else str(error))
    return made, notes


def fit_rows(found: Mapping[str, Growth]) -> list[dict[str, Any]]:
    """Return one row per group: doubling time (negative: it halves) with its interval."""
    rows = []
    for name, g in found.items():
        sure = not g.rate_low <= 0 <= g.rate_high
        ends = sorted(math.log(2) / r for r in (g.rate_low, g.rate_high)) if sure else [None, None]
        rows.append(
            {"group": name or "all", "doubling": g.doubling if sure else None, "low": ends[0],
             "high": ends[1], "start": g.start, "images": g.n_images, "times": g.n_times}
        )  # fmt: skip
    return rows


def growth_curve(groups: Mapping[str, Points], found: Mapping[str, Growth], x_label: str) -> str:
    """Draw counts over time with their exponential curves as one SVG element."""
    names = list(groups)[: len(SERIES)]
    every = [p for name in names for p in groups[name]]
    if not every:
        return no_values("Counts over time")
    x = linear([t for t, _ in every])
    y = linear([c for _, c in every], zero=True)
    canvas = Canvas(WIDTH, 340, "Counts over time")
    items = [("dot", SERIES[i], name or "images") for i, name in enumerate(names)]
    items += [("line", SERIES[0], "exponential curve")] if found else []
    items += left_out(len(groups), len(names))
    top = legend(canvas, 0, 16, items) + 34
    canvas.height = top + 290
    left, right = sides(WIDTH, x, y)
    frame = Frame(canvas, left, top, right, canvas.height - 46, x, y)
    frame.y_axis("objects per image")
    frame.x_axis(x_label)
    for i, name in enumerate(names):
        for time, count in groups[name]:
            canvas.dot(*frame.at(time, count), SERIES[i], 3.5, title=f"{number(count)}")
        if name in found:
            low, high = min(t for t, _ in groups[name]), max(t for t, _ in groups[name])
            at = [low + (high - low) * k / _STEPS for k in range(_STEPS + 1)]
            drawn = [(t, found[name].at(t)) for t in at]
            canvas.path([frame.at(t, c) for t, c in drawn if c <= y.high], SERIES[i], 2.5)
    return canvas.svg()


def growth_section(rows: Sequence[Mapping[str, Any]], x_label: str = "time") -> Markup:
    """Return curve, sentences and table of counts over time; nothing without times.

    Parameters
    ----------
    rows : one per image: ``time``, ``count`` and perhaps ``group``.
    x_label : what the times are, for example the name of their column.
    """
    groups = grouped(rows)
    if not groups:
        return Markup("")
    found, notes = fits(groups)
    lines = fit_rows(found)
    told = [paragraph(f"{n}: {g.sentence()}" if n else g.sentence()) for n, g in found.items()]
    unit = (
        f'Times are in the unit of "{x_label}"; a negative doubling time means that counts halve.'
    )
    return section(
        "Growth over time",
        *told,
        notes_list(notes),
        figure(growth_curve(groups, found, x_label), "Each dot is an image."),
        table(COLUMNS, lines) if len(lines) > 1 else "",
        paragraph(unit, quiet=True) if lines else "",
    )
