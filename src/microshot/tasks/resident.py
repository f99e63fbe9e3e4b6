"""Training images kept on a graphics card, and batches cut and changed there (imports torch).

The processor draws what is to be cut and how it is to be changed, which is a few numbers per patch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from microshot.data.augment import Shade, Strength, drawn_map, drawn_shade
from microshot.data.patches import drawn_corner
from microshot.nn.patch_changes import cut, kept
from microshot.tasks.batches import collate, picked

if TYPE_CHECKING:
    from microshot.data.patches import Field
    from microshot.tasks.hyper import Hyper
    from microshot.tasks.lesson import Lesson
    from microshot.training.trainer import Batch


def n_bytes(lesson: Lesson[Field, Hyper]) -> int:
    """Return how many bytes the fields that are learned from take on a device."""
    fields = dict.fromkeys([*lesson.natural, *lesson.synthetic])
    return sum(field.image.nbytes + field.labels.nbytes for field in fields)


class Resident:
    """Fields on a device; what batch *i* is cut from and how depends only on the seed and *i*."""

    def __init__(
        self, lesson: Lesson[Field, Hyper], strength: Strength, device: torch.device
    ) -> None:
        self.lesson, self.hyper, self.strength = lesson, lesson.hyper, strength
        fields = list(dict.fromkeys([*lesson.natural, *lesson.synthetic]))
        self.number = {field: i for i, field in enumerate(fields)}
        self.images = kept([f.image for f in fields], [f.labels for f in fields], device)

    def __call__(self, step: int) -> Batch:
        """Return which patches make the batch of a step, and how they change (see `patch_changes`).

        Of the fields of `Shade` there are those that change any of its patches.
        """
        rng = np.random.default_rng((self.lesson.seed, step))
        places, shades = zip(*(self._drawn(rng) for _ in range(self.hyper.batch_size)), strict=True)
        columns = zip(Shade._fields, Shade(), np.array(shades, np.float32).T, strict=True)
        changes = {name: c.copy() for name, still, c in columns if (c != still).any()}
        return {**collate(places), **{name: torch.from_numpy(c) for name, c in changes.items()}}

    def _drawn(self, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], Shade]:
        hyper = self.hyper
        field = picked(self.lesson, rng)
        corner = drawn_corner(field, hyper.patch_px, rng, hyper.foreground_fraction)
        back = drawn_map(self.strength, rng).astype(np.float32)
        which = np.array(self.number[field])
        place = {"which": which, "corner": np.array(corner), "back": back}
        return place, drawn_shade(self.strength, rng)

    def cut(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the patches (N, C, P, P) of a drawn batch and their labels (N, P, P)."""
        which, corner, back = (batch[key] for key in ("which", "corner", "back"))
        size = self.hyper.patch_px
        return cut(self.images, which, corner, back, size, cubic=self.strength.cubic)
