"""The curve of a training: losses of every stage, the weights that were kept, the learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from microshot.report.plot import (
    WIDTH,
    Canvas,
    Frame,
    Scale,
    legend,
    linear,
    logarithmic,
    no_values,
    sides,
    width_of,
)
from microshot.report.style import INK, NEW, QUIET, RULE, SERIES
from microshot.report.wording import is_number, number, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: From this ratio of greatest to least loss on, the axis is logarithmic.
LOG_RATIO = 12.0
VALIDATION = "validation_loss"
#: Scores by which the best weights can be chosen instead of by the loss.
_SCORES = ("pixel", "feature")


@dataclass(frozen=True)
class Kept:
    """The row of a history whose weights the model has."""

    step: float
    loss: float


def kept_row(history: Sequence[Mapping[str, Any]]) -> Kept | None:
    """Return the row with the least validation loss of the last stage; None without validation.

    This is the rule of the trainer: it starts anew with every stage and keeps the best weights
    of the last.
    """
    if not history:
        return None
    last = history[-1].get("stage")
    rows = [r for r in history if r.get("stage") == last and is_number(r.get(VALIDATION))]
    if not rows:
        return None
    best = min(rows, key=lambda r: float(r[VALIDATION]))
    return Kept(float(best.get("step") or 0), float(best[VALIDATION]))


def criterion(history: Sequence[Mapping[str, Any]]) -> str:
    """Return the score that the validation line shows where it is not the loss, else ""."""
    for row in history:
        best, scores = row.get(VALIDATION), [row.get(f"validation_{k}_score") for k in _SCORES]
        if "validation_weighted_loss" in row:
            same = (f"{k} score" for k, v in zip(_SCORES, scores, strict=True) if v == best)
            return next(same, "mean of pixel and feature score")
    return ""


def loss_keys(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the losses that are minimised: ``loss``, or one per player of an adversarial stage.

    The terms a loss consists of (``generator_l1_loss`` beside ``generator_loss``) are left out.
    """
    keys = {k for row in history for k in row if is_number(row[k])}
    named = sorted(k for k in keys if k.endswith("_loss") and not k.startswith("validation_"))
    if "loss" in keys:
        alone = [row for row in history if "loss" not in row]
        named = [k for k in named if any(k in row for row in alone)]
    stems = [k[: -len("loss")] for k in named]
    players = [
        k
        for k, stem in zip(named, stems, strict=True)
        if not any(stem != s and stem.startswith(s) for s in stems)
    ]
    return (["loss"] if "loss" in keys else []) + players


def training_curve(history: Sequence[Mapping[str, Any]]) -> str:
    """Draw loss and validation loss of a training as one SVG element.

    Stages are set apart, the weights that were kept are ringed, and a strip below shows the
    learning rate. The loss axis is logarithmic where losses fall by more than a factor of 12.

    Parameters
    ----------
    history : rows of the trainer (``stage``, ``step``, ``learning_rate``, ``loss``,
        ``validation_loss`` …); missing values and values that are not finite are left out.
    """
    rows = [row for row in history if is_number(row.get("step"))]
    keys = [*loss_keys(rows), VALIDATION]
    values = [float(row[k]) for row in rows for k in keys if is_number(row.get(k))]
    if not values:
        return no_values("Loss")
    places = [float(row["step"]) for row in rows]
    log = min(values) > 0 and max(values) / min(values) > LOG_RATIO
    y = logarithmic(values) if log else linear(values, zero=min(values) >= 0)
    canvas = Canvas(WIDTH, 320, _told(history, values))
    top = legend(canvas, 0, 16, _legend(rows, keys)) + (40 if _n_stages(rows) > 1 else 34)
    rates = [float(row["learning_rate"]) for row in rows if is_number(row.get("learning_rate"))]
    strip = 48.0 if len(set(rates)) > 1 else 0.0
    canvas.height = top + 240 + strip
    along = Scale(0.0, max(places), whole=True)
    left, right = sides(WIDTH, along, y)
    if strip:
        left = max(left, 20 + width_of(number(max(rates), 2)))
    frame = Frame(canvas, left, top, right, canvas.height - 46 - strip, along, y)
    frame.y_axis("loss (logarithmic)" if log else "loss")
    _stages(frame, rows, places)
    for key in keys:
        _lines(frame, rows, places, key)
    _ring(frame, kept_row(rows))
    if strip:
        frame = _rate_strip(frame, rows, places, max(rates))
    frame.x_axis("step")
    return canvas.svg()


def _ring(frame: Frame, best: Kept | None) -> None:
    """Mark the weights that were kept."""
    if best is not None:
        place = frame.at(best.step, best.loss)
        frame.canvas.dot(*place, NEW, 6, hollow=True, title=_kept_text(best))


def _lines(
    frame: Frame, rows: Sequence[Mapping[str, Any]], places: Sequence[float], key: str
) -> None:
    """Draw one loss, a line of its own for every stage."""
    colour, dash = _paint(key)
    points: list[tuple[float, float]] = []
    stage = rows[0].get("stage")
    for row, place in zip(rows, places, strict=True):
        if row.get("stage") != stage:
            frame.canvas.path(points, colour, 2.2, dash)
            points, stage = [], row.get("stage")
        if is_number(row.get(key)):
            points.append(frame.at(place, float(row[key])))
    frame.canvas.path(points, colour, 2.2, dash)


def _paint(key: str) -> tuple[str, str]:
    """Return colour and dashes of a loss."""
    if key == VALIDATION:
        return NEW, ""
    if key == "loss" or "generator" in key:
        return SERIES[1], ""
    return SERIES[3], "5 3"


def _legend(rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> list[tuple[str, str, str]]:
    by = criterion(rows)
    shown = f"validation images ({by})" if by else "validation images"
    names = {"loss": "training images", VALIDATION: shown}
    items = []
    for key in keys:
        if any(is_number(row.get(key)) for row in rows):
            colour, dash = _paint(key)
            items.append(("dash" if dash else "line", colour, names.get(key, words(key).lower())))
    best = kept_row(rows)
    if best is not None:
        items.append(("ring", NEW, _kept_text(best)))
    return items


def _kept_text(best: Kept) -> str:
    return f"kept: {number(best.loss)} at step {number(best.step)}"


def _n_stages(rows: Sequence[Mapping[str, Any]]) -> int:
    return len({str(row.get("stage")) for row in rows})


def _stages(frame: Frame, rows: Sequence[Mapping[str, Any]], places: Sequence[float]) -> None:
    """Separate the stages and name them where there is more than one."""
    if _n_stages(rows) < 2:
        return
    start = frame.x.low
    for index, (row, place) in enumerate(zip(rows, places, strict=True)):
        after = rows[index + 1] if index + 1 < len(rows) else None
        if after is not None and after.get("stage") == row.get("stage"):
            continue
        name = str(row.get("stage") or "")
        middle = (frame.px(start) + frame.px(place)) / 2
        middle = min(middle, frame.canvas.width - width_of(name) / 2)  # of a stage cut short
        frame.canvas.text(middle, frame.top + 14, name, anchor="middle", colour=INK)
        if after is not None:
            x = frame.px(place)
            frame.canvas.line(x, frame.top, x, frame.bottom, QUIET, 1, "2 3")
        start = place


def _rate_strip(
    frame: Frame, rows: Sequence[Mapping[str, Any]], places: Sequence[float], greatest: float
) -> Frame:
    """Draw the learning rate below the losses; return its frame."""
    top = frame.bottom + 22
    strip = Frame(
        frame.canvas, frame.left, top, frame.right, top + 26, frame.x, Scale(0.0, greatest)
    )  # fmt: skip
    points = [
        strip.at(place, float(row["learning_rate"]))
        for row, place in zip(rows, places, strict=True)
        if is_number(row.get("learning_rate"))
    ]
    canvas = frame.canvas
    canvas.line(frame.left, frame.bottom, frame.right, frame.bottom, RULE)
    if len(points) > 1:
        ends = [(points[0][0], strip.bottom), *points, (points[-1][0], strip.bottom)]
        canvas.area(ends, QUIET, 0.14)
    canvas.path(points, QUIET, 1.4)
    canvas.text(frame.left, top - 5, "learning rate")
    canvas.text(frame.left - 8, top + 9, number(greatest, 2), anchor="end")
    return strip


def _told(history: Sequence[Mapping[str, Any]], values: Sequence[float]) -> str:
    """Say the curve in a sentence."""
    best = kept_row(history)
    start = next((v for v in values if math.isfinite(v)), math.nan)
    end = f", {_kept_text(best)}" if best else ""
    return f"Training curve: first loss {number(start)}{end}"
