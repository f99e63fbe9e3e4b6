"""The charts of reports, each one SVG element: old against new, scores, losses, histograms."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from microshot.report import wording
from microshot.report.plot import (
    WIDTH,
    Canvas,
    Frame,
    Scale,
    fitted,
    left_out,
    legend,
    linear,
    no_values,
    sides,
    width_of,
)
from microshot.report.style import FAINT, INK, NEW, OLD, RULE, SERIES
from microshot.report.wording import differing, is_number, number, score_of, score_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Rows of a chart with one row per image; beyond, those with the greatest change are drawn.
MOST_ROWS = 40
#: Estimated width of their names, at most.
NAME_PX = 190.0


def old_new_chart(
    comparison: Sequence[Mapping[str, Any]],
    key: str,
    label: str,
    pooled: tuple[float, float] | None = None,
) -> str:
    """Draw the score of the old and of the new model for every image, one row each.

    Parameters
    ----------
    comparison : rows with ``name`` and the scores ``old`` and ``new`` by key.
    key, label : which score, and how it is called.
    pooled : old and new score of all images together, for a last row.
    """
    rows = [
        (str(row.get("name", "")), float(row["old"][key]), float(row["new"][key]))
        for row in comparison
        if is_number(row["old"].get(key)) and is_number(row["new"].get(key))
    ]
    if not rows:
        return no_values(label)
    every = len(rows)
    if every > MOST_ROWS:
        rows = sorted(rows, key=lambda r: -abs(r[2] - r[1]))[:MOST_ROWS]
    n = len(rows)
    if pooled is not None:
        rows.append(("All together", *pooled))
    shown = [fitted(name, NAME_PX) for name in differing([row[0] for row in rows[:n]], 26)]
    shown += ["All together"] * (len(rows) - n)
    left = min(220.0, 1.2 * max(map(width_of, shown)) + 14)  # file names are of wide letters
    canvas = Canvas(WIDTH, 0, f"{label} of old and new model per image")
    items = [("dot", OLD, "old model"), ("dot", NEW, "retrained model")]
    items += left_out(every, n, "greatest changes first")
    top = legend(canvas, left, 16, items) + 18
    canvas.height = top + 27 * len(rows) + 60
    scale = _score_scale(key, [v for row in rows for v in row[1:]])
    frame = Frame(canvas, left, top, WIDTH - 64, canvas.height - 56, scale, Scale(0, 1))
    frame.x_axis(label, grid=True)
    for index, (row, called) in enumerate(zip(rows, shown, strict=True)):
        _old_new_row(frame, top + 27 * (index + 0.5), row, called, key, bold=index >= n)
    return canvas.svg()


def _old_new_row(
    frame: Frame, y: float, row: tuple[str, float, float], called: str, key: str, *, bold: bool
) -> None:
    name, old, new = row
    canvas = frame.canvas
    if bold:
        canvas.line(0, y - 13, WIDTH, y - 13, RULE)
    canvas.text(frame.left - 12, y + 4.5, called, anchor="end", colour=INK, bold=bold, title=name)
    better = score_of(key).better or 1
    change = wording.difference(key, old, new)
    worse = (new - old) * better < 0 and change != "0"
    colour = "#c2185b" if worse else NEW
    canvas.line(frame.px(old), y, frame.px(new), y, colour if old != new else RULE, 2.5)
    told = f"{name}: {score_text(key, old)} → {score_text(key, new)}"
    canvas.dot(frame.px(old), y, OLD, 5.5, title=told)
    canvas.dot(frame.px(new), y, NEW, 5.5, title=told)
    canvas.text(
        WIDTH, y + 4.5, change, anchor="end", colour="#b01050" if worse else INK, bold=bold
    )  # fmt: skip


def _score_scale(key: str, values: Sequence[float]) -> Scale:
    """Return a scale for a score; one from 0 to 1 never shows more than that."""
    if score_of(key).kind == "unit" and all(0 <= v <= 1 for v in values):
        scale = linear(values, least_span=0.2)
        return Scale(max(scale.low, 0.0), min(scale.high, 1.0))
    return linear(values, zero=True)


def score_bars(
    groups: Sequence[tuple[str, Mapping[str, float]]], colours: Sequence[str] = SERIES
) -> str:
    """Draw the scores of one or more predictions as bars, a block for every score.

    Parameters
    ----------
    groups : name of a prediction (or model) and its scores by key.
    colours : of the groups; as many groups are drawn as there are colours.
    """
    every, groups = groups, groups[: len(colours)]
    keys = [
        k
        for k in wording.shown_keys(dict(scores) for _, scores in groups)
        if any(is_number(scores.get(k)) for _, scores in groups)
    ]
    if not keys:
        return no_values("Scores")
    labels = {k: score_of(k).label for k in keys}
    left = min(200.0, max(width_of(text) for text in labels.values()) + 14)
    thick = 15 if len(groups) > 1 else 18
    block = thick * len(groups) + 14
    canvas = Canvas(WIDTH, 40, "Scores: " + ", ".join(labels.values()))
    top = 8.0
    if len(groups) > 1:
        items = [("bar", colours[i], n) for i, (n, _) in enumerate(groups)]
        items += left_out(len(every), len(groups))
        top = legend(canvas, 0, 16, items) + 16
    for index, key in enumerate(keys):
        y = top + index * block
        middle = y + thick * len(groups) / 2
        canvas.text(left - 12, middle + 4.5, labels[key], anchor="end", colour=INK)
        values = [scores.get(key) for _, scores in groups]
        _bar_block(canvas, key, values, left, y, thick, colours)
    canvas.height = top + len(keys) * block
    return canvas.svg()


def _bar_block(
    canvas: Canvas, key: str, values: Sequence[float | None], left: float, top: float, thick: float,
    colours: Sequence[str],
) -> None:  # fmt: skip
    """Draw one score of all predictions, a bar each; those from 0 to 1 on the whole length."""
    known = [abs(float(v)) for v in values if v is not None and is_number(v)]
    greatest = max([*known, 1.0 if score_of(key).kind == "unit" else 1e-12])
    whole = WIDTH - 56 - left
    text = wording.writer(key, known)
    for i, value in enumerate(values):
        y = top + i * thick
        canvas.bar(left, y + 1, whole, thick - 2, FAINT)
        if value is not None and is_number(value):
            canvas.bar(left, y + 1, whole * abs(float(value)) / greatest, thick - 2, colours[i])
        canvas.text(WIDTH, y + thick / 2 + 4.5, text(value), anchor="end", colour=INK)


def loss_curves(series: Sequence[tuple[str, Sequence[Mapping[str, Any]], str]]) -> str:
    """Draw the training losses of several models over time, a line each, in one frame.

    Parameters
    ----------
    series : name, history (rows with ``seconds`` and ``loss``) and colour of each model.
    """
    lines = [
        (name, [(float(r["seconds"]), float(r["loss"])) for r in rows if _has_loss(r)], colour)
        for name, rows, colour in series
    ]
    points = [p for _, line, _ in lines for p in line]
    if not points:
        return no_values("Loss")
    canvas = Canvas(WIDTH, 320, "Training loss of " + ", ".join(name for name, _, _ in lines))
    items = [("line", colour, name) for name, line, colour in lines if line]
    top = legend(canvas, 0, 16, items) + 34
    y = linear([loss for _, loss in points], zero=True)
    canvas.height = top + 250
    x = Scale(0.0, max(seconds for seconds, _ in points))
    left, right = sides(WIDTH, x, y)
    frame = Frame(canvas, left, top, right, canvas.height - 46, x, y)
    frame.y_axis("loss")
    frame.x_axis("training time (s)")
    for _, line, colour in lines:
        canvas.path([frame.at(*p) for p in line], colour, 2.2)
    return canvas.svg()


def _has_loss(row: Mapping[str, Any]) -> bool:
    return is_number(row.get("seconds")) and is_number(row.get("loss"))


def histogram(
    series: Sequence[tuple[str, Sequence[float], str]],
    label: str,
    n_bins: int = 20,
    y_label: Literal["images", "objects"] | str = "images",
) -> str:
    """Draw how often values occur; several series as parts of their own total.

    Parameters
    ----------
    series : name, values and colour of each.
    label : name and unit of the values.
    n_bins : at most so many bins; whole numbers get bins of whole width.
    y_label : what is counted.
    """
    known = [(n, [float(v) for v in vs if is_number(v)], c) for n, vs, c in series]
    known = [row for row in known if row[1]]
    if not known:
        return no_values(label)
    edges = _edges([v for _, vs, _ in known for v in vs], n_bins)
    counts = [_counted(vs, edges) for _, vs, _ in known]
    share = len(known) > 1
    heights = [[c / sum(row) if share else c for c in row] for row in counts]
    canvas = Canvas(420, 250, f"Histogram: {label}")
    y = linear([h for row in heights for h in row], zero=True, whole=not share)
    x = Scale(edges[0], edges[-1], whole=all(v == round(v) for _, vs, _ in known for v in vs))
    left, right = sides(canvas.width, x, y, 5, 4)
    top = 34.0
    if share:
        items = [("bar", c, f"{n} ({number(len(vs))})") for n, vs, c in known]
        top = legend(canvas, 0, 16, items) + 34
    canvas.height = top + 212
    frame = Frame(canvas, left, top, right, canvas.height - 46, x, y)
    frame.y_axis(f"part of {y_label}" if share else y_label, 4)
    for (_, _, colour), row in zip(known, heights, strict=True):
        for a, b, height in zip(edges, edges[1:], row, strict=False):
            at, h = frame.px(a) + 0.5, frame.bottom - frame.py(height)
            canvas.bar(
                at, frame.bottom - h, frame.px(b) - at - 0.5, h, colour, 0.55 if share else 1
            )
    frame.x_axis(label, 5)
    return canvas.svg()


def _edges(values: Sequence[float], n_bins: int) -> list[float]:
    """Return the bins' edges: round numbers that hold all values."""
    low, high = min(values), max(values)
    if all(v == round(v) for v in values):
        width = max(1, math.ceil((high - low + 1) / n_bins))
        n = math.floor((high - low) / width) + 1
        return [low - 0.5 + i * width for i in range(n + 1)]
    if high == low:
        low, high = low - 0.5, high + 0.5
    return [low + (high - low) * i / n_bins for i in range(n_bins + 1)]


def _counted(values: Sequence[float], edges: Sequence[float]) -> list[int]:
    counts = [0] * (len(edges) - 1)
    width = edges[1] - edges[0]
    for v in values:
        counts[min(max(int((v - edges[0]) / width), 0), len(counts) - 1)] += 1
    return counts
