"""Polygons along pixel edges: the same pixels come back, and the polygons are valid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from microshot.data.outlines import filled, holds, outlines

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=14))
CALM = settings(deadline=None)


def painted(rings, shape) -> np.ndarray:
    where, mask = filled(rings, shape)
    made = np.zeros(shape, bool)
    made[where] = mask
    return made


def twice_area(ring: np.ndarray) -> int:
    x, y = ring.T
    return int((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())


@CALM
@given(MASKS)
def test_every_mask_comes_back_exactly(mask):
    rings = [ring for polygon in outlines(mask) for ring in polygon]
    assert np.array_equal(painted(rings, mask.shape), mask)


@settings(deadline=None, max_examples=30)
@given(MASKS)
def test_places_inside_polygons_are_those_of_their_pixels(mask):
    rings = [ring for polygon in outlines(mask) for ring in polygon]
    found = [
        [holds(rings, x + 0.3, y + 0.6) for x in range(mask.shape[1])] for y in range(len(mask))
    ]
    assert np.array_equal(found, mask)
    assert not holds(rings, -1, -1)


@CALM
@given(MASKS)
def test_polygons_are_valid_one_per_piece_with_their_holes(mask):
    from scipy import ndimage

    found = outlines(mask)
    pieces, n = ndimage.label(mask)
    assert len(found) == n
    for index, polygon in enumerate(found):
        assert twice_area(polygon[0]) > 0
        assert all(twice_area(hole) < 0 for hole in polygon[1:])
        assert np.array_equal(painted(polygon, mask.shape), pieces == index + 1)
        for ring in polygon:
            assert len({tuple(c) for c in ring.tolist()}) == len(ring) >= 4
            steps = np.roll(ring, -1, 0) - ring
            assert ((steps == 0).sum(1) == 1).all()  # along one axis at a time
            assert ((steps != 0)[:-1] != (steps != 0)[1:]).all()  # turning at every corner


@CALM
@given(MASKS, st.integers(-3, 3), st.integers(-3, 3))
def test_an_offset_moves_and_the_edge_of_the_image_cuts(mask, dy, dx):
    big = np.pad(mask, 3)
    rings = [ring for polygon in outlines(big, (dy - 3, dx - 3)) for ring in polygon]
    moved = np.roll(big, (dy, dx), (0, 1))[3:-3, 3:-3]
    assert np.array_equal(painted(rings, mask.shape), moved)


@CALM
@given(
    arrays(float, st.tuples(st.integers(3, 9), st.just(2)), elements=st.floats(-5, 25)),
)
def test_pixels_are_inside_where_their_middle_is(corners):
    corners = np.round(corners, 1) + 0.013  # no middle of a pixel on an edge
    shape = (15, 17)
    middles = np.stack(np.mgrid[:15, :17][::-1], -1).reshape(-1, 2) + 0.5
    edges = zip(corners, np.roll(corners, -1, 0), strict=True)
    odd = np.zeros(len(middles), int)
    for (xa, ya), (xb, yb) in edges:  # even-odd, told by a line to the left
        passes = (ya <= middles[:, 1]) != (yb <= middles[:, 1])
        at = xa + (middles[:, 1] - ya) * (xb - xa) / np.where(yb == ya, 1, yb - ya)
        odd += passes & (at <= middles[:, 0])
    assert np.array_equal(painted([corners], shape), (odd % 2 == 1).reshape(shape))


def test_a_large_outline_is_filled_in_bands(monkeypatch):
    monkeypatch.setattr("microshot.data.outlines._BAND_PX", 50)
    monkeypatch.setattr("microshot.data.outlines._CROSSINGS", 7)
    mask = np.random.default_rng(0).random((40, 31)) > 0.5
    rings = [ring for polygon in outlines(mask) for ring in polygon]
    assert np.array_equal(painted(rings, mask.shape), mask)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e300])
def test_corners_that_are_no_places_are_refused(wrong):
    with pytest.raises(ValueError, match="corner that is no number of pixels"):
        filled([np.array([[0, 0], [wrong, 1], [1, 1]])], (5, 5))


def test_an_endless_outline_is_refused(monkeypatch):
    monkeypatch.setattr("microshot.data.outlines._MOST_CROSSINGS", 10)
    with pytest.raises(ValueError, match="far too many corners"):
        filled([np.array([[0, 0], [9, 9], [0, 9]])], (20, 20))


def test_no_ring_fills_nothing():
    assert not painted([], (4, 5)).any()
