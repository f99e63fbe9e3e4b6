"""How unsure a model is of one image: what it half finds, and what changes when it is mirrored.

References
----------
.. [1] Gao et al. 2020, doi:10.1007/978-3-030-58607-2_30 (disagreement between transformed copies
   of an image as a measure of what a label would teach).
.. [2] Lewis & Gale 1994, doi:10.1007/978-1-4471-2099-5_1 (uncertainty sampling).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.metrics.images import pearson
from microshot.metrics.labels import match
from microshot.progress import Progress, silent, span
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from microshot.data.dataset import Sample
    from microshot.inference.predictor import Network
    from microshot.tasks.base import Recipe, Task

#: Axes along which an image is mirrored.
MIRRORED = (-1, -2)
#: Doubt where a model that segments finds nothing: there may be nothing, or all was missed.
NOTHING_FOUND = 0.5


@dataclass(frozen=True)
class Doubt:
    """How unsure, 0 to 1, and why in plain words."""

    value: float
    why: str


def doubt(
    task: Task,
    network: Network,
    recipe: Recipe,
    sample: Sample,
    options: Any,
    progress: Progress = silent,
) -> Doubt:
    """Run the network over an image and its mirror images and say how unsure it is.

    Notes
    -----
    Segment: mean of the part of objects that are found by halves, and of 1 - F1 between the objects
    in the image and in its mirror images. Count: mean of the scatter between them, in units of
    the scatter of a Poisson count, and of 1 - clarity. Translate: mean of 1 - Pearson's r
    between them, and of 4 p (1 - p) of the mask.
    """
    threshold = 0.0
    wide = options
    if task.name == "segment":
        threshold, _ = options.thresholds(recipe)
        wide = dataclasses.replace(options, probability=threshold / 2)
    raws = []
    views: list[int | None] = [None, *MIRRORED]
    for index, axis in enumerate(views):
        here = span(progress, index / len(views), (index + 1) / len(views))
        seen = sample if axis is None else mirrored(sample, axis)
        raws.append(task.raw(network, recipe, seen, wide, here))
    every = [task.decode(raw, recipe, options) for raw in raws]
    if task.name == "segment":
        return _of_objects(every, task.decode(raws[0], recipe, wide).probability, threshold)
    return _KINDS[task.name](every)


def mirrored(sample: Sample, axis: int) -> Sample:
    """Return the image of a sample mirrored along -1 (left to right) or -2, without its truth."""
    image = dataclasses.replace(sample.image, pixels=np.flip(sample.image.pixels, axis).copy())
    return dataclasses.replace(
        sample, image=image, labels=None, count=None, points=None, target=None
    )


def _of_objects(every: Sequence[Any], probability: np.ndarray, threshold: float) -> Doubt:
    """Doubt of a segmentation; `probability` is that of all objects from half the threshold on."""
    if not len(probability) and not any(one.n_objects for one in every):
        return Doubt(NOTHING_FOUND, "no object found")
    near = probability < threshold + 0.25 * (1 - threshold)
    halves = float(near.mean()) if len(near) else 1.0
    told = f"{near.sum()} of {how_many(len(near), 'object')} half found"
    first, *others = every
    agree = [
        match(first.labels, np.flip(one.labels, axis).copy(), 0.5).f1
        for axis, one in zip(MIRRORED, others, strict=True)
    ]
    differ = 1 - float(np.mean(np.nan_to_num(agree, nan=1.0)))
    if not len(near):
        return _greater(
            *((part, "finds objects only in the mirror image") for part in (halves, differ))
        )
    return _greater((halves, told), (differ, "finds other objects in the mirror image"))


def _of_counts(every: Sequence[Any]) -> Doubt:
    counts = np.array([one.count for one in every])
    own = every[0].raw.spread or 0.0
    scatter = float(np.hypot(counts.std(), own) / np.sqrt(counts.mean() + 0.375))
    told = f"counts {counts.min():.1f} to {counts.max():.1f} in mirror images"
    parts = [(min(scatter, 1.0), told if counts.std() >= own else "the count is vague")]
    if every[0].raw.clarity is not None:
        parts.append((1 - float(every[0].raw.clarity), "objects are hard to tell apart"))
    return _greater(*parts)


def _of_stains(every: Sequence[Any]) -> Doubt:
    first, *others = (one.stains.pixels for one in every)
    agree = [
        pearson(a, b)
        for axis, other in zip(MIRRORED, others, strict=True)
        for a, b in zip(first, np.flip(other, axis), strict=True)
    ]
    known = [r for r in agree if np.isfinite(r)]
    differ = float(np.clip(1 - np.mean(known), 0, 1)) if known else 0.0
    parts = [(differ, "predicts other stains in the mirror image")]
    if every[0].mask_probability is not None:
        p = every[0].mask_probability
        parts.append((float((4 * p * (1 - p)).mean()), "nuclei are hard to tell from background"))
    return _greater(*parts)


def _greater(*parts: tuple[float, str]) -> Doubt:
    """Return the mean of all parts, and what the greatest says."""
    value = float(np.mean([part for part, _ in parts]))
    return Doubt(value, max(parts)[1])


_KINDS: Mapping[str, Callable[[Sequence[Any]], Doubt]] = {
    "count": _of_counts,
    "translate": _of_stains,
}
