"""What the Twin-VAE sees of an image: one grey picture of its size, or windows of the image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from microshot.data.image import Image, grey_of
from microshot.data.normalize import Normalization
from microshot.data.objects import centroids, object_diameters
from microshot.data.scale import resize_image, scaled_shape
from microshot.tasks.base import CHOOSE_CHANNEL, chosen
from microshot.tasks.counting.base import true_count

if TYPE_CHECKING:
    from microshot.data.dataset import Sample
    from microshot.tasks.base import Recipe

#: Images with a shorter side are refused: there is next to nothing in them to count.
LEAST_SIDE_PX = 32
#: Weights of red, green and blue in brightness; ITU-R BT.601, as PIL's mode "L".
LUMINANCE = (0.299, 0.587, 0.114)
#: Normalisation of 8-bit images as in the released code; it keeps empty images dark.
EIGHT_BIT = Normalization("minmax", per="dataset", offset=(0.0,), scale=(255.0,))


@dataclass(frozen=True, eq=False)
class Views:
    """The pictures of one image and what is to be counted in each."""

    images: np.ndarray
    """(n, S, S) float16, 0 to 1."""
    counts: np.ndarray
    """(n,) float32; NaN = not counted."""
    domain: str


def views(sample: Sample, recipe: Recipe) -> Views:
    """Return a sample as it is trained on.

    Raises
    ------
    ValueError
        If the image is too small, has channels that are no colours, or is larger than the network's
        and to be learned in windows while only its total count is known.
    """
    side = int(recipe.architecture["side"])
    grey = normalised(sample, recipe)
    count = true_count(sample)
    total = np.full(1, np.nan if count is None else count, np.float32)
    if recipe.preparation["large_images"] == "resize":
        return Views(reduced(grey, side)[None].astype(np.float16), total, sample.domain)
    pictures = windows(grey, side).astype(np.float16)
    if len(pictures) > 1 and count is not None:
        if sample.points is not None:
            total = _per_window(sample.points, grey.shape, side)
        elif sample.labels is not None:
            total = _per_window(centroids(sample.labels), grey.shape, side)
        else:
            raise ValueError(
                f"{sample.name}: expected a label image or points, because the image of {_size(grey)} is "
                f"larger than the network's {side} x {side} px and to be counted in windows, found "
                'only its total count; set "Larger images" to reduce or add label images or points.'
            )
    elif len(pictures) > 1:
        total = np.full(len(pictures), np.nan, np.float32)
    return Views(pictures, total, sample.domain)


def normalised(sample: Sample, recipe: Recipe) -> np.ndarray:
    """Return the image as (Y, X) float32 from 0 to 1; what lies beyond is clipped.

    Grey values that are not 8-bit have no natural range: where the recipe's is fixed, they are
    taken from their own minimum to their maximum.
    """
    if min(sample.image.shape) < LEAST_SIDE_PX:
        raise ValueError(
            f"{sample.name}: expected an image of at least {LEAST_SIDE_PX} x {LEAST_SIDE_PX} px to "
            f"count in, found {sample.image.shape[0]} x {sample.image.shape[1]} px; use larger "
            "images or images at full resolution."
        )
    grey = taken(sample, recipe).pixels
    n = recipe.normalization
    if n.offset is not None and grey.dtype != np.uint8:
        n = replace(n, per="image", offset=None, scale=None)
    return np.clip(n.apply(grey)[0], 0.0, 1.0)


def taken(sample: Sample, recipe: Recipe) -> Image:
    """Return the image with the one channel that the network takes.

    That is the one that the recipe names, or that of a grey image saved in colour; other colours
    become their brightness.

    Raises
    ------
    ValueError
        If the recipe names none and there are neither one nor three.
    """
    image = chosen(sample, recipe)
    if image.n_channels == 1:
        return image
    grey = grey_of(image)
    return _brightness(sample.name, image) if grey is None else grey


def _brightness(name: str, image: Image) -> Image:
    """Return one channel of the same dtype, the brightness of red, green and blue.

    Raises
    ------
    ValueError
        If there are not three channels.
    """
    pixels = image.pixels
    if len(pixels) != len(LUMINANCE):
        raise ValueError(
            f"{name}: the Twin-VAE counts in grey images (1 channel) and in colour images (3 "
            f"channels), found {len(pixels)} channels; {CHOOSE_CHANNEL}."
        )
    grey = np.tensordot(np.asarray(LUMINANCE, np.float32), pixels.astype(np.float32), 1)[None]
    grey = (np.rint(grey) if pixels.dtype.kind == "u" else grey).astype(pixels.dtype)
    return Image(grey, image.pixel_size_um)


def reduced(grey: np.ndarray, side: int) -> np.ndarray:
    """Bring (Y, X) to (side, side): the longer side fits, the shorter is filled with its edge."""
    shape = reduced_shape(grey.shape, side)
    small = resize_image(grey[None], shape)[0]
    return np.pad(small, ((0, side - shape[0]), (0, side - shape[1])), mode="edge")


def reduced_shape(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Return the part of a reduced picture that is image, (Y, X)."""
    height, width = scaled_shape((shape[0], shape[1]), side / max(shape))
    return min(height, side), min(width, side)


def windows(grey: np.ndarray, side: int) -> np.ndarray:
    """Cut (Y, X) into (n, side, side), row by row; the last ones are filled with the image's edge."""
    rows, columns = grid(grey.shape, side)
    padding = ((0, rows * side - grey.shape[0]), (0, columns * side - grey.shape[1]))
    padded = np.pad(grey, padding, mode="edge")
    cut = padded.reshape(rows, side, columns, side).swapaxes(1, 2)
    return cut.reshape(-1, side, side)


def grid(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Return how many windows there are below and beside each other."""
    return -(-shape[0] // side), -(-shape[1] // side)


def joined(pictures: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Put windows (n, side, side) together to (Y, X) again."""
    side = pictures.shape[1]
    rows, columns = grid(shape, side)
    whole = pictures.reshape(rows, columns, side, side).swapaxes(1, 2)
    return whole.reshape(rows * side, columns * side)[: shape[0], : shape[1]]


def shrink_too_small(samples: list[Sample], side: int, least_px: float) -> bool:
    """Say whether objects would measure less than `least_px` in images reduced to `side`.

    Known only where labels are; the median over all objects decides.
    """
    diameters = [
        object_diameters(s.labels) * min(1.0, side / max(s.image.shape))
        for s in samples
        if s.labels is not None
    ]
    pooled = np.concatenate(diameters) if diameters else np.empty(0)
    return bool(len(pooled)) and float(np.median(pooled)) < least_px


def _per_window(points: np.ndarray, shape: tuple[int, ...], side: int) -> np.ndarray:
    """Count points (n, 2) y, x by the window of a (Y, X) image in which they lie."""
    rows, columns = grid(shape, side)
    row, column = (np.asarray(points, np.float64).reshape(-1, 2) // side).astype(np.int64).T
    row, column = row.clip(0, rows - 1), column.clip(0, columns - 1)
    return np.bincount(row * columns + column, minlength=rows * columns).astype(np.float32)


def _size(grey: np.ndarray) -> str:
    return f"{grey.shape[0]} x {grey.shape[1]} px"
