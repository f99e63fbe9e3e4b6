"""Resampling of images and labels, and the size of objects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microshot.data.scale import (
    id_counts,
    median_diameter,
    object_areas,
    resize_image,
    resize_labels,
    scaled_shape,
)

shapes = st.tuples(st.integers(1, 40), st.integers(1, 40))
quick = settings(max_examples=60, deadline=None)


@given(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), st.floats(0.01, 4))
def test_a_scaled_shape_is_rounded_and_never_empty(shape, scale) -> None:
    scaled = scaled_shape(shape, scale)
    for before, after in zip(shape, scaled, strict=True):
        assert after >= 1
        assert after == 1 or abs(after - before * scale) <= 0.5


@quick
@given(shapes, shapes, st.floats(-1e4, 1e4))
def test_constant_images_stay_constant_at_any_size(before, after, value) -> None:
    pixels = np.full((2, *before), value, np.float32)
    resized = resize_image(pixels, after)
    assert resized.shape == (2, *after)
    assert resized.dtype == np.float32
    assert np.allclose(resized, np.float32(value), rtol=1e-5, atol=1e-5)


@quick
@given(shapes, shapes)
def test_labels_get_no_new_ids(before, after) -> None:
    labels = np.arange(np.prod(before)).reshape(before) - 3
    resized = resize_labels(labels, after)
    assert resized.shape == after
    assert set(resized.ravel()) <= set(labels.ravel())


def test_the_same_shape_changes_nothing() -> None:
    labels = np.arange(12).reshape(3, 4)
    assert resize_labels(labels, (3, 4)) is labels
    pixels = np.arange(12, dtype=np.uint16).reshape(1, 3, 4)
    assert np.array_equal(resize_image(pixels, (3, 4)), pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_shrinking_averages(dtype) -> None:
    pixels = (np.indices((32, 32)).sum(0) % 2 * 200)[None].astype(dtype)  # chequered
    small = resize_image(pixels, (8, 8))
    assert np.allclose(small[:, 1:-1, 1:-1], 100, atol=2)


def test_a_ramp_stays_a_ramp() -> None:
    ramp = np.arange(40, dtype=np.float32)[None, None].repeat(40, 1)
    half = resize_image(ramp, (20, 20))[0, 10, 2:-2]
    assert np.allclose(np.diff(half), 2, atol=1e-4)
    assert half[0] == pytest.approx(2 * 2 + 0.5, abs=0.01)  # centre of pixels 4 and 5


@pytest.mark.parametrize("scale", [0.3, 0.5, 0.77, 1.5, 2.0])
def test_image_and_labels_of_one_object_stay_together(scale) -> None:
    y, x = np.mgrid[:100, :120]
    labels = ((y - 40.3) ** 2 + (x - 71.8) ** 2 < 20**2).astype(np.int32)
    shape = scaled_shape((100, 120), scale)
    image = resize_image(labels[None].astype(np.float32), shape)[0] > 0.5
    moved = resize_labels(labels, shape) > 0
    assert (image & moved).sum() / (image | moved).sum() > 0.93
    centre = (np.argwhere(moved).mean(0) + 0.5) / scale - 0.5
    assert np.abs(centre - [40.3, 71.8]).max() < 1


def test_areas_are_counted_by_id() -> None:
    labels = np.array([[0, 0, 3, 3], [-1, -1, 3, 9], [0, 9, 9, 9]])
    assert object_areas(labels).tolist() == [3, 4]
    assert object_areas(np.zeros((4, 4), int)).tolist() == []
    assert object_areas(np.full((2, 2), -5)).tolist() == []


def test_pixels_of_every_id_are_counted_band_by_band() -> None:
    labels = np.random.default_rng(0).integers(-2, 900, (700, 300))
    expected = np.bincount(np.maximum(labels, 0).ravel(), minlength=1000)
    assert id_counts(labels, 1000).tolist() == expected.tolist()
    assert len(id_counts(labels)) == 900
    assert id_counts(np.zeros((0, 5), int), 2).tolist() == [0, 0]


def test_areas_of_very_large_ids_need_no_memory_for_all_the_ids_between() -> None:
    labels = np.array([[0, 2**31 - 1], [2**31 - 1, 2**30]], np.int32)
    assert sorted(object_areas(labels)) == [1, 2]


def test_the_diameter_is_that_of_a_circle_of_the_median_area() -> None:
    y, x = np.mgrid[:80, :80]
    disc = ((y - 40) ** 2 + (x - 40) ** 2 < 15**2).astype(np.int32)
    assert median_diameter([disc]) == pytest.approx(30, abs=0.5)
    assert median_diameter([disc, np.zeros((5, 5), int)]) == pytest.approx(30, abs=0.5)
    assert median_diameter([np.zeros((5, 5), int)]) is None
    assert median_diameter([]) is None
    three = np.array([[1, 0, 2, 2, 0, 3, 3, 3, 3]])
    assert median_diameter([three]) == pytest.approx((4 * 2 / np.pi) ** 0.5)
