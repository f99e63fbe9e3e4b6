"""The objects of one block of a large image, made from what the network said in and around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from microshot.inference.blocks import Rect, meeting
from microshot.tasks.segmenting import blocks
from microshot.tasks.segmenting.blocks import Found, Output, taken

if TYPE_CHECKING:
    from microshot.large.journal import Journal
    from microshot.large.plan import Plan
    from microshot.large.segmenting import Work

#: Side of the largest window that is looked at together, px; larger objects are cut.
MAX_WINDOW_PX = 6144


def objects_of_block(work: Work, journal: Journal, block: int) -> tuple[Rect, Found]:
    """Return a window around a block and in it the objects that belong to the block."""
    core = work.plan.cores[block]
    if blocks.is_polygons(work.predictor.recipe):
        window, found = _polygons(work, journal, core)
    else:
        window, found = _maps(work, journal, core)
    own = core.holds(found.anchors) if len(found.anchors) else np.zeros(0, bool)
    return window, taken(found, own)


def _polygons(work: Work, journal: Journal, core: Rect) -> tuple[Rect, Found]:
    plan, p = work.plan, work.predictor
    near = _outputs(journal, plan, core.grown(1, plan.shape))
    halo = blocks.reach_px(near, plan.scale)
    window = core.grown(halo, plan.shape)
    outputs = _outputs(journal, plan, window)
    return window, blocks.polygons_in(outputs, window, plan.shape, plan.scale, p.recipe, p.options)


def _outputs(journal: Journal, plan: Plan, window: Rect) -> list[Output]:
    """Return the outputs of all tiles that a window of the image touches."""
    touched = window.grown(2, plan.shape).scaled(plan.scale, plan.scaled)
    return [journal.output(index) for index in meeting(touched, plan.parts)]


def _maps(work: Work, journal: Journal, core: Rect) -> tuple[Rect, Found]:
    """Look around a core until every object that belongs to it is seen whole."""
    plan, p = work.plan, work.predictor
    diameter = p.options.diameter_px or float(p.recipe.preparation["image_diameter_px"])
    halo = blocks.DIAMETERS * diameter
    while True:
        window = core.grown(halo, plan.shape)
        maps, corner = _assembled(journal, plan, window, int(p.recipe.architecture["grid"]))
        found = blocks.maps_in(maps, corner, window, plan.shape, plan.scaled, p.recipe, p.options)
        cut = found.cut & core.holds(found.anchors)
        if not cut.any() or max(window.shape) * 2 > max(MAX_WINDOW_PX, 2 * max(core.shape)):
            return window, found
        halo *= 2


def _assembled(
    journal: Journal, plan: Plan, window: Rect, grid: int
) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the maps that a window needs, put together from tiles, and their first point."""
    rows, columns = blocks.maps_needed(window, plan.shape, plan.scaled, grid)
    wanted = Rect(rows.start, columns.start, rows.stop, columns.stop)
    parts = [part.on_grid(grid) for part in plan.parts]
    made = None
    for index in meeting(wanted, parts):
        maps, part = journal.output(index)["maps"], parts[index]
        if made is None:
            made = np.zeros((len(maps), *wanted.shape), np.float32)
        top, left = max(wanted.top, part.top), max(wanted.left, part.left)
        bottom, right = min(wanted.bottom, part.bottom), min(wanted.right, part.right)
        made[
            :, top - wanted.top : bottom - wanted.top, left - wanted.left : right - wanted.left
        ] = maps[:, top - part.top : bottom - part.top, left - part.left : right - part.left]
    assert made is not None
    return made, (wanted.top, wanted.left)
