"""From results to the HTML views of the nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import knime.extension as knext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.api import Example, Retrained, Trained
    from microshot.bundle import Card
    from microshot.data.dataset import Dataset, Sample
    from microshot.settings import GenerateSettings, ScoreSettings

#: Images shown in a report of a training.
MAX_SHOWN = 8


def example_pictures(examples: Sequence[Example]) -> list[Any]:
    """Return what the report draws of scored images, the worst first."""
    from microshot.report.pictures import Example as Picture

    return [
        Picture(
            e.sample.name,
            e.sample.image.pixels,
            truth=e.sample.labels,
            prediction=getattr(e.prediction, "labels", None),
            old=getattr(e.old, "labels", None),
        )
        for e in sorted(examples, key=lambda e: e.scores.get("f1", 0.0))[:MAX_SHOWN]
    ]


def training_view(result: Trained, notes: Sequence[str]) -> Any:
    """Return the view of *Train*."""
    from microshot.report import views

    scores = [{"name": e.sample.name, "held_out": e.held_out, **e.scores} for e in result.examples]
    examples = example_pictures(result.examples)
    return knext.view_html(
        views.training_view(result.bundle.card, result.history, scores, examples, notes)
    )


def retrain_view(result: Retrained, notes: Sequence[str]) -> Any:
    """Return the view of *Retrain*."""
    from microshot.report import views

    comparison = [
        {"name": e.sample.name, "old": e.old_scores, "new": e.scores} for e in result.comparison
    ]
    examples = example_pictures(result.comparison or result.examples)
    notes = [n for n in notes if n != result.verdict]
    return knext.view_html(
        views.retrain_view(
            result.bundle.card,
            result.history,
            comparison,
            result.verdict,
            result.kept,
            examples,
            notes,
        )
    )


def prediction_view(
    card: Card, shown: Sequence[tuple[Sample, Any]], rows: Sequence[Any], notes: Sequence[str]
) -> Any:
    """Return the view of *Predict*."""
    from microshot.report import views
    from microshot.report.pictures import Example as Picture

    pictures = [Picture(s.name, s.image.pixels, prediction=p.labels) for s, p in shown]
    return knext.view_html(views.prediction_view(card, pictures, rows, notes))


def score_view(
    summary: Sequence[Any],
    rows: Sequence[Any],
    examples: Sequence[dict[str, Any]],
    notes: Sequence[str],
    settings: ScoreSettings,
) -> Any:
    """Return the view of *Score*; the picture shows the last prediction column."""
    from microshot.report import views
    from microshot.report.pictures import Example as Picture

    pictures = []
    for e in examples:
        for name, labels in list(e["predictions"].items()):
            caption = name if len(e["predictions"]) > 1 else ""
            pictures.append(Picture(e["name"], e["pixels"], e["truth"], labels, caption=caption))
    return knext.view_html(
        views.score_view(
            summary,
            rows,
            pictures,
            notes,
            threshold=settings.threshold,
            border_px=settings.border_px,
        )
    )


def generated_view(
    shown: Sequence[Sample], reference: Dataset | None, settings: GenerateSettings
) -> Any:
    """Return the view of *Generate Synthetic Images*."""
    from microshot.report import views
    from microshot.report.pictures import Example as Picture
    from microshot.settings import SCENES

    described = [
        ("Kind of images", SCENES[settings.scene].label),
        ("Images", settings.n),
        ("Random seed", settings.seed),
    ]
    made = [Picture(s.name, s.image.pixels, truth=s.labels) for s in shown]
    given = [Picture(s.name, s.image.pixels, truth=s.labels) for s in reference or ()]
    return knext.view_html(views.generated_view(made, given, described))


def images_view(shown: Sequence[dict[str, Any]], notes: Sequence[str]) -> Any:
    """Return the view of *Microscopy Image Reader*."""
    from microshot.report import views

    rows = []
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
    return knext.view_html(views.images_view(rows, notes))


def model_view(card: Card) -> Any:
    """Return the model card."""
    from microshot.report import views

    return knext.view_html(views.model_view(card))
