"""Run a network over an image in overlapping tiles whose middle counts more than their edges."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from microshot.inference.shortage import attempted, too_little
from microshot.inference.tiling import Span, Tile
from microshot.progress import Progress, silent

if TYPE_CHECKING:
    from microshot.inference.predictor import Network


def pyramid_window(shape: tuple[int, int]) -> np.ndarray:
    """Return the weight of every pixel of a tile of `shape` (Y, X), float32, mean 1.

    W = E / (C + E) with C the distance of a pixel's middle to the tile's, and E that to the
    nearest edge, √(d² + ¼) along each axis: 3.20 in the middle of 512 × 512 px, 0.009 at an edge
    and 0.006 in a corner.

    References
    ----------
    .. [1] Khvedchenya 2019, pytorch-toolbelt, ``compute_pyramid_patch_weight_loss``.
    """
    middle, edge = [], []
    for n in shape:
        centres = np.arange(n) + 0.5
        middle.append(np.square(centres - n / 2))
        edge.append(np.sqrt(np.square(np.minimum(centres, n - centres)) + 0.25))
    to_middle = np.sqrt(middle[0][:, None] + middle[1][None])
    to_edge = np.minimum(edge[0][:, None], edge[1][None])
    weight = to_edge / (to_middle + to_edge)
    return (weight / weight.mean()).astype(np.float32)


def overlapping(length: int, tile: int, multiple: int) -> list[Span]:
    """Cover an axis of `length` px with tiles that overlap by half.

    An axis that fits into one tile gives one span, padded at its end to the next `multiple`;
    otherwise the last tile reaches beyond the image (mirrored), no further than it must.
    """
    if length <= tile:
        return [Span(0, -(-length // multiple) * multiple, 0, length)]
    tile = max(tile // (2 * multiple) * 2 * multiple, 2 * multiple)
    step = tile // 2
    n = 1 + -(-(length - tile) // step)
    return [
        Span(i * step, i * step + tile, i * step, min(i * step + tile, length)) for i in range(n)
    ]


def n_tiles(shape: tuple[int, int], tile_px: int, multiple: int) -> int:
    """Return how many tiles `run_blended` cuts an image of `shape` (Y, X) into."""
    return math.prod(len(overlapping(length, tile_px, multiple)) for length in shape)


def run_blended(
    network: Network,
    image: np.ndarray,
    n_out: int,
    *,
    tile_px: int,
    multiple: int,
    progress: Progress = silent,
) -> np.ndarray:
    """Apply `network` to overlapping tiles and return their weighted mean, (n_out, Y, X) float32.

    Parameters
    ----------
    image : (C, Y, X) of any size; handed over as it is, a whole image in one tile if it fits.
    tile_px : greatest side of a tile; neighbours overlap by half of it.
    multiple : sides of tiles are multiples of this.

    Where memory does not suffice for a tile, everything is done again with tiles of half the side.

    Raises
    ------
    MemoryError
        If memory does not suffice for the smallest tile.
    """
    tried = attempted(lambda x: _blended(network, x, n_out, tile_px, multiple, progress), image)
    if tried is not None:
        return tried
    side = min(tile_px, max(image.shape[1:]))
    if side <= 2 * multiple:
        raise too_little((side, side))
    half = -(-side // (2 * multiple)) * multiple
    progress(0.0, f"memory is short: tiles of {half} px")
    return run_blended(network, image, n_out, tile_px=half, multiple=multiple, progress=progress)


def _blended(
    network: Network,
    image: np.ndarray,
    n_out: int,
    tile_px: int,
    multiple: int,
    progress: Progress,
) -> np.ndarray:
    height, width = image.shape[1:]
    rows, columns = (overlapping(n, tile_px, multiple) for n in (height, width))
    parts = [Tile(y, x) for y in rows for x in columns]
    total = np.zeros((n_out, height, width), np.float32)
    weights = np.zeros((height, width), np.float32)
    for index, tile in enumerate(parts):
        progress(index / len(parts), f"tile {index + 1} of {len(parts)}" if len(parts) > 1 else "")
        output = network(tile.read(image)[None])[0]
        window = pyramid_window(tile.shape)[tile.y.inner, tile.x.inner]
        place = np.s_[tile.y.start : tile.y.stop, tile.x.start : tile.x.stop]
        total[:, *place] += window * output[:, tile.y.inner, tile.x.inner]
        weights[place] += window
    progress(1.0)
    total /= weights
    return total
