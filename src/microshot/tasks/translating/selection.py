"""By which score on held-out crops the best state of a translation network is chosen (imports torch)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from microshot.data.patches import draw_patch
from microshot.metrics.feature_scoring import feature_errors, feature_score
from microshot.metrics.stain_features import measure_stains, stain_keys, typical_nucleus
from microshot.metrics.stain_objects import GreyScale
from microshot.nn.translation_losses import MEDIAN_FLOOR
from microshot.tasks.batches import n_validation_patches, validation
from microshot.tasks.translating.recipes import stain_range

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from microshot.data.patches import Field
    from microshot.tasks.base import Recipe
    from microshot.tasks.batches import Patch
    from microshot.tasks.lesson import Lesson
    from microshot.tasks.translating.recipes import TranslateHyper
    from microshot.training.trainer import Batch, Losses

    Learning = Callable[[Batch], tuple[torch.Tensor, Losses]]

#: Choices of `TranslateHyper.selection` that ask for the measurement of objects, which takes time.
BY_FEATURES = ("feature", "both")


def parts_of(both: np.ndarray, labels: np.ndarray, n_planes: int) -> Patch:
    """Divide a patch into planes, stains and mask (1 nucleus, 0 background, -1 unknown)."""
    return {
        "image": both[:n_planes],
        "target": both[n_planes:],
        "mask": np.sign(labels).astype(np.int64),
    }


class FeatureJudge:
    """Measures predicted crops and compares with what was measured on the true ones, once."""

    def __init__(self, names: Sequence[str], truths: np.ndarray) -> None:
        """Measure `truths` (N, T, Y, X), crops of the stains called `names`."""
        self.keys = stain_keys(names)
        self.nucleus_px = typical_nucleus(names, truths)
        self.scales = [[GreyScale.of(stain) for stain in truth] for truth in truths]
        self.truths = self._measured(truths)

    def __call__(self, predictions: np.ndarray) -> float:
        """Return the feature score of predictions of the same crops, in the same order.

        NaN where a network that has diverged predicts no numbers: its state is never the best.
        """
        if not np.isfinite(predictions).all():
            return float("nan")
        return feature_score(feature_errors(self.truths, self._measured(predictions)))

    def _measured(self, crops: np.ndarray) -> list[dict[str, float]]:
        return [
            measure_stains(
                dict(zip(self.keys, crop, strict=True)),
                dict(zip(self.keys, scales, strict=True)),
                self.nucleus_px,
            )
            for crop, scales in zip(crops, self.scales, strict=True)
        ]


class Selection:
    """Scores networks on a fixed set of unchanged crops of held-out images."""

    def __init__(self, lesson: Lesson[Field, TranslateHyper]) -> None:
        fields, hyper, recipe = lesson.validation, lesson.hyper, lesson.recipe
        rng = np.random.default_rng((lesson.seed, 2**31))
        n_planes = int(recipe.architecture["in_channels"])
        self.selection, self.batch_size = hyper.selection, hyper.batch_size
        self.patches: list[Patch] = []
        for index in range(n_validation_patches(len(fields), hyper)):
            field = fields[index % len(fields)]
            both, labels = draw_patch(field, hyper.patch_px, rng, hyper.foreground_fraction)
            self.patches.append(parts_of(both, labels, n_planes))
        truths = np.stack([p["target"] for p in self.patches])
        self.medians = torch.from_numpy(_camera_medians(truths, recipe))
        names = recipe.preparation["targets"]
        self.judge = FeatureJudge(names, truths) if self.selection in BY_FEATURES else None

    def by(self, learning: Learning) -> Callable[[nn.Module], dict[str, float]]:
        """Return a function that scores the network whose losses are those of `learning`.

        ``loss``, by which the best state is kept, is what the selection names: the weighted loss;
        the pixel score, the mean over the stains of their mean error over the median of all
        crops, both in the camera's numbers; the feature score, see `metrics.feature_scoring`; or
        the mean of these two, by which the adipocyte challenge ranks. Beside it stand the scores,
        and the loss as ``weighted_loss``.
        """
        made: list[np.ndarray] = []

        def found(_: nn.Module, batch: Batch) -> Losses:
            image, terms = learning(batch)
            if self.judge is not None:
                made.append(image.float().cpu().numpy())
            errors = (image - batch["target"]).abs().mean(dim=(0, 2, 3))
            return {**terms, "pixel_score": (errors / self.medians.to(image.device)).mean()}

        score = validation(self.patches, self.batch_size, found)

        def validate(model: nn.Module) -> dict[str, float]:
            made.clear()
            sums = score(model)
            if self.judge is not None:
                sums["feature_score"] = self.judge(np.concatenate(made))
            if self.selection != "loss":
                best = _criterion(sums, self.selection)
                sums["weighted_loss"], sums["loss"] = sums["loss"], best
            return sums

        return validate


def _camera_medians(truths: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Return the median (T,) float32 of stains (N, T, Y, X), counted from the camera's 0.

    In units of the network's range, as errors are, whose own 0 is the stain's darkest value.
    """
    fitted = stain_range(recipe)
    zero = np.divide(np.asarray(fitted.offset), np.asarray(fitted.scale))
    medians = np.median(truths, axis=(0, 2, 3)) + zero
    return np.maximum(medians, MEDIAN_FLOOR).astype(np.float32)


def _criterion(scores: dict[str, float], selection: str) -> float:
    names = {"pixel": ("pixel_score",), "feature": ("feature_score",)}
    parts = names.get(selection, ("pixel_score", "feature_score"))
    return sum(scores[name] for name in parts) / len(parts)
