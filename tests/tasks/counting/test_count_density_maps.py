"""Density maps: sums, points back from maps, clarity."""

from __future__ import annotations

import tracemalloc

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


def test_a_spot_wider_than_the_map_takes_no_memory_beyond_it() -> None:
    points = np.array([[8.0, 20.0]] * 50)
    tracemalloc.start()
    try:
        made = spots(points, (32, 48), 600.0)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(made, 50 / made.size, rtol=1e-2)  # flat, as all of it is the middle
    assert most < 50e6


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


@given(st.floats(9, 11), st.floats(29, 31), st.floats(1.5, 4))
def test_points_apart_are_found_to_a_tenth_of_a_pixel(y, x, spread) -> None:
    true = np.array([[y, x], [x, y]])
    found = find_points(spots(true, (40, 40), spread), 2, spread)
    distance = np.linalg.norm(found[:, None] - true[None], axis=2)
    assert distance.min(0).max() < 0.1


def test_the_clearest_object_comes_first() -> None:
    faint, clear = (spots(np.array([[at, at]]), (40, 40), 2.0) for at in (10.0, 28.0))
    np.testing.assert_allclose(find_points(0.5 * faint + clear, 2, 2.0), [[28, 28], [10, 10]])
    np.testing.assert_allclose(find_points(0.5 * faint + clear, 1, 2.0), [[28, 28]])


@pytest.mark.parametrize(("part", "second"), [(0.03, 10), (0.08, 28)])
def test_a_speck_is_an_object_only_once_no_better_one_is_left(part, second) -> None:
    pile, speck = (spots(np.array([[at, at]]), (40, 40), 2.0) for at in (10.0, 28.0))
    found = find_points(2 * (pile + part * speck), 2, 2.0)
    np.testing.assert_allclose(found, [[10, 10], [second, second]], atol=0.01)


def test_more_objects_than_places_are_spread_over_all_places() -> None:
    density = np.random.default_rng(0).random((5, 5)).astype(np.float32)
    found = find_points(density, 200, 2.0).round().astype(int)
    assert len({(y, x) for y, x in found.tolist()}) == 25


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
    assert clarity(np.full((10, 10), 0.004, np.float32), np.zeros((0, 2)), 2.0) == pytest.approx(
        0.2
    )


def test_of_two_spots_and_one_object_two_thirds_overlap() -> None:
    first, second = np.array([[10.0, 10.0]]), np.array([[28.0, 28.0]])
    both = np.concatenate([first, second])
    assert clarity(spots(first, (40, 40), 2.0), both, 2.0) == pytest.approx(2 / 3)
    assert clarity(spots(both, (40, 40), 2.0), first, 2.0) == pytest.approx(2 / 3)
