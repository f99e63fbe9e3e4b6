"""Run a network over an image tile by tile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from microshot.inference.tiling import Tile, tiles
from microshot.progress import Progress, silent

if TYPE_CHECKING:
    from torch import nn

    from microshot.device import Device

Network = Callable[[np.ndarray], np.ndarray]
#: Takes a tile and its output (K, Y/g, X/g), already cut to the tile's inner part.
Sink = Callable[[Tile, np.ndarray], None]


class TorchNetwork:
    """A PyTorch module as a plain function of arrays."""

    def __init__(self, model: nn.Module, device: Device) -> None:
        import torch

        self.device = device
        model = model.to(device.torch).eval()
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Map (N, C, Y, X) float32 to (N, K, Y', X') float32."""
        import torch

        x = torch.from_numpy(np.ascontiguousarray(batch, np.float32)).to(self.device.torch)
        x = x.contiguous(memory_format=torch.channels_last)
        was_training = self.model.training
        self.model.eval()
        with torch.inference_mode():
            y = self.model(x).float().cpu().numpy()
        self.model.train(was_training)
        return y


def run_tiles(
    network: Network,
    image: np.ndarray,
    sink: Sink,
    *,
    tile_px: int,
    halo_px: int,
    multiple: int,
    grid: int = 1,
    progress: Progress = silent,
) -> None:
    """Apply `network` to every tile of `image` and hand what is to be kept to `sink`.

    Parameters
    ----------
    image : (C, Y, X) float32, normalised.
    sink : called once per tile, in order, with the output at the tile's inner part; the
        output has one value per `grid` px, at pixels that are multiples of it.
    tile_px : greatest side read at once; larger only if the halo asks for it.
    halo_px : px that the network may look beyond an output pixel.
    multiple : sides of tiles are multiples of this.
    """
    tile_px = max(tile_px, 2 * halo_px + 4 * multiple)
    parts = tiles((image.shape[1], image.shape[2]), tile_px, halo_px, multiple)
    for index, tile in enumerate(parts):
        progress(index / len(parts), f"tile {index + 1} of {len(parts)}" if len(parts) > 1 else "")
        output = network(tile.read(image)[None])[0]
        rows, columns = tile.y.inner, tile.x.inner
        inner = output[
            :,
            rows.start // grid : -(-rows.stop // grid),
            columns.start // grid : -(-columns.stop // grid),
        ]
        sink(tile, inner)
    progress(1.0)
