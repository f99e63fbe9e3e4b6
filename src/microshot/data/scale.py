"""Bring images and labels to another pixel size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


def scaled_shape(shape: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return (Y, X) times `scale`, rounded, at least one pixel."""
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def resize_image(
    pixels: np.ndarray,
    shape: tuple[int, int],
    box: tuple[float, float, float, float] | None = None,
) -> np.ndarray:
    """Resample (C, Y, X) to `shape`; linear, averaging where it shrinks. Returns float32.

    `box` is the part to take, (top, left, bottom, right) in px from the outer edge of the first
    pixel; None = all.
    """
    pixels = np.asarray(pixels, np.float32)
    whole = (0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[2]))
    top, left, bottom, right = whole if box is None else box
    if pixels.shape[1:] == tuple(shape) and (top, left, bottom, right) == whole:
        return pixels
    from PIL import Image as PILImage

    size, area = (shape[1], shape[0]), (left, top, right, bottom)
    bilinear = PILImage.Resampling.BILINEAR
    return np.stack(
        [np.asarray(PILImage.fromarray(c).resize(size, bilinear, area)) for c in pixels]
    )


def brought_to(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return (C, Y, X) resampled to `shape`, float32; as it is where it has that shape already."""
    return pixels if pixels.shape[1:] == tuple(shape) else resize_image(pixels, shape)


def source_of(n_from: int, start: float, step: float, first: int, last: int) -> tuple[int, int]:
    """Return which of `n_from` source px the px `first` to `last` of a resampled axis are made of.

    Px i of the axis covers the source from ``start + i · step`` on for `step` px.
    """
    reach = max(step, 1.0) + 1
    return (
        max(0, int(np.floor(start + first * step - reach))),
        min(n_from, int(np.ceil(start + last * step + reach))),
    )


def resize_window(
    read: Callable[[slice, slice], np.ndarray],
    shape: tuple[int, int],
    scaled: tuple[int, int],
    rows: slice,
    columns: slice,
    box: tuple[float, float, float, float] | None = None,
) -> np.ndarray:
    """Return a window of what `resize_image` would make of the whole; float32.

    Equal up to rounding: pillow holds the corners of the window in 32 bits, so that places may
    be off by 1e-4 px.

    Parameters
    ----------
    read : returns rows and columns (C, y, x) of the source.
    shape, scaled : (Y, X) of the source and of the resampled image.
    rows, columns : the window in px of the resampled image.
    box : as for `resize_image`.
    """
    top, left, bottom, right = (0.0, 0.0, *map(float, shape)) if box is None else box
    y, x = (bottom - top) / scaled[0], (right - left) / scaled[1]
    first, last = source_of(shape[0], top, y, rows.start, rows.stop)
    near, far = source_of(shape[1], left, x, columns.start, columns.stop)
    if tuple(shape) == tuple(scaled) and box is None:
        return np.asarray(read(rows, columns), np.float32)
    part = (top + rows.start * y - first, left + columns.start * x - near,
            top + rows.stop * y - first, left + columns.stop * x - near)  # fmt: skip
    wanted = (rows.stop - rows.start, columns.stop - columns.start)
    return resize_image(read(slice(first, last), slice(near, far)), wanted, part)


def resize_labels(labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resample a label image (Y, X) to `shape`, every pixel taking the id at its centre."""
    if labels.shape == tuple(shape):
        return labels
    rows = _nearest(labels.shape[0], shape[0])
    columns = _nearest(labels.shape[1], shape[1])
    return labels[np.ix_(rows, columns)]


def _nearest(n_from: int, n_to: int) -> np.ndarray:
    centres = (np.arange(n_to) + 0.5) * n_from / n_to
    return np.minimum(centres.astype(np.int64), n_from - 1)
