"""Which part of a large image a block owns, and what else it must see: index arithmetic only.

::

    image    |.............|<------ core ------>|.............|
    window   |.....|<halo->|<------ core ------>|<-halo->|....|

The cores of all blocks are the image, each pixel once. An object belongs to the block in whose core
its anchor lies; the window is what the block has to look at to know that object whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.inference.tiling import Tile


@dataclass(frozen=True)
class Rect:
    """A rectangle of pixels, half open."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in px."""
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def grown(self, by: float, shape: tuple[int, int]) -> Rect:
        """Return the rectangle with `by` px more on every side, within an image of (Y, X) `shape`."""
        n = math.ceil(by)
        return Rect(
            max(0, self.top - n),
            max(0, self.left - n),
            min(shape[0], self.bottom + n),
            min(shape[1], self.right + n),
        )

    def meets(self, other: Rect) -> bool:
        """Say whether the two share a pixel."""
        rows = self.top < other.bottom and other.top < self.bottom
        return rows and self.left < other.right and other.left < self.right

    def holds(self, points: np.ndarray) -> np.ndarray:
        """Say of points (n, 2) y and x whether the pixel they lie in belongs to the rectangle."""
        y, x = np.floor(points).T
        rows = (y >= self.top) & (y < self.bottom)
        return rows & (x >= self.left) & (x < self.right)

    def on_grid(self, grid: int) -> Rect:
        """Return the points of a grid, one per `grid` px, that it touches."""
        return Rect(
            self.top // grid, self.left // grid, -(-self.bottom // grid), -(-self.right // grid)
        )

    def within(self, other: Rect) -> Rect:
        """Return the same rectangle, counted from the corner of another one."""
        y, x = other.top, other.left
        return Rect(self.top - y, self.left - x, self.bottom - y, self.right - x)

    def scaled(self, scale: tuple[float, float], shape: tuple[int, int]) -> Rect:
        """Return the pixels of an image `scale` times as large, (Y, X) `shape`, that it touches."""
        (y, x), (height, width) = scale, shape
        return Rect(
            max(0, math.floor(self.top * y)),
            max(0, math.floor(self.left * x)),
            min(height, math.ceil(self.bottom * y)),
            min(width, math.ceil(self.right * x)),
        )


def core_of(tile: Tile) -> Rect:
    """Return what a tile is responsible for."""
    return Rect(tile.y.start, tile.x.start, tile.y.stop, tile.x.stop)


def cores(parts: Sequence[Rect], shape: tuple[int, int], scaled: tuple[int, int]) -> list[Rect]:
    """Return the parts of an image of (Y, X) `shape` that belong to parts of its scaled copy.

    Borders are rounded, so that parts that cover the scaled image once cover the image once,
    too, wherever none of them vanishes.
    """
    y, x = shape[0] / scaled[0], shape[1] / scaled[1]
    return [Rect(round(p.top * y), round(p.left * x), round(p.bottom * y), round(p.right * x))
            for p in parts]  # fmt: skip


def meeting(rect: Rect, parts: Sequence[Rect]) -> list[int]:
    """Return which of `parts` share a pixel with `rect`."""
    return [index for index, part in enumerate(parts) if part.meets(rect)]
