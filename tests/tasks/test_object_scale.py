"""At which scale networks see images."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microshot.settings import TrainSettings
from microshot.tasks.object_scale import (
    GREATEST_SCALE,
    LEAST_SCALE,
    assumed_size,
    clipped,
    preparation,
    scale_of,
    told_diameter,
    training_scale,
)
from microshot.tasks.segmenting.recipes import recipe
from tiny_models import changed, field, fields

FAST = TrainSettings()
REAL = fields(2).samples


@given(st.floats(1e-3, 1e3))
def test_images_are_never_enlarged_or_reduced_without_limit(scale) -> None:
    found = clipped(scale)
    assert LEAST_SCALE <= found <= GREATEST_SCALE
    if abs(scale - 1) < 0.05:
        assert found == 1
    elif LEAST_SCALE <= scale <= GREATEST_SCALE:
        assert found == scale


def test_images_are_enlarged_twice_reduced_eightfold_and_left_alone_where_it_hardly_matters() -> (
    None
):
    scales = [0.1, 0.13, 0.94, 0.96, 1.04, 1.06, 1.9, 2.1]
    assert [clipped(s) for s in scales] == [0.125, 0.13, 0.94, 1, 1, 1.06, 1.9, 2]


def test_generated_images_are_scaled_one_by_one_and_real_ones_together() -> None:
    small, large = field(1, radius=7), field(2, shape=(128, 128), radius=20)
    made = recipe([small, large], FAST, None)
    assert training_scale(made, small) == training_scale(made, large) == scale_of(made)
    each = dataclasses.replace(made, preparation={**made.preparation, "each_image": True})
    assert training_scale(each, small) > 2 * training_scale(each, large)
    generated = dataclasses.replace(large, domain="synthetic")
    assert training_scale(made, generated) == training_scale(each, large)
    alone = recipe([large], FAST, None).preparation["image_diameter_px"]
    assert training_scale(each, large) == 24 / alone
    bare = dataclasses.replace(generated, labels=None)
    assert training_scale(each, bare) == scale_of(made)
    empty = dataclasses.replace(generated, labels=np.zeros((128, 128), np.int32))
    assert training_scale(each, empty) == scale_of(made)


def test_the_diameter_is_the_median_over_the_objects_of_all_images() -> None:
    """One square of 10 px in the first image and two of 20 px in the second: that of equal area, 22.57 px."""
    first, second = np.zeros((64, 72), np.int32), np.zeros((64, 72), np.int32)
    first[:10, :10], second[:20, :20], second[30:50, 30:50] = 1, 1, 2
    samples = [dataclasses.replace(field(1), labels=labels) for labels in (first, second, None)]
    for some in (samples, samples[::-1]):
        found = preparation(some, FAST, None, 24.0)
        assert found["image_diameter_px"] == pytest.approx(2 * 20 / np.pi**0.5)
        assert (found["working_diameter_px"], found["each_image"]) == (24, False)


def test_only_a_model_that_learned_images_one_by_one_is_told_how_large_objects_are() -> None:
    small = dataclasses.replace(field(1, radius=7), domain="synthetic")
    large = field(2, shape=(128, 128), radius=20)
    together = recipe([large], FAST, None)
    assert told_diameter(together, small) == told_diameter(together, large) == 0
    one_by_one = recipe([small], FAST, None)
    assert told_diameter(one_by_one, large) > 2 * told_diameter(one_by_one, small) > 0
    own = one_by_one.preparation["image_diameter_px"]
    assert f"taken to be {own:.3g} px across" in assumed_size(one_by_one)
    assert not assumed_size(together)
    assert told_diameter(one_by_one, dataclasses.replace(small, labels=None)) == own
    empty = dataclasses.replace(small, labels=np.zeros_like(small.labels))
    assert told_diameter(one_by_one, empty) == own


def test_the_diameter_of_new_images_can_be_told() -> None:
    made = recipe(REAL, changed(FAST, images__diameter_px=24.0), None)
    assert scale_of(made) == 1
    assert scale_of(made, 12) == 2
    assert scale_of(made, 48) == 0.5
