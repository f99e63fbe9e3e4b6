"""From results of segmenting to the parts of their pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from microshot.api import Example, Trained
    from microshot.data.dataset import Sample
    from microshot.report.page import Markup
    from microshot.report.pictures import Example as Picture
    from microshot.tasks.segmenting.segmentation import Segmentation


def picture(example: Example) -> Picture:
    """Return what the report draws of a scored image."""
    from microshot.report.pictures import Example as Picture

    return Picture(
        example.sample.name,
        example.sample.image.pixels,
        truth=example.sample.labels,
        prediction=getattr(example.prediction, "labels", None),
        old=getattr(example.old, "labels", None),
    )


def predicted(sample: Sample, prediction: Segmentation) -> Picture:
    """Return what the report draws of an image without its truth."""
    from microshot.report.pictures import Example as Picture

    place = prediction.place
    return Picture(sample.name, sample.image.pixels, prediction=prediction.labels, place=place)


def training_sections(result: Trained) -> list[Markup]:  # noqa: ARG001 - as of the other tasks
    """There is nothing beside the usual parts."""
    return []


#: The same after retraining.
retrain_sections = training_sections
