"""Batches, losses and stages of the task *translate* (imports torch)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from microshot.data.augment import Augmenter
from microshot.data.patches import draw_patch
from microshot.device import seeded
from microshot.nn import translation_losses as losses
from microshot.nn.dense_unet import be_frugal
from microshot.nn.losses import masked_mean
from microshot.nn.patch_changes import shaded
from microshot.nn.patch_gan import PatchGAN
from microshot.nn.translator_geometry import has_mask
from microshot.tasks.batches import collate, picked
from microshot.tasks.resident import Resident, n_bytes
from microshot.tasks.translating.recipes import CHANGES
from microshot.tasks.translating.selection import Selection, parts_of
from microshot.training.trainer import Batch, Drawing, Losses, Player, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from microshot.data.patches import Field
    from microshot.tasks.lesson import Lesson
    from microshot.tasks.translating.recipes import TranslateHyper


class Batches:
    """Draws training batches; batch *i* depends only on the seed and *i*.

    A field holds planes and stains in one array, so that both are cut and turned alike; only
    the planes change in brightness.
    """

    def __init__(self, lesson: Lesson[Field, TranslateHyper]) -> None:
        self.lesson, self.hyper = lesson, lesson.hyper
        self.n_planes = int(lesson.recipe.architecture["in_channels"])
        strength = CHANGES[self.hyper.augmentation]
        self.shapes = Augmenter(strength.of_shapes)
        self.shades = Augmenter(strength, lesson.recipe.normalization.middle)
        self.margin = self.shapes.margin(self.hyper.patch_px)

    def __call__(self, step: int) -> Batch:
        """Return ``image`` (N, C, P, P), ``target`` (N, T, P, P) and ``mask`` (N, P, P)."""
        rng = np.random.default_rng((self.lesson.seed, step))
        return collate([self._patch(rng) for _ in range(self.hyper.batch_size)])

    def keep(self, device: torch.device, most_bytes: int) -> Drawing | None:
        """Return how to draw and make batches of images kept on a device; None if they do not fit."""
        if n_bytes(self.lesson) > most_bytes:
            return None
        resident = Resident(self.lesson, self.shades.strength, device)

        def make(batch: Batch) -> Batch:
            both, labels = resident.cut(batch)
            image = shaded(both[:, : self.n_planes], batch, self.shades.middle)
            shown = {"image": image, "target": both[:, self.n_planes :]}
            dense = {k: v.contiguous(memory_format=torch.channels_last) for k, v in shown.items()}
            return {**dense, "mask": labels.sign().long()}

        return resident, make

    def _patch(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        size = self.hyper.patch_px
        field = picked(self.lesson, rng)
        both, labels = draw_patch(field, size, rng, self.hyper.foreground_fraction, self.margin)
        both, labels = self.shapes(both, labels, size, rng)
        patch = parts_of(both, labels, self.n_planes)
        return {**patch, "image": self.shades.values(patch["image"], rng)}


class Learning:
    """What a network says of a batch, and how far that is from the truth."""

    def __init__(self, model: nn.Module, terms: Mapping[str, float], *, masks: bool) -> None:
        self.model, self.terms, self.masks = model, terms, masks

    def __call__(self, batch: Batch) -> tuple[torch.Tensor, Losses]:
        """Return the stains (N, T, Y, X) and the losses without an adversary.

        A network with two decoders always learns the mask: as one of the terms of the loss for
        nuclei, else beside the others with a weight of 1.
        """
        target = batch["target"]
        if not self.masks:
            image = self.model(batch["image"]).float()
            return image, self._sum(
                {name: losses.TERMS[name](image, target) for name in self.terms}
            )
        out = self.model.outputs(batch["image"])  # type: ignore[operator]
        image = out.image.float()
        if "nuclei" in self.terms:
            return image, losses.nuclei_loss(out, target, batch["mask"])
        found = self._sum({name: losses.TERMS[name](image, target) for name in self.terms})
        bce, counts = losses.mask_bce(out.logits.float(), batch["mask"])
        found["mask_bce"] = masked_mean(bce, counts)
        return image, {**found, "loss": found["loss"] + found["mask_bce"]}

    def _sum(self, values: Losses) -> Losses:
        total = torch.stack([weight * values[name] for name, weight in self.terms.items()]).sum()
        return {"loss": total, **values}


class Contest:
    """A network and its adversary; both are judged on the same forward pass of the network.

    Where a batch is learned from in parts, the pass is repeated for the network: only the last
    one is remembered.
    """

    def __init__(self, learning: Learning, adversary: nn.Module, weight: float) -> None:
        self.learning, self.adversary, self.weight = learning, adversary, weight
        self.relativistic = losses.RelativisticLoss()
        self.last: tuple[Batch, torch.Tensor, Losses] | None = None

    def adversary_loss(self, batch: Batch) -> Losses:
        """Return the adversary's loss; comes first in every step."""
        self.adversary.to(batch["image"].device)
        self.adversary.requires_grad_()
        self.last = None  # what it holds in memory goes first
        stains, found = self.learning(batch)
        self.last = batch, stains, found
        made = self._judge(batch, stains.detach())
        real = self._judge(batch, batch["target"])
        return {"loss": self.relativistic.discriminator(real, made)}

    def network_loss(self, batch: Batch) -> Losses:
        """Return the network's loss, which must deceive the adversary too."""
        stains, found = self._remembered(batch)
        self.adversary.requires_grad_(requires_grad=False)
        made = self._judge(batch, stains)
        with torch.no_grad():
            real = self._judge(batch, batch["target"])
        deceit = self.relativistic.generator(real, made)
        return {**found, "loss": found["loss"] + self.weight * deceit, "adversarial": deceit}

    def _remembered(self, batch: Batch) -> tuple[torch.Tensor, Losses]:
        """Return the last pass if it was over this batch, else a new one; forget the last."""
        last, self.last = self.last, None
        if last is not None and last[0] is batch:
            return last[1:]
        last = None  # and free what it holds in memory
        return self.learning(batch)

    def _judge(self, batch: Batch, stains: torch.Tensor) -> torch.Tensor:
        return self.adversary(torch.cat([batch["image"], stains], dim=1))


def stages(model: nn.Module, lesson: Lesson[Field, TranslateHyper]) -> list[Stage]:
    """Return the training of a translation network: alone, or alone and then with an adversary."""
    hyper, architecture = lesson.hyper, lesson.recipe.architecture
    masks = has_mask(architecture)
    be_frugal(model, frugal=hyper.frugal)
    batches = Batches(lesson)
    parameters = list(model.parameters())
    held_out = Selection(lesson) if lesson.validation else None

    def alone(name: str, terms: Mapping[str, float], share: float) -> Stage:
        learning = Learning(model, terms, masks=masks)
        player = Player(
            "network", parameters, lambda batch: learning(batch)[1], hyper.learning_rate
        )
        check = held_out and held_out.by(learning)
        return Stage(name, [player], batches, check, share, keep=batches.keep)

    if not hyper.adversarial:
        return [alone("training", hyper.terms, 1.0)]
    learning = Learning(model, hyper.terms, masks=masks)
    n_channels = int(architecture["in_channels"]) + int(architecture["out_channels"])
    with seeded(lesson.seed):
        adversary = PatchGAN(n_channels, n_layers=hyper.adversary_layers)
    contest = Contest(learning, adversary, hyper.adversarial)
    players = [
        Player(
            "adversary", list(adversary.parameters()), contest.adversary_loss, hyper.adversary_rate
        ),
        Player("network", parameters, contest.network_loss, hyper.learning_rate),
    ]
    check = held_out and held_out.by(learning)
    share = 1 - hyper.pretraining
    last = Stage("adversarial", players, batches, check, share, keep=batches.keep)
    if hyper.pretraining <= 0:
        return [last]
    return [alone("pretraining", hyper.pretraining_terms, hyper.pretraining), last]
