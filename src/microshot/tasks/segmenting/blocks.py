"""Objects of an image too large for memory: what the network says of a tile, objects of a window.

Decisions about an object need its surroundings only, so a window around a block's core with enough
halo gives the objects that the whole image would give. Whose anchor lies in the core belongs to the
block.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from microshot.data.objects import selected
from microshot.data.scale import resize_window
from microshot.inference.blocks import core_of
from microshot.tasks.segmenting import pixels, stardist
from microshot.tasks.segmenting.segmentation import RawSegmentation, decoded, gather

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from microshot.inference.blocks import Rect
    from microshot.inference.tiling import Tile
    from microshot.tasks.base import Recipe
    from microshot.tasks.segmenting.segmentation import Options

#: How many times the reach of a suppression is looked around a core. Whether an object stays
#: depends on better ones that overlap it, and these on still better ones in turn.
LINKS = 3
#: Halo at first, in typical diameters, where the size of objects shows only when they are made.
DIAMETERS = 4.0

#: What the network said of a tile: arrays by name.
Output = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Found:
    """Objects of a window of an image."""

    labels: np.ndarray
    """(y, x) int32, ids 1..n."""
    probability: np.ndarray
    """(n,) float32."""
    anchors: np.ndarray
    """(n, 2) y and x in px of the whole image; the same, whatever window an object is seen in."""
    cut: np.ndarray
    """(n,) bool, whether the window's edge, not the image's, may cut the object off."""


def is_polygons(recipe: Recipe) -> bool:
    """Say whether the network's objects are polygons with candidates, not maps."""
    return recipe.architecture["head"] == "stardist"


def tile_output(
    outputs: Iterable[tuple[Tile, np.ndarray]],
    tile: Tile,
    scaled: tuple[int, int],
    recipe: Recipe,
    least: float,
) -> Output:
    """Return what is kept of the network's output for a tile.

    Parameters
    ----------
    outputs : the parts that make up `tile`, each with the whole output (K, y/g, x/g) on it.
    scaled : shape of the network's whole input.
    least : least probability of a candidate.
    """
    grid = int(recipe.architecture["grid"])
    if not is_polygons(recipe):
        return {"maps": _map_of(outputs, tile, grid)}
    candidates = stardist.Candidates()
    for part, output in outputs:
        gather(candidates, part, output, scaled, grid, least)
    return {
        "points": np.concatenate(candidates.points),
        "probability": np.concatenate(candidates.probability),
        "distance": np.concatenate(candidates.distance),
    }


def _map_of(outputs: Iterable[tuple[Tile, np.ndarray]], tile: Tile, grid: int) -> np.ndarray:
    """Return the probabilities (K, y/g, x/g) of the inner part of a tile, put together from parts."""
    made = np.zeros((0, 0, 0), np.float32)
    whole = core_of(tile).on_grid(grid)
    for part, output in outputs:
        inner = pixels.probabilities(output[:, *part.points(grid)])
        made = made if made.size else np.zeros((len(inner), *whole.shape), np.float32)
        rows, columns = core_of(part).on_grid(grid).within(whole).slices
        made[:, rows, columns] = inner
    return made


def reach_px(outputs: Sequence[Output], scale: tuple[float, float]) -> float:
    """Return the halo that polygons ask for, in px of the image: `LINKS` greatest diameters."""
    longest = max((float(o["distance"].max(initial=0)) for o in outputs), default=0.0)
    return LINKS * 2 * longest / min(scale) + 2


def polygons_in(
    outputs: Sequence[Output],
    window: Rect,
    shape: tuple[int, int],
    scale: tuple[float, float],
    recipe: Recipe,
    options: Options,
) -> Found:
    """Return the objects of `window` from the candidates of all tiles that it touches.

    Parameters
    ----------
    window : in px of the image, whose size is `shape`.
    scale : px of the network's input per px of the image, along y and x.
    """
    candidates = stardist.Candidates()
    for output in outputs:
        where = (output["points"] + 0.5) / np.asarray(scale) - 0.5
        inside = window.holds(where + 0.5)
        candidates.points.append(output["points"][inside])
        candidates.probability.append(output["probability"][inside])
        candidates.distance.append(output["distance"][inside])
    found = stardist.suppress(candidates, shape, scale, *options.thresholds(recipe))
    corner = np.asarray([window.top, window.left], np.float32)
    moved = dataclasses.replace(found, points=found.points - corner)
    labels, source = stardist.draw(moved, window.shape)
    never = np.zeros(len(source), bool)
    made = Found(labels, found.probability[source], found.points[source], never)
    return _without_small(made, options.least_area_px)


def maps_in(
    maps: np.ndarray, corner: tuple[int, int], window: Rect, shape: tuple[int, int],
    scaled: tuple[int, int], recipe: Recipe, options: Options,
) -> Found:  # fmt: skip
    """Return the objects of `window` from the maps around it.

    Parameters
    ----------
    maps : (K, y, x) float32 on the grid; its first point is `corner` of the whole map.
    window : in px of the image, whose size is `shape`.
    scaled : (Y, X) of the network's input for the whole image.
    """
    grid = int(recipe.architecture["grid"])
    full = tuple(-(-n // grid) + 1 for n in scaled)  # with the last point repeated
    start = 0.5 - 0.5 / grid
    stop = [(n - 0.5) / grid + 0.5 for n in scaled]

    def read(rows: slice, columns: slice) -> np.ndarray:
        y = np.minimum(np.arange(rows.start, rows.stop), full[0] - 2) - corner[0]
        x = np.minimum(np.arange(columns.start, columns.stop), full[1] - 2) - corner[1]
        return maps[:, np.clip(y, 0, maps.shape[1] - 1)[:, None], np.clip(x, 0, maps.shape[2] - 1)]

    seen = resize_window(
        read, (full[0], full[1]), shape, *window.slices, (start, start, stop[0], stop[1])
    ).astype(np.float16)
    scale = (scaled[0] / shape[0], scaled[1] / shape[1])
    raw = RawSegmentation(window.shape, scale, maps=seen)
    made = decoded(raw, recipe, dataclasses.replace(options, least_area_px=0))
    threshold, _ = options.thresholds(recipe)
    inside = seen[0 if len(seen) == 1 else pixels.INTERIOR] > np.float32(threshold)
    anchors = _first_px(np.where(inside, made.labels, 0), made.n_objects)
    cut = _at_edges(made.labels, window, shape, made.n_objects)
    corner_px = np.asarray([window.top, window.left])
    found = Found(made.labels, made.probability, anchors + corner_px, cut)
    return _without_small(found, options.least_area_px)


def maps_needed(
    window: Rect, shape: tuple[int, int], scaled: tuple[int, int], grid: int
) -> tuple[slice, slice]:
    """Return the rows and columns of the maps that `maps_in` reads for `window`."""
    spans = []
    for first, last, n, m in zip(
        (window.top, window.left), (window.bottom, window.right), shape, scaled, strict=True
    ):
        step = m / n / grid
        reach = max(step, 1.0) + 3
        low = max(0, int(first * step - reach))
        spans.append(slice(low, min(-(-m // grid), int(last * step + reach) + 1)))
    return spans[0], spans[1]


def _first_px(labels: np.ndarray, n: int) -> np.ndarray:
    """Return y and x of the first pixel of each object 1..n, row by row, (n, 2) int."""
    ids, first = np.unique(labels, return_index=True)
    made = np.zeros((n, 2), np.int64)
    known = ids > 0
    made[ids[known] - 1] = np.stack(np.unravel_index(first[known], labels.shape), axis=1)
    return made


def _at_edges(labels: np.ndarray, window: Rect, shape: tuple[int, int], n: int) -> np.ndarray:
    """Say which objects touch an edge of `window` that is no edge of the image, (n,) bool."""
    edges = [
        labels[0] if window.top > 0 else labels[0, :0],
        labels[-1] if window.bottom < shape[0] else labels[0, :0],
        labels[:, 0] if window.left > 0 else labels[0, :0],
        labels[:, -1] if window.right < shape[1] else labels[0, :0],
    ]
    cut = np.zeros(n + 1, bool)
    cut[np.unique(np.concatenate(edges))] = True
    return cut[1:]


def _without_small(found: Found, least_area_px: int) -> Found:
    """Leave out objects smaller than `least_area_px` and number the others anew."""
    n = len(found.probability)
    areas = np.bincount(found.labels.ravel(), minlength=n + 1)[1:]
    return taken(found, areas >= max(least_area_px, 1))


def taken(found: Found, keep: np.ndarray) -> Found:
    """Return the objects where `keep` (n,) is set, numbered 1..m in their order."""
    labels = selected(found.labels, keep)
    return Found(labels, found.probability[keep], found.anchors[keep], found.cut[keep])
