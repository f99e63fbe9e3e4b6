"""From results to HTML pages: what nodes show and the command line writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microshot.data.write import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from microshot.api import Example, Predictor, Retrained, Trained
    from microshot.bundle import Bundle, Card
    from microshot.data.dataset import Dataset, Sample
    from microshot.settings import GenerateSettings, ScoreSettings
    from microshot.suggesting import Suggestion
    from microshot.synth.prepare import Prepared

#: Images shown in a report of a training.
MAX_SHOWN = 8


def example_pictures(examples: Sequence[Example], task: str = "segment") -> list[Any]:
    """Return what the report draws of scored images, the worst first by the task's own score."""
    from microshot.pages import counting, translating
    from microshot.report.pictures import Example as Picture
    from microshot.tasks import task_named

    judge = task_named(task)
    sign = 1 if judge.larger_is_better else -1
    worst = sorted(examples, key=lambda e: sign * e.scores.get(judge.primary, 0.0))[:MAX_SHOWN]
    if task == "count":
        return [counting.picture(e) for e in worst]
    if task == "translate":
        return [translating.picture(e) for e in worst]
    return [
        Picture(
            e.sample.name,
            e.sample.image.pixels,
            truth=e.sample.labels,
            prediction=getattr(e.prediction, "labels", None),
            old=getattr(e.old, "labels", None),
        )
        for e in worst
    ]


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
    from microshot.pages import translating
    from microshot.report import views
    from microshot.report.record_views import recorded

    pictures = [translating.together(s, found, confidence=confidence) for s, found in shown]
    sure = [next((p.confidence for p in found if p.maps is not None), None) for _, found in shown]
    rows = [
        {"name": s.name} | ({} if value is None else {"confidence": value})
        for (s, _), value in zip(shown, sure, strict=True)
    ]
    rows = [{**row, **mark} for row, mark in zip(rows, marks or [{}] * len(rows), strict=False)]
    told = [*notes, *_only_first(len(shown), n_images)]
    return views.prediction_view(card, pictures, rows, told, last=recorded(record))


def training_page(result: Trained, notes: Sequence[str]) -> str:
    """Return the page of *Train*."""
    from microshot.pages import counting, translating
    from microshot.report import views

    card, more = result.bundle.card, []
    if card.task == "count":
        more = counting.training_sections(result)
    if card.task == "translate":
        more = translating.training_sections(result)
    pictures = example_pictures(result.examples, card.task)
    return views.training_view(card, result.history, score_rows(result), pictures, notes, more)


def score_rows(result: Trained) -> list[dict[str, Any]]:
    """Return name, use and scores of every image that was scored."""
    from microshot.pages import counting, translating

    task, examples = result.bundle.card.task, result.examples
    rows = [{"name": e.sample.name, "held_out": e.held_out, **e.scores} for e in examples]
    if task == "count":
        pairs = zip(rows, examples, strict=True)
        return [row | {"interval": counting.counted(e).interval} for row, e in pairs]
    return [translating.overall(r, result) for r in rows] if task == "translate" else rows


def comparison_rows(result: Retrained) -> list[dict[str, Any]]:
    """Return name and the scores of both models for every image that they were compared on."""
    from microshot.pages import translating

    def told(scores: Any) -> dict[str, Any]:
        stains = result.bundle.card.task == "translate"
        return translating.overall(scores, result) if stains else scores

    return [
        {"name": e.sample.name, "old": told(e.old_scores), "new": told(e.scores)}
        for e in result.comparison
    ]


def retrain_page(result: Retrained, notes: Sequence[str]) -> str:
    """Return the page of *Retrain*."""
    from microshot.learning.verdict import more_images
    from microshot.pages import counting, translating
    from microshot.report import training_views, views
    from microshot.tasks import task_named

    card = result.bundle.card
    examples = example_pictures(result.comparison or result.examples, card.task)
    more = counting.retrain_sections(result) if card.task == "count" else []
    if card.task == "translate":
        more = translating.retrain_sections(result)
    task = task_named(card.task)
    advice = more_images(task, result.curve)
    more = [*more, training_views.need_section(result.curve, task.primary_label, advice)]
    notes = [n for n in notes if n != result.verdict]
    return views.retrain_view(
        card,
        result.history,
        comparison_rows(result),
        result.verdict,
        result.kept,
        examples,
        notes,
        more,
        better=result.better,
    )


def prediction_page(
    card: Card,
    shown: Sequence[tuple[Sample, Any]],
    rows: Sequence[Any],
    notes: Sequence[str],
    record: Mapping[str, Any] | None = None,
) -> str:
    """Return the page of *Predict*; a row of counts may hold ``low`` and ``high``.

    Rows with a ``time`` (and a ``group``) make a growth curve. `record` says where the results come
    from (see `provenance.record`).
    """
    from microshot.pages import counting
    from microshot.report import views
    from microshot.report.growth_views import growth_section
    from microshot.report.pictures import Example as Picture
    from microshot.report.record_views import recorded

    timed = [{"count": row.get("n_objects")} | row for row in rows]
    more = [growth_section(timed)] if any(r.get("time") is not None for r in rows) else []
    rows = [{k: v for k, v in row.items() if k not in ("time", "group")} for row in rows]
    if card.task == "count":
        examples = [counting.predicted(s, p) for s, p in shown]
        more = [*counting.prediction_parts(card, shown, rows), *more]
        return views.prediction_view(card, examples, rows, notes, more, recorded(record))
    pictures = [Picture(s.name, s.image.pixels, prediction=p.labels) for s, p in shown]
    return views.prediction_view(card, pictures, rows, notes, more, recorded(record))


def suggestion_page(
    predictor: Predictor,
    shown: Sequence[Sample],
    found: Sequence[Suggestion],
    notes: Sequence[str],
) -> str:
    """Return the page of *Suggest*; `shown` are the first images, in any order."""
    from dataclasses import replace

    from microshot.pages import counting, translating
    from microshot.report import suggestion_views
    from microshot.report.pictures import Example as Picture

    known, task = {s.name: s for s in shown}, predictor.card.task
    pictures = []
    for one in (s for s in found if s.name in known):
        sample = known[one.name]
        prediction = predictor(sample)
        if task == "count":
            picture = counting.predicted(sample, prediction)
        elif task == "translate":
            picture = translating.predicted(sample, prediction)
        else:
            picture = Picture(sample.name, sample.image.pixels, prediction=prediction.labels)
        pictures.append(replace(picture, caption=f"{one.rank}. {one.reason}"))
    rows = [{"rank": s.rank, "name": s.name, "benefit": s.benefit, "doubt": s.doubt,
             "reason": s.reason} for s in found]  # fmt: skip
    return suggestion_views.suggestion_view(predictor.card, pictures, rows, notes)


def score_page(
    summary: Sequence[Any],
    rows: Sequence[Any],
    examples: Sequence[dict[str, Any]],
    notes: Sequence[str],
    settings: ScoreSettings,
    features: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> str:
    """Return the page of *Score*; several predictions are shown side by side.

    Label images were compared, or counts where rows have a ``True count``, or stains where a
    summary names one; those come with a table of what was measured on them, by what the names of
    the predictions end with.
    """
    from microshot.pages import counting, translating
    from microshot.report import views
    from microshot.report.pictures import Example as Picture

    if any("Stain" in row for row in summary):
        measured = {row["Prediction"]: row["Stain"] for row in summary}
        made = [p for e in examples for p in translating.compared(e["name"], e["stains"], measured)]
        return views.stain_score_view(summary, rows, made, notes, features or {})
    pictures, counts = [], any("True count" in row for row in rows)
    for e in examples:
        if counts:
            pictures.append(counting.scored(e["name"], e["pixels"], e["true"], e["counts"]))
            continue
        found = dict(e["predictions"])
        only = next(iter(found.values())) if len(found) == 1 else None
        several = found if only is None else {}
        pictures.append(Picture(e["name"], e["pixels"], e["truth"], only, predictions=several))
    return views.score_view(
        summary,
        rows,
        pictures,
        [*notes, *([] if counts else _unusual(settings))],
        task="count" if counts else "segment",
        threshold=settings.threshold,
        border_px=settings.border_px,
    )


def _unusual(settings: ScoreSettings) -> list[str]:
    """Say by which rules was scored, where they are not the usual ones."""
    lines = []
    if settings.threshold != type(settings).threshold:
        lines.append(f"Objects count as found from an IoU of {settings.threshold:g} on.")
    if settings.border_px:
        lines.append(
            f"Objects entirely within {settings.border_px} px of the image's edge are not scored."
        )
    return lines


def generated_page(
    shown: Sequence[Sample],
    reference: Dataset | None,
    settings: GenerateSettings,
    prepared: Prepared,
) -> str:
    """Return the page of *Generate Synthetic Images*."""
    from microshot.pages import translating
    from microshot.report import views
    from microshot.report.pictures import Example as Picture
    from microshot.settings import SCENES

    described = [
        ("Kind of images", SCENES[settings.scene].label),
        ("Random seed", settings.seed),
    ]
    made = [
        translating.generated(s)
        if s.target is not None
        else Picture(s.name, s.image.pixels, truth=s.labels)
        for s in shown
    ]
    given = [Picture(s.name, s.image.pixels, truth=s.labels) for s in reference or ()]
    notes = [*prepared.warnings, *_only_first(len(shown), settings.n)]
    likeness = views.Likeness(prepared.notes, prepared.found)
    return views.generated_view(made, given, described, notes, likeness)


def _only_first(n_shown: int, n_images: int) -> list[str]:
    """Say that a page does not show all images, where it does not."""
    if n_shown >= n_images:
        return []
    return [f"This page shows and counts the first {n_shown} of {n_images} images only."]


def images_page(shown: Sequence[dict[str, Any]], notes: Sequence[str], n_images: int) -> str:
    """Return the page of *Microscopy Image Reader*; `shown` are the first of `n_images`."""
    from microshot.report import views

    rows, notes = [], [*notes, *_only_first(len(shown), n_images)]
    for one in shown:
        reading = one["reading"]
        rows.append(
            {
                "name": one["name"],
                "pixels": one["image"].pixels,
                "labels": reading.labels if reading else None,
                "taken_for": reading.describe() if reading else "no label image",
                "count": one["count"],
                "pixel_size_um": one["image"].pixel_size_um,
            }
        )
    return views.images_view(rows, notes)


def model_page(card: Card) -> str:
    """Return the report of a model, from what its file carries."""
    from microshot.report import views

    return views.model_view(card)


def write_model(bundle: Bundle, path: Path, *, report: bool, overwrite: bool) -> None:
    """Write a model and, where asked for, its report beside it under the same name.

    Raises
    ------
    FileExistsError
        Before anything is written, if one of the files is there and `overwrite` is not set.
    """
    page = path.with_suffix(".html")
    if report and page.exists() and not overwrite:
        raise FileExistsError(
            f'"{page}" exists already; choose another name or folder, or allow overwriting.'
        )
    bundle.save(path, overwrite=overwrite)
    if report:
        with replacing(page, overwrite=overwrite) as part:
            part.write_text(model_page(bundle.card), encoding="utf-8")
