"""Another magnification is told in training, and in prediction told, rescaled or refused."""

from __future__ import annotations

import dataclasses

import pytest
from translation_scenes import RETRAIN, TRAIN, scene, scenes

from microshot import api
from microshot.data.dataset import Dataset, Sample
from microshot.data.image import Image
from microshot.data.normalize import Normalization
from microshot.tasks.base import Recipe
from microshot.tasks.translating import magnification
from tiny_models import changed


def sized(size: float | None, name: str = "a") -> Sample:
    return Sample(name, Image(scene().image.pixels, size))


def made_at(size: float | None) -> Recipe:
    return Recipe({}, Normalization("minmax"), {"pixel_size_um": size})


@pytest.mark.parametrize(
    ("own", "here", "scale"),
    [(0.5, 1.0, 2.0), (1.0, 0.25, 0.25), (0.5, 0.549, 1.0), (0.5, None, 1.0), (None, 0.5, 1.0)],
)
def test_an_image_is_rescaled_to_the_model_s_pixel_size_on_request(own, here, scale) -> None:
    recipe, sample = made_at(own), sized(here)
    assert magnification.scale_for(recipe, sample, "rescale") == scale
    assert magnification.scale_for(recipe, sample, "warn") == 1.0
    assert bool(magnification.oddities(recipe, sample, scale)) == (scale != 1.0)
    if scale == 1.0:
        assert magnification.scale_for(recipe, sample, "refuse") == 1.0
        return
    with pytest.raises(ValueError, match=f"a: expected pixels of {own:g} µm .* found {here:g} µm"):
        magnification.scale_for(recipe, sample, "refuse")


def test_training_images_of_other_pixel_sizes_are_told() -> None:
    alike = [sized(0.5), sized(0.52, "b"), sized(None, "c")]
    assert (
        magnification.mixed(alike, None) == magnification.mixed([sized(None)], made_at(1.0)) == []
    )
    (note,) = magnification.mixed([*alike, sized(0.1, "d")], None)
    assert note.startswith(
        "Pixels measure 0.5 µm in most images, but not in 1 of 4 images (first: d, 0.1 µm)"
    )


def test_a_start_of_another_magnification_is_told_in_retraining() -> None:
    trained = api.train(scenes(2), TRAIN)
    assert trained.notes == []
    halved = Dataset.of(
        dataclasses.replace(s, image=Image(s.image.pixels, 0.25)) for s in scenes(2)
    )
    wish = changed(RETRAIN, check="none")
    assert api.retrain(trained.bundle, scenes(2), wish).notes == []
    (note,) = api.retrain(trained.bundle, halved, wish).notes
    assert note.startswith(
        "Pixels measure 0.25 µm, but 0.5 µm in the images that the model to start"
    )
