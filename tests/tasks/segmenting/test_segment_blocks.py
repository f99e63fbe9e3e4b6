"""Objects of a window of a large image, from what was said of the tiles around it."""

from __future__ import annotations

import numpy as np
import pytest

from microshot.data.normalize import Normalization
from microshot.inference.blocks import Rect
from microshot.tasks.base import Recipe
from microshot.tasks.segmenting.blocks import Found, maps_in, maps_needed, polygons_in, reach_px
from microshot.tasks.segmenting.recipes import checked
from microshot.tasks.segmenting.segmentation import Options


def recipe(head: str, grid: int = 1) -> Recipe:
    architecture = {
        "backbone": "unet", "head": head, "in_channels": 1, "width": 4, "depth": 2, "rays": 32,
        "grid": grid,
    }  # fmt: skip
    return checked(Recipe(architecture, Normalization("minmax"), {"image_diameter_px": 20.0}))


def test_the_halo_is_three_times_the_diameter_of_the_longest_rays_in_px_of_the_image() -> None:
    outputs = [{"distance": np.array([[2.0, 5.0]])}, {"distance": np.zeros((0, 2))}]
    assert reach_px(outputs, (0.5, 0.25)) == 3 * 2 * 5 / 0.25 + 2
    assert reach_px([], (1.0, 1.0)) == 2


@pytest.mark.parametrize("scale", [(1.0, 1.0), (0.5, 1.0)])
def test_an_object_goes_or_stays_by_the_whole_chain_of_better_ones_before_it(scale) -> None:
    """Each overlaps the next by half: the first takes the second away, so the third and not the fourth stays."""
    down = np.array([100, 108, 116, 124]) * scale[0]
    output = {
        "points": np.stack([down, np.full(4, 50)], 1).astype(np.int32),
        "probability": np.array([0.9, 0.8, 0.7, 0.6], np.float32),
        "distance": np.full((4, 32), 10 * scale[0], np.float32),
    }
    shape = (200, 100)
    options = Options()
    core = Rect(123, 0, 200, 100)
    window = core.grown(reach_px([output], scale), shape)
    for seen in (window, Rect(0, 0, 200, 100)):
        found = polygons_in([output], seen, shape, scale, recipe("stardist"), options)
        assert found.anchors[:, 0].round().tolist() == [100, 116]


def in_square(window: Rect, **options: int) -> Found:
    """Return what is found in a window of an image with one square of 8 px, whose rows and columns begin at 10."""
    maps = np.zeros((1, 40, 60), np.float32)
    maps[0, 10:18, 10:18] = 0.9
    return maps_in(
        maps, (0, 0), window, (40, 60), (40, 60), recipe("foreground"), Options(**options)
    )


@pytest.mark.parametrize("window", [Rect(0, 0, 40, 60), Rect(5, 4, 30, 40)])
def test_an_object_is_at_its_first_pixel_above_the_threshold_not_of_the_border_given_back(
    window,
) -> None:
    found = in_square(window)
    assert np.count_nonzero(found.labels) == 64 + 4 * 8
    assert found.anchors.tolist() == [[10, 10]]
    assert not found.cut.any()


@pytest.mark.parametrize(
    ("window", "cut"),
    [(Rect(9, 0, 40, 60), True), (Rect(8, 0, 40, 60), False), (Rect(0, 9, 40, 60), True),
     (Rect(0, 8, 40, 60), False), (Rect(0, 0, 19, 60), True), (Rect(0, 0, 20, 60), False),
     (Rect(0, 0, 40, 19), True), (Rect(0, 0, 40, 20), False)],
)  # fmt: skip
def test_an_object_that_reaches_an_edge_of_the_window_may_be_cut_off(window, cut) -> None:
    assert in_square(window).cut.tolist() == [cut]


def test_an_object_that_touches_the_edge_of_the_image_is_whole() -> None:
    maps = np.zeros((1, 20, 30), np.float32)
    maps[0, [0, 19], 5] = maps[0, 10, :3] = maps[0, 10, -3:] = 0.9
    options, r = Options(), recipe("foreground")
    whole = maps_in(maps, (0, 0), Rect(0, 0, 20, 30), (20, 30), (20, 30), r, options)
    assert whole.cut.tolist() == [False] * 4
    narrow = maps_in(maps, (0, 0), Rect(0, 1, 20, 29), (20, 30), (20, 30), r, options)
    assert narrow.cut.tolist() == [False, True, True, False]


@pytest.mark.parametrize(("least", "n"), [(96, 1), (97, 0)])
def test_objects_of_just_the_least_area_are_kept(least, n) -> None:
    assert len(in_square(Rect(0, 0, 40, 60), least_area_px=least).probability) == n


@pytest.mark.parametrize("grid", [1, 2, 4])
@pytest.mark.parametrize("scaled", [(97, 131), (43, 60), (151, 240)])
def test_a_window_is_the_same_whether_all_of_the_maps_are_there_or_what_it_needs(
    grid, scaled
) -> None:
    shape, r = (97, 131), recipe("foreground", grid)
    rng = np.random.default_rng(0)
    maps = rng.random((1, -(-scaled[0] // grid), -(-scaled[1] // grid)), np.float32)
    for window in (Rect(0, 0, 30, 50), Rect(31, 40, 63, 90), Rect(60, 77, 97, 131)):
        rows, columns = maps_needed(window, shape, scaled, grid)
        every = maps_in(maps, (0, 0), window, shape, scaled, r, Options())
        corner = (rows.start, columns.start)
        needed = maps_in(maps[:, rows, columns], corner, window, shape, scaled, r, Options())
        assert np.array_equal(every.labels, needed.labels)
        assert np.array_equal(every.probability, needed.probability)
