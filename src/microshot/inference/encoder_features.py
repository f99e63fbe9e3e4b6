"""What the deepest layer of a network makes of an image, in a few numbers."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

#: Where the deepest layer lies, by the name of the module; the first that a network has.
DEEPEST = ("backbone.bottleneck", "bottleneck", "backbone.encoder", "core_encoder")


class Features:
    """Collects mean and standard deviation of every channel of the deepest layer."""

    def __init__(self) -> None:
        self._seen: list[np.ndarray] = []
        """Of tiles (N, 5, 2 C): of the whole, its left and right half, its upper and lower half."""

    def add(self, output: Any) -> None:
        """Take what the layer gave: (N, C, Y, X), or a list of maps whose last is the deepest."""
        while isinstance(output, list | tuple):
            output = output[0] if _maps(output[0]) and not _maps(output[-1]) else output[-1]
        maps = output.detach().float()
        y, x = (max(1, side // 2) for side in maps.shape[2:])  # a single row or column is both
        parts = (maps, maps[..., :x], maps[..., -x:], maps[..., :y, :], maps[..., -y:, :])
        self._seen.append(np.stack([_pooled(part) for part in parts], axis=1))

    def take(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what all tiles since the last call have given, and forget them.

        Returns
        -------
        (2 C,) float32 the mean over them, and (2 C,) float32 by how much their halves differ: root mean
        square of left from right and upper from lower, 0 where the layer has one position alone.
        """
        whole, left, right, upper, lower = np.concatenate(self._seen).mean(0).astype(np.float32)
        self._seen.clear()
        return whole, np.sqrt(((left - right) ** 2 + (upper - lower) ** 2) / 2)


def _pooled(maps: Any) -> np.ndarray:
    """Return mean and standard deviation of the channels of maps (N, C, Y, X), (N, 2 C)."""
    flat = maps.flatten(2)
    return np.concatenate(
        [p.cpu().numpy() for p in (flat.mean(2), flat.std(2, correction=0))], axis=1
    )


def _maps(value: Any) -> bool:
    return getattr(value, "ndim", 0) == 4


@contextmanager
def listening(model: nn.Module) -> Iterator[Features]:
    """Collect features of all that `model` is run on within the block.

    Raises
    ------
    ValueError
        If the network has no layer of a known name.
    """
    modules = dict(model.named_modules())
    name = next((n for n in DEEPEST if n in modules), None)
    if name is None:
        raise ValueError(
            f"This model's network cannot tell which images are alike: expected a layer named "
            f"{' or '.join(DEEPEST)}, found none; suggest with a model that learns, such as a density counter."
        )
    features = Features()
    handle = modules[name].register_forward_hook(lambda _module, _input, out: features.add(out))
    try:
        yield features
    finally:
        handle.remove()
