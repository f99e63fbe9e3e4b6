"""A predictor takes what the user tells, finds sizes where nothing is told, and reports its way."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from microshot.api import Predictor
from microshot.data.dataset import Sample
from microshot.data.image import Image
from microshot.settings import PredictSettings
from microshot.tasks.common_size import Sizes
from models_of_all_kinds import KINDS, made
from tiny_models import Watch

CPU = PredictSettings(device="cpu")
ANY = {"working_diameter_px": 24.0, "image_diameter_px": 15.0, "each_image": True}


def of_any_size(kind: str, **wish) -> Predictor:
    """Return a model that says that it learned from objects of any size."""
    return Predictor(made(kind, preparation=ANY), dataclasses.replace(CPU, **wish))


def sample(n_channels: int = 1) -> Sample:
    pixels = np.arange(n_channels * 40 * 48, dtype=np.uint16).reshape(n_channels, 40, 48)
    return Sample("a", Image(pixels), labels=np.ones((40, 48), np.int32))


def test_what_a_model_looks_at_is_the_channel_that_is_told() -> None:
    given = sample(3)
    seen = of_any_size("stardist", channel="2").seen(given)
    np.testing.assert_array_equal(seen.image.pixels, given.image.pixels[1:2])
    assert seen.labels is given.labels


def test_a_stack_is_looked_at_as_a_whole_whatever_channel_is_told() -> None:
    predictor = Predictor(made("unet-stains"), dataclasses.replace(CPU, channel="2"))
    assert predictor.recipe.channel == ""
    assert predictor.seen(sample(3)).image.n_channels == 3


def test_the_model_that_finds_the_size_for_a_counter_is_told_what_the_counter_is() -> None:
    counter = of_any_size("density", channel="2", size_found="once", tile_px=512)
    finder = counter.finder
    assert (finder.task.name, finder.recipe.channel) == ("segment", "2")
    assert (finder.options.size_found, finder.options.tile_px) == ("once", 512)
    assert (finder.settings.device, finder.options.measured) == ("cpu", True)
    assert finder.options.diameter_px == 0


def test_looking_at_some_images_first_takes_its_share_of_the_progress(monkeypatch) -> None:
    """To look at 8 takes as long as to find objects in 64; of 40 images that is 64 of 104 parts."""
    predictor, watch = of_any_size("stardist", size_found="once"), Watch()

    def in_common(network, recipe, samples, options, progress):
        assert len(list(samples)) == 8
        progress(1.0)
        return Sizes({}, 31.0, agree=True)

    monkeypatch.setattr(predictor.task, "in_common", in_common)
    rest = predictor.look(
        range(40), 40, lambda i: dataclasses.replace(sample(), name=f"{i}"), watch
    )
    rest(0.0)
    rest(1.0)
    assert watch.fractions == pytest.approx([64 / 104, 64 / 104, 1])
    options, left = predictor.options_for(sample(), watch)
    assert (options.diameter_px, left) == (31, watch)


def test_looking_for_the_size_of_one_image_takes_half_of_its_progress(monkeypatch) -> None:
    predictor, watch = of_any_size("stardist"), Watch()

    def options_for(network, recipe, sample, options, progress):
        progress(1.0)
        return dataclasses.replace(options, diameter_px=31.0)

    monkeypatch.setattr(predictor.task, "options_for", options_for)
    options, rest = predictor.options_for(sample(), watch)
    rest(0.0)
    rest(1.0)
    assert options.diameter_px == 31
    assert watch.fractions == [0.5, 0.5, 1]


def test_where_no_size_is_to_be_found_all_progress_is_left() -> None:
    watch = Watch()
    for predictor in (Predictor(made("stardist"), CPU), of_any_size("stardist", diameter_px=20.0)):
        assert predictor.look(range(40), 40, lambda _: None, watch) is watch
        assert predictor.options_for(sample(), watch) == (predictor.options, watch)
    assert watch.fractions == []


def test_a_counter_whose_size_nothing_finds_says_which_it_takes(monkeypatch) -> None:
    colour = ("count", KINDS["density"][1] | {"in_channels": 3})
    monkeypatch.setitem(KINDS, "of colour", colour)
    counter = of_any_size("of colour")
    assert counter.size_taken(dataclasses.replace(counter.options, diameter_px=0.0)) == {}
    assert "taken to be 15 px across" in counter.size_note([{"count": 3}])
    assert counter.size_note([]) == ""
    told = of_any_size("density", diameter_px=20.0)
    assert told.size_note([{"count": 3}]) == ""
    asked = of_any_size("density")
    assert asked.size_taken(dataclasses.replace(asked.options, diameter_px=0.0)) == {
        "diameter_px": None
    }
    assert "none was found, and 15 px" in asked.size_note([{"diameter_px": None}])
