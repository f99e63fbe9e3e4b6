"""What is shown after predicting."""

from __future__ import annotations

from statistics import mean, median
from typing import TYPE_CHECKING, Any

from microshot.report import figures, wording
from microshot.report.counted import interval_text
from microshot.report.page import (
    Markup,
    callout,
    facts,
    figure,
    notes_list,
    page,
    section,
    side_by_side,
    table,
)
from microshot.report.panels import keys_for, result_panel
from microshot.report.pictures import Example, gallery
from microshot.report.style import NEW
from microshot.report.wording import count_of, is_number, number, score_of
from microshot.words import form

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.bundle import Card

#: Columns that may hold the number of objects, the first one found counts.
COUNTS = ("count", "n_objects")
#: With fewer images a histogram says nothing.
LEAST_FOR_HISTOGRAM = 5
UNLIKE = "unlike_training"


def prediction_view(
    card: Card | None,
    examples: Sequence[Example] = (),
    rows: Sequence[Mapping[str, Any]] = (),
    notes: Sequence[str] = (),
    more: Sequence[str] = (),
    last: Sequence[Markup] = (),
) -> str:
    """Return the page of a prediction: pictures with outlines, counts and confidence.

    Parameters
    ----------
    card : of the model used, where there is one.
    examples : images with `prediction` (and `truth`, where known).
    rows : one per image: ``name``, ``count`` or ``n_objects``, ``not_rounded``, ``confidence``,
        ``unlike_training`` (whether it is), ``warning`` and whatever else was found. ``low`` and
        ``high`` become one column.
    notes : warnings, one sentence each.
    more : what only this task has to say, shown after the notes.
    last : parts behind all others.
    """
    rows = [with_interval(row) for row in rows]
    keys = wording.shown_keys((dict(r) for r in rows), ("name", UNLIKE))
    keys = [k for k in keys if any(wording.plain(r.get(k)) != wording.NOTHING for r in rows)]
    columns = {"name": "Image"} | {k: score_of(k).label for k in keys}
    captioned = [_with_caption(e, rows) for e in examples]
    body = [
        _unlike(rows),
        notes_list(notes),
        *map(Markup, more),
        section("Summary", _summary(card, rows, max(len(rows), len(examples)))),
        section("Images", gallery(captioned, result_panel, keys_for(examples), of=len(rows))),
        section(
            "Results per image",
            table(columns, rows, formats=wording.writers(set(keys) & set(wording.SCORES), rows))
            if keys
            else "",
            _count_histogram(rows),
        ),
        *last,
    ]
    under = f"with the model {card.name}" if card and card.name else ""
    return page("Predictions", body, subtitle=under)


def _with_caption(example: Example, rows: Sequence[Mapping[str, Any]]) -> Example:
    """Add count and confidence of its row to an example without caption."""
    row = next((r for r in rows if str(r.get("name")) == example.name), None)
    if row is None or example.caption:
        return example
    parts = []
    key = _count_key([row])
    if key and example.place is not None:
        parts.append(f"{wording.count_of(row[key], 'object')} in all")
    elif key and example.prediction is None and example.counted is None:
        parts.append(f"count {number(row[key])}")
    if is_number(row.get("confidence")):
        parts.append(f"confidence {row['confidence']:.2f}")
    if row.get(UNLIKE) is True:
        parts.append(row.get("warning") or "unlike the training images")
    return Example(**{**vars(example), "caption": ", ".join(parts)})


def with_interval(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with the bounds of its count in one column; others as they are."""
    made = dict(row)
    if "low" in made or "high" in made:
        made["interval"] = interval_text(made.pop("low", None), made.pop("high", None))
    first = [k for k in ("name", *COUNTS, "not_rounded", "interval") if k in made]
    return {k: made[k] for k in (*first, *made)}


def _count_key(rows: Sequence[Mapping[str, Any]]) -> str:
    return next((k for k in COUNTS if any(is_number(r.get(k)) for r in rows)), "")


def _numbers(rows: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    return [float(r[key]) for r in rows if is_number(r.get(key))]


def _unlike(rows: Sequence[Mapping[str, Any]]) -> Markup:
    n = sum(r.get(UNLIKE) is True for r in rows)
    if not n:
        return Markup("")
    return callout(
        f"{n} of {count_of(len(rows), 'image')} {form(n, 'is', 'are')} unlike the training images: "
        "check the results there, or label one of them and retrain.",
        "bad",
    )


def _summary(card: Card | None, rows: Sequence[Mapping[str, Any]], n_images: int) -> Markup:
    counts = _numbers(rows, _count_key(rows))
    confidence = _numbers(rows, "confidence")
    spread = (
        f"{number(median(counts))} ({number(min(counts))} to {number(max(counts))})"
        if len(counts) > 1
        else None
    )
    return facts(
        [
            ("Model", card.name if card else None),
            ("Images", number(n_images)),
            ("Objects", number(sum(counts)) if counts else None),
            ("Objects per image", f"median {spread}" if spread else None),
            ("Mean confidence", f"{mean(confidence):.2f}" if confidence else None),
        ]
    )


def _count_histogram(rows: Sequence[Mapping[str, Any]]) -> Markup:
    counts = _numbers(rows, "n_objects") or _numbers(rows, _count_key(rows))
    if len(counts) < LEAST_FOR_HISTOGRAM:
        return Markup("")
    drawn = figures.histogram([("images", counts, NEW)], "objects per image")
    return side_by_side(figure(drawn, "How many images have how many objects."))
