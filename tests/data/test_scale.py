"""Resampling of images and labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microshot.data.scale import (
    resize_image,
    resize_labels,
    resize_window,
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


def test_a_window_of_an_image_that_keeps_its_size_is_that_part_of_it() -> None:
    pixels = np.arange(2 * 7 * 9, dtype=np.uint16).reshape(2, 7, 9)
    rows, columns = slice(1, 4), slice(5, 9)
    found = resize_window(lambda y, x: pixels[:, y, x], (7, 9), (7, 9), rows, columns)
    assert found.dtype == np.float32
    assert np.array_equal(found, pixels[:, rows, columns])


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
