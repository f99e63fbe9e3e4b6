"""Random training crops: which image, where, and with what around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from microshot.data.objects import renumbered

#: Foreground positions remembered per image; more would only repeat neighbours.
MAX_POSITIONS = 20_000
#: Ids above this are replaced by smaller ones; float32, in which labels are moved, is exact here.
GREATEST_ID = 1 << 20


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
        """Remember where the objects of `labels` are.

        Very large ids, as some programs write them, are replaced by 1, 2, 3 …, so that nothing
        further on must count up to them.
        """
        positions = np.argwhere(labels > 0).astype(np.int32)
        if len(positions) > MAX_POSITIONS:
            chosen = np.random.default_rng(seed).choice(
                len(positions), MAX_POSITIONS, replace=False
            )
            positions = positions[np.sort(chosen)]
        if labels.max(initial=0) > GREATEST_ID:
            labels = renumbered(labels)
        return cls(np.ascontiguousarray(image, np.float32), labels.astype(np.int32), positions)


def draw_patch(
    field: Field,
    size: int,
    rng: np.random.Generator,
    foreground_fraction: float = 0.9,
    margin: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a random square and `margin` px around it out of `field`.

    Returns (C, M, M) float32 and (M, M) int32 with M = `size` + 2 `margin`. With probability
    `foreground_fraction` the inner square has a labelled pixel near its middle. It lies in
    the image if it fits; where it or its margin reaches over the edge, image and labels
    are mirrored alike.
    """
    height, width = field.labels.shape
    y, x = drawn_corner(field, size, rng, foreground_fraction)
    rows = mirrored(np.arange(y - margin, y + size + margin), height)
    columns = mirrored(np.arange(x - margin, x + size + margin), width)
    image, labels = (_picked(pixels, rows, columns) for pixels in (field.image, field.labels))
    return image, labels


def _picked(pixels: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return rows and columns of (…, Y, X) as a new array, plane after plane."""
    top, left = rows.min(), columns.min()
    window = pixels[..., top : rows.max() + 1, left : columns.max() + 1]
    return window.take(rows - top, -2).take(columns - left, -1)


def drawn_corner(
    field: Field, size: int, rng: np.random.Generator, foreground_fraction: float
) -> tuple[int, int]:
    """Return where the first pixel of a random square lies, see `draw_patch`."""
    height, width = field.labels.shape
    if len(field.foreground) and rng.random() < foreground_fraction:
        y, x = field.foreground[rng.integers(len(field.foreground))]
        reach = max(1, size // 4)
        y = int(y) + int(rng.integers(-reach, reach + 1)) - size // 2
        x = int(x) + int(rng.integers(-reach, reach + 1)) - size // 2
    else:
        y = int(rng.integers(0, max(height - size, 0) + 1))
        x = int(rng.integers(0, max(width - size, 0) + 1))
    return _inside(y, size, height), _inside(x, size, width)


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
