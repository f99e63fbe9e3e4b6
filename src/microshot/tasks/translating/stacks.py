"""What is odd about stacks of bright-field planes: saturation, colour, order, grey values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.data.dataset import Sample
    from microshot.data.image import Image
    from microshot.data.normalize import Normalization

#: Part of a plane's pixels at its greatest value from which on it counts as saturated.
SATURATED_FRACTION = 0.01
#: Sides of the blocks that planes are averaged over before their focus is measured, px.
FOCUS_BLOCK_PX = 2
#: Widths of the bands in which focus is measured, blocks.
FOCUS_SIGMA = 4.0
#: Stacks of fewer planes have no direction.
LEAST_PLANES = 3
#: A stack is reversed where its focus curve holds so much of the training's direction, negated.
REVERSED = -0.35
#: A focus curve that differs less from its own mirror image has no direction.
LEAST_DIRECTION = 0.3
#: Median of a normalised plane, from 0 (least) to 1 (greatest), beyond which greys are others.
MOST_OUTSIDE = 2.0


def saturated(sample: Sample) -> list[str]:
    """Say which planes or stains have lost their bright end."""
    notes = []
    for what, image in (("plane", sample.image), ("stain", sample.target)):
        for index, pixels in enumerate(() if image is None else image.pixels):
            if pixels.dtype == np.float32 or np.ptp(pixels) == 0:
                continue
            top = pixels.max()
            part = np.count_nonzero(pixels == top) / pixels.size
            below = np.count_nonzero(pixels == top - 1) / pixels.size
            if part > max(SATURATED_FRACTION, 3 * below):
                notes.append(
                    f"{sample.name}: {part:.0%} of {what} {index + 1} has the greatest value "
                    f"{top}; it is saturated, expose it less."
                )
    return notes


def colours(samples: Sequence[Sample]) -> list[str]:
    """Say which images are photographs in colour.

    Raises
    ------
    ValueError
        If a stain is one: which colour would be the stain is not known.
    """
    for sample in samples:
        if sample.target is not None and sample.target.is_colour:
            raise ValueError(
                f"{sample.name}: expected stains in shades of grey, found an image in colour (red, "
                "green, blue); export every stain as a grey image of its own."
            )
    found = [sample.name for sample in samples if sample.image.is_colour]
    if not found:
        return []
    return [
        f"{found[0]}{f' and {len(found) - 1} more' * (len(found) > 1)}: expected planes in shades "
        "of grey, found an image in colour, whose red, green and blue are taken for planes; export "
        "every plane as a grey image."
    ]


def focus_curve(image: Image) -> list[list[float]]:
    """Return how the contrast of every plane of a stack looks, (C, 2) numbers.

    Per plane the logarithm of the contrast of small structures, less its mean over the planes, and
    tanh(skewness / 2) of their grey values: bright middles become dark ones through focus, which
    tells above from below. Neither depends on exposure.
    """
    rows = []
    for plane in image.pixels:
        band = _band(plane)
        deviation = float(band.std())
        skewness = float(np.mean(band**3)) / deviation**3 if deviation > 0 else 0.0
        brightness = float(np.mean(plane, dtype=np.float64))
        contrast = deviation / brightness if brightness > 0 else 0.0
        rows.append([np.log(max(contrast, 1e-6)), np.tanh(skewness / 2)])
    curve = np.asarray(rows)
    curve[:, 0] -= curve[:, 0].mean()
    return np.round(curve, 4).tolist()


def _band(plane: np.ndarray) -> np.ndarray:
    """Return the small structures of a plane, half as large in each direction, float64."""
    from scipy.ndimage import gaussian_filter

    n = FOCUS_BLOCK_PX
    height, width = (max(side // n, 1) * n if side >= n else side for side in plane.shape)
    small = np.asarray(plane[:height, :width], np.float64)
    if min(plane.shape) >= n:
        small = small.reshape(height // n, n, width // n, n).mean(axis=(1, 3))
    return small - gaussian_filter(small, FOCUS_SIGMA)


def mean_focus(samples: Sequence[Sample]) -> list[list[float]] | None:
    """Return the focus curve of training stacks; None for stacks without direction."""
    if samples[0].image.n_channels < LEAST_PLANES:
        return None
    curve = np.mean([focus_curve(s.image) for s in samples], axis=0)
    return np.round(curve, 4).tolist()


def reversed_order(sample: Sample, trained: Sequence[Sequence[float]]) -> list[str]:
    """Say so where the planes of a stack seem to lie the other way around than in training."""
    if len(trained) != sample.image.n_channels:
        return []
    direction = _direction(trained)
    size = float((direction**2).sum())
    if size**0.5 < LEAST_DIRECTION:
        return []
    along = float((_direction(focus_curve(sample.image)) * direction).sum()) / size
    if along >= REVERSED:
        return []
    return [
        f"{sample.name}: the planes seem to be in the opposite order to the model's training "
        "images (sharpness and contrast change the other way through focus); choose the columns "
        "in the order of the training."
    ]


def _direction(curve: Sequence[Sequence[float]]) -> np.ndarray:
    """Return what turns its sign when the planes are turned around, (C, 2)."""
    values = np.asarray(curve, np.float64)
    return values - values[::-1]


def other_greys(sample: Sample, fitted: Normalization) -> list[str]:
    """Say so where grey values lie far from those that the model's normalisation was fitted to."""
    if fitted.offset is None or fitted.scale is None or fitted.kind == "zscore":
        return []
    medians = [float(np.median(plane)) for plane in sample.image.pixels]
    numbers = zip(medians, fitted.offset, fitted.scale, strict=True)
    for index, (median, offset, scale) in enumerate(numbers):
        if not -MOST_OUTSIDE < (median - offset) / scale < 1 + MOST_OUTSIDE:
            kind = "decimal numbers" if sample.image.pixels.dtype == np.float32 else "whole numbers"
            return [
                f"{sample.name}: expected grey values of about {offset:.4g} to {offset + scale:.4g} "
                f"in plane {index + 1} as in the model's training images, found {kind} around "
                f"{median:.4g}; give the camera's own numbers, not rescaled ones."
            ]
    return []


def checked_focus(preparation: Mapping[str, Any], n_planes: int) -> bool:
    """Say whether a model file's focus curve is none, or numbers for `n_planes` planes."""
    curve = preparation.get("focus_curve")
    if curve is None:
        return True
    return (
        isinstance(curve, list)
        and len(curve) == n_planes
        and all(
            isinstance(row, list)
            and len(row) == 2
            and all(type(v) in (int, float) and abs(v) < 100 for v in row)
            for row in curve
        )
    )
