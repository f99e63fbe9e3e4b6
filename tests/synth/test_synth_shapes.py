"""Outlines and their rasterisation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microshot.synth.shapes import KINDS, draw, polygon_area, rasterise

SINGLE = [kind for kind in KINDS if kind != "dividing"]


def is_star_convex(points: np.ndarray) -> bool:
    """Whether every vertex is seen from the origin: angles rise by one turn in all."""
    angles = np.unwrap(np.arctan2(points[:, 0], points[:, 1]))
    return bool((np.diff(angles) > -1e-9).all()) or bool((np.diff(angles) < 1e-9).all())


def inside_by_crossings(points: np.ndarray, y: float, x: float) -> bool:
    """Textbook point-in-polygon test, one pixel at a time."""
    inside = False
    for (ya, xa), (yb, xb) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if (ya <= y) != (yb <= y) and xa + (y - ya) * (xb - xa) / (yb - ya) <= x:
            inside = not inside
    return inside


@pytest.mark.parametrize("kind", SINGLE)
def test_every_family_has_the_area_of_its_disc(kind):
    for seed in range(20):
        (outline,) = draw(kind, np.random.default_rng(seed), 12.0)
        assert polygon_area(outline.points_yx) == pytest.approx(np.pi * 144, rel=1e-9)


@pytest.mark.parametrize("kind", ["ellipse", "blob", "round", "lobed", "debris"])
def test_unbent_families_are_star_convex(kind):
    for seed in range(30):
        (outline,) = draw(kind, np.random.default_rng(seed), 12.0)
        assert is_star_convex(outline.points_yx)


def test_the_daughters_of_a_pair_are_two_and_touch_without_overlap():
    for seed in range(30):
        pair = draw("dividing", np.random.default_rng(seed), 15.0)
        assert len(pair) == 2
        total = np.zeros((80, 80), dtype=int)
        for daughter in pair:
            at = daughter.points_yx + np.asarray(daughter.offset_yx) + (40.3, 39.7)
            box, inside = rasterise(at, total.shape)
            total[box] += inside * (1 + total.max())
        ones, twos = total == 1, total == 2
        assert total.max() == 2
        assert ones.sum() == pytest.approx(twos.sum(), rel=0.1)
        grown = np.zeros_like(ones)
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                grown |= np.roll(np.roll(ones, dy, 0), dx, 1)
        assert (grown & twos).any()


def test_an_unknown_family_is_refused_with_the_choices():
    with pytest.raises(ValueError, match='Unknown shape "star": choose one of ellipse'):
        draw("star", np.random.default_rng(0), 5.0)  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.sampled_from(KINDS),
    st.integers(0, 10_000),
    st.floats(1.5, 12),
    st.floats(-6, 26),
    st.floats(-6, 26),
)
def test_rasterising_marks_exactly_the_pixel_centres_inside(kind, seed, radius, y, x):
    outline = draw(kind, np.random.default_rng(seed), radius)[0]
    points = outline.points_yx + np.array([y, x])
    frame = np.zeros((20, 23), dtype=bool)
    box, inside = rasterise(points, frame.shape)
    frame[box] = inside
    low, high = points.min(axis=0), points.max(axis=0)
    for i, j in np.ndindex(frame.shape):
        in_box = low[0] <= i <= high[0] and low[1] <= j <= high[1]
        assert frame[i, j] == (in_box and inside_by_crossings(points, i, j))


def test_squares_that_share_an_edge_share_no_pixel_and_leave_none_out():
    total = np.zeros((10, 10), dtype=int)
    for y0, x0 in ((0, 0), (0, 4), (4, 0), (4, 4)):
        square = np.array([[y0, x0], [y0, x0 + 4], [y0 + 4, x0 + 4], [y0 + 4, x0]], dtype=float)
        box, inside = rasterise(square, total.shape)
        total[box] += inside
    assert (total[:8, :8] == 1).all()
    assert total.sum() == 64


def test_an_outline_outside_the_frame_has_no_pixels():
    box, inside = rasterise(np.array([[-9.0, -9], [-9, -3], [-3, -5]]), (8, 8))
    assert inside.size == 0
    assert np.zeros((8, 8))[box].size == 0
