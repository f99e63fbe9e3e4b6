"""Random training crops: which image, where, and with what around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Foreground positions remembered per image; more would only repeat neighbours.
MAX_POSITIONS = 20_000


@dataclass(frozen=True, eq=False)
class Field:
    """A field of view ready for cropping."""

    image: np.ndarray
    """(C, Y, X) float32, normalised and at the network's scale."""
    labels: np.ndarray
    """(Y, X) int32; 0 background, negative = ignore."""
    foreground: np.ndarray
    """(M, 2) int32 positions (y, x) of labelled pixels; may be empty."""

    @classmethod
    def of(cls, image: np.ndarray, labels: np.ndarray, seed: int = 0) -> Field:
        """Remember where the objects of `labels` are."""
        positions = np.argwhere(labels > 0).astype(np.int32)
        if len(positions) > MAX_POSITIONS:
            chosen = np.random.default_rng(seed).choice(
                len(positions), MAX_POSITIONS, replace=False
            )
            positions = positions[np.sort(chosen)]
        return cls(np.ascontiguousarray(image, np.float32), labels.astype(np.int32), positions)


def draw_patch(
    field: Field, size: int, rng: np.random.Generator, foreground_fraction: float = 0.9
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a random square out of `field`: (C, size, size) float32 and (size, size) int32.

    With probability `foreground_fraction` the square contains a labelled pixel near its
    middle. Where the image is smaller than the square, or the square reaches over
    the edge, image and labels are mirrored alike.
    """
    height, width = field.labels.shape
    if len(field.foreground) and rng.random() < foreground_fraction:
        y, x = field.foreground[rng.integers(len(field.foreground))]
        reach = max(1, size // 4)
        y = int(y) + int(rng.integers(-reach, reach + 1)) - size // 2
        x = int(x) + int(rng.integers(-reach, reach + 1)) - size // 2
    else:
        y = int(rng.integers(0, max(height - size, 0) + 1))
        x = int(rng.integers(0, max(width - size, 0) + 1))
    y = _inside(y, size, height)
    x = _inside(x, size, width)
    rows = mirrored(np.arange(y, y + size), height)
    columns = mirrored(np.arange(x, x + size), width)
    index = np.ix_(rows, columns)
    return field.image[:, index[0], index[1]], field.labels[index]


def _inside(start: int, size: int, length: int) -> int:
    """Shift a crop into the image; centre it where the image is smaller."""
    if length <= size:
        return -((size - length) // 2)
    return min(max(start, 0), length - size)


def mirrored(positions: np.ndarray, length: int) -> np.ndarray:
    """Map positions outside 0..length-1 back by mirroring at the edge pixels (any distance)."""
    if length == 1:
        return np.zeros_like(positions)
    period = 2 * (length - 1)
    folded = np.mod(positions, period)
    return np.where(folded < length, folded, period - folded)
