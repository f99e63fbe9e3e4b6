"""Choices of the task translate: presets as published, ranges, and model files that make no sense."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from translation_scenes import RETRAIN, scene, scenes

from microshot.data.augment import Strength
from microshot.data.image import Image
from microshot.settings import TrainSettings
from microshot.tasks.translating.checked_recipes import checked
from microshot.tasks.translating.recipes import CHANGES, hyper, recipe, stain_range
from tiny_models import changed

PUBLISHED = TrainSettings(task="translate")


def both(preset: str, data=None, **settings):
    wish = changed(PUBLISHED, preset=preset, **settings)
    data = data or scenes(1, n_planes=7).samples
    return recipe(data, wish, None), hyper(data, wish, None)


def test_presets_are_as_published() -> None:
    large = scenes(1, n_planes=7, shape=(64, 640)).samples
    made, h = both("lipids", large)
    a = made.architecture
    assert (a["kind"], a["width"], a["growth"], a["layers"], a["depth"]) == (
        "dense-unet",
        48,
        12,
        4,
        4,
    )
    assert (h.learning_rate, h.adversary_rate, h.batch_size, h.patch_px) == (1e-4, 1e-6, 4, 512)
    assert (h.epochs, h.adversarial, h.optimizer, h.clip) == (1200, 0.01, "adam", 1.0)
    assert h.terms == {"med_mae": 1.0, "gradient": 10.0}
    assert h.epochs * h.pretraining == pytest.approx(200)
    assert h.frugal
    assert not both("fast", translation__network="dense-unet")[1].frugal
    made, h = both("cytoplasm")
    assert (h.terms["gradient"], h.epochs, h.epochs * h.pretraining) == (100.0, 800, 200)
    made, h = both("nuclei")
    assert (made.architecture["kind"], made.architecture["width"]) == ("lupi-unet", 32)
    assert (h.learning_rate, h.weight_decay, h.optimizer) == (1e-3, 1e-3, "adamw")
    assert (h.schedule, h.epochs, h.batch_size) == ("warm-restarts", 70, 6)
    assert h.terms == {"nuclei": 1.0}
    assert CHANGES[h.augmentation] == Strength(scale=(0.9, 1.1), rotate_deg=180.0)


def test_the_fast_preset_is_plain_and_measures_each_image_by_itself() -> None:
    made, h = both("fast")
    assert (made.architecture["kind"], made.architecture["output"]) == ("unet", "identity")
    assert (made.normalization.kind, made.normalization.per) == ("zscore", "image")
    assert (h.adversarial, h.terms, h.frugal) == (0.0, {"l2": 1.0}, False)


def test_crops_of_real_images_change_their_shapes_those_of_generated_ones_have_all() -> None:
    data = scenes(2).samples
    made = [dataclasses.replace(s, domain="synthetic") for s in data]
    assert both("fast", data)[1].augmentation == "shapes"
    assert both("fast", [*data, *made])[1].augmentation == "shapes"
    assert both("fast", made)[1].augmentation == "none"
    assert both("fast", made, images__augmentation="light")[1].augmentation == "light"
    start, _ = both("fast", made)
    assert hyper(data, RETRAIN, start).augmentation == "shapes"


def test_adamw_decays_weights_as_much_as_the_preset_says_or_as_is_usual() -> None:
    assert both("fast", training__optimizer="adamw")[1].weight_decay == 0.01
    assert both("fast", training__optimizer="adam")[1].weight_decay == 0
    assert both("nuclei", training__optimizer="adamw")[1].weight_decay == 1e-3


def test_a_hot_pixel_does_not_set_the_range_of_the_stain_unless_wished() -> None:
    sample = scene(0, (128, 128))
    assert sample.target is not None
    hot = sample.target.pixels.copy()
    hot[0, 0, 0] = 65535
    data = [dataclasses.replace(sample, target=Image(hot))]
    by_percentile, _ = both("fast", data)
    published, _ = both("fast", data, translation__stain_range="minmax")
    assert stain_range(by_percentile).scale[0] < 10_000  # type: ignore[index]
    assert stain_range(published).scale == (65535 - hot.min(),)


def test_ranges_are_those_of_the_whole_data_set() -> None:
    data = scenes(3).samples
    made, _ = both("lipids", data, images__normalization="minmax")
    low = min(s.image.pixels[1].min() for s in data)
    assert made.normalization.offset is not None
    assert made.normalization.offset[1] == low
    assert made.preparation["targets"] == ["S0"]
    assert made.preparation["pixel_size_um"] == 0.5


def test_choices_of_the_user_win() -> None:
    _, h = both("lipids", translation__objective="l1-gradient", translation__gradient_weight=3.0)
    assert (h.terms, h.adversarial, h.pretraining) == ({"l1": 1.0, "gradient": 3.0}, 0.0, 0.0)
    _, h = both("lipids", translation__adversarial_weight=0.5, translation__adversary_field="70")
    assert (h.adversarial, h.adversary_layers) == (0.5, 3)
    _, h = both("fast", translation__objective="adversarial")
    assert (h.terms, h.adversarial) == ({"med_mae": 1.0, "gradient": 5.0}, 0.01)
    _, h = both("fast", translation__objective="foreground")
    assert h.terms == {"foreground_l1": 1.0}
    made, _ = both("fast", translation__network="lupi-unet", translation__attention="gated")
    assert made.architecture["attention"] == "gated"


def test_a_weight_of_zero_is_a_choice() -> None:
    _, h = both("lipids", translation__gradient_weight=0.0)
    assert (h.terms, h.adversarial) == ({"med_mae": 1.0, "gradient": 0.0}, 0.01)
    assert both("lipids", translation__adversarial_weight=0.0)[1].adversarial == 0


def test_a_network_without_masks_learns_the_absolute_error_where_masks_are_asked_for() -> None:
    _, h = both("fast", translation__objective="nuclei", translation__network="unet")
    assert h.terms == {"l1": 1.0}


def test_images_of_all_sizes_and_colours_have_a_say() -> None:
    data = [scene(0), scene(1, shape=(40, 50)), scene(2, shape=(40, 50)), scene(3)]
    for index, size in enumerate((0.2, 0.5, 0.9, None)):
        image = dataclasses.replace(data[index].image, pixel_size_um=size, is_colour=index == 1)
        data[index] = dataclasses.replace(data[index], image=image)
    made, h = both("fast", data)
    assert (made.preparation["pixel_size_um"], made.preparation["colour"]) == (0.5, True)
    assert h.patch_px == 72  # as large as the largest


@pytest.mark.parametrize(("n_black", "term"), [(50, "lsl"), (200, "lsl_black")])
def test_a_hundredth_of_black_pixels_is_too_much_for_logarithms(n_black, term) -> None:
    sample = scene(0, shape=(100, 100))
    stain = np.linspace(1000, 2000, 10_000)
    stain[:n_black] = 0
    target = Image(stain.reshape(1, 100, 100).astype(np.uint16))
    data = [dataclasses.replace(sample, target=target)]
    assert both("lipids", data)[1].pretraining_terms == {term: 1.0}


def test_a_retrained_model_takes_the_numbers_of_planes_and_stains_of_its_images() -> None:
    start, _ = both("fast", scenes(1).samples)
    sample = scene(1, n_planes=5)
    assert sample.target is not None
    two = Image(np.concatenate([sample.target.pixels] * 2))
    made = recipe([dataclasses.replace(sample, target=two)], RETRAIN, start)
    changed_ones = {"in_channels": 5, "out_channels": 2}
    assert made.architecture == {**start.architecture, **changed_ones}


def test_crops_suit_images_network_and_adversary() -> None:
    assert (
        both("fast")[1].patch_px == 72
    )  # images are 64 x 72 px: crops would be mirror images beyond
    assert both("lipids")[1].patch_px == 80
    assert both("fast", images__patch_px=128)[1].patch_px == 128
    assert both("fast", images__patch_px=30)[1].patch_px == 32
    assert both("fast", images__patch_px=1)[1].patch_px == 16
    small = {"images__patch_px": 1, "translation__objective": "adversarial"}
    assert both("fast", **small)[1].patch_px == 48
    assert both("fast", **small, translation__adversary_field="70")[1].patch_px == 24


def test_black_stains_raise_the_floor_of_the_logarithms() -> None:
    assert both("lipids")[1].pretraining_terms == {"lsl": 1.0}
    sample = scene(0, n_planes=7)
    assert sample.target is not None
    black = np.maximum(sample.target.pixels.astype(int) - 400, 0).astype(np.uint16)
    with_offset = black + 100  # whose darkest value becomes 0, too
    for target in (black, with_offset):
        data = [dataclasses.replace(sample, target=Image(target))]
        assert both("lipids", data)[1].pretraining_terms == {"lsl_black": 1.0}


def test_networks_whose_output_may_be_negative_begin_without_logarithms() -> None:
    made, h = both("fast", translation__objective="adversarial")
    assert made.architecture["output"] == "identity"
    assert h.pretraining > 0
    assert h.pretraining_terms == {"l2": 1.0}


def test_a_retrained_model_keeps_network_and_losses_but_not_the_ranges() -> None:
    start, _ = both("lipids", scenes(1).samples)
    brighter = scene(3)
    assert brighter.target is not None
    doubled = Image((brighter.target.pixels * 2).astype(np.uint16))
    data = [dataclasses.replace(brighter, target=doubled)]
    made, h = recipe(data, RETRAIN, start), hyper(data, RETRAIN, start)
    assert made.architecture == start.architecture
    assert stain_range(made).scale[0] > 1.5 * stain_range(start).scale[0]  # type: ignore[index]
    assert made.normalization.offset != start.normalization.offset
    assert made.preparation["preset"] == "lipids"
    assert (h.terms, h.adversarial) == ({"med_mae": 1.0, "gradient": 10.0}, 0.0)
    wish = changed(RETRAIN, translation__objective="l1")
    assert hyper(data, wish, start).terms == {"l1": 1.0}


def test_a_recipe_survives_its_check_and_gets_what_is_optional() -> None:
    made, _ = both("nuclei", scenes(1).samples)
    assert checked(made) == made
    bare = dataclasses.replace(
        made, preparation={"stain_range": made.preparation["stain_range"]}, tile={}, thresholds={}
    )
    filled = checked(bare)
    assert filled.preparation["targets"] == ["stain 1"]
    assert filled.tile == {"tile_px": 512}
    assert filled.thresholds == {"mask": 0.5}


@pytest.mark.parametrize(
    ("where", "entry", "value", "message"),
    [
        ("preparation", "targets", ["a", "b"], "name 1 stain"),
        ("preparation", "target_dtype", "uint64", "type of stains"),
        ("preparation", "preset", "x", "come from one of"),
        ("preparation", "pixel_size_um", -1, "pixel size above 0"),
        ("preparation", "stain_range", {"kind": "minmax"}, "range of 1 stain"),
        ("tile", "tile_px", 0, "tile size"),
        ("tile", "tile_px", True, "tile size"),
        ("thresholds", "mask", 2, "mask threshold"),
        ("architecture", "kind", "x", "as kind"),
    ],
)
def test_senseless_model_files_are_refused(where, entry, value, message) -> None:
    made, _ = both("nuclei", scenes(1).samples)
    broken = dataclasses.replace(made, **{where: {**getattr(made, where), entry: value}})
    with pytest.raises(ValueError, match=message):
        checked(broken)


def test_a_model_without_the_range_of_its_stains_is_refused() -> None:
    made, _ = both("fast", scenes(1).samples)
    with pytest.raises(ValueError, match="in which range its stains lie"):
        checked(dataclasses.replace(made, preparation={}))
