"""The size of objects that a network for any size finds in an image."""

from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_segmentation import recipe

from microshot import api
from microshot.data.dataset import Sample
from microshot.data.image import Image
from microshot.data.objects import median_diameter
from microshot.data.scale import resize_image
from microshot.data.scale import resize_labels as resized
from microshot.progress import Cancelled, silent
from microshot.settings import PredictSettings
from microshot.tasks import task_named
from microshot.tasks.common_size import likeliest
from microshot.tasks.object_scale import is_asked
from microshot.tasks.segmenting import size_search
from microshot.tasks.segmenting.segmentation import Options, Segmentation
from microshot.tasks.segmenting.size_search import (
    STEP,
    busiest,
    diameters,
    size_note,
    size_taken,
    trial,
    tried_on,
)
from tiny_models import CancelWhen, any_size, field, model

ANY = dataclasses.replace(
    recipe("stardist"), preparation={"image_diameter_px": 15.0, "working_diameter_px": 24.0,
                                     "each_image": True},
)  # fmt: skip


def discs(places, diameter: float, shape=(300, 300)) -> np.ndarray:
    """Return labels of discs around `places`."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int32)
    for n, (cy, cx) in enumerate(places, 1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 <= diameter**2 / 4] = n
    return labels


def surely(labels: np.ndarray, probability: float = 0.9) -> Segmentation:
    return Segmentation(labels, np.full(int(labels.max()), probability, np.float32))


def found(segment, of, sample: Sample, *, measured: bool = False) -> float:
    """Return the diameter in px for which most speaks."""
    return likeliest(tried_on(segment, of, sample, silent), Options(measured=measured))


def lattice(step: float, side: float = 300.0) -> list[tuple[float, float]]:
    middles = np.arange(step / 2, side, step)
    return [(y, x) for y in middles for x in middles]


def test_sizes_are_tried_between_the_largest_and_the_smallest_scale() -> None:
    tried = diameters(ANY, (1000, 1000))
    assert (tried[0], tried[-1]) == pytest.approx((12.0, 192.0))
    assert np.allclose(np.diff(np.log2(tried)), 0.5)
    assert diameters(ANY, (40, 1000)) == pytest.approx([12, 12 * STEP, 24, 24 * STEP])
    assert diameters(ANY, (5, 5)) == pytest.approx([12])


@given(st.floats(13, 150))
def test_where_the_network_sees_the_same_objects_on_every_scale_their_size_wins(diameter) -> None:
    labels = discs([(75, 75), (75, 225), (225, 150)], diameter)
    sample = Sample("three", Image(np.zeros((1, 300, 300), np.uint8)))
    size, own = found(lambda *_: surely(labels), ANY, sample), median_diameter([labels])
    assert abs(np.log2(size / own)) <= 0.26
    measured = found(lambda *_: surely(labels), ANY, sample, measured=True)
    assert measured == pytest.approx(own, rel=0.01)


def test_cells_win_over_their_granules_and_over_groups_of_cells() -> None:
    cells = discs(lattice(75), 50)
    granules = discs(
        [(y + a, x + b) for y, x in lattice(75) for a in (-14, 14) for b in (-14, 14)], 12
    )
    groups = discs([(75, 75), (225, 225)], 130)

    def segment(part: Sample, diameter_px: float) -> Segmentation:
        if diameter_px < 30:
            return surely(granules, 0.75)
        return surely(cells, 0.8) if diameter_px < 90 else surely(groups, 0.7)

    sample = Sample("cells", Image(np.zeros((1, 300, 300), np.uint8)))
    assert found(segment, ANY, sample) == pytest.approx(48.0)
    assert found(segment, ANY, sample, measured=True) == pytest.approx(50.0, rel=0.01)


def test_where_nothing_is_found_the_size_is_that_of_the_training_images() -> None:
    sample = Sample("dark", Image(np.zeros((1, 99, 99), np.uint8)))
    nothing = surely(np.zeros((99, 99), np.int32))
    assert found(lambda *_: nothing, ANY, sample) == 0
    unsure = surely(discs([(50, 50)], 24, (99, 99)), 0.5)
    assert found(lambda *_: unsure, ANY, sample) == 0


def test_the_surer_an_object_the_more_it_weighs_in_what_they_measure() -> None:
    """Three of 10 x 10 px with 0.1 above the half each are less sure together than one of 14 x 14 px with 0.4.

    The size in question lies in the middle of both, so that all are as near to it.
    """
    labels = np.zeros((40, 60), np.int32)
    labels[:10, :10], labels[:10, 20:30], labels[:10, 40:50], labels[20:34, 20:34] = 1, 2, 3, 4
    asked = 2 * np.sqrt(140 / np.pi)
    for last, side in ((0.9, 14), (0.7, 10)):
        seen = Segmentation(labels, np.array([0.6, 0.6, 0.6, last], np.float32))
        assert trial(seen, asked).measured_px == pytest.approx(2 * side / np.sqrt(np.pi))
    assert trial(surely(labels, 0.5), asked).measured_px == 0


def test_objects_far_from_the_size_in_question_weigh_little_in_what_they_measure() -> None:
    """Two octaves away an object counts 5e-10 of what it counts else: thirty granules lose against one cell."""
    cells = discs([(150, 150)], 48)
    granules = discs(lattice(20)[:30], 12)
    both = np.where(cells > 0, cells, np.where(granules > 0, granules + 1, 0))
    assert trial(surely(both), 48.0).measured_px == pytest.approx(48, rel=0.02)


def test_evidence_by_hand() -> None:
    labels = np.zeros((40, 40), np.int32)
    labels[:10, :10], labels[20:22, :5] = 1, 2
    own = [np.sqrt(400 / np.pi), np.sqrt(40 / np.pi)]
    made = Segmentation(labels, np.array([0.9, 0.7], np.float32))
    octaves = np.log2(own) - np.log2(own[0])
    by_hand = 0.4 * own[0] ** 1.6 + 0.2 * own[1] ** 1.6 * np.exp(-((octaves[1] / 0.3) ** 2) / 2)
    assert trial(made, own[0]).evidence == pytest.approx(by_hand)
    assert trial(surely(np.zeros((9, 9), np.int32)), 24.0) == (0, 0)


def test_of_a_large_image_the_part_with_most_contrast_is_looked_at() -> None:
    pixels = np.zeros((2, 700, 900), np.uint16)
    pixels[1, 500:600, 700:800] = np.random.default_rng(0).integers(0, 60_000, (100, 100))
    rows, columns = busiest(pixels, 200)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (200, 200)
    assert rows.start <= 512
    assert rows.stop >= 600
    assert columns.start <= 704
    assert columns.stop >= 800
    assert busiest(pixels, 900) == (slice(0, 700), slice(0, 900))
    assert busiest(pixels[..., ::-1], 800) == (slice(0, 700), slice(0, 800))


def test_the_part_ends_with_the_image_where_the_contrast_is_at_its_end() -> None:
    """Squares of 32 px begin at 128 px, from where 120 px would go beyond the 224 px of the image."""
    pixels = np.zeros((1, 224, 224), np.uint16)
    pixels[0, 200:, 200:] = np.random.default_rng(0).integers(0, 60_000, (24, 24))
    assert busiest(pixels, 120) == (slice(104, 224), slice(104, 224))


def test_every_size_is_tried_on_the_same_part_of_a_large_image_without_its_labels() -> None:
    seen = []

    def segment(part: Sample, diameter_px: float) -> Segmentation:
        seen.append((part.image.shape, part.labels, diameter_px))
        return surely(np.zeros((2, 2), np.int32))

    sample = Sample("s", Image(np.zeros((1, 900, 700), np.uint8)), np.ones((900, 700), np.int32))
    tried = tried_on(segment, ANY, sample, silent)
    assert seen == [((768, 700), None, size) for size in diameters(ANY, (768, 700))]
    assert list(tried) == [size for _, _, size in seen]


def test_contrast_is_measured_without_another_copy_of_the_image() -> None:
    pixels = np.random.default_rng(0).integers(0, 60_000, (2, 2000, 1500), np.uint16)
    tracemalloc.start()
    busiest(pixels, 768)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < pixels.nbytes / 2


@given(st.integers(1, 130), st.integers(1, 130), st.integers(1, 140))
def test_the_part_lies_within_the_image_whatever_its_size(height, width, side) -> None:
    rows, columns = busiest(np.zeros((1, height, width)), side)
    assert 0 <= rows.start < rows.stop <= height
    assert 0 <= columns.start < columns.stop <= width
    assert (rows.stop - rows.start, columns.stop - columns.start) == (
        min(side, height),
        min(side, width),
    )


def test_the_size_is_looked_for_only_where_a_model_knows_any_and_the_user_names_none() -> None:
    assert is_asked(ANY, Options())
    assert not is_asked(ANY, Options(diameter_px=30.0))
    assert not is_asked(recipe("stardist"), Options())
    told = task_named("segment").adapted(ANY, recipe("stardist", image_diameter=40.0))
    assert told.preparation["image_diameter_px"] == 40.0
    assert not is_asked(told, Options())


@pytest.mark.parametrize("factor", [1, 2])
def test_a_model_finds_objects_of_another_size_by_itself(factor) -> None:
    small = field(5, (96, 96))
    side = 96 * factor
    large = dataclasses.replace(
        small, image=Image(resize_image(small.image.pixels, (side, side))),
        labels=resized(small.labels, (side, side)),
    )  # fmt: skip
    found = api.Predictor(any_size(model()), PredictSettings(device="cpu"))(large)
    assert found.n_objects == small.labels.max()
    assert abs(np.log2(found.diameter_px / (14 * factor))) < 0.6
    assert api.Predictor(model(), PredictSettings(device="cpu"))(large).diameter_px == 0


def test_mirror_images_are_not_looked_at_for_the_size() -> None:
    sizes = [
        api.Predictor(any_size(model()), PredictSettings(device="cpu", mirrored=m))
        for m in (False, True)
    ]
    batches = []
    plain = sizes[1].network.network
    sizes[1].network.network = lambda batch: batches.append(1) or plain(batch)
    found = [predictor.options_for(field(5)) for predictor in sizes]
    assert found[0][0].diameter_px == found[1][0].diameter_px
    assert len(batches) == len(diameters(sizes[1].recipe, (64, 72)))


def test_what_the_user_tells_is_not_looked_for(monkeypatch) -> None:
    monkeypatch.setattr(size_search, "trial", lambda *_: pytest.fail("looked for"))
    wish = PredictSettings(device="cpu", diameter_px=20.0)
    assert api.Predictor(any_size(model()), wish)(field(5)).diameter_px == 20.0


def test_looking_for_the_size_can_be_cancelled() -> None:
    watch = CancelWhen("looking for the size", after=2)
    with pytest.raises(Cancelled):
        api.Predictor(any_size(model()), PredictSettings(device="cpu"))(field(5), watch)
    assert len(watch.fractions) == 3
    assert max(watch.fractions) < 0.5


def test_a_size_that_was_looked_for_in_vain_is_no_size_of_the_image() -> None:
    dark = Sample("dark", Image(np.zeros((1, 64, 72), np.uint16)))
    predictor = api.Predictor(any_size(model()), PredictSettings(device="cpu"))
    found = predictor(dark)
    assert found.n_objects == 0
    assert size_taken(found, predictor.recipe, predictor.options) == {"diameter_px": None}
    told = dataclasses.replace(found, diameter_px=20.37)
    assert size_taken(told, recipe("stardist"), Options(diameter_px=20.37)) == {"diameter_px": 20.4}
    assert size_taken(found, recipe("stardist"), Options()) == {}


def test_the_sizes_found_are_told_in_one_sentence() -> None:
    def said(*sizes: float | None) -> str:
        return size_note([{"count": 3}, *({"diameter_px": size} for size in sizes)], ANY)

    assert said() == ""
    assert "in each image: 24 px; where" in said(24.0, 24.0)
    assert "17 to 67.9 px, 24 px in the median; where" in said(24.0, 67.88, 16.97)
    own = "15 px was taken as in the training images; where"
    assert f"image: 24 px; none was found in 2 of 3 images, where {own}" in said(None, 24.0, None)
    assert f"image: none was found, and {own}" in said(None, None)
