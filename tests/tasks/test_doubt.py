"""How unsure a model is of one image, by hand."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from microshot.data.dataset import Sample
from microshot.data.image import Image
from microshot.data.normalize import Normalization
from microshot.tasks.base import Recipe
from microshot.tasks.counting.base import CountPrediction, RawCount
from microshot.tasks.doubt import Doubt, doubt, mirrored
from microshot.tasks.segmenting.segmentation import Options, Segmentation
from microshot.tasks.translating.translation import Translation

if TYPE_CHECKING:
    from collections.abc import Sequence

RECIPE = Recipe({}, Normalization(), thresholds={"probability": 0.5, "overlap": 0.4})
SAMPLE = Sample("image", Image(np.arange(6, dtype=np.uint16).reshape(1, 2, 3)))


def doubted(name: str, found: Sequence[Any], wide: Any = None, threshold: float = 0.0) -> Doubt:
    """Return the doubt of a model that finds this in an image and in its two mirror images.

    With half the threshold it finds `wide`.
    """
    answers, half = iter(found), (threshold or 0.5) / 2

    def decode(raw: Any, recipe: Any, options: Any) -> Any:
        return wide if options is not None and options.probability == half else raw

    task: Any = SimpleNamespace(name=name, raw=lambda *_: next(answers), decode=decode)
    network: Any = None
    return doubt(
        task, network, RECIPE, SAMPLE, Options(probability=threshold) if name == "segment" else None
    )


def test_mirror_images_are_turned_along_one_axis_and_know_no_truth() -> None:
    across, down = (mirrored(SAMPLE, axis).image.pixels[0].tolist() for axis in (-1, -2))
    assert across == [[2, 1, 0], [5, 4, 3]]
    assert down == [[3, 4, 5], [0, 1, 2]]
    truth = {"labels": np.ones((2, 3), np.int32), "count": 1.0, "points": np.zeros((1, 2))}
    known = dataclasses.replace(SAMPLE, **truth, target=SAMPLE.image)
    blind = mirrored(known, -1)
    assert [blind.labels, blind.count, blind.points, blind.target] == [None] * 4


def counted(*counts: float, **more: Any) -> list[CountPrediction]:
    return [CountPrediction(RawCount(count, **more)) for count in counts]


def test_counts_scatter_in_units_of_chance() -> None:
    """The standard deviation of 9, 16 and 11 is √(26 / 3), that of chance √12.375."""
    found = doubted("count", counted(9, 16, 11))
    assert found.value == pytest.approx((26 / 3 / 12.375) ** 0.5)
    assert found.why == "counts 9.0 to 16.0 in mirror images"
    unclear = doubted("count", counted(9, 16, 11, clarity=0.4))
    assert unclear.value == pytest.approx((found.value + 0.6) / 2)
    assert unclear.why == found.why
    assert doubted("count", counted(9, 10, 9, clarity=0.1)).why == "objects are hard to tell apart"


def test_a_model_that_knows_how_vague_its_count_is_says_so() -> None:
    found = doubted("count", counted(11.625, 11.625, 11.625, spread=2.0))
    assert (found.value, found.why) == (pytest.approx(2 / 12**0.5), "the count is vague")
    assert doubted("count", counted(1, 1, 1, spread=9.0)).value == 1
    assert doubted("count", counted(0, 0, 0)).value == 0


def objects(labels: np.ndarray, *probability: float) -> Segmentation:
    return Segmentation(labels.astype(np.int32), np.array(probability, np.float32))


def test_objects_found_by_halves_and_other_objects_in_the_mirror_image() -> None:
    """One of two objects is found again with an IoU of 0.4 only: F1 is 1 and 1/2."""
    labels = np.zeros((8, 12), int)
    labels[1:3, 1:6], labels[4:6, 6:11] = 1, 2
    part = np.where((labels == 2) & (np.arange(12) > 7), 0, labels)
    found = [objects(a, 0.9, 0.7) for a in (labels, labels[:, ::-1], part[::-1])]
    few = doubted("segment", found, objects(labels, 0.9, 0.7, 0.63, 0.63, 0.62))
    assert (few.value, few.why) == (
        pytest.approx((0.2 + 0.25) / 2),
        "finds other objects in the mirror image",
    )
    many = doubted("segment", found, objects(labels, 0.9, 0.62, 0.4))
    assert (many.value, many.why) == (
        pytest.approx((2 / 3 + 0.25) / 2),
        "2 of 3 objects half found",
    )
    only = [objects(np.zeros_like(labels)), *found[1:]]
    told = "finds objects only in the mirror image"
    assert doubted("segment", only, objects(np.zeros_like(labels))) == Doubt(1.0, told)


def test_what_is_half_found_depends_on_the_users_threshold() -> None:
    """From 0.8 on, a quarter of the way to 1 is 0.85."""
    labels = np.pad(np.ones((2, 2), int), 1)
    same = [objects(labels, 0.9)] * 3
    found = doubted("segment", same, objects(labels, 0.9, 0.86, 0.84, 0.5), threshold=0.8)
    assert found.value == pytest.approx((2 / 4 + 0) / 2)


def test_where_nothing_is_found_all_may_be_missed_or_nothing_be_there() -> None:
    nothing = objects(np.zeros((4, 4)))
    assert doubted("segment", [nothing] * 3, nothing) == Doubt(0.5, "no object found")


def test_stains_that_differ_between_mirror_images_and_a_vague_mask() -> None:
    """Pearson's r of two stains in two mirror images: 1, 1, -1 and 1."""
    stains = np.random.default_rng(0).normal(size=(2, 5, 6))
    other = stains * np.array([-1, 1])[:, None, None]
    found = [
        Translation(Image(a.astype(np.float32)))
        for a in (stains, stains[:, :, ::-1], other[:, ::-1])
    ]
    told = "predicts other stains in the mirror image"
    clear = doubted("translate", found)
    assert (clear.value, clear.why) == (pytest.approx(0.5), told)
    mask = np.repeat(np.array([[0.5, 0.9]], np.float32), 5, 0)
    found[0] = Translation(found[0].stains, mask)
    vague, told = doubted("translate", found), "nuclei are hard to tell from background"
    assert (vague.value, vague.why) == (pytest.approx((0.5 + 0.68) / 2), told)


def test_a_stain_of_one_grey_value_says_nothing() -> None:
    stains = np.random.default_rng(0).normal(size=(2, 5, 6)).astype(np.float32)
    stains[1] = 7
    found = [Translation(Image(a)) for a in (stains, stains[:, :, ::-1], stains[:, ::-1])]
    assert doubted("translate", found).value == pytest.approx(0)
    found = [Translation(Image(stains[1:]))] * 3
    assert doubted("translate", found).value == 0
