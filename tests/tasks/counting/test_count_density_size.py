"""How large objects are where no label images tell it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

import discs
from microshot.data.dataset import Sample
from microshot.data.image import Image
from microshot.settings import RetrainSettings, TrainSettings
from microshot.tasks import object_scale, task_named
from microshot.tasks.base import Intent, Recipe
from microshot.tasks.counting import density
from microshot.tasks.counting.density_recipes import FEW_COUNTED
from microshot.tasks.counting.density_size import FACTORS, MOST_IMAGES, best_size, sized

if TYPE_CHECKING:
    from microshot.tasks.counting.base import Options

RECIPE = density.recipe(list(discs.samples(2)), TrainSettings(task="count"), None)
OWN = float(RECIPE.preparation["image_diameter_px"])
SETTINGS = RetrainSettings()


def nothing() -> float:
    return 0.0


def counted(*counts: float, shape: tuple[int, int] = (64, 64)) -> list[Sample]:
    image = Image(np.zeros((1, *shape), np.uint8))
    return [Sample(f"{i}", image, count=c) for i, c in enumerate(counts)]


class Counter:
    """Counts right where objects measure `size`, and the more the larger they are taken for."""

    def __init__(self, size: float, exact: float = 1.0) -> None:
        self.size, self.exact, self.asked = size, exact, []

    def __call__(self, sample: Sample, options: Options) -> float:
        self.asked.append((sample.name, options.diameter_px))
        assert sample.count is not None
        return sample.count * self.exact * (options.diameter_px / self.size) ** 2


@pytest.mark.parametrize("factor", FACTORS[1:])  # the least asks for the same scale as the next
def test_the_size_at_which_a_model_counts_best_is_taken(factor: float) -> None:
    counter = Counter(factor * OWN)
    assert best_size(counter, RECIPE, counted(3, 8, 0, 20)) == pytest.approx(factor * OWN)
    assert {name for name, _ in counter.asked} == {"0", "1", "2", "3"}


def test_a_model_that_counts_well_as_it_is_keeps_its_own_size() -> None:
    between = OWN * 2**0.11  # nearly as far from its own size as from the next
    assert best_size(Counter(between), RECIPE, counted(3, 8, 20)) == OWN


def test_a_model_that_knows_nothing_of_the_images_keeps_its_own_size() -> None:
    class Blind(Counter):
        def __call__(self, sample: Sample, options: Options) -> float:
            return 6.0 * super().__call__(dataclasses.replace(sample, count=1.0), options)

    assert best_size(Blind(1.4 * OWN), RECIPE, counted(5, 6, 7)) == OWN
    assert best_size(Counter(1.4 * OWN), RECIPE, counted(6, 6, 6)) == OWN  # nothing to tell by


@pytest.mark.parametrize(("exact", "known"), [(1.3, True), (1.35, False)])
def test_a_size_is_believed_where_little_is_left_of_the_error_of_the_mean_count(exact, known):
    """Counts 1.3 and 1.35 times too high are off by 0.128 and 0.171 of what the mean is off by."""

    class AtTwice(Counter):
        def __call__(self, sample: Sample, options: Options) -> float:
            assert sample.count is not None
            return sample.count * (exact if options.diameter_px == 2 * OWN else 9)

    found = best_size(AtTwice(OWN), RECIPE, counted(4, 9, 30))
    assert found == (2 * OWN if known else OWN)


def test_a_size_is_not_changed_for_an_error_that_is_hardly_less() -> None:
    """Nearer to the next size than to its own: errors of 0.85 and of 0.45 of that at its own."""
    next_one = FACTORS[5] * OWN
    assert best_size(Counter(OWN * 2**0.13), RECIPE, counted(3, 8, 20)) == OWN
    assert best_size(Counter(OWN * 2**0.15), RECIPE, counted(3, 8, 20)) == next_one


def test_images_without_a_count_are_not_asked_about() -> None:
    uncounted = dataclasses.replace(counted(1)[0], name="uncounted", count=None)
    counter = Counter(2 * OWN)
    assert best_size(counter, RECIPE, [*counted(3, 8, 20), uncounted]) == 2 * OWN
    assert "uncounted" not in {name for name, _ in counter.asked}
    assert sized(counter, RECIPE, [], SETTINGS, nothing) == (RECIPE, [])


def test_of_many_or_huge_images_a_few_are_looked_at() -> None:
    for samples, most in (
        (counted(*range(1, 40)), MOST_IMAGES),
        (counted(5, 6, 7, 8, shape=(3000, 3000)), 2),
    ):
        counter = Counter(OWN)
        best_size(counter, RECIPE, samples)
        assert len({name for name, _ in counter.asked}) == most


def test_sizes_of_one_and_the_same_scale_are_tried_once() -> None:
    prepared = {**RECIPE.preparation, "image_diameter_px": OWN, "working_diameter_px": 4 * OWN}
    largest = dataclasses.replace(RECIPE, preparation=prepared)
    counter = Counter(OWN)
    best_size(counter, largest, counted(5))
    scales = [object_scale.scale_of(largest, size) for _, size in counter.asked]
    assert len(scales) == len(set(scales)) < len(FACTORS)


def test_another_size_is_told_and_kept_in_the_recipe() -> None:
    made, notes = sized(Counter(2 * OWN), RECIPE, counted(4, 9, 30), SETTINGS, nothing)
    assert made.preparation["image_diameter_px"] == pytest.approx(2 * OWN)
    assert made.preparation["working_diameter_px"] == RECIPE.preparation["working_diameter_px"]
    assert len(notes) == 1
    assert "2 times" in notes[0]


def test_a_size_that_objects_look_to_have_is_believed_if_the_model_counts_better_with_it() -> None:
    few, large = counted(4, 9, 30), 3.5 * OWN  # larger than any that is tried
    made, notes = sized(Counter(large, exact=0.6), RECIPE, few, SETTINGS, lambda: large)
    assert made.preparation["image_diameter_px"] == large
    assert "3.5 times" in notes[0]
    assert sized(Counter(OWN), RECIPE, few, SETTINGS, lambda: large) == (RECIPE, [])


def test_points_say_how_many_objects_there_are_and_not_how_large() -> None:
    class Marked(Counter):
        def __call__(self, sample: Sample, options: Options) -> float:
            assert sample.points is not None
            return super().__call__(counted(len(sample.points))[0], options)

    samples = [dataclasses.replace(s, count=None, points=np.ones((5, 2))) for s in counted(1, 2)]
    samples[0] = dataclasses.replace(samples[0], points=np.ones((20, 2)))
    made, notes = sized(Marked(2 * OWN), RECIPE, samples, SETTINGS, nothing)
    assert made.preparation["image_diameter_px"] == pytest.approx(2 * OWN)
    assert len(notes) == 1


def test_what_is_known_of_the_size_is_not_guessed() -> None:
    def never(sample: Sample, options: Options) -> float:
        raise AssertionError(sample, options)

    def unasked() -> float:
        raise AssertionError

    wished = dataclasses.replace(SETTINGS.images, diameter_px=9.0)
    for samples, settings in (
        (list(discs.samples(1)), SETTINGS),
        ([*counted(4), *discs.samples(1)], SETTINGS),
        (counted(4), dataclasses.replace(SETTINGS, images=wished)),
    ):
        assert sized(never, RECIPE, samples, settings, unasked) == (RECIPE, [])


@pytest.mark.parametrize("task", ["segment", "translate", "count"])
def test_other_networks_keep_their_recipe(task: str) -> None:
    recipe = Recipe({"name": "twin-vae"}, RECIPE.normalization, {}, {}, {})

    def never(x: np.ndarray) -> np.ndarray:
        raise AssertionError(x.shape)

    assert task_named(task).sized(never, recipe, counted(4), SETTINGS, nothing) == (recipe, [])


def test_a_starter_is_recommended_where_few_counts_are_all_there_is() -> None:
    def told(samples: list[Sample], **more: str) -> list[str]:
        settings = TrainSettings(task="count", **more)
        recipe, hyper = (f(samples, settings, None) for f in (density.recipe, density.hyper))
        return density.remarks(samples, [], Intent(settings, recipe, hyper))

    (note,) = told(counted(3, 8, 5, 9))
    assert "from 4 counts alone: mark the objects" in note
    assert "from 1 count alone: mark the objects" in told(counted(3))[0]
    assert told(counted(*range(1, FEW_COUNTED + 2))) == []
    assert told(counted(3, 8), start="cells-density") == []
    assert told(list(discs.samples(2))) == []
    assert told([*counted(3), *discs.samples(1)]) == []
