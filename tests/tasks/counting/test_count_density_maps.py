"""Density maps: sums, points back from maps, clarity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microshot.tasks.counting.density_maps import clarity, find_points, spots

places = st.lists(st.tuples(st.floats(-0.5, 39.4), st.floats(-0.5, 27.4)), max_size=20)


@given(places, st.floats(0.3, 12), st.sampled_from([1, 2, 4]))
def test_a_map_adds_up_to_the_points_also_at_the_edge(points, spread, cell) -> None:
    made = spots(np.array(points).reshape(-1, 2), (40 // cell, 28 // cell), spread, cell)
    assert made.dtype == np.float32
    assert made.min() >= 0
    assert made.sum() == pytest.approx(len(points), abs=1e-3)


@given(places, st.floats(0.5, 6))
def test_a_coarser_map_is_the_finer_one_added_up(points, spread) -> None:
    points = np.array(points).reshape(-1, 2)
    fine, coarse = spots(points, (40, 28), spread), spots(points, (20, 14), spread, 2)
    added = fine.reshape(20, 2, 14, 2).sum((1, 3))
    np.testing.assert_allclose(coarse, added, atol=2e-3)


def test_a_spot_is_highest_at_its_point() -> None:
    made = spots(np.array([[10.0, 20.0]]), (32, 48), 2.0)
    assert np.unravel_index(made.argmax(), made.shape) == (10, 20)
    assert made.max() == pytest.approx(1 / (2 * np.pi * 4), rel=0.05)


def test_points_are_found_again_where_spots_touch() -> None:
    true = np.array([[8.0, 8.0], [8.3, 13.1], [20.6, 30.2], [30.0, 4.0], [31.0, 39.0]])
    found = find_points(spots(true, (36, 44), 1.8), 5, 1.8)
    distance = np.linalg.norm(found[:, None] - true[None], axis=2)
    assert distance.min(0).max() < 0.6
    assert len(set(distance.argmin(1))) == 5


@given(st.integers(0, 60), st.integers(0, 5))
def test_as_many_points_are_found_as_asked_for(n, seed) -> None:
    density = np.random.default_rng(seed).random((7, 9)).astype(np.float32)
    found = find_points(density, n, 1.5)
    assert found.shape == (n, 2)
    assert (found >= -0.5).all()
    assert (found <= [6.5, 8.5]).all()


def test_two_objects_in_one_place_are_two_points() -> None:
    density = spots(np.array([[10.0, 10.0], [10.0, 10.0]]), (20, 20), 2.0)
    found = find_points(density, 2, 2.0)
    assert np.abs(found - 10).max() < 2.5


def test_an_object_on_the_flank_of_others_is_found_once_these_are_taken_away() -> None:
    truth = np.array([[15.0, 12.0], [15.0, 12.0], [15.0, 17.0]])
    found = find_points(spots(truth, (30, 30), 2.0), 3, 2.0)
    np.testing.assert_allclose(found[np.argsort(found[:, 1])], truth, atol=1.0)


def test_clarity_is_one_for_spots_and_low_for_haze() -> None:
    points = np.array([[8.0, 8.0], [20.0, 20.0]])
    clear = spots(points, (28, 28), 2.0)
    assert clarity(clear, points, 2.0) == pytest.approx(1)
    assert clarity(np.full((28, 28), 2 / 784, np.float32), points, 2.0) < 0.3
    assert clarity(np.zeros((9, 9), np.float32), np.zeros((0, 2)), 2.0) == 1
    assert clarity(np.full((10, 10), 0.004, np.float32), np.zeros((0, 2)), 2.0) < 0.3
