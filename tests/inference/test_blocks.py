"""Rectangles of a large image, by hand."""

from __future__ import annotations

import numpy as np

from microshot.inference.blocks import Rect, core_of, cores, meeting
from microshot.inference.tiling import Span, Tile


def test_a_rectangle_grows_by_whole_pixels_within_the_image() -> None:
    assert Rect(10, 20, 30, 40).grown(2.1, (100, 100)) == Rect(7, 17, 33, 43)
    assert Rect(1, 2, 30, 40).grown(3, (31, 41)) == Rect(0, 0, 31, 41)


def test_a_point_belongs_to_the_one_rectangle_that_holds_its_pixel() -> None:
    points = np.array([[9.9, 20], [10, 20], [29.9, 39.9], [30, 25], [15, 40], [15, 19.9]])
    held = Rect(10, 20, 30, 40).holds(points)
    assert held.tolist() == [False, True, True, False, False, False]


def test_rectangles_that_only_touch_share_no_pixel() -> None:
    own = Rect(10, 20, 30, 40)
    others = [
        Rect(0, 20, 10, 40), Rect(0, 20, 11, 40), Rect(30, 20, 50, 40), Rect(29, 20, 50, 40),
        Rect(10, 0, 30, 20), Rect(10, 0, 30, 21), Rect(10, 40, 30, 60), Rect(10, 39, 30, 60),
    ]  # fmt: skip
    assert meeting(own, others) == [1, 3, 5, 7]


def test_of_a_coarser_grid_all_points_are_taken_that_a_rectangle_touches() -> None:
    assert Rect(8, 7, 17, 16).on_grid(4) == Rect(2, 1, 5, 4)
    assert Rect(8, 7, 17, 16).within(Rect(5, 6, 40, 40)) == Rect(3, 1, 12, 10)
    assert Rect(3, 5, 7, 9).scaled((0.5, 2.5), (100, 100)) == Rect(1, 12, 4, 23)
    assert Rect(3, 5, 7, 9).scaled((2.0, 2.0), (13, 17)) == Rect(6, 10, 13, 17)


def test_cores_are_the_rounded_parts_of_a_scaled_copy() -> None:
    parts = [Rect(0, 0, 4, 4), Rect(0, 4, 4, 10), Rect(4, 0, 10, 10)]
    # 10 px of the copy are 7 px of the image along y and 16 along x: 4 are 2.8 and 6.4
    assert cores(parts, (7, 16), (10, 10)) == [
        Rect(0, 0, 3, 6), Rect(0, 6, 3, 16), Rect(3, 0, 7, 16)
    ]  # fmt: skip
    tile = Tile(Span(0, 16, 4, 12), Span(8, 24, 12, 20))
    assert core_of(tile) == Rect(4, 12, 12, 20)
