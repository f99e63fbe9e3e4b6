"""From predictions, translations and suggestions to HTML pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microshot.pages import counting, translating
from microshot.pages.examples import parts_of
from microshot.pages.images import only_first
from microshot.progress import Progress, silent, span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.api import Predictor
    from microshot.bundle import Card
    from microshot.data.dataset import Sample
    from microshot.suggesting import Suggestion


def prediction_page(
    card: Card,
    shown: Sequence[tuple[Sample, Any]],
    rows: Sequence[Any],
    notes: Sequence[str],
    record: Mapping[str, Any] | None = None,
    time_column: str = "time",
) -> str:
    """Return the page of *Predict*; a row of counts may hold ``not_rounded``, ``low`` and ``high``.

    Rows with a ``time`` (and a ``group``) make a growth curve over what `time_column` is called.
    `record` says where the results come from (see `provenance.record`).
    """
    from microshot.report import result_views
    from microshot.report.growth_views import growth_section
    from microshot.report.record_views import recorded

    timed = [row | {"count": row.get("not_rounded", row.get("n_objects"))} for row in rows]
    timed_at_all = any(r.get("time") is not None for r in rows)
    more = [growth_section(timed, time_column)] if timed_at_all else []
    rows = [{k: v for k, v in row.items() if k not in ("time", "group")} for row in rows]
    if card.task == "count":
        more = [*counting.prediction_parts(card, shown, rows), *more]
    pictures = [parts_of(card.task).predicted(s, p) for s, p in shown]
    return result_views.prediction_view(card, pictures, rows, notes, more, recorded(record))


def translation_page(
    card: Card,
    shown: Sequence[tuple[Sample, Sequence[Any]]],
    n_images: int,
    notes: Sequence[str],
    marks: Sequence[Mapping[str, Any]] = (),
    *,
    confidence: bool = False,
    record: Mapping[str, Any] | None = None,
) -> str:
    """Return the page of *Translate*.

    Parameters
    ----------
    card : of the first model.
    shown : the first of `n_images` stacks with one translation per model.
    marks : what is said of how far to trust each image, the shown ones first.
    confidence : whether to draw where models are sure of nuclei.
    record : where the results come from (see `provenance.record`).
    """
    from microshot.report import result_views
    from microshot.report.record_views import recorded

    pictures = [translating.together(s, found, confidence=confidence) for s, found in shown]
    sure = [next((p.confidence for p in found if p.maps is not None), None) for _, found in shown]
    rows = [
        {"name": s.name} | ({} if value is None else {"confidence": value})
        for (s, _), value in zip(shown, sure, strict=True)
    ]
    rows = [{**row, **mark} for row, mark in zip(rows, marks or [{}] * len(rows), strict=False)]
    told = [*notes, *only_first(len(shown), n_images)]
    return result_views.prediction_view(card, pictures, rows, told, last=recorded(record))


def suggestion_page(
    predictor: Predictor,
    shown: Sequence[Sample],
    found: Sequence[Suggestion],
    notes: Sequence[str],
    record: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> str:
    """Return the page of *Suggest*; `shown` are the first images, in any order.

    `record` says where the suggestions come from (see `provenance.record`). Images are predicted
    once more.

    Raises
    ------
    Cancelled
        If cancelled.
    """
    from dataclasses import replace

    from microshot.report import suggestion_views
    from microshot.report.record_views import recorded

    known, parts = {s.name: s for s in shown}, parts_of(predictor.card.task)
    pictures = []
    drawn = [s for s in found if s.name in known]
    for index, one in enumerate(drawn):
        here = span(progress, index / len(drawn), (index + 1) / len(drawn))
        here(0.0, f"making the view, image {index + 1} of {len(drawn)}")
        sample = predictor.seen(known[one.name])
        picture = parts.predicted(sample, predictor(sample, here))
        pictures.append(replace(picture, caption=f"{one.rank}. {one.reason}"))
    rows = [{"rank": s.rank, "name": s.name, "benefit": s.benefit, "doubt": s.doubt,
             "reason": s.reason} for s in found]  # fmt: skip
    last = recorded(record)
    return suggestion_views.suggestion_view(predictor.card, pictures, rows, notes, last)
