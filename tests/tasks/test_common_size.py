"""The size that objects of several images share."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from microshot import api
from microshot.data.dataset import Sample
from microshot.data.image import Image
from microshot.data.normalize import Normalization
from microshot.progress import silent
from microshot.settings import PredictSettings
from microshot.tasks.base import Recipe
from microshot.tasks.common_size import Sizes, Trial, common_size, likeliest, n_looked_at
from microshot.tasks.segmenting.segmentation import Options
from microshot.tasks.segmenting.size_search import STEP, size_note
from tiny_models import any_size, field, model

ANY = Recipe(
    {}, Normalization(),
    {"image_diameter_px": 15.0, "working_diameter_px": 24.0, "each_image": True},
)  # fmt: skip
LADDER = [12.0 * STEP**k for k in range(9)]


def speaking(diameter: float, weight: float = 1.0, tried=LADDER) -> dict[float, Trial]:
    """Return trials with most evidence for one diameter, which the objects found have."""
    octaves = np.log2(tried) - np.log2(diameter)
    speaks = weight * np.exp(-0.5 * (octaves / 0.6) ** 2)
    return {tried: Trial(one, diameter) for tried, one in zip(tried, speaks, strict=True)}


def trials(speaks: dict[float, float]) -> dict[float, Trial]:
    """Return trials in which the objects found are as large as they were taken to be."""
    return {diameter: Trial(one, diameter) for diameter, one in speaks.items()}


def pooled(wish: str, *tried: dict[float, Trial], measured: bool = False) -> Sizes:
    options = Options(size_found=wish, measured=measured)
    return common_size({f"{i}": one for i, one in enumerate(tried)}, options)


@pytest.mark.parametrize("size", [16.0, 20.0, 31.0, 60.0])
def test_the_common_size_lies_between_those_that_were_tried(size) -> None:
    found = pooled("auto", *[speaking(size)] * 4)
    assert found.agree
    assert found.common == pytest.approx(size, rel=0.06)
    assert found.of("an image that was not looked at") == found.common
    assert float(f"{found.common:.3g}") == found.common, "what the note says is what was taken"


def test_the_size_between_those_tried_by_hand() -> None:
    """The parabola through 1/2, 1 and 3/4 has its peak 1/6 of a step above the middle: 20 · 2^(1/6) = 22.449."""
    assert pooled("once", trials({10.0: 1.0, 20.0: 2.0, 40.0: 1.5})).common == 22.4


@pytest.mark.parametrize(
    ("speaks", "size"), [({10.0: 1.0, 20.0: 2.0}, 20), ({10.0: 2.0, 20.0: 1.0}, 10)]
)
def test_the_smallest_and_the_largest_size_tried_are_taken_as_they_are(speaks, size) -> None:
    assert pooled("once", trials(speaks)).common == size


@pytest.mark.parametrize("size", [16.0, 20.0, 31.0, 60.0])
def test_where_the_size_is_to_be_measured_it_is_what_the_objects_measure(size) -> None:
    found = pooled("auto", *[speaking(size)] * 4, measured=True)
    assert found.common == found.of("0") == size


def test_the_measured_size_is_the_median_of_what_objects_measure_with_the_best_size() -> None:
    """Of 17, 18.04 and 23 px; with another size, and where nothing speaks for it, they have no say."""
    measured = [Trial(2.0, 17.0), Trial(1.0, 18.04), Trial(3.0, 23.0), Trial(0.0, 90.0)]
    seen = [{10.0: Trial(0.5, 9.0), 20.0: one} for one in measured]
    found = pooled("once", *seen, measured=True)
    assert found.common == found.of("an image that was not looked at") == 18.0


def test_no_size_is_told_that_is_smaller_than_all_that_were_tried() -> None:
    debris = {12.0: Trial(2.0, 7.0), 17.0: Trial(1.0, 15.0)}
    found = pooled("once", debris, measured=True)
    assert found.common == found.of("0") == 12.0
    assert likeliest(debris, Options(measured=True)) == likeliest(debris, Options()) == 12.0


@pytest.mark.parametrize(("part", "agree"), [(0.44, True), (0.36, False)])
def test_images_agree_where_the_shared_size_has_85_percent_of_what_each_could_have(
    part, agree
) -> None:
    """Three have all of it and one has `part`: 86 or 84 % on average."""
    most, other = trials({12.0: 2.0, 24.0: 0.2}), trials({12.0: part, 24.0: 1.0})
    found = pooled("auto", most, most, most, other)
    assert (found.agree, found.common) == ((True, 12.0) if agree else (False, None))


def test_an_image_in_which_much_is_found_counts_no_more_than_another() -> None:
    found = pooled("once", speaking(24), speaking(24), speaking(96, 1000.0))
    assert found.common == pytest.approx(24, rel=0.1)


def test_images_that_do_not_agree_keep_each_its_own_size_unless_the_user_wants_one() -> None:
    mixed = [speaking(12), speaking(17), speaking(48), speaking(96), speaking(96)]
    found = pooled("auto", *mixed)
    assert found.common is None
    assert not found.agree
    assert found.of("2") == pytest.approx(48, rel=0.01)
    assert found.of("an image that was not looked at") is None
    assert pooled("once", *mixed).common is not None


def test_a_few_images_that_agree_are_no_experiment() -> None:
    assert pooled("auto", *[speaking(24)] * 3).common is None
    assert pooled("once", speaking(24)).common == pytest.approx(24, rel=0.01)
    dark = dict.fromkeys(LADDER, Trial(0.0, 0.0))
    assert pooled("auto", dark, dark, *[speaking(24)] * 3).common is None, "three say anything"


def test_images_in_which_nothing_is_found_have_no_say() -> None:
    dark = dict.fromkeys(LADDER, Trial(0.0, 0.0))
    found = pooled("auto", dark, *[speaking(24)] * 4)
    assert found.of("0") == found.common == pytest.approx(24, rel=0.01)
    assert pooled("auto", dark, dark, dark, dark).of("0") == 0
    assert pooled("once", dark).common == 0
    assert pooled("once", dark).of("an image that was not looked at") == 0


def test_small_images_on_which_fewer_sizes_are_tried_are_pooled_with_the_others() -> None:
    few = speaking(17, tried=LADDER[:3])
    assert pooled("once", few, speaking(17)).common == pytest.approx(17, rel=0.05)
    assert pooled("once", speaking(12, tried=LADDER[:1])).common == 12


@pytest.mark.parametrize(
    ("wish", "n", "expected"),
    [("auto", 3, 0), ("auto", 4, 4), ("auto", 900, 8), ("once", 1, 1), ("once", 0, 0), ("each", 900, 0)],
)  # fmt: skip
def test_so_many_images_are_looked_at(wish, n, expected) -> None:
    assert n_looked_at(ANY, Options(size_found=wish), n) == expected
    assert n_looked_at(ANY, Options(size_found=wish, diameter_px=20.0), n) == 0
    assert n_looked_at(dataclasses.replace(ANY, preparation={}), Options(size_found=wish), n) == 0


def test_one_sentence_says_what_was_taken_and_from_how_many_images() -> None:
    rows = [{"diameter_px": 24.0}] * 90

    def said(wish: str, *tried: dict[float, Trial]) -> str:
        return size_note(rows, ANY, pooled(wish, *tried))

    assert "in 4 of 90 images: 24 px, taken for all; where" in said("auto", *[speaking(24)] * 4)
    assert "single ones speak for 12 to 96 px" in said("once", speaking(12), speaking(96))
    dark = dict.fromkeys(LADDER, Trial(0.0, 0.0))
    assert "in 1 of 90 images: none was found, and 15 px was taken" in said("once", dark)
    one = said("once", speaking(24), dark, dark, dark)
    assert "in 4 of 90 images and found in 1 of these: 24 px, taken for all; where" in one
    assert "in each image: 24 px" in said("auto", speaking(12), speaking(96))
    assert size_note([{"count": 3}], ANY, pooled("auto", *[speaking(24)] * 4)) == ""


def test_images_are_looked_at_once_and_those_that_cannot_be_used_are_passed_by(monkeypatch) -> None:
    predictor = api.Predictor(any_size(model()), PredictSettings(device="cpu", size_found="once"))
    samples = [dataclasses.replace(field(i), name=f"{i}") for i in range(40)]
    asked, used = [], []

    def take(index: int) -> Sample | None:
        asked.append(index)
        return None if index in {0, 1, 39} else samples[index]

    looking = predictor.task.in_common
    monkeypatch.setattr(
        predictor.task, "in_common",
        lambda network, recipe, some, *rest: looking(network, recipe, used_of(some, used), *rest),
    )  # fmt: skip
    predictor.look(range(40), 40, take, silent)
    assert asked == [0, 1, 2, 5, 10, 15, 20, 25, 30, 35]
    assert used == ["2", "5", "10", "15", "20", "25", "30", "35"]
    sizes = {predictor(sample).diameter_px for sample in samples[:3]}
    assert sizes == {predictor.sizes.common}
    told = PredictSettings(device="cpu", diameter_px=predictor.sizes.common)
    found = [p(samples[0]).labels for p in (predictor, api.Predictor(any_size(model()), told))]
    assert np.array_equal(*found), "the size that was found and the same one told give the same"


def used_of(samples, names: list[str]):
    for sample in samples:
        names.append(sample.name)
        yield sample


def test_without_a_look_the_size_is_found_in_each_image() -> None:
    predictor = api.Predictor(any_size(model()), PredictSettings(device="cpu"))
    assert predictor(field(5)).diameter_px in LADDER
    nothing = Sample("dark", Image(np.zeros((1, 64, 72), np.uint16)))
    assert predictor(nothing).diameter_px == 0


@pytest.mark.parametrize(("weight", "common"), [(0.049, 24.0), (0.051, None)])
def test_images_that_are_as_good_as_empty_have_no_say(weight, common) -> None:
    """Four say 24 px, one of them loudly; specks in three empty ones would say something else."""
    empty = [speaking(size, weight) for size in (12.0, 96.0, 192.0)]
    found = pooled("auto", *[speaking(24.0)] * 3, speaking(24.0, 9.0), *empty, measured=True)
    assert found.common == common


def test_too_few_images_with_objects_do_not_agree_for_all() -> None:
    assert pooled("auto", *[speaking(24.0)] * 3, *[speaking(96.0, 0.01)] * 5).common is None
