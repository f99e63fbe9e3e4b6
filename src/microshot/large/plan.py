"""How a large image is cut into blocks, and how one block gets through the network."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from microshot.data.image import grey_channel
from microshot.data.patches import mirrored
from microshot.data.scale import resize_window, scaled_shape
from microshot.data.streaming import fitted
from microshot.data.windowed import OneChannel, one_channel
from microshot.data.windows import pixels_of, reader_of
from microshot.inference.blocks import Rect, core_of, cores
from microshot.inference.predictor import tiles_of
from microshot.inference.tiling import tiles
from microshot.progress import silent
from microshot.tasks.base import check_channels
from microshot.tasks.object_scale import scale_of
from microshot.tasks.segmenting.recipes import tiling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from microshot.data.normalize import Normalization
    from microshot.data.windowed import Windowed
    from microshot.inference.tiling import Tile
    from microshot.progress import Progress
    from microshot.tasks.base import Recipe
    from microshot.tasks.segmenting.segmentation import Options

#: Greatest side of the parts in which colours are looked for, px.
PART_PX = 1024


@dataclass(frozen=True)
class Plan:
    """The blocks of one image; each is a tile of the network and a core of the image."""

    shape: tuple[int, int]
    """(Y, X) of the image."""
    scaled: tuple[int, int]
    """(Y, X) of the network's input for the whole image."""
    tiles: tuple[Tile, ...]
    parts: tuple[Rect, ...]
    """What each tile is responsible for, in px of the network's input."""
    cores: tuple[Rect, ...]
    """The same in px of the image."""

    @property
    def scale(self) -> tuple[float, float]:
        """Px of the network's input per px of the image, along y and x."""
        return self.scaled[0] / self.shape[0], self.scaled[1] / self.shape[1]


def plan_of(shape: tuple[int, int], recipe: Recipe, options: Options) -> Plan:
    """Cut an image of (Y, X) `shape` into the tiles that a prediction of the whole would use."""
    scaled = scaled_shape(shape, scale_of(recipe, options.diameter_px))
    found = tiles_of(scaled, **tiling(recipe, options.tile_px))
    parts = [core_of(tile) for tile in found]
    return Plan(shape, scaled, tuple(found), tuple(parts), tuple(cores(parts, shape, scaled)))


def seen(source: Windowed, recipe: Recipe, progress: Progress) -> Windowed:
    """Return what the model looks at of an image, as `tasks.base.image_for` does of a small one.

    That is the channel that its recipe names, of a grey image that was saved in colour its one
    channel, else all. The latter is read in one pass, which ends where the first colour is met.

    Raises
    ------
    ValueError
        If there is no such channel (see `one_channel`), or the image has other channels than the
        model's training images.
    """
    taken, n_taken = one_channel(source, recipe.channel), recipe.architecture["in_channels"]
    is_colour = taken.facts.is_colour
    if is_colour and n_taken == 1:
        grey = grey_channel(_parts(taken, progress))
        taken = taken if grey is None else OneChannel(taken, grey)
    check_channels(f'"{source.path}"', taken.facts.shape[0], recipe, is_colour=is_colour)
    return taken


def is_blank(source: Windowed) -> bool:
    """Say whether an image has but one grey value in each channel; looks until another is met."""
    parts = _parts(source, silent)
    first = next(parts)
    return all((part == first[:, :1, :1]).all() for part in chain([first], parts))


def _parts(source: Windowed, progress: Progress) -> Iterator[np.ndarray]:
    _, height, width = source.facts.shape
    found = [core_of(tile) for tile in tiles((height, width), PART_PX, 0, 1)]
    for index, part in enumerate(found):
        progress(index / len(found), f"looking for colours, block {index + 1} of {len(found)}")
        yield pixels_of(source, *part.slices)


def scaled_window(source: Windowed, plan: Plan, rows: slice, columns: slice) -> np.ndarray:
    """Return a window (C, y, x) float32 of the image brought to the network's scale."""
    return resize_window(reader_of(source), plan.shape, plan.scaled, rows, columns)


def fitted_to(
    source: Windowed, plan: Plan, normalization: Normalization, progress: Progress
) -> Normalization:
    """Return the normalisation with the numbers of the whole image, read in one or two passes."""
    passes = 0

    def blocks() -> Iterator[np.ndarray]:
        nonlocal passes
        passes += 1
        n = len(plan.parts)
        for index, part in enumerate(plan.parts):
            done = (min(passes, 2) - 1 + index / n) / 2
            progress(done, f"measuring grey values, block {index + 1} of {n}")
            yield scaled_window(source, plan, *part.slices)

    return fitted(normalization, blocks)


def tile_of(source: Windowed, plan: Plan, tile: Tile) -> np.ndarray:
    """Return a tile (C, y, x) float32 of the network's input, mirrored at the image's edges."""
    rows, columns = (
        mirrored(np.arange(s.read_start, s.read_stop), n)
        for s, n in zip((tile.y, tile.x), plan.scaled, strict=True)
    )
    seen = scaled_window(
        source, plan, slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    )
    return seen[:, (rows - rows.min())[:, None], columns - columns.min()]
