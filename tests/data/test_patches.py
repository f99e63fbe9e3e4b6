"""Crops: where they lie, what is in them, what happens at the edge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microshot.data.patches import (
    GREATEST_ID,
    MAX_POSITIONS,
    Field,
    draw_patch,
    mirrored,
)

quick = settings(max_examples=60, deadline=None)


def coordinates(height: int, width: int) -> np.ndarray:
    """(2, Y, X): row and column of every pixel, so that a crop says where it comes from."""
    return np.stack(np.mgrid[:height, :width]).astype(np.float32)


def field(height: int, width: int, labels: np.ndarray | None = None) -> Field:
    return Field.of(
        coordinates(height, width), np.zeros((height, width), int) if labels is None else labels
    )


@given(st.integers(1, 30), st.integers(-200, 200))
def test_mirroring_is_that_of_numpy(length, position) -> None:
    padded = np.pad(np.arange(length), 200, mode="reflect")
    assert mirrored(np.array([position]), length)[0] == padded[200 + min(position, 200)] or (
        position >= length + 200
    )


@quick
@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(1, 48), st.integers(0, 30),
    st.integers(0, 999),
)  # fmt: skip
def test_image_and_labels_are_cut_at_the_same_place(height, width, size, margin, seed) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, 5, (height, width))
    made = Field.of(np.concatenate([coordinates(height, width), labels[None]]), labels)
    image, cut = draw_patch(made, size, rng, 0.5, margin)
    side = size + 2 * margin
    assert image.shape == (3, side, side)
    assert image.dtype == np.float32
    assert cut.dtype == np.int32
    assert np.array_equal(image[2], cut)
    assert np.array_equal(labels[image[0].astype(int), image[1].astype(int)], cut)


@quick
@given(st.integers(8, 40), st.integers(8, 40), st.integers(1, 8), st.integers(0, 999))
def test_a_square_that_fits_lies_inside_the_image(height, width, size, seed) -> None:
    """No pixel is mirrored: rows and columns rise by one from pixel to pixel."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((height, width)) < 0.1).astype(int)
    image, _ = draw_patch(field(height, width, labels), size, rng, 0.5)
    assert (np.diff(image[0], axis=0) == 1).all()
    assert (np.diff(image[1], axis=1) == 1).all()


def test_the_margin_is_what_lies_around_the_square() -> None:
    rng = np.random.default_rng(0)
    image, _ = draw_patch(field(100, 100), 10, rng, 0.0, margin=5)
    again, _ = draw_patch(field(100, 100), 10, np.random.default_rng(0), 0.0)
    assert np.array_equal(image[:, 5:-5, 5:-5], again)


def test_every_part_of_an_image_is_drawn_though_the_margin_is_larger_than_it() -> None:
    rng = np.random.default_rng(1)
    made = field(40, 40)
    middles = np.array([draw_patch(made, 8, rng, 0.0, 100)[0][:, 104, 104] for _ in range(400)])
    assert middles.min() <= 6
    assert middles.max() >= 34
    assert abs(middles.mean() - 19.5) < 2


def test_an_image_smaller_than_the_square_lies_in_its_middle_and_is_mirrored() -> None:
    image, _ = draw_patch(field(3, 5), 7, np.random.default_rng(0))
    assert image[0, :, 0].tolist() == [2, 1, 0, 1, 2, 1, 0]
    assert image[1, 0].tolist() == [1, 0, 1, 2, 3, 4, 3]


@pytest.mark.parametrize("size", [8, 16, 33])
def test_a_square_drawn_for_the_foreground_has_an_object_near_its_middle(size) -> None:
    labels = np.zeros((80, 80), int)
    labels[3, 70] = labels[50, 5] = labels[40, 40] = 1
    rng = np.random.default_rng(2)
    for _ in range(50):
        _, cut = draw_patch(field(80, 80, labels), size, rng, 1.0)
        assert cut.any()


def test_the_object_that_a_square_is_drawn_for_lies_within_its_middle_half() -> None:
    labels = np.zeros((80, 80), int)
    labels[40, 30] = 1
    made, rng = field(80, 80, labels), np.random.default_rng(0)
    places = np.array([np.argwhere(draw_patch(made, 16, rng, 1.0)[1])[0] for _ in range(200)])
    assert places.min(0).tolist() == [4, 4]
    assert places.max(0).tolist() == [12, 12]


def test_foreground_is_sought_in_the_stated_fraction_of_the_squares() -> None:
    labels = np.zeros((400, 400), int)
    labels[200, 200] = 1
    rng = np.random.default_rng(3)
    made = field(400, 400, labels)
    found = [draw_patch(made, 8, rng, 0.7)[1].any() for _ in range(600)]
    assert np.mean(found) == pytest.approx(0.7, abs=0.06)


def test_negative_labels_are_no_foreground() -> None:
    labels = np.full((20, 20), -1)
    assert len(field(20, 20, labels).foreground) == 0
    assert draw_patch(field(20, 20, labels), 5, np.random.default_rng(0), 1.0)[1].min() == -1


def test_positions_remembered_are_limited_and_repeatable() -> None:
    labels = np.ones((300, 300), int)
    a, b = field(300, 300, labels), field(300, 300, labels)
    assert len(a.foreground) == MAX_POSITIONS
    assert np.array_equal(a.foreground, b.foreground)
    assert len(np.unique(a.foreground, axis=0)) == MAX_POSITIONS
    assert a.foreground.max(0).min() > 290  # all over the image


def test_very_large_ids_become_small_ones() -> None:
    labels = np.array([[0, 2**31 - 1, 5], [-3, 7, 2**31 - 1]], np.int64)
    assert field(2, 3, labels).labels.tolist() == [[0, 3, 1], [-3, 2, 3]]
    small = np.array([[0, GREATEST_ID], [5, -1]])
    assert field(2, 2, small).labels.tolist() == small.tolist()
