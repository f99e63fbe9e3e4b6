"""The charts of counts, each one SVG element: true against predicted, per count, latent space."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from microshot.report.plot import (
    SIZE,
    Canvas,
    Frame,
    Scale,
    legend,
    linear,
    no_values,
    sides,
    width_of,
)
from microshot.report.style import FAINT, INK, NEW, OLD, QUIET, RULE, SERIES
from microshot.report.wording import count_of, is_number, number, score_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.report.counted import Counted

#: Side of a square chart in px.
SIDE = 420.0
MAIN_AXES = ("first main axis", "second main axis")
#: Least and greatest count on the map of the latent space: light to dark, in grey print too.
_LIGHT, _DARK = (0xF2, 0xD1, 0x6B), (0x3B, 0x0F, 0x70)


def count_scatter(counted: Sequence[Counted]) -> str:
    """Draw predicted against true counts with their intervals; the diagonal is a right count.

    Where counts of an old model are known, too, they are drawn below those of the new one.
    """
    known = [c for c in counted if c.true is not None and c.count is not None]
    before = [(c, c.old) for c in known if c.old is not None and c.old.count is not None]
    if not known:
        return no_values("True and predicted counts")
    scale = _count_scale(known)
    canvas = Canvas(SIDE, SIDE, "Predicted against true number of objects per image")
    items = [("dot", NEW, "retrained model")] if before else []
    items += [("ring", OLD, "old model")] if before else []
    items += [("line", NEW, "interval")] if any(_bounded(c) for c in known) else []
    top = legend(canvas, 0, 16, [*items, ("dash", QUIET, "exact")]) + 34
    left, right = sides(SIDE, scale, scale, 5)
    canvas.height = top + (right - left) + 46
    frame = Frame(canvas, left, top, right, canvas.height - 46, scale, scale)
    frame.y_axis("predicted objects")
    frame.x_axis("true objects", 5, grid=True)
    canvas.path([frame.at(v, v) for v in (scale.low, scale.high)], QUIET, 1.2, "5 4")
    for c, old in before:
        told = f"{c.name}, old model: {_told(old, c.true)}"
        canvas.dot(*frame.at(c.true or 0, old.count or 0), OLD, 4.5, hollow=True, title=told)
    for c in known:
        _counted_dot(frame, c)
    return canvas.svg()


def _counted_dot(frame: Frame, c: Counted) -> None:
    x, y = frame.at(c.true or 0, c.count or 0)
    if _bounded(c):
        low, high = frame.py(c.low), frame.py(c.high)
        frame.canvas.line(x, low, x, high, NEW, 1.4)
        for value, end in ((c.low, low), (c.high, high)):
            if frame.y.low <= value <= frame.y.high:  # a line without it goes on
                frame.canvas.line(x - 4, end, x + 4, end, NEW, 1.4)
    frame.canvas.dot(x, y, NEW, 4, title=f"{c.name}: {_told(c, c.true)}")


def _told(c: Counted, true: float | None) -> str:
    within = f" ({c.interval})" if _bounded(c) else ""
    return f"{number(c.count)}{within} of {number(true)}"


def _bounded(c: Counted) -> bool:
    return is_number(c.low) and is_number(c.high)


def any_goes_on(counted: Sequence[Counted]) -> bool:
    """Say whether `count_scatter` has no room for the ends of some intervals."""
    scale = _count_scale(counted)
    return any(_bounded(c) and (c.low < scale.low or c.high > scale.high) for c in counted)


def _count_scale(known: Sequence[Counted]) -> Scale:
    """Return one scale for both axes; intervals may make it twice as long, not more."""
    counted = [*known, *(c.old for c in known if c.old is not None)]
    values = [v for c in counted for v in (c.true, c.count) if v is not None]
    most = 2 * max(max(values), 1.0)
    ends = [v for c in counted if _bounded(c) for v in (c.low, c.high)]
    shown = [*values, *(min(v, most) for v in ends)]
    scale = linear(shown, zero=min(values) < max(values) / 2, least_span=1.0, whole=True)
    return Scale(max(scale.low, 0.0), scale.high, whole=True)


def per_count_bars(rows: Sequence[Mapping[str, float | str]], key: str) -> str:
    """Draw one score for every true count, with the number of images below.

    Parameters
    ----------
    rows : ``count`` (one count or a range, as text), ``n`` images, and the score `key`; in rising
        order of the count.
    """
    label = score_of(key).label
    values = [row.get(key) for row in rows]
    known = [float(v) for v in values if is_number(v)]  # type: ignore[arg-type]
    if not known:
        return no_values(label)
    canvas = Canvas(SIDE, 240, f"{label} per true count")
    unit = score_of(key).kind == "unit"
    y = linear([*known, 1.0] if unit else known, zero=True)
    x = Scale(0, len(rows))
    left, _ = sides(SIDE, x, y, n_y=4)
    frame = Frame(canvas, left, 34, SIDE - 8, 176, x, y)
    frame.y_axis(f"{label} (more is better)" if score_of(key).better > 0 else
                 f"{label} (less is better)", 4)  # fmt: skip
    canvas.line(frame.left, frame.bottom, frame.right, frame.bottom, QUIET)
    wide = (frame.right - frame.left) / len(rows)
    every = math.ceil(max(width_of(str(r["count"]), 12) + 8 for r in rows) / wide)
    for i, (row, value) in enumerate(zip(rows, values, strict=True)):
        x = frame.px(i)
        if value is not None and is_number(value):
            at = frame.py(float(value))
            canvas.bar(x + 1, at, wide - 2, max(frame.bottom - at, 1), SERIES[0])
        if i % every == 0:
            middle = x + wide / 2
            canvas.text(middle, frame.bottom + 17, str(row["count"]), anchor="middle", size=12)
            n = number(row["n"])
            canvas.text(middle, frame.bottom + 33, n, anchor="middle", size=11)
    canvas.text(left - 8, frame.bottom + 33, "n", anchor="end", size=11)
    canvas.text((frame.left + frame.right) / 2, 236, "true objects, and number of images n",
                anchor="middle")  # fmt: skip
    return canvas.svg()


def map_by_domain(
    places: Sequence[tuple[float, float]],
    counted: Sequence[Counted],
    axes: tuple[str, str] = MAIN_AXES,
) -> str:
    """Draw places in latent space, coloured by where the images come from.

    Parameters
    ----------
    places : along the two axes, one per entry of `counted`.
    axes : their names.
    """
    domains = sorted({c.domain for c in counted})
    colours = {d: SERIES[0] if d == "natural" else SERIES[1] for d in domains}
    items = [("dot", colours[d], f"{d} images") for d in domains]
    canvas, frame = _latent_frame(places, "Latent space by origin of the images", items, axes)
    for place, c in zip(places, counted, strict=True):
        canvas.dot(*frame.at(*place), colours[c.domain], 4.5, title=f"{c.name}, {c.domain}")
    return canvas.svg()


def map_by_count(
    places: Sequence[tuple[float, float]],
    counted: Sequence[Counted],
    axes: tuple[str, str] = MAIN_AXES,
) -> str:
    """Draw places in latent space, the darker the more objects; see `map_by_domain`."""
    values = [c.true if c.true is not None else c.count or 0.0 for c in counted]
    low, high = min(values), max(values)
    items = [("dot", _shade(0.0), count_of(low, "object"))]
    items += [("dot", _shade(1.0), count_of(high, "object"))] if high > low else []
    canvas, frame = _latent_frame(places, "Latent space by number of objects", items, axes)
    for place, c, value in zip(places, counted, values, strict=True):
        part = (value - low) / (high - low) if high > low else 0.0
        told = f"{c.name}: {count_of(value, 'object')}"
        canvas.dot(*frame.at(*place), _shade(part), 4.5, title=told)
    return canvas.svg()


def _latent_frame(
    places: Sequence[tuple[float, float]],
    label: str,
    items: Sequence[tuple[str, str, str]],
    axes: tuple[str, str],
) -> tuple[Canvas, Frame]:
    canvas = Canvas(SIDE, 330, label)
    top = legend(canvas, 0, 16, items) + 14
    canvas.height = top + 280
    x, y = (_wide([p[axis] for p in places]) for axis in (0, 1))
    frame = Frame(canvas, 22, top, SIDE - 8, canvas.height - 24, x, y)
    canvas.bar(frame.left, top, frame.right - frame.left, frame.bottom - top, FAINT)
    canvas.line(frame.left, frame.bottom, frame.right, frame.bottom, RULE)
    middle = (frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2
    canvas.text(middle[0], canvas.height - 6, axes[0], anchor="middle", colour=INK)
    canvas.text(SIZE, middle[1], axes[1], anchor="middle", colour=INK, turn=True)
    return canvas, frame


def _wide(values: Sequence[float]) -> Scale:
    """Return a scale with a margin on both sides, so that no dot is cut."""
    low, high = min(values), max(values)
    margin = 0.06 * (high - low) or 1.0
    return Scale(low - margin, high + margin)


def _shade(part: float) -> str:
    return "#" + "".join(
        f"{round(a + (b - a) * part):02x}" for a, b in zip(_LIGHT, _DARK, strict=True)
    )
