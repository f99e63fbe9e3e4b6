"""Where memory ends: a tile that does not fit is read in halves, and what never fits is said."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from microshot.device import out_of_memory
from microshot.inference.tiling import Tile, halves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from microshot.data.normalize import Normalization


def too_little(shape: tuple[int, int]) -> MemoryError:
    """Return the error where not even a tile of `shape` (Y, X) px fits into memory."""
    return MemoryError(
        f"There is not enough memory for the network, not even for {shape[0]} x {shape[1]} px at "
        "once; close other programs, use a smaller model, or compute on another device."
    )


def attempted(network: Callable[[np.ndarray], np.ndarray], batch: np.ndarray) -> np.ndarray | None:
    """Return what `network` makes of `batch`; None where memory does not suffice.

    The error is gone when this returns, and with it what it kept in memory.
    """
    try:
        return network(batch)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        return None


def in_parts(network: Callable[[np.ndarray], np.ndarray], batch: np.ndarray) -> np.ndarray:
    """Return what `network` makes of `batch` (N, C, Y, X), of its halves where memory is short.

    Raises
    ------
    MemoryError
        If memory does not suffice for one image.
    """
    found = attempted(network, batch)
    if found is not None:
        return found
    if len(batch) < 2:
        raise too_little(batch.shape[2:])
    middle = len(batch) // 2
    return np.concatenate([in_parts(network, part) for part in (batch[:middle], batch[middle:])])


class Halving:
    """Applies a network to tiles, to ever smaller parts of them wherever memory does not suffice.

    What was too large once is not tried again.
    """

    def __init__(
        self,
        network: Callable[[np.ndarray], np.ndarray],
        read: Callable[[Tile], np.ndarray],
        normalization: Normalization | None,
        *,
        halo_px: int,
        multiple: int,
    ) -> None:
        """Apply `network` to what `read` returns of the image, (C, y, x) with the halo of the tile."""
        self.network, self.read, self.normalization = network, read, normalization
        self.halo_px, self.multiple = halo_px, multiple
        self.too_large = math.inf
        """Pixels of the smallest tile that did not fit."""

    def __call__(self, tile: Tile) -> Iterator[tuple[Tile, np.ndarray]]:
        """Yield `tile`, or parts that make it up, with the output (K, Y, X) on it.

        Raises
        ------
        MemoryError
            If the smallest part does not fit.
        """
        n_px = tile.shape[0] * tile.shape[1]
        if n_px < self.too_large:
            output = attempted(self._applied, self.read(tile))
            if output is not None:
                yield tile, output[0]
                return
            self.too_large = n_px
        parts = halves(tile, self.halo_px, self.multiple)
        if parts is None:
            raise too_little(tile.shape)
        for part in parts:
            yield from self(part)

    def _applied(self, pixels: np.ndarray) -> np.ndarray:
        """Return the network's output for (C, y, x); rounded in the same way whatever the type."""
        values = np.asarray(pixels, np.float32)
        if self.normalization is not None:
            values = self.normalization.apply(values)
        return self.network(values[None])
