"""Networks applied to an image and its mirror images, whose outputs are averaged.

What a network makes of an image should not depend on which way it lies, but does a little; the mean
over four views is better than each of them, for four times the work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from microshot.device import Device
    from microshot.inference.onnx_network import OnnxNetwork
    from microshot.inference.predictor import TorchNetwork


class Mirrored:
    """A network with its answers to mirrored images averaged.

    Parameters
    ----------
    network : maps (N, C, Y, X) to (N, K, Y/g, X/g), Y and X multiples of the grid g.
    grid : g.
    rays : so many outputs after the first are distances, along directions that change places in
        a mirror.
    plain : so many outputs, the last ones, stay those of the image as it lies.
    """

    def __init__(
        self, network: TorchNetwork | OnnxNetwork, *, grid: int = 1, rays: int = 0, plain: int = 0
    ) -> None:
        self.network, self.grid, self.rays, self.plain = network, grid, rays, plain

    @property
    def device(self) -> Device:
        """Where the network computes."""
        return self.network.device

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Map (N, C, Y, X) float32 to the mean output (N, K, Y/g, X/g) float32 of all views."""
        sideways = self.rays % 2 == 0  # an odd number of rays has no mirror image along x
        ways = [(2,), (3,), (2, 3)] if sideways else [(2,)]
        mean = np.array(self.network(batch), np.float32)
        averaged = mean[:, : mean.shape[1] - self.plain]
        for axes in ways:
            view = batch
            for axis in axes:
                view = self._turned(view, axis)
            back = self._back(self.network(np.ascontiguousarray(view)), axes)
            averaged += back[:, : averaged.shape[1]]
        averaged /= np.float32(len(ways) + 1)
        return mean

    def rest(self, batch: np.ndarray) -> None:
        """Do what the network's own `rest` does."""
        self.network.rest(batch)

    def _turned(self, batch: np.ndarray, axis: int) -> np.ndarray:
        """Mirror images so that the grid's points lie on the same pixels as before.

        Point i of n is pixel i · g, from the other end pixel (n - 1 - i) · g: the last g - 1 pixels
        have to leave, and others come in behind the first one, as in a mirror.
        """
        turned = np.flip(batch, axis)
        kept = np.take(turned, np.arange(self.grid - 1, turned.shape[axis]), axis)
        more = np.take(batch, np.arange(1, self.grid), axis)
        return np.concatenate([kept, more], axis)

    def _back(self, output: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        """Mirror an output back, its distances with their directions."""
        order = np.arange(self.rays)
        for axis in axes:
            order = (-order if axis == 2 else self.rays // 2 - order) % max(self.rays, 1)
        output = np.flip(output, axes)
        if not self.rays:
            return output
        return np.concatenate([output[:, :1], output[:, 1:][:, order]], 1)
