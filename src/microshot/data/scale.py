"""Bring images and labels to another pixel size, and measure how big objects are."""

from __future__ import annotations

import numpy as np


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


def object_areas(labels: np.ndarray) -> np.ndarray:
    """Return the area in px of every object with a positive id."""
    if labels.max(initial=0) > max(1 << 20, labels.size):  # ids may be any number
        return np.unique(labels[labels > 0], return_counts=True)[1]
    counts = np.bincount(np.maximum(labels, 0).ravel())[1:]
    return counts[counts > 0]


def median_diameter(label_images: list[np.ndarray]) -> float | None:
    """Return the median diameter in px of a circle of an object's area; None without objects."""
    areas = [a for labels in label_images for a in object_areas(labels)]
    if not areas:
        return None
    return float(np.median(np.sqrt(4 * np.asarray(areas, float) / np.pi)))
