"""What the batches and the validation of all tasks share (imports torch)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import nn

    from microshot.tasks.hyper import Hyper
    from microshot.tasks.lesson import Lesson
    from microshot.training.trainer import Batch, Losses

T = TypeVar("T")
Patch = dict[str, np.ndarray]

#: Patches scored for the validation curve, at most.
MAX_VALIDATION_PATCHES = 32


def picked(lesson: Lesson[T, Any], rng: np.random.Generator) -> T:
    """Draw one item, a synthetic one with the probability `hyper.synthetic_fraction`."""
    natural, synthetic, part = lesson.natural, lesson.synthetic, lesson.hyper.synthetic_fraction
    items = synthetic if synthetic and (not natural or rng.random() < part) else natural
    return items[int(rng.integers(len(items)))]


def collate(patches: Sequence[Mapping[str, np.ndarray]]) -> Batch:
    """Stack patches into tensors."""
    return {
        key: torch.from_numpy(np.ascontiguousarray(np.stack([p[key] for p in patches])))
        for key in patches[0]
    }


def n_validation_patches(n_items: int, hyper: Hyper) -> int:
    """Return how many patches of `n_items` held-out images are scored."""
    return min(MAX_VALIDATION_PATCHES, max(n_items, 4 * hyper.batch_size))


def validation(
    patches: Sequence[Patch], batch_size: int, losses: Callable[[nn.Module, Batch], Losses]
) -> Callable[[nn.Module], dict[str, float]]:
    """Return a function that averages `losses` of a network over fixed patches."""
    starts = range(0, len(patches), batch_size)
    groups = [collate(patches[i : i + batch_size]) for i in starts]

    def validate(model: nn.Module) -> dict[str, float]:
        device = next(model.parameters()).device
        sums: dict[str, float] = {}
        for group in groups:
            batch = {k: v.to(device) for k, v in group.items()}
            weight = len(batch["image"]) / len(patches)
            for key, value in losses(model, batch).items():
                sums[key] = sums.get(key, 0.0) + weight * float(value)
        return sums

    return validate
