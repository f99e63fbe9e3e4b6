"""Where tiles lie: index arithmetic, no torch.

::

    image     |...........|<----- inner ----->|...........|
    tile      |   halo    |<----- inner ----->|   halo    |

A network reads a tile with its halo; only the inner part of what comes out is used. At its far
edges the image is mirrored up to a multiple of the network's strides. With a halo as wide as the
receptive field, the inner parts together equal the result on the whole image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from microshot.data.patches import mirrored


@dataclass(frozen=True)
class Span:
    """One axis of a tile, in pixels of the image."""

    read_start: int
    """First pixel read."""
    read_stop: int
    """One past the last pixel read; may lie beyond the image (mirrored)."""
    start: int
    """First pixel this tile is responsible for."""
    stop: int
    """One past the last of them."""

    @property
    def inner(self) -> slice:
        """The pixels the tile is responsible for, counted inside the tile."""
        return slice(self.start - self.read_start, self.stop - self.read_start)


@dataclass(frozen=True)
class Tile:
    """A rectangle of an image that is read, and the part of it that is kept."""

    y: Span
    x: Span

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width read."""
        return self.y.read_stop - self.y.read_start, self.x.read_stop - self.x.read_start

    def points(self, grid: int) -> tuple[slice, slice]:
        """The part to be kept of an output that has one value per `grid` px."""
        rows, columns = (
            slice(i.start // grid, -(-i.stop // grid)) for i in (self.y.inner, self.x.inner)
        )
        return rows, columns

    def read(self, image: np.ndarray) -> np.ndarray:
        """Cut the tile out of (C, Y, X), mirrored at the image's edges."""
        height, width = image.shape[1:]
        if self.y.read_stop <= height and self.x.read_stop <= width:
            rows = slice(self.y.read_start, self.y.read_stop)
            return image[:, rows, self.x.read_start : self.x.read_stop]
        rows = mirrored(np.arange(self.y.read_start, self.y.read_stop), height)
        columns = mirrored(np.arange(self.x.read_start, self.x.read_stop), width)
        return image[:, rows[:, None], columns[None]]


def _round_up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


def spans(length: int, tile: int, halo: int, multiple: int) -> list[Span]:
    """Cover an axis of `length` px.

    Parameters
    ----------
    length : px of the image, at least 1.
    tile : greatest px read at once, halo included; rounded down to `multiple`.
    halo : px read and thrown away on either side; rounded up to `multiple`.
    multiple : tiles start at and measure multiples of this (the network's strides).

    Returns
    -------
    As few spans as possible, nearly alike in size, whose ``start`` to ``stop`` cover 0 to `length`
    once, in order. An axis that fits into one tile gives one span without halo, padded at its end
    to the next multiple.

    Raises
    ------
    ValueError
        If nothing of a tile is left between its halos.
    """
    if length <= tile:
        return [Span(0, _round_up(length, multiple), 0, length)]
    halo, side = _round_up(halo, multiple), tile // multiple * multiple
    if side - 2 * halo < multiple:
        raise ValueError(
            f"A tile of {tile} px leaves nothing between halos of {halo} px; "
            f"use tiles of at least {2 * halo + multiple} px."
        )
    n = -(-(length - 2 * halo) // (side - 2 * halo))
    side = _round_up(-(-(length + 2 * halo * (n - 1)) // n), multiple)
    end, result = _round_up(length, multiple), []
    for read_start in range(0, length, side - 2 * halo):
        # never beyond what the network would see of the whole image, so that both agree
        read_stop = min(read_start + side, end)
        start = read_start + halo if read_start else 0
        stop = length if read_stop == end else read_stop - halo
        result.append(Span(read_start, read_stop, start, stop))
        if read_stop == end:
            break
    return result


def tiles(shape: tuple[int, int], tile: int, halo: int, multiple: int) -> list[Tile]:
    """Cover an image of `shape` (Y, X) with tiles, row by row (see `spans`)."""
    columns = spans(shape[1], tile, halo, multiple)
    return [Tile(y, x) for y in spans(shape[0], tile, halo, multiple) for x in columns]


def halves(tile: Tile, halo: int, multiple: int) -> tuple[Tile, Tile] | None:
    """Divide a tile into two that are read with a halo each, the longer side first.

    Returns
    -------
    Two tiles that together keep what `tile` keeps; None where neither would read at least a
    tenth less.
    """
    longer_first = sorted((tile.y, tile.x), key=lambda s: s.read_start - s.read_stop)
    for span in longer_first:
        parts = _divided(span, _round_up(halo, multiple), multiple)
        if parts and span is tile.y:
            return Tile(parts[0], tile.x), Tile(parts[1], tile.x)
        if parts:
            return Tile(tile.y, parts[0]), Tile(tile.y, parts[1])
    return None


def _divided(span: Span, halo: int, multiple: int) -> tuple[Span, Span] | None:
    middle = span.start + _round_up((span.stop - span.start + 1) // 2, multiple)
    if middle >= span.stop:
        return None
    first = Span(span.read_start, min(middle + halo, span.read_stop), span.start, middle)
    second = Span(max(middle - halo, span.read_start), span.read_stop, middle, span.stop)
    longest = max(part.read_stop - part.read_start for part in (first, second))
    return (first, second) if longest <= 0.9 * (span.read_stop - span.read_start) else None
