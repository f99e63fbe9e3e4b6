"""What is drawn for batches and how the validation averages, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from microshot.data.normalize import Normalization
from microshot.tasks.base import Recipe
from microshot.tasks.batches import n_validation_patches, picked, validation
from microshot.tasks.hyper import Hyper
from microshot.tasks.lesson import Lesson

if TYPE_CHECKING:
    from microshot.training.trainer import Batch

HYPER = Hyper(1e-3, 4, 32, "light", synthetic_fraction=0.2)


def lesson(natural: str, synthetic: str) -> Lesson[str, Hyper]:
    return Lesson(Recipe({}, Normalization()), HYPER, natural, synthetic)


def test_a_fifth_of_the_items_is_synthetic_where_a_fifth_is_wished_and_both_are_there() -> None:
    rng = np.random.default_rng(0)
    drawn = [picked(lesson("abc", "xy"), rng) for _ in range(3000)]
    shares = [drawn.count(item) / len(drawn) for item in "abcxy"]
    assert shares == pytest.approx([0.8 / 3] * 3 + [0.1] * 2, abs=0.03)
    assert {picked(lesson("ab", ""), rng) for _ in range(50)} == {"a", "b"}
    assert {picked(lesson("", "xy"), rng) for _ in range(50)} == {"x", "y"}


@pytest.mark.parametrize(("n_images", "n_patches"), [(1, 16), (20, 20), (31, 31), (400, 32)])
def test_every_held_out_image_is_validated_on_up_to_32_patches(n_images, n_patches) -> None:
    assert n_validation_patches(n_images, HYPER) == n_patches


def test_every_patch_counts_alike_also_in_a_last_batch_that_is_smaller() -> None:
    patches = [{"image": np.full((1, 2, 2), value, np.float32)} for value in (1, 2, 3, 4, 20)]
    sizes = []

    def losses(model: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        sizes.append(len(batch["image"]))
        return {"loss": batch["image"].mean(), "one": torch.tensor(1.0)}

    found = validation(patches, 2, losses)(nn.Linear(1, 1))
    assert sizes == [2, 2, 1]
    assert found == {"loss": pytest.approx(30 / 5), "one": pytest.approx(1)}
