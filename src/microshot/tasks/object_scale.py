"""At which scale networks see images: that at which objects have their working diameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microshot.data.objects import median_diameter
from microshot.tasks.hyper import all_synthetic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.data.dataset import Sample
    from microshot.tasks.base import Recipe

#: Images are never enlarged or reduced by more than this.
LEAST_SCALE, GREATEST_SCALE = 1 / 8, 2.0


def preparation(
    samples: Sequence[Sample], settings: Any, start: Recipe | None, working_px: float
) -> dict[str, Any]:
    """Choose how images are scaled, so that objects measure `working_px`."""
    i = settings.images
    measured = i.diameter_px or median_diameter([s.labels for s in samples if s.labels is not None])
    rescale = "yes"
    if start is not None:
        working = float(start.preparation["working_diameter_px"])
        diameter = measured or float(start.preparation["image_diameter_px"])
    else:
        diameter = measured or working_px
        rescale = i.rescale
        if rescale == "auto":
            faithful = settings.preset == "faithful"
            rescale = "no" if faithful else "each" if all_synthetic(samples) else "yes"
        working = diameter if rescale == "no" else working_px
    return {
        "working_diameter_px": working,
        "image_diameter_px": diameter,
        "each_image": rescale == "each",
    }


def scale_of(given: Recipe, diameter_px: float = 0.0) -> float:
    """Return px of the network's input per px of an image whose objects measure `diameter_px`.

    0 = as in the images the recipe was made for.
    """
    own = diameter_px or float(given.preparation["image_diameter_px"])
    return clipped(float(given.preparation["working_diameter_px"]) / own)


def training_scale(given: Recipe, sample: Sample) -> float:
    """Return px of the network's input per px of an image that is learned from.

    Generated images, and collections that the user says are mixed, are scaled one by one.
    """
    alone = sample.domain == "synthetic" or given.preparation.get("each_image")
    return scale_of(given, _own_diameter(sample) if alone else 0.0)


def told_diameter(given: Recipe, sample: Sample) -> float:
    """Return the object diameter in px that a model is told to be judged; 0 = the one it knows.

    A model that learned images one by one is told the diameter of each, as it is made to be, where
    there are no objects that of its training images; any other is judged as it predicts.
    """
    if not given.preparation.get("each_image"):
        return 0.0
    return _own_diameter(sample) or float(given.preparation["image_diameter_px"])


def assumed_size(given: Recipe) -> str:
    """Say in one sentence how large objects are taken to be by a model that counts those of any size.

    Empty of models made for objects of one size.
    """
    if not given.preparation.get("each_image"):
        return ""
    return (
        f"Objects are taken to be {given.preparation['image_diameter_px']:.3g} px across, as most are in the "
        "model's training images; where they are not, tell their diameter: else the counts are wrong."
    )


def is_asked(given: Recipe, options: Any) -> bool:
    """Say whether a model knows objects of any size and is not told that of these."""
    return bool(given.preparation.get("each_image")) and not options.diameter_px


def _own_diameter(sample: Sample) -> float:
    """Return the median diameter of an image's objects in px, 0 where it is not known."""
    return 0.0 if sample.labels is None else median_diameter([sample.labels]) or 0.0


def clipped(scale: float) -> float:
    """Return `scale` within its limits, and 1 where resampling would change next to nothing."""
    scale = min(max(scale, LEAST_SCALE), GREATEST_SCALE)
    return 1.0 if abs(scale - 1) < 0.05 else scale
