"""The task *segment*: outlines of cells and nuclei.

An image goes: scaled so that objects have the network's working diameter, normalised as a
whole, through the network in tiles, decoded at the image's own size.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data import augment
from microshot.data.objects import object_areas
from microshot.data.patches import Field
from microshot.data.scale import resize_image, resize_labels, scaled_shape
from microshot.inference.mirroring import Mirrored
from microshot.metrics.labels import Tally, average_precision, match
from microshot.nn.geometry import PARTS
from microshot.progress import Progress, silent, span
from microshot.tasks.base import Task, image_for
from microshot.tasks.common_size import LOOKED_AT, Sizes, common_size, likeliest, n_looked_at
from microshot.tasks.object_scale import is_asked, told_diameter, training_scale
from microshot.tasks.segmenting import label_shapes, recipes, stardist
from microshot.tasks.segmenting.segmentation import (
    Options,
    RawSegmentation,
    Segmentation,
    best_thresholds,
    decoded,
    raw_output,
)
from microshot.tasks.segmenting.size_search import tried_on
from microshot.words import form

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import nn

    from microshot.data.dataset import Sample
    from microshot.inference.predictor import Network
    from microshot.nn.onnx_graph import Graph
    from microshot.tasks.base import Intent, Recipe, Scores
    from microshot.tasks.common_size import Trials
    from microshot.tasks.hyper import Hyper
    from microshot.tasks.lesson import Lesson
    from microshot.training.trainer import Stage


class SegmentTask(Task):
    """See `tasks.base.Task`."""

    name = "segment"
    needs = "label image"
    primary = "f1"
    primary_label = "F1"
    larger_is_better = True
    bears_half = True

    @property
    def parts(self) -> Mapping[str, tuple[str, ...]]:
        """Parts of the network by name."""
        return PARTS

    # ---- training

    def is_labelled(self, sample: Sample) -> bool:
        """A label image teaches, also one without objects."""
        return sample.labels is not None

    def check(self, samples: Sequence[Sample]) -> list[str]:
        """Refuse label images that can teach nothing; warn of suspicious ones that were not generated."""
        areas = [(s, object_areas(s.labels)) for s in samples if s.labels is not None]
        if not any(len(area) for _, area in areas):
            raise ValueError(
                "The label images hold no object at all (every pixel is background); "
                "expected one id per object, check that labels and images were not swapped."
            )
        notes, areas = [], [pair for pair in areas if pair[0].domain == "natural"]
        for sample, area in areas:
            part = area[0] / np.prod(sample.image.shape) if len(area) == 1 else 0.0
            if part > 0.9:
                notes.append(
                    f"{sample.name}: one object covers {part:.0%} of the image; is this a mask of "
                    "the field of view?"
                )
        empty = sum(len(area) == 0 for _, area in areas)
        if empty:
            notes.append(
                f"{empty} of {len(areas)} label images {form(empty, 'holds', 'hold')} no object."
            )
        return notes

    def remarks(
        self, samples: Sequence[Sample], unlabelled: Sequence[Sample], intent: Intent
    ) -> list[str]:
        """Return warnings about labels whose shapes polygons cannot learn."""
        a = intent.recipe.architecture
        return label_shapes.remarks(samples, int(a["rays"])) if a["head"] == "stardist" else []

    def hyper(self, samples: Sequence[Sample], settings: Any, start: Recipe | None) -> Hyper:
        """Resolve automatic training values."""
        return recipes.hyper(samples, settings, start)

    def recipe(self, samples: Sequence[Sample], settings: Any, start: Recipe | None) -> Recipe:
        """Choose scale, normalisation and network; a retrained model keeps the last two."""
        return recipes.recipe(samples, settings, start)

    def checked(self, recipe: Recipe) -> Recipe:
        """Return a model file's recipe completed; refuse one that makes no sense."""
        return recipes.checked(recipe)

    def build(self, architecture: Mapping[str, Any], seed: int) -> nn.Module:
        """Return the network with fresh weights drawn from `seed`."""
        from microshot.device import seeded
        from microshot.nn.segmenter import Segmenter

        with seeded(seed):
            return Segmenter(architecture)

    def graph(self, architecture: Mapping[str, Any]) -> Graph:
        """Return the network as ONNX operators."""
        from microshot.nn.onnx_segmenter import segmenter

        return segmenter(architecture)

    def libraries(self, recipe: Recipe, hyper: Hyper) -> tuple[str, ...]:
        """Return the large libraries that training needs beside PyTorch."""
        polygons = recipe.architecture["head"] == "stardist"
        own = ("stardist.geometry", "stardist.utils") if polygons else ()
        return own + augment.libraries(augment.STRENGTHS[hyper.augmentation])

    def prepare(self, sample: Sample, recipe: Recipe) -> Field:
        """Scale and normalise an image and its labels for cropping."""
        if sample.labels is None:
            raise ValueError(f"{sample.name}: has no label image.")
        shape = scaled_shape(sample.image.shape, training_scale(recipe, sample))
        image = recipe.normalization.apply(resize_image(sample.image.pixels, shape))
        return Field.of(image, resize_labels(sample.labels, shape))

    def stages(self, model: nn.Module, lesson: Lesson[Field, Hyper]) -> list[Stage]:
        """Return the one stage of this task."""
        from microshot.tasks.segmenting.training import stage

        return [stage(model, lesson)]

    # ---- prediction

    def raw(
        self,
        network: Network,
        recipe: Recipe,
        sample: Sample,
        options: Options | None = None,
        progress: Progress = silent,
    ) -> RawSegmentation:
        """Run the network over one image of any size."""
        return raw_output(network, recipe, sample, options or Options(), progress)

    def raw_for_calibration(
        self, network: Network, recipe: Recipe, sample: Sample
    ) -> RawSegmentation:
        """Run the network and keep every candidate a threshold search could ask for."""
        options = Options(
            probability=stardist.LEAST_PROBABILITY,
            diameter_px=told_diameter(recipe, sample),
        )
        return self.raw(network, recipe, sample, options)

    def looking(self, network: Any, recipe: Recipe, settings: Any) -> Any:
        """Return a network that looks at mirror images, too, where that is wished."""
        if not getattr(settings, "mirrored", False):
            return network
        a = recipe.architecture
        rays = int(a["rays"]) if a["head"] == "stardist" else 0
        return Mirrored(network, grid=int(a["grid"]), rays=rays)

    def options(self, settings: Any) -> Options:
        """Take from the user's settings what this task knows."""
        known = [f.name for f in dataclasses.fields(Options) if f.name != "measured"]
        return Options(**{name: getattr(settings, name) for name in known})

    def options_for(
        self,
        network: Network,
        recipe: Recipe,
        sample: Sample,
        options: Options,
        progress: Progress = silent,
    ) -> Options:
        """Find the size of the objects where a model knows all sizes and the user names none."""
        if not is_asked(recipe, options):
            return options
        found = likeliest(_trials(network, recipe, sample, options, progress), options)
        return dataclasses.replace(options, diameter_px=found)

    def n_looked_at(self, recipe: Recipe, options: Options, n: int) -> int:
        """Return in how many of `n` images the size that their objects share is to be looked for."""
        return n_looked_at(recipe, options, n)

    def in_common(
        self,
        network: Network,
        recipe: Recipe,
        samples: Iterable[Sample],
        options: Options,
        progress: Progress = silent,
    ) -> Sizes | None:
        """Find the size that the objects of all images share, in some of them."""
        trials = {}
        for index, sample in enumerate(samples):
            here = span(progress, index / LOOKED_AT, (index + 1) / LOOKED_AT)
            trials[sample.name] = _trials(network, recipe, sample, options, here)
        return common_size(trials, options) if trials else None

    def decode(
        self, raw: RawSegmentation, recipe: Recipe, options: Options | None = None
    ) -> Segmentation:
        """Turn the network's output into objects."""
        return decoded(raw, recipe, options or Options())

    def adapted(self, recipe: Recipe, to: Recipe) -> Recipe:
        """Return `recipe` for images with the object diameter of `to`, which is not looked for then."""
        diameter = to.preparation["image_diameter_px"]
        known = {"image_diameter_px": diameter, "each_image": False}
        preparation = {**recipe.preparation, **known}
        return dataclasses.replace(recipe, preparation=preparation)

    def calibrate(
        self,
        raw: Sequence[RawSegmentation],
        samples: Sequence[Sample],
        recipe: Recipe,
        progress: Progress = silent,
        *,
        held_out: bool = True,
    ) -> dict[str, float]:
        """Find the thresholds that suit the raw outputs on labelled samples best."""
        return best_thresholds(raw, samples, recipe, progress)

    # ---- scores

    def score(self, prediction: Segmentation, sample: Sample, **options: Any) -> Scores:
        """Count hits and misses and average over IoU 0.50 to 0.95.

        An object is a hit at an IoU of `threshold`, 0.5 unless given. Objects that lie entirely
        in a border of `border_px` are not scored.
        """
        border_px = int(options.get("border_px", 0))
        truth = sample.labels
        if truth is None:
            raise ValueError(f"{sample.name}: has no label image to compare with.")
        m = match(truth, prediction.labels, options.get("threshold", 0.5), border_px=border_px)
        precision = average_precision(truth, prediction.labels, border_px=border_px)
        return _scores(m, precision)

    def summarize(self, scores: Sequence[Scores]) -> Scores:
        """Pool hits and misses of all images; average precision is averaged over images."""
        pooled = Tally(
            sum(int(s["true_positives"]) for s in scores),
            sum(int(s["false_positives"]) for s in scores),
            sum(int(s["false_negatives"]) for s in scores),
            sum(s["iou_sum"] for s in scores),
        )
        return _scores(pooled, float(np.mean([s["average_precision"] for s in scores])))


def _trials(
    network: Network, recipe: Recipe, sample: Sample, options: Options, progress: Progress
) -> Trials:
    """Return what came of each size that the objects of an image were taken to have."""
    plain = network.network if isinstance(network, Mirrored) else network

    def segment(part: Sample, diameter_px: float) -> Segmentation:
        told = dataclasses.replace(options, diameter_px=diameter_px)
        return decoded(raw_output(plain, recipe, part, told), recipe, told)

    seen = dataclasses.replace(sample, image=image_for(sample, recipe))
    return tried_on(segment, recipe, seen, progress)


def _scores(tally: Tally, average_precision: float) -> Scores:
    return {
        "true_positives": tally.tp,
        "false_positives": tally.fp,
        "false_negatives": tally.fn,
        "iou_sum": tally.score_sum,
        "f1": tally.f1,
        "panoptic_quality": tally.panoptic_quality,
        "average_precision": average_precision,
    }
