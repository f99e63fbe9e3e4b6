"""Batches and losses of the task *segment* (imports torch)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.augment import STRENGTHS, Augmenter
from microshot.data.patches import draw_patch
from microshot.nn import losses
from microshot.nn.patch_changes import shaded
from microshot.nn.star_targets import star_targets
from microshot.tasks.batches import collate, n_validation_patches, picked, validation
from microshot.tasks.resident import Resident, n_bytes
from microshot.tasks.segmenting import pixels, stardist
from microshot.training.trainer import Batch, Drawing, Losses, Player, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch
    from torch import nn

    from microshot.data.patches import Field
    from microshot.tasks.hyper import Hyper
    from microshot.tasks.lesson import Lesson


class Batches:
    """Draws training batches; batch *i* depends only on the seed and *i*."""

    def __init__(self, lesson: Lesson[Field, Hyper]) -> None:
        self.lesson, self.hyper = lesson, lesson.hyper
        self.architecture = lesson.recipe.architecture
        self.head = str(self.architecture["head"])
        middle = lesson.recipe.normalization.middle
        self.augment = Augmenter(STRENGTHS[self.hyper.augmentation], middle)
        self.margin = self.augment.margin(self.hyper.patch_px)

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step: ``image`` (N, C, P, P) and the head's targets.

        For star-convex polygons these are ``labels`` (N, P, P) still, see `make`.
        """
        rng = np.random.default_rng((self.lesson.seed, step))
        return collate([self._patch(rng) for _ in range(self.hyper.batch_size)])

    def keep(self, device: torch.device, most_bytes: int) -> Drawing | None:
        """Return how to draw and make batches of images kept on a device; None if they do not fit.

        Only the targets of star-convex polygons are made there (see `make`).
        """
        if self.head != "stardist" or n_bytes(self.lesson) > most_bytes:
            return None
        resident = Resident(self.lesson, self.augment.strength, device)

        def make(batch: Batch) -> Batch:
            image, labels = resident.cut(batch)
            return self.make({"image": shaded(image, batch, self.augment.middle), "labels": labels})

        return resident, make

    def _patch(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        size = self.hyper.patch_px
        field = picked(self.lesson, rng)
        image, labels = draw_patch(field, size, rng, self.hyper.foreground_fraction, self.margin)
        image, labels = self.augment(image, labels, size, rng)
        if self.head == "stardist":
            return {"image": image, "labels": labels}
        return {"image": image, **TARGETS[self.head](labels, self.architecture)}

    def make(self, batch: Batch) -> Batch:
        """Replace labels by the targets of star-convex polygons, where the batch is.

        On a processor the compiled code of `stardist` is an order of magnitude faster than
        tensors; the batch of a card never leaves it.
        """
        if "labels" not in batch:
            return batch
        labels = batch["labels"]
        if labels.device.type == "cpu":
            each = [TARGETS[self.head](one, self.architecture) for one in labels.numpy()]
            return {"image": batch["image"], **collate(each)}
        rays, grid = (int(self.architecture[key]) for key in ("rays", "grid"))
        probability, distance = star_targets(labels, rays, grid)
        return {"image": batch["image"], "probability": probability, "distance": distance}


def _stardist_targets(labels: np.ndarray, a: Mapping[str, Any]) -> dict[str, np.ndarray]:
    probability, distance = stardist.targets(labels, int(a["rays"]), int(a["grid"]))
    return {"probability": probability, "distance": distance}


def _foreground_targets(labels: np.ndarray, a: Mapping[str, Any]) -> dict[str, np.ndarray]:
    grid = int(a["grid"])
    target, weight = pixels.foreground_targets(np.ascontiguousarray(labels[::grid, ::grid]))
    return {"target": target, "weight": weight}


def _boundary_targets(labels: np.ndarray, a: Mapping[str, Any]) -> dict[str, np.ndarray]:
    grid = int(a["grid"])
    target, weight = pixels.boundary_targets(np.ascontiguousarray(labels[::grid, ::grid]))
    return {"target": target, "weight": weight}


TARGETS: dict[str, Callable[[np.ndarray, Mapping[str, Any]], dict[str, np.ndarray]]] = {
    "stardist": _stardist_targets,
    "foreground": _foreground_targets,
    "boundary": _boundary_targets,
}


def loss_of(output: torch.Tensor, batch: Batch, head: str) -> Losses:
    """Return the loss of a head and its terms."""
    output = output.float()
    if head == "stardist":
        probability, distance = losses.stardist_loss(
            output, batch["probability"], batch["distance"]
        )
        return {
            "loss": probability + distance,
            "probability_loss": probability,
            "distance_loss": distance,
        }
    if head == "foreground":
        return {"loss": losses.weighted_bce(output[:, 0], batch["target"], batch["weight"])}
    return {"loss": losses.weighted_cross_entropy(output, batch["target"], batch["weight"])}


def stage(model: nn.Module, lesson: Lesson[Field, Hyper]) -> Stage:
    """Return the training of a segmentation network."""
    batches = Batches(lesson)
    player = Player(
        "network",
        list(model.parameters()),
        lambda batch: loss_of(model(batch["image"]), batch, batches.head),
        lesson.hyper.learning_rate,
    )
    check = _validation(lesson) if lesson.validation else None
    return Stage("training", [player], batches, check, make=batches.make, keep=batches.keep)


def _validation(lesson: Lesson[Field, Hyper]) -> Callable[[nn.Module], dict[str, float]]:
    """Return a function that computes the loss on a fixed set of unchanged patches."""
    fields, hyper, architecture = lesson.validation, lesson.hyper, lesson.recipe.architecture
    rng = np.random.default_rng((lesson.seed, 2**31))
    head = str(architecture["head"])
    make = TARGETS[head]
    patches = []
    for index in range(n_validation_patches(len(fields), hyper)):
        image, labels = draw_patch(fields[index % len(fields)], hyper.patch_px, rng, 1.0)
        patches.append({"image": image, **make(labels, architecture)})
    return validation(
        patches,
        hyper.batch_size,
        lambda model, batch: loss_of(model(batch["image"]), batch, head),
    )
