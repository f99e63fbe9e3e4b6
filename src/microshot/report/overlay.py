"""Microscope images as pictures on a screen: display stretch, outlines, found/false/missed."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from microshot.data.scale import resize_image, resize_labels, scaled_shape
from microshot.metrics.labels import Matching, match
from microshot.metrics.overlap import IGNORED_FRACTION
from microshot.report.style import FALSE, FOUND, MISSED, TRUTH
from microshot.tasks.segmenting.pixels import borders

if TYPE_CHECKING:
    from collections.abc import Sequence

Colour = str | tuple[int, int, int]
#: Small images are enlarged at most so much.
MOST_ENLARGED = 12
#: Percentiles shown as black and white.
LOW_PERCENTILE, HIGH_PERCENTILE = 0.5, 99.7
#: From black to white are at least so many grey values of an image of whole numbers, so that the
#: noise of an empty image does not look like salt and pepper.
LEAST_SPAN = 16
#: Length in display px of a dash with the gap after it, for outlines of 1 px.
DASH_PX = 5.0
#: Colours of two and of three channels; green and magenta are told apart by everyone.
_TWO = np.array([[0.2, 1.0, 0.35], [1.0, 0.25, 0.95]], np.float32)
#: Marks of a layer: the dark line beside outlines, and outlines by what they are of.
CASING = 5
_PALETTE = ("#000000", FOUND, FALSE, MISSED, TRUTH, "#05080b")
MARKS = {"found": 1, "false": 2, "missed": 3, "truth": 4}


def rgb_of(colour: Colour) -> tuple[int, int, int]:
    """Return red, green and blue, 0 to 255, of ``#rrggbb`` or of the three numbers."""
    if isinstance(colour, str):
        return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
    return colour


def display_shape(shape: tuple[int, int], max_px: int) -> tuple[int, int]:
    """Return the size (Y, X) at which an image is shown: its longer side `max_px`.

    Images are enlarged up to 12 times.
    """
    return scaled_shape(shape, min(max_px / max(shape), MOST_ENLARGED))


def is_photograph(pixels: np.ndarray) -> bool:
    """Say whether (C, Y, X) is taken for a colour picture: three channels of 8 bits are."""
    return len(pixels) == 3 and pixels.dtype == np.uint8


def plane_shown(pixels: np.ndarray, *, is_stack: bool = False) -> int | None:
    """Return which plane of (C, Y, X) is shown: the middle one of a focus stack, else None = all.

    More than three channels are a stack, fewer if they are said to be one and no photograph.
    """
    n = len(pixels)
    return n // 2 if n > 3 or (n > 1 and is_stack and not is_photograph(pixels)) else None


def render(
    pixels: np.ndarray,
    *,
    low_high: tuple[float, float] | None = None,
    max_px: int = 360,
) -> np.ndarray:
    """Return an image as it is shown, (Y, X, 3) uint8.

    One channel becomes grey, two green and magenta, three red, green and blue; of more (a focus
    stack) the middle plane is shown. Three 8-bit channels are taken for a colour picture and
    left as they are; all others are stretched.

    Parameters
    ----------
    pixels : (C, Y, X), any numbers; what is not finite becomes the darkest value.
    low_high : grey values shown as black and white in every channel; None = percentiles 0.5 and
        99.7 of each channel.
    max_px : longer side of the result.
    """
    shape = display_shape((pixels.shape[1], pixels.shape[2]), max_px)
    step = max(1, max(pixels.shape[1:]) // (4 * max_px))  # of a huge image, enough for a mean
    top, left = (min(step // 2, (n - 1) // 2) for n in pixels.shape[1:])
    pixels = pixels[:, top::step, left::step]
    if is_photograph(pixels):
        return _bytes(np.moveaxis(resize_image(pixels, shape), 0, 2) / 255)
    plane = plane_shown(pixels)
    if plane is not None:
        pixels = pixels[plane][None]
    planes = np.asarray(pixels, np.float32)
    finite = np.isfinite(planes)
    if not finite.all():
        darkest = planes[finite].min() if finite.any() else 0.0
        planes = np.where(finite, planes, darkest)
    small = resize_image(planes, shape)
    noisy = pixels.dtype.kind in "ui" and int(planes.max()) - int(planes.min()) > 1
    stretched = np.stack([_stretched(p, low_high, LEAST_SPAN if noisy else 0) for p in small])
    if len(stretched) == 2:
        return _bytes(np.tensordot(stretched, _TWO, (0, 0)))
    if len(stretched) == 1:
        stretched = np.repeat(stretched, 3, axis=0)
    return _bytes(np.moveaxis(stretched, 0, 2))


def _stretched(
    plane: np.ndarray, low_high: tuple[float, float] | None, least: float = 0
) -> np.ndarray:
    """Return the plane with black at 0 and white at 1, at least `least` grey values apart."""
    low, high = low_high or np.percentile(plane, [LOW_PERCENTILE, HIGH_PERCENTILE])
    if low_high is None and low < high < low + least:
        middle = (low + high) / 2
        low, high = middle - least / 2, middle + least / 2
    if not high > low:
        low, high = float(plane.min()), float(plane.max())
    if not high > low:  # nothing but one value: mid grey
        return np.full(plane.shape, 0.5, np.float32)
    return np.clip((plane - low) / (high - low), 0, 1)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)


# ---------------------------------------------------------------------------------- outlines


def outline_mask(labels: np.ndarray, width: int = 1, *, dashed: bool = False) -> np.ndarray:
    """Return which pixels are outline, (Y, X) bool: the outermost `width` px of every object."""
    inner, mask = labels, np.zeros(labels.shape, bool)
    for _ in range(width):
        ring, _ = borders(inner)
        mask |= ring
        inner = np.where(ring, 0, inner)
    return mask & _dashes(labels, DASH_PX * width) if dashed else mask


def _dashes(labels: np.ndarray, period_px: float) -> np.ndarray:
    """Return stripes (Y, X) bool that cut the outline of every object into dashes.

    An object's outline is divided by the angle around its centre, into as many dashes with
    gaps of `period_px` together as fit on a circle of its area.
    """
    _, index = np.unique(labels, return_inverse=True)
    index = index.reshape(labels.shape)
    area = np.bincount(index.ravel())
    y, x = np.indices(labels.shape, np.float32)
    cy = np.bincount(index.ravel(), y.ravel()) / area
    cx = np.bincount(index.ravel(), x.ravel()) / area
    n = np.maximum(np.rint(2 * np.sqrt(np.pi * area) / period_px), 3)
    turn = np.arctan2(y - cy[index], x - cx[index]) / (2 * np.pi)
    return (turn * n[index]) % 1 < 0.6


def outlines(
    rgb: np.ndarray, labels: np.ndarray, colour: Colour, width: int = 1, *, dashed: bool = False
) -> np.ndarray:
    """Return a copy of a picture (Y, X, 3) with the outlines of `labels`.

    Labels of another size are brought to that of the picture first, so that outlines are
    `width` px wide however much it was enlarged or reduced.
    """
    labels = resize_labels(labels, (rgb.shape[0], rgb.shape[1]))
    made = rgb.copy()
    made[outline_mask(labels, width, dashed=dashed)] = rgb_of(colour)
    return made


@dataclass(frozen=True, eq=False)
class Layer:
    """Outlines without the picture below them."""

    marks: np.ndarray
    """(Y, X) uint8: 0 nothing, 1 found, 2 false, 3 missed, 4 truth, 5 dark casing."""

    def over(self, rgb: np.ndarray) -> np.ndarray:
        """Return the picture (Y, X, 3) with these outlines; the casing darkens by half."""
        made = rgb.copy()
        for mark, colour in enumerate(_PALETTE):
            at = self.marks == mark
            if mark == CASING:
                made[at] = made[at] // 2
            elif mark:
                made[at] = rgb_of(colour)
        return made

    def data_uri(self) -> str:
        """Return a transparent PNG as ``data:`` address."""
        from PIL import Image as PILImage

        size = (self.marks.shape[1], self.marks.shape[0])
        picture = PILImage.frombytes("P", size, np.ascontiguousarray(self.marks).tobytes())
        picture.putpalette([v for colour in _PALETTE for v in rgb_of(colour)])
        buffer = io.BytesIO()
        alpha = bytes([0, 255, 255, 255, 255, 128])
        picture.save(buffer, format="PNG", transparency=alpha, optimize=True)
        return _data_uri("png", buffer.getvalue())


def outline_layer(
    parts: Sequence[tuple[np.ndarray, str]], shape: tuple[int, int], width: int = 1
) -> Layer:
    """Return the outlines of several label images, later ones on top.

    Parameters
    ----------
    parts : label image (Y, X) and what its objects are: ``found``, ``false``, ``missed`` (dashed)
        or ``truth``.
    shape : size (Y, X) of the picture they are shown on.
    width : of the outlines in px.
    """
    marks = np.zeros(shape, np.uint8)
    for labels, kind in parts:
        shown = resize_labels(labels, shape)
        marks[outline_mask(shown, width, dashed=kind == "missed")] = MARKS[kind]
    marks[beside(marks > 0)] = CASING
    return Layer(marks)


def beside(mask: np.ndarray) -> np.ndarray:
    """Return the pixels next to `mask` (over edges) that are not in it."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown & ~mask


def comparison_parts(
    truth: np.ndarray, prediction: np.ndarray, threshold: float = 0.5, *, border_px: int = 0
) -> tuple[list[tuple[np.ndarray, str]], Matching]:
    """Return missed, false and found objects as label images for `outline_layer`, and the matching.

    A predicted object is found where its IoU with a true one reaches `threshold`; one on pixels
    that are not annotated, or any object that lies in the border of `border_px`, is not judged
    and not drawn.
    """
    matching = match(truth, prediction, threshold, border_px=border_px)
    if border_px:
        truth, prediction = _reaching_in(truth, border_px), _reaching_in(prediction, border_px)
    pairs = np.array(matching.pairs, np.int64).reshape(-1, 2)
    found = np.isin(prediction, pairs[:, 1])
    missed = np.where(np.isin(truth, pairs[:, 0]), 0, np.maximum(truth, 0))
    unjudged = _mostly_ignored(truth, prediction)
    parts = [
        (missed, "missed"),
        (np.where(found | unjudged, 0, prediction), "false"),
        (np.where(found, prediction, 0), "found"),
    ]
    return parts, matching


def _reaching_in(labels: np.ndarray, border_px: int) -> np.ndarray:
    """Return the labels of the objects with a pixel inside the frame shrunk by `border_px`."""
    inside = np.unique(labels[border_px:-border_px, border_px:-border_px])
    return np.where(np.isin(labels, inside), labels, np.minimum(labels, 0))


def _mostly_ignored(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Return the predicted objects that are not judged, because the truth says "ignore" there."""
    if not (truth < 0).any():
        return np.zeros(truth.shape, bool)
    ids, index = np.unique(prediction, return_inverse=True)
    index = index.reshape(truth.shape)
    ignored = np.bincount(index.ravel(), (truth < 0).ravel(), minlength=len(ids))
    return (ignored > IGNORED_FRACTION * np.bincount(index.ravel()))[index] & (prediction > 0)


# ------------------------------------------------------------------------------------- files


def jpeg_data_uri(rgb: np.ndarray, max_bytes: int = 60_000) -> str:
    """Return a picture (Y, X, 3) uint8 as JPEG in a ``data:`` address.

    The quality goes down, and then the size, until the file has at most `max_bytes`.
    """
    from PIL import Image as PILImage

    grey = bool((rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 1] == rgb[..., 2]).all())
    image = PILImage.fromarray(rgb[..., 0] if grey else rgb)
    while True:
        for quality in (88, 80, 70, 60, 45, 30):
            buffer = io.BytesIO()
            image.save(buffer, format="JPEG", quality=quality, optimize=True)
            if buffer.tell() <= max_bytes or max(image.size) < 32:
                return _data_uri("jpeg", buffer.getvalue())
        image = image.resize((max(1, image.width * 2 // 3), max(1, image.height * 2 // 3)))


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
