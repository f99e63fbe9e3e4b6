"""Choices of the task: presets, synthetic-only training, retraining, reading tolerantly."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microshot.data.normalize import Normalization
from microshot.nn.geometry import halo_px, side_multiple
from microshot.settings import RetrainSettings, TrainSettings
from microshot.tasks.base import Recipe
from microshot.tasks.object_scale import scale_of, training_scale
from microshot.tasks.segmenting.recipes import (
    WORKING_DIAMETER_PX,
    checked,
    hyper,
    recipe,
)
from tiny_models import changed, field, fields, synthetic

FAST, FAITHFUL = TrainSettings(), TrainSettings(preset="faithful")
RETRAIN = RetrainSettings()
REAL, MADE = fields(2).samples, synthetic(2).samples


def test_the_fast_preset_brings_objects_to_one_size() -> None:
    made = recipe(REAL, FAST, None)
    assert made.preparation["working_diameter_px"] == WORKING_DIAMETER_PX
    assert made.preparation["image_diameter_px"] == pytest.approx(14, abs=2)
    assert not made.preparation["each_image"]
    assert made.normalization.kind == "zscore"
    assert made.architecture["backbone"] == "unet"
    assert made.architecture["head"] == "stardist"
    assert (made.architecture["width"], made.architecture["grid"]) == (16, 2)
    assert made.architecture["initial_distance_px"] == WORKING_DIAMETER_PX / 3
    assert made.tile["halo_px"] == halo_px(made.architecture)
    assert made.thresholds == {"probability": 0.5, "overlap": 0.4}
    h = hyper(REAL, FAST, None)
    assert (h.augmentation, h.learning_rate, h.patch_px, h.epochs) == ("standard", 3e-3, 128, 0)
    assert h.batch_size == 4


def test_the_faithful_preset_is_the_published_method() -> None:
    """StarDist's Config2D: own scale, percentiles, U-Net of width 32, 3e-4, 256 px, 400 epochs."""
    made = recipe(REAL, FAITHFUL, None)
    assert scale_of(made) == 1
    assert (made.normalization.kind, made.normalization.low, made.normalization.high) == (
        "percentile", 1.0, 99.8,
    )  # fmt: skip
    a = made.architecture
    assert (a["backbone"], a["width"], a["depth"], a["rays"], a["grid"], a["head_features"]) == (
        "unet", 32, 3, 32, 2, 128,
    )  # fmt: skip
    resnet = recipe(REAL, changed(FAITHFUL, network__backbone="resnet18"), None)
    assert (resnet.architecture["width"], resnet.architecture["head_features"]) == (16, 128)
    h = hyper(REAL, FAITHFUL, None)
    assert (h.learning_rate, h.batch_size, h.patch_px, h.epochs) == (3e-4, 4, 256, 400)
    assert (h.schedule, h.ema, h.clip, h.warmup_steps, h.augmentation) == (
        "plateau", 0, 0, 0, "light",
    )  # fmt: skip
    assert hyper(MADE, FAITHFUL, None).augmentation == "light"
    assert not recipe(MADE, FAITHFUL, None).preparation["each_image"]


def test_training_on_synthetic_images_only_prepares_for_any_contrast_and_size() -> None:
    prepare = hyper(MADE, FAST, None)
    assert (prepare.augmentation, prepare.learning_rate) == ("contrasts", 1e-3)
    assert recipe(MADE, FAST, None).preparation["each_image"]
    mixed = (*REAL, *MADE)
    assert hyper(mixed, FAST, None).augmentation == "standard"
    assert not recipe(mixed, FAST, None).preparation["each_image"]
    light = changed(FAST, images__augmentation="light", images__rescale="yes")
    assert hyper(MADE, light, None).augmentation == "light"
    assert not recipe(MADE, light, None).preparation["each_image"]


def test_what_the_user_sets_is_taken() -> None:
    s = changed(
        FAST, images__normalization="percentile", images__low_percentile=2.0,
        images__high_percentile=99.0, images__diameter_px=48.0, images__synthetic_fraction=0.25,
        network__backbone="res-unet", network__head="boundary", network__width=12,
        network__grid="4", network__depth=2, network__rays=16, training__learning_rate=0.01,
        training__batch_size=7, training__epochs=9, training__schedule="constant",
        training__optimizer="radam",
    )  # fmt: skip
    made, h = recipe(REAL, s, None), hyper(REAL, s, None)
    assert (made.normalization.kind, made.normalization.low, made.normalization.high) == (
        "percentile", 2.0, 99.0,
    )  # fmt: skip
    assert made.preparation["image_diameter_px"] == 48
    assert scale_of(made) == 0.5
    a = made.architecture
    assert (a["backbone"], a["head"], a["width"], a["grid"], a["depth"], a["rays"]) == (
        "res-unet", "boundary", 12, 4, 2, 16,
    )  # fmt: skip
    assert (h.learning_rate, h.batch_size, h.epochs, h.schedule, h.optimizer, h.weight_decay) == (
        0.01, 7, 9, "constant", "radam", 0,
    )  # fmt: skip
    assert h.synthetic_fraction == 0.25


def test_a_resnet_keeps_its_shape_and_that_of_the_layers_before_it() -> None:
    resnet = changed(FAST, network__backbone="resnet18", network__grid="4")
    shaped = changed(resnet, network__width=4, network__depth=1)
    assert recipe(REAL, shaped, None).architecture == recipe(REAL, resnet, None).architecture


def test_adamw_decays_weights_and_adam_does_not() -> None:
    assert hyper(REAL, changed(FAST, training__optimizer="adamw"), None).weight_decay == 0.01
    assert hyper(REAL, changed(FAST, training__optimizer="adam"), None).weight_decay == 0


@given(
    st.integers(0, 500), st.integers(1, 5), st.sampled_from(["1", "2", "4"]),
    st.sampled_from(["unet", "resnet18"]),
)  # fmt: skip
def test_patches_have_a_side_the_network_can_take(patch, depth, grid, backbone) -> None:
    s = changed(
        FAST, images__patch_px=patch, network__depth=depth, network__grid=grid,
        network__backbone=backbone,
    )  # fmt: skip
    multiple = side_multiple(recipe(REAL, s, None).architecture)
    side = hyper(REAL, s, None).patch_px
    assert side % multiple == 0
    assert side >= max(patch, 2 * multiple)
    assert side - multiple < max(patch or 128, 2 * multiple)


def test_published_weights_see_images_as_they_are() -> None:
    s = changed(FAST, network__backbone="resnet18")
    assert recipe(REAL, s, None).architecture["grid"] == 2
    s = changed(s, network__encoder_weights="weights.pth")
    assert recipe(REAL, s, None).architecture["grid"] == 1
    assert recipe(REAL, changed(s, network__grid="2"), None).architecture["grid"] == 2


def test_images_without_rescaling_are_used_as_they_are() -> None:
    made = recipe(REAL, changed(FAST, images__rescale="no"), None)
    assert scale_of(made) == 1
    assert training_scale(made, REAL[0]) == 1


def test_a_retrained_model_keeps_network_and_normalisation() -> None:
    start = recipe(REAL, changed(FAST, images__normalization="minmax", network__width=12), None)
    larger = fields(2, radius=14).samples
    made = recipe(larger, RETRAIN, start)
    assert made.architecture == start.architecture
    assert made.normalization == start.normalization
    assert made.preparation["working_diameter_px"] == start.preparation["working_diameter_px"]
    assert made.preparation["image_diameter_px"] == pytest.approx(28, abs=4)
    assert not made.preparation["each_image"]
    h = hyper(larger, RETRAIN, start)
    assert (h.augmentation, h.schedule, h.learning_rate) == ("standard", "cosine", 3e-3)
    more = recipe(fields(1, n_channels=3).samples, RETRAIN, start)
    assert more.architecture == {**start.architecture, "in_channels": 3}


def test_a_model_made_on_synthetic_images_is_retrained_as_any_other() -> None:
    start = recipe(MADE, FAST, None)
    made = recipe(REAL, RETRAIN, start)
    assert not made.preparation["each_image"]
    assert hyper(MADE, RETRAIN, start).augmentation == "standard"


def test_without_objects_the_old_diameter_stays() -> None:
    start = recipe(fields(1, radius=14).samples, FAST, None)
    empty = dataclasses.replace(field(1), labels=np.zeros((64, 72), np.int32))
    diameter = recipe([empty], RETRAIN, start).preparation["image_diameter_px"]
    assert diameter == start.preparation["image_diameter_px"]
    scratch = recipe([empty], FAST, None).preparation
    assert scratch["image_diameter_px"] == scratch["working_diameter_px"] == WORKING_DIAMETER_PX


# ------------------------------------------------------------------------- reading tolerantly

WHOLE = recipe(REAL, FAST, None)
BARE = Recipe(WHOLE.architecture, Normalization("zscore"))


def test_a_whole_recipe_is_left_as_it_is() -> None:
    assert checked(WHOLE) == WHOLE


def test_what_is_missing_is_filled_in() -> None:
    found = checked(BARE)
    assert found.preparation == {"working_diameter_px": 24.0, "image_diameter_px": 24.0}
    assert found.tile == {"halo_px": halo_px(WHOLE.architecture)}
    assert found.thresholds == {"probability": 0.5, "overlap": 0.4}
    own = dataclasses.replace(BARE, preparation={"working_diameter_px": 30})
    assert checked(own).preparation["image_diameter_px"] == 30


def test_what_is_unknown_is_kept() -> None:
    future = dataclasses.replace(
        BARE, tile={"shape": "round"}, thresholds={"new": 3}, preparation={"x": 1}
    )
    found = checked(future)
    assert found.tile["shape"] == "round"
    assert found.thresholds["new"] == 3
    assert found.preparation["x"] == 1


def test_a_halo_wider_than_the_network_needs_is_narrowed() -> None:
    own = halo_px(WHOLE.architecture)
    for stored, used in ((own + 14, own), (own, own), (own - 9, own - 9)):
        assert checked(dataclasses.replace(BARE, tile={"halo_px": stored})).tile["halo_px"] == used


SENSELESS: list[Any] = [None, "0.5", True, [0.5], math.nan, math.inf, -1]


@pytest.mark.parametrize("value", SENSELESS)
@pytest.mark.parametrize(
    ("part", "name"),
    [("preparation", "working_diameter_px"), ("preparation", "image_diameter_px"),
     ("tile", "halo_px"), ("thresholds", "probability"), ("thresholds", "overlap"),
     ("architecture", "initial_distance_px")],
)  # fmt: skip
def test_senseless_numbers_are_refused_by_name(part, name, value) -> None:
    given_recipe = dataclasses.replace(WHOLE, **{part: {**getattr(WHOLE, part), name: value}})
    with pytest.raises(ValueError, match=f"^The model's {name} must be a number from .*, found"):
        checked(given_recipe)


@pytest.mark.parametrize("diameter", [0, 1e-9, 1e9])
def test_diameters_of_nothing_and_of_planets_are_refused(diameter) -> None:
    with pytest.raises(ValueError, match="working_diameter_px must be a number"):
        checked(dataclasses.replace(WHOLE, preparation={"working_diameter_px": diameter}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"backbone": "mamba"}, "as backbone, found 'mamba'"),
        ({"head": None}, "as head, found None"),
        ({"width": 0}, "as width, found 0"),
        ({"depth": 99}, "as depth, found 99"),
        ({"rays": 2.5}, "as rays, found 2.5"),
        ({"grid": 3}, "as grid, found 3"),
        ({"in_channels": True}, "as in_channels, found True"),
    ],
)
def test_networks_that_cannot_be_built_are_refused(changes, words) -> None:
    impossible = dataclasses.replace(WHOLE, architecture={**WHOLE.architecture, **changes})
    with pytest.raises(ValueError, match=words):
        checked(impossible)
