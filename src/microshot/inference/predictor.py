"""Run a network over an image tile by tile."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from microshot.device import device_lost, without_card, without_memory
from microshot.inference.finite import finite
from microshot.inference.mirroring import Mirrored
from microshot.inference.onnx_network import OnnxNetwork
from microshot.inference.shortage import Halving, in_parts
from microshot.inference.tiling import Tile, tiles
from microshot.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from torch import nn

    from microshot.data.normalize import Normalization
    from microshot.device import Device

T = TypeVar("T")
#: A card whose memory does not suffice for an image of so few pixels is left; larger ones are cut.
LEAST_PX = 320 * 320
#: After so many tiles of an image giving memory back costs next to nothing.
MANY_TILES = 9
#: A trained network: (N, C, Y, X) float32 in, (N, K, Y', X') float32 out.
Network = Callable[[np.ndarray], np.ndarray]
#: Takes a tile and its output (K, Y/g, X/g), halo included; see `Tile.points`.
Sink = Callable[[Tile, np.ndarray], None]


class TorchNetwork:
    """A PyTorch module as a plain function of arrays, in bfloat16 where the device says so.

    Where memory does not suffice for a batch, its images are worked on in two parts; where a
    graphics card fails or has no memory even for a small image, the processor takes over and
    `device` says so.
    """

    def __init__(self, model: nn.Module, device: Device) -> None:
        self.device, self.model = device, model
        self._kept: dict[str, torch.Tensor] = {}
        if device.name != "cpu":  # what is on a card that fails is lost
            self._kept = {k: v.detach().cpu().clone() for k, v in _tensors(model)}
        self._guarded(self._take_place)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Map (N, C, Y, X) float32 to (N, K, Y', X') float32.

        Raises
        ------
        MemoryError
            If memory does not suffice for one image.
        NotFinite
            If what comes out is no finite number.
        """
        try:
            return self._in_parts(batch)
        except MemoryError:
            if self.device.name == "cpu" or batch[0, 0].size > LEAST_PX:
                raise
        self.device = without_memory(self.device)
        self._bring_back()
        return self._in_parts(batch)

    def rest(self, batch: np.ndarray) -> None:
        """Do nothing: only `OnnxNetwork.rest` has something to give back."""

    def _in_parts(self, batch: np.ndarray) -> np.ndarray:
        return finite(in_parts(lambda x: self._guarded(lambda: self._applied(x)), batch))

    def _applied(self, batch: np.ndarray) -> np.ndarray:
        import torch

        x = torch.from_numpy(np.ascontiguousarray(batch, np.float32)).to(self.device.torch)
        x = x.contiguous(memory_format=torch.channels_last)
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.inference_mode(), self.device.precision():
                return self.model(x).float().cpu().numpy()
        finally:
            self.model.train(was_training)

    def _take_place(self) -> None:
        import torch

        self.model.to(self.device.torch).eval()
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _guarded(self, work: Callable[[], T]) -> T:
        """Do `work`, a second time on the processor where the graphics card fails."""
        try:
            return work()
        except RuntimeError as error:
            if self.device.name == "cpu" or not device_lost(error):
                raise
            self.device = without_card(self.device, error)
        self._bring_back()
        return work()

    def _bring_back(self) -> None:
        """Put the weights on the processor as they were at first."""
        import torch

        self.model.to_empty(device="cpu")
        with torch.no_grad():
            for name, tensor in _tensors(self.model):
                tensor.copy_(self._kept[name])
        self._take_place()


def _tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield all parameters and buffers by name, also buffers that are not saved."""
    return chain(model.named_parameters(), model.named_buffers())


def tiles_of(shape: tuple[int, int], tile_px: int, halo_px: int, multiple: int) -> list[Tile]:
    """Cover an image of (Y, X) `shape` with tiles, larger than `tile_px` if the halo asks for it."""
    return tiles(shape, max(tile_px, 2 * halo_px + 4 * multiple), halo_px, multiple)


def run_tiles(
    network: Network,
    image: np.ndarray,
    sink: Sink,
    *,
    tile_px: int,
    halo_px: int,
    multiple: int,
    normalization: Normalization | None = None,
    progress: Progress = silent,
) -> None:
    """Apply `network` to every tile of `image` and hand what is to be kept to `sink`.

    Parameters
    ----------
    image : (C, Y, X).
    sink : called once per tile, in order. A tile for which memory does not suffice comes in
        parts.
    tile_px : greatest side read at once; larger only if the halo asks for it.
    halo_px : px that the network may look beyond an output pixel.
    multiple : sides of tiles are multiples of this.
    normalization : knows the numbers of the whole image; tiles are normalised one by one, so that
        no second copy of the image is made. None = the image is normalised already.

    Raises
    ------
    MemoryError
        If memory does not even suffice for the smallest tile.
    """
    parts = tiles_of((image.shape[1], image.shape[2]), tile_px, halo_px, multiple)

    def read(tile: Tile) -> np.ndarray:
        return tile.read(image)

    applied = Halving(network, read, normalization, halo_px=halo_px, multiple=multiple)
    for index, tile in enumerate(parts):
        progress(index / len(parts), f"tile {index + 1} of {len(parts)}" if len(parts) > 1 else "")
        for part, output in applied(tile):
            sink(part, output)
    if len(parts) >= MANY_TILES:
        give_back(network, len(image), multiple)
    progress(1.0)


def give_back(network: Network, n_channels: int, multiple: int) -> None:
    """Return to the system what a network keeps for the next tile: what follows needs memory, too."""
    if isinstance(network, (OnnxNetwork, Mirrored)):
        network.rest(np.zeros((1, n_channels, 2 * multiple, 2 * multiple), np.float32))
