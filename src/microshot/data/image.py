"""The one image type inside Microshot."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Names of the channels of a photograph.
COLOURS = ("red", "green", "blue")
#: Grey levels by which red, green and blue of an 8-bit grey may differ: JPEG rounds each by itself.
_COLOUR_NOISE = 2

#: Dtypes a pixel array may have. Everything else is converted, or refused, where it is read.
DTYPES = (np.uint8, np.uint16, np.float32)


@dataclass(frozen=True, eq=False)
class Image:
    """One field of view: ``pixels`` with axes (C, Y, X) and what is known about it.

    A channel is anything measured at the same place: a colour, a stain, or a plane of
    a focus stack.
    """

    pixels: np.ndarray
    """(C, Y, X) uint8, uint16 or float32; the camera's own numbers, never rescaled."""
    pixel_size_um: float | None = None
    """Side of a pixel in micrometres, where the file says so."""
    channels: tuple[str, ...] = ()
    """One name per channel, or empty."""
    is_colour: bool = False
    """Whether the three channels are red, green and blue of one photograph."""

    def __post_init__(self) -> None:
        """Check what every consumer relies on."""
        if self.pixels.ndim != 3 or 0 in self.pixels.shape:
            raise ValueError(
                f"An image needs axes (channel, y, x) of at least one pixel, found shape {self.pixels.shape}."
            )
        if self.pixels.dtype not in DTYPES:
            raise ValueError(
                f"An image needs uint8, uint16 or float32 pixels, found {self.pixels.dtype}."
            )
        if self.channels and len(self.channels) != len(self.pixels):
            raise ValueError(
                f"An image with {how_many(len(self.pixels), 'channel')} cannot have "
                f"{how_many(len(self.channels), 'channel name')}."
            )

    @property
    def n_channels(self) -> int:
        """Number of channels or planes."""
        return self.pixels.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[1], self.pixels.shape[2]

    @cached_property
    def digest(self) -> bytes:
        """What images share that have the same pixels of the same kind, and no others (SHA-256)."""
        kind = f"{self.pixels.dtype}{self.pixels.shape}".encode()
        return hashlib.sha256(kind + np.ascontiguousarray(self.pixels).tobytes()).digest()


def names_of(n: int, given: Sequence[str] = (), *, is_colour: bool = False) -> tuple[str, ...]:
    """Return the names of `n` channels: those `given` if it is as many, else those of colours.

    Empty where neither are known.
    """
    if len(given) == n:
        return tuple(given)
    return COLOURS if is_colour and n == len(COLOURS) else ()


def square_side(x: float | None, y: float | None) -> float | None:
    """Return the side of a pixel, unless it is not known or x and y differ by more than 1 %."""
    return x if x and y and x > 0 and abs(x - y) <= 0.01 * x else None


def channel_of(image: Image, wanted: str, name: str) -> Image:
    """Return one channel of an image; an image that has only one as it is.

    Colours are called red, green and blue; else see `channel_index`, also for errors.
    """
    n = image.n_channels
    if n == 1:
        return image
    names = names_of(n, image.channels, is_colour=image.is_colour)
    index = channel_index(wanted, n, name, names)
    pixels = image.pixels[index : index + 1]
    return Image(pixels, image.pixel_size_um, names[index : index + 1])


def channel_index(wanted: str, n: int, name: str, names: Sequence[str] = ()) -> int:
    """Return which of `n` channels is `wanted`, counted from 0.

    Parameters
    ----------
    wanted : its number, counted from 1, or one of `names`, in capitals or not.
    name : of the image, for errors.

    Raises
    ------
    ValueError
        If there is no such channel; the message lists those that there are.
    """
    alike, text = [own.strip().lower() for own in names], wanted.strip()
    if text.lower() in alike:
        return alike.index(text.lower())
    if text.isdecimal() and 1 <= int(text) <= n:
        return int(text) - 1
    known = f" ({', '.join(names)})" if names else ""
    raise ValueError(
        f'{name}: expected a channel "{text}", found {n} channels{known}; choose a number from 1 to '
        f"{n}{' or one of these names' if names else ''}."
    )


def grey_of(image: Image) -> Image | None:
    """Return a grey image that was saved in colour with its one channel; None for any other.

    That is a photograph whose red, green and blue are the same, or whose colours that are not black
    throughout are the same: what programs export of one stain shown in blue, or in yellow.
    """
    if not image.is_colour or image.n_channels != 3:
        return None
    index = grey_channel([image.pixels])
    return None if index is None else Image(image.pixels[index : index + 1], image.pixel_size_um)


def grey_channel(parts: Iterable[np.ndarray]) -> int | None:
    """Return which of red, green and blue is the one channel of a grey image (see `grey_of`), or None.

    Parameters
    ----------
    parts : (3, y, x) of the image, all of it, in any order; no more are asked for than it takes.
    """
    lit, apart, noise = np.zeros(3, bool), np.zeros((3, 3)), 0
    for part in parts:
        noise = _COLOUR_NOISE if part.dtype == np.uint8 else 0
        lit |= part.any(axis=(1, 2))
        for a, b in ((0, 1), (0, 2), (1, 2)):
            apart[a, b] = max(apart[a, b], np.abs(part[a].astype(np.float32) - part[b]).max())
        if (apart * np.outer(lit, lit)).max() > 2 * noise:  # no third can be near to both
            return None
    first = int(lit.argmax())
    return None if (apart[first] * lit > noise).any() else first


def stack(images: Sequence[Image], names: Sequence[str] = (), wheres: Sequence[str] = ()) -> Image:
    """Join single- or multi-channel images of one field of view along the channel axis.

    Parameters
    ----------
    names : of the channels, where every image is one.
    wheres : what messages call the images, such as their files; else they are called by `names`.

    Raises
    ------
    ValueError
        If the images differ in height or width; the message names the first that does.
    """
    first, called = images[0], wheres or names
    for index, image in enumerate(images):
        if image.shape != first.shape:
            name = called[index] if called else f"image {index + 1}"
            raise ValueError(
                f"{name}: all channels of a field of view must have the same size, expected "
                f"{first.shape[0]} x {first.shape[1]} px as in the first, found {image.shape[0]} x "
                f"{image.shape[1]} px."
            )
    if len(images) == 1:
        return replace(
            first, channels=tuple(names) if names and first.n_channels == 1 else first.channels
        )
    dtype = np.result_type(*[image.pixels.dtype for image in images])
    pixels = np.concatenate([image.pixels.astype(dtype, copy=False) for image in images])
    channels = tuple(names) if names and len(names) == len(pixels) else ()
    is_colour = any(image.is_colour for image in images)
    return Image(pixels, first.pixel_size_um, channels, is_colour)
