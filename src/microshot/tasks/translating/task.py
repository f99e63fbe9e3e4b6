"""The task *translate*: fluorescence stains from planes of bright field.

Planes are normalised as a whole, go through the network in overlapping tiles, and what comes
out is brought back to the numbers the camera measured for the stains of the training images.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data import augment
from microshot.data.objects import centroids
from microshot.data.patches import Field
from microshot.inference.mirroring import Mirrored
from microshot.metrics.conformal_maps import MaskCalibration
from microshot.metrics.overlap import ForegroundOverlap, foreground_overlap
from microshot.metrics.stain_scoring import stain_scores
from microshot.nn.translator_geometry import PARTS, has_mask
from microshot.progress import Progress, silent
from microshot.settings import TranslateSettings
from microshot.tasks.base import Task
from microshot.tasks.translating import checked_recipes, recipes, stacks
from microshot.tasks.translating.alignment import aligned
from microshot.tasks.translating.magnification import scale_for
from microshot.tasks.translating.translation import (
    Options,
    RawTranslation,
    Translation,
    decoded,
    raw_output,
)
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from microshot.data.dataset import Sample
    from microshot.data.image import Image
    from microshot.inference.predictor import Network
    from microshot.nn.onnx_graph import Graph
    from microshot.tasks.base import Intent, Recipe, Scores
    from microshot.tasks.hyper import Hyper
    from microshot.tasks.lesson import Lesson
    from microshot.training.trainer import Stage

#: Thresholds tried for the mask.
MASK_THRESHOLDS = np.arange(0.1, 0.95, 0.05)
#: Where the pixels of background and of nuclei are.
_CLASSES = (lambda labels: labels == 0, lambda labels: labels > 0)
_SCORES = ("pearson", "med_mae", "psnr", "ssim")


class TranslateTask(Task):
    """See `tasks.base.Task`.

    Pearson's r says which of two models is better. It does not depend on exposure, so that models
    are comparable across cameras, has no denominator that vanishes for sparse stains as
    the challenge's median error does, and is what comparable systems report. The error in
    the camera's numbers stands beside it.
    """

    name = "translate"
    needs = "measured stain"
    primary = "pearson"
    primary_label = "Pearson r"
    larger_is_better = True
    takes_stacks = True

    @property
    def parts(self) -> Mapping[str, tuple[str, ...]]:
        """Parts of the network by name."""
        return PARTS

    # ---- training

    def is_labelled(self, sample: Sample) -> bool:
        """A measured stain teaches; a mask alone does not."""
        return sample.target is not None

    def check(self, samples: Sequence[Sample]) -> list[str]:
        """Refuse stains that can teach nothing; warn of suspicious images."""
        stacks.refuse_coloured_stains(samples)
        first = samples[0]
        assert first.target is not None
        for sample in samples:
            if sample.target is not None and sample.target.n_channels != first.target.n_channels:
                raise ValueError(
                    f"{sample.name}: expected {how_many(first.target.n_channels, 'stain')} as in "
                    f"{first.name}, found {sample.target.n_channels}; all images must have the "
                    "same."
                )
        targets = [(s.name, s.target.pixels) for s in samples if s.target is not None]
        odd = []
        for stain, called in enumerate(recipes.names_of_stains(first.target)):
            empty = [name for name, pixels in targets if np.ptp(pixels[stain]) == 0]
            if len(empty) == len(targets):
                raise ValueError(
                    f'The stain "{called}" is empty in every image (every pixel has the same value); '
                    "check that its column or files hold the measured fluorescence."
                )
            text = f'the stain "{called}" is empty (every pixel has the same value).'
            odd += [stacks.Oddity(f"empty {called}", name, text) for name in empty]
        shallow = sum(pixels.dtype == np.uint8 for _, pixels in targets)
        notes = stacks.told(odd)
        if shallow:
            notes.append(
                f"Stains have 8 bits, not 16, in {shallow} of {how_many(len(targets), 'image')}, so "
                "dim structures are lost; export them with 16 bits, as the camera measured them."
            )
        looks = (stacks.flat, stacks.saturated, stacks.coloured)
        return notes + stacks.told(o for s in samples for look in looks for o in look(s))

    def arranged(
        self, samples: Sequence[Sample], settings: Any, progress: Progress = silent
    ) -> tuple[Sequence[Sample], list[str]]:
        """Compare planes and stains, and lay them on each other where that is wished."""
        return aligned(samples, settings.translation.registration, progress)

    def hyper(self, samples: Sequence[Sample], settings: Any, start: Recipe | None) -> Hyper:
        """Resolve automatic training values."""
        return recipes.hyper(samples, settings, start)

    def remarks(
        self, samples: Sequence[Sample], unlabelled: Sequence[Sample], intent: Intent
    ) -> list[str]:
        """Return warnings about missing masks, and planes that lie the other way around."""
        return recipes.remarks(samples, intent)

    def recipe(self, samples: Sequence[Sample], settings: Any, start: Recipe | None) -> Recipe:
        """Choose network and ranges; a retrained model keeps its network."""
        return recipes.recipe(samples, settings, start)

    def checked(self, recipe: Recipe) -> Recipe:
        """Return a model file's recipe completed; refuse one that makes no sense."""
        return checked_recipes.checked(recipe)

    def build(self, architecture: Mapping[str, Any], seed: int) -> nn.Module:
        """Return the network with fresh weights drawn from `seed`."""
        from microshot.device import seeded
        from microshot.nn.translators import build_translator

        with seeded(seed):
            return build_translator(architecture)

    def graph(self, architecture: Mapping[str, Any]) -> Graph | None:
        """Return the network as ONNX operators; None of the one with two decoders."""
        from microshot.nn.onnx_translators import translator

        return translator(architecture)

    def libraries(self, recipe: Recipe, hyper: Hyper) -> tuple[str, ...]:
        """Return the large libraries that training needs beside PyTorch."""
        return augment.libraries(recipes.CHANGES[hyper.augmentation])

    def image(self, sample: Sample, recipe: Recipe, options: Options | None = None) -> Image:
        """Return the stack as the model takes it; another magnification may be refused."""
        scale_for(recipe, sample, (options or Options()).magnification)
        return super().image(sample, recipe)

    def prepare(self, sample: Sample, recipe: Recipe) -> Field:
        """Normalise planes and stains, one above the other, and find the middles of nuclei.

        Without labels the mask is unknown everywhere and crops lie anywhere. A network whose
        output ends at 0 and 1 gets stains that do so too.
        """
        if sample.target is None:
            raise ValueError(f"{sample.name}: has no measured stain.")
        planes = recipe.normalization.apply(sample.image.pixels)
        stains = recipes.stain_range(recipe).apply(sample.target.pixels)
        if recipe.architecture["output"] == "scaled-tanh":
            stains = np.clip(stains, 0, 1)
        labels = sample.labels
        if labels is None:
            labels = np.full(sample.image.shape, -1, np.int32)
        field = Field.of(np.concatenate([planes, stains]), labels)
        return dataclasses.replace(field, foreground=centroids(field.labels).astype(np.int32))

    def stages(
        self, model: nn.Module, lesson: Lesson[Field, recipes.TranslateHyper]
    ) -> list[Stage]:
        """Return training alone, or pretraining and then training with an adversary."""
        from microshot.tasks.translating.training import stages

        return stages(model, lesson)

    def adapted(self, recipe: Recipe, to: Recipe) -> Recipe:
        """Return `recipe` for stains measured as those of `to`."""
        if recipe.architecture["out_channels"] != to.architecture["out_channels"]:
            return recipe
        same = {key: to.preparation[key] for key in ("stain_range", "targets", "target_dtype")}
        return dataclasses.replace(recipe, preparation={**recipe.preparation, **same})

    def calibrate(
        self,
        raw: Sequence[RawTranslation],
        samples: Sequence[Sample],
        recipe: Recipe,
        progress: Progress = silent,
        *,
        held_out: bool = True,
    ) -> dict[str, Any]:
        """Find the mask threshold with the best Dice coefficient, where there are masks.

        On images not trained on, also remember how strange pixels of each class look, from
        which confidence is told.
        """
        if not has_mask(recipe.architecture):
            return {}
        pairs = [
            (s.labels, r.mask)
            for s, r in zip(samples, raw, strict=True)
            if s.labels is not None and r.mask is not None
        ]
        best, found = -1.0, recipes.DEFAULT_MASK_THRESHOLD
        for index, threshold in enumerate(MASK_THRESHOLDS if pairs else ()):
            progress(index / len(MASK_THRESHOLDS), "setting thresholds")
            overlap = ForegroundOverlap(0, 0, 0)
            for labels, mask in pairs:
                overlap += foreground_overlap(labels, (mask > threshold).astype(np.uint8))
            if overlap.dice > best:
                best, found = overlap.dice, round(float(threshold), 2)
        if not (held_out and all(any(c(x).any() for x, _ in pairs) for c in _CLASSES)):
            return {"mask": found}
        labels, masks = zip(*pairs, strict=True)
        calibration = MaskCalibration.fit([m.astype(np.float32) for m in masks], labels)
        return {"mask": found, "confidence": calibration.to_json()}

    # ---- prediction

    def raw(
        self,
        network: Network,
        recipe: Recipe,
        sample: Sample,
        options: Options | None = None,
        progress: Progress = silent,
    ) -> RawTranslation:
        """Run the network over one image of any size."""
        return raw_output(network, recipe, sample, options or Options(), progress)

    def looking(self, network: Any, recipe: Recipe, settings: Any) -> Any:
        """Return a network that looks at mirror images, too, where that is wished.

        The mask stays that of the image as it lies, from which confidence was learned.
        """
        if not getattr(settings, "mirrored", False):
            return network
        return Mirrored(network, plain=int(has_mask(recipe.architecture)))

    def options(self, settings: Any) -> Options:
        """Take from the user's settings what this task knows."""
        if not isinstance(settings, TranslateSettings):
            settings = TranslateSettings(tile_px=settings.tile_px)
        return Options(settings.tile_px, settings.magnification, settings.allowed_error)

    def decode(
        self, raw: RawTranslation, recipe: Recipe, options: Options | None = None
    ) -> Translation:
        """Turn the network's output into stains in the camera's own numbers."""
        return decoded(raw, recipe, options or Options())

    # ---- scores

    def score(self, prediction: Translation, sample: Sample, **options: Any) -> Scores:
        """Compare every stain with the measured one, and the mask with the labels.

        ``pearson``, ``psnr`` (dB), ``ssim`` and ``med_mae`` (mean error over the image's median) are
        means over the stains; with a stain's name behind it is that stain's own.
        """
        truth, found = prediction.measured(sample), prediction.stains
        each = [stain_scores(t, p) for t, p in zip(truth, found.pixels, strict=True)]
        scores = _means(each, _SCORES)
        if len(each) > 1:
            for name, own in zip(found.channels, each, strict=True):
                scores |= {f"{key}_{name}": value for key, value in own.items()}
        if sample.labels is not None and prediction.mask is not None:
            overlap = foreground_overlap(sample.labels, prediction.mask.astype(np.uint8))
            scores |= {"mask_iou": overlap.iou, "mask_dice": overlap.dice}
        return scores

    def summarize(self, scores: Sequence[Scores]) -> Scores:
        """Average over images; a score that an image does not have is left out of its mean."""
        names = dict.fromkeys(k for row in scores for k in row if k != "name")
        return {**dict.fromkeys(_SCORES, float("nan")), **_means(scores, names)}


def _means(rows: Sequence[Scores], names: Any) -> Scores:
    """Return the mean of each named number over the rows that have it; NaN if none does."""
    means = {}
    for name in names:
        values = [row[name] for row in rows if not np.isnan(row.get(name, np.nan))]
        means[name] = float(np.mean(values)) if values else float("nan")
    return means
