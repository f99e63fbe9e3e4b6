"""What reports show of counts: headline, true against predicted, per true count."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.metrics.counts import count_scores
from microshot.report import count_figures as figures
from microshot.report import wording
from microshot.report.counted import Counted
from microshot.report.page import (
    Markup,
    callout,
    figure,
    folded,
    section,
    side_by_side,
    side_tables,
)
from microshot.report.wording import is_number, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Bars of a chart per true count; with more counts, several share one.
MOST_BARS = 16
#: Scores drawn for every true count (Kenneweg, Stallmann & Hammer 2022, Fig. 14).
PER_COUNT = ("accuracy", "mae", "mre")
#: Predictions drawn beside each other.
MOST_COMPARED = 6


def exact_share(scores: Mapping[str, Any]) -> str:
    """Say how many images were counted exactly; empty where that is not known."""
    value = scores.get("accuracy")
    if value is None or not is_number(value):
        return ""
    return f", exact in {wording.percent(value)}"


def unbounded_note(notes: Sequence[str], n_images: int = 0) -> Markup:
    """Say what it means that intervals have no bound, and how to get bounded ones.

    Parameters
    ----------
    notes : why, of every image whose interval is without bound.
    n_images : images in all.
    """
    if not notes:
        return Markup("")
    whose = "The intervals have"
    if len(notes) < n_images:
        whose = wording.count_of(len(notes), "interval has", "intervals have")
    reasons = " ".join(dict.fromkeys(note for note in notes if note))
    return callout(
        f"{whose} no upper bound. {reasons} The counts themselves are as good as the model is; "
        "it is only not known how far they may be off. With more counted images to train on, "
        "more are held out, and intervals become bounded.".replace("  ", " "),
        minor=True,
    )


def scatter_section(counted: Sequence[Counted]) -> Markup:
    """Return true against predicted counts, and scores per true count behind a fold."""
    known = [c for c in counted if c.true is not None and c.count is not None]
    if not known:
        return Markup("")
    told = "Each dot is an image; on the dashed line the count is right."
    levels = {c.level for c in known if c.level and math.isfinite(c.high)}
    if len(levels) == 1:
        told += f" Bars: intervals that hold {wording.percent(levels.pop())} of true counts."
    if figures.any_goes_on(known):
        told += " A bar without an end mark goes on beyond the chart."
    return section(
        "True and predicted counts",
        side_by_side(figure(figures.count_scatter(known), told)),
        _per_count(known),
    )


def compared_parts(rows: Sequence[Mapping[str, Any]]) -> list[Markup]:
    """Return true against predicted counts of one or more predictions, and all counts in a table.

    Parameters
    ----------
    rows : one per image and prediction: ``name``, ``prediction``, ``true_count`` and ``count``.
    """
    models = list(dict.fromkeys(str(r.get("prediction") or "") for r in rows))
    of = {m: [r for r in rows if str(r.get("prediction") or "") == m] for m in models}
    drawn = [
        figure(
            figures.count_scatter([_of_row(r) for r in of[m]]),
            f"{m}. Each dot is an image; on the dashed line the count is right.".lstrip(". "),
        )
        for m in models[:MOST_COMPARED]
    ]
    first = {"name": "Image", "true": "True count"}
    counts = {f"count {m}": m or "Count" for m in models}
    made: dict[str, dict[str, Any]] = {}
    for row in rows:
        name, model = str(row.get("name")), str(row.get("prediction") or "")
        cells = {"name": name, "true": row.get("true_count"), f"count {model}": row.get("count")}
        made.setdefault(name, {}).update(cells)
    bars = [
        _per_count([c for c in map(_of_row, of[m]) if None not in (c.true, c.count)], m)
        for m in models[:MOST_COMPARED]
    ]
    return [side_by_side(*drawn), *bars, side_tables(first, counts, list(made.values()))]


def _of_row(row: Mapping[str, Any]) -> Counted:
    true, count = (row.get(k) if is_number(row.get(k)) else None for k in ("true_count", "count"))
    return Counted(str(row.get("name")), true, count)


def _per_count(known: Sequence[Counted], whose: str = "") -> Markup:
    """Return accuracy, MAE and MRE for every true count; with one count there is nothing to see."""
    rows = per_count_rows(known) if known else []
    if len(rows) < 2:
        return Markup("")
    charts = [
        figure(figures.per_count_bars(rows, key))
        for key in PER_COUNT
        if any(is_number(row.get(key)) for row in rows)
    ]
    heading = "How good it is for few and for many objects"
    return folded(f"{heading}: {whose}" if whose else heading, side_by_side(*charts))


def per_count_rows(known: Sequence[Counted]) -> list[dict[str, Any]]:
    """Return `count_scores` for every true count, or ranges of counts where there are many."""
    true = np.array([c.true for c in known], float)
    found = np.array([c.count for c in known], float)
    width = max(1, math.ceil((true.max() - true.min() + 1) / MOST_BARS))
    several = len(np.unique(true)) > MOST_BARS
    group = np.floor((true - true.min()) / width) if several else true
    rows = []
    for value in np.unique(group):
        at = group == value
        low, high = true[at].min(), true[at].max()
        name = number(low) if low == high else f"{number(low)}–{number(high)}"
        rows.append({**count_scores(true[at], found[at]), "count": name})
    return rows
