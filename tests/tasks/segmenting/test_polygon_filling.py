"""Filling many polygons at once gives what filling them one by one gives."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import polygon

from microshot.tasks.segmenting import polygon_filling
from microshot.tasks.segmenting.polygon_filling import filled
from microshot.tasks.segmenting.stardist import polygons


def stars(n: int, rays: int, seed: int) -> np.ndarray:
    """Return outlines around places in and beside an image of 60 × 80 px."""
    rng = np.random.default_rng(seed)
    points = rng.uniform((-15, -15), (75, 95), (n, 2))
    return polygons(points, rng.uniform(0.05, 25, (n, rays)))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 30), st.sampled_from([3, 8, 32]), st.integers(0, 10**6))
def test_many_at_once_are_as_one_by_one(n, rays, seed) -> None:
    outlines, shape = stars(n, rays, seed), (60, 80)
    expected = np.zeros(shape, np.int32)
    for index in reversed(range(n)):
        rows, columns = polygon(outlines[index, :, 0], outlines[index, :, 1], shape)
        expected[rows, columns] = index + 1
    found = filled(outlines, shape)
    assert found.dtype == np.int32
    assert np.array_equal(found, expected)


def test_more_polygons_than_rows_lie_under_each_other_and_stick_out() -> None:
    square = np.array([[-0.5, -0.5], [-0.5, 0.5], [5.5, 0.5], [5.5, -0.5]])
    wider = np.array([[0, 0], [0, 1], [0, 1], [0, 0]])
    outlines = square + np.arange(20)[:, None, None] * wider
    assert np.array_equal(filled(outlines, (6, 20)), np.tile(np.arange(1, 21), (6, 1)))


def test_polygons_beside_the_image_cover_nothing() -> None:
    triangle = np.array([[[0.0, 0.0], [4.0, 0.0], [2.0, 3.0]]])
    for away in ((-9, 0), (9, 0), (0, -9), (0, 9)):
        assert not filled(triangle + away, (5, 7)).any()


def test_memory_is_bounded_without_changing_who_lies_on_top(monkeypatch) -> None:
    outlines = stars(50, 16, 3)
    together = filled(outlines, (60, 80))
    monkeypatch.setattr(polygon_filling, "_AT_ONCE", 7)
    assert np.array_equal(filled(outlines, (60, 80)), together)


def test_a_pixel_on_the_side_of_a_polygon_belongs_to_it() -> None:
    square = np.array([[[0.5, 2], [0.5, 5], [3.5, 5], [3.5, 2]]])
    assert np.argwhere(filled(square, (6, 8))).tolist() == [
        [y, x] for y in (1, 2, 3) for x in (2, 3, 4, 5)
    ]
