"""From results of translating to the parts of their pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from microshot.api import Example, Retrained, Trained
    from microshot.data.dataset import Sample
    from microshot.report.page import Markup
    from microshot.report.pictures import Example as Picture
    from microshot.tasks.translating.translation import Translation


def picture(example: Example) -> Picture:
    """Return what the report draws of a scored stack."""
    return predicted(example.sample, example.prediction, example.old)


def predicted(sample: Sample, found: Translation, old: Translation | None = None) -> Picture:
    """Return what the report draws of a translated stack, by one model or two."""
    from microshot.report.pictures import Example as Picture

    return Picture(
        sample.name,
        sample.image.pixels,
        target=None if sample.target is None else sample.target.pixels,
        translated=found.stains.pixels,
        old_translated=None if old is None else old.stains.pixels,
        stains=found.stains.channels,
    )


def together(sample: Sample, found: Sequence[Translation], *, confidence: bool) -> Picture:
    """Return what the report draws of a stack translated by several models.

    With `confidence` also nuclei from sure seeds and the map, by the first model that tells them.
    """
    import numpy as np

    from microshot.report.pictures import Example as Picture

    sure = next((f for f in found if f.maps is not None), None) if confidence else None
    return Picture(
        sample.name,
        sample.image.pixels,
        prediction=None if sure is None else sure.nuclei,
        translated=np.concatenate([f.stains.pixels for f in found]),
        stains=tuple(name for f in found for name in f.stains.channels),
        confidence=None if sure is None or sure.maps is None else sure.maps.confidence,
    )


def generated(sample: Sample) -> Picture:
    """Return what the page of generated images draws of a stack."""
    from microshot.report.pictures import Example as Picture

    assert sample.target is not None
    return Picture(
        sample.name,
        sample.image.pixels,
        sample.labels,
        target=sample.target.pixels,
        stains=sample.target.channels,
    )


def compared(
    name: str, stains: Mapping[str, np.ndarray], measured: Mapping[str, str]
) -> list[Picture]:
    """Return what the report draws of scored stains, one example per prediction.

    Parameters
    ----------
    stains : (Y, X) arrays by column.
    measured : the column of the measured stain by that of the predicted one.
    """
    from microshot.report.pictures import Example as Picture

    return [
        Picture(
            name,
            stains[of][None],
            target=stains[of][None],
            translated=stains[found][None],
            stains=(found,),
        )
        for found, of in measured.items()
    ]


def overall(scores: dict[str, Any], result: Trained) -> dict[str, Any]:
    """Return the scores of all stains together."""
    from microshot.report import stains

    return stains.overall(scores, result.bundle.card.targets)


def training_sections(result: Trained) -> list[Markup]:
    """Return the scores of every stain."""
    from microshot.report import stains

    held_out = any(e.held_out for e in result.examples)
    told = "Mean over images held out from training." if held_out else "Mean over training images."
    rows = {"model": [e.scores for e in result.examples]}
    return [stains.per_stain(result.bundle.card.targets, rows, told)]


def retrain_sections(result: Retrained) -> list[Markup]:
    """Return the scores of every stain by both models."""
    from microshot.report import stains

    models = {
        "old": [e.old_scores for e in result.comparison],
        "retrained": [e.scores for e in result.comparison],
    }
    told = "Mean over images that the models had not seen."
    return [stains.per_stain(result.bundle.card.targets, models, told)]
