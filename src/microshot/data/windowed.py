"""What an image is that is read in parts, and which numbers it may hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from microshot.data.image import channel_index

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: Types of numbers that are read part by part; others are converted by looking at the whole image.
KINDS = (np.bool_, np.uint8, np.uint16, np.float16, np.float32, np.float64)


@dataclass(frozen=True)
class Facts:
    """What is known of an image before its pixels are read."""

    shape: tuple[int, int, int]
    """(C, Y, X)."""
    dtype: np.dtype
    pixel_size_um: float | None = None
    channels: tuple[str, ...] = ()
    """Names of the channels where all have one, of a photograph its colours; else empty."""
    is_colour: bool = False
    """Whether the three channels are red, green and blue of one photograph."""

    @property
    def n_px(self) -> int:
        """Height times width."""
        return self.shape[1] * self.shape[2]


class Windowed(Protocol):
    """An image of which any part can be read; holds no pixels but a small cache."""

    path: Path
    facts: Facts

    def files(self) -> Sequence[Path]:
        """Return files that change where another image takes this one's place; a few of many."""
        ...

    def check(self) -> None:
        """Refuse (ValueError) an image whose parts cannot be read alone."""
        ...

    def stored(self, rows: slice, columns: slice, channel: int | None = None) -> np.ndarray:
        """Return a part of the image (C, y, x) as stored, or that of one channel (1, y, x)."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class OneChannel:
    """An image with several channels of which one is read."""

    def __init__(self, source: Windowed, index: int) -> None:
        self.source, self.index, self.path = source, index, source.path
        facts = source.facts
        names = facts.channels[index : index + 1]
        shape = (1, *facts.shape[1:])
        self.facts = replace(facts, shape=shape, channels=names, is_colour=False)

    def files(self) -> Sequence[Path]:
        """Return files that change where another image takes this one's place; a few of many."""
        return self.source.files()

    def check(self) -> None:
        """Refuse (ValueError) an image whose parts cannot be read alone."""
        self.source.check()

    def stored(self, rows: slice, columns: slice, channel: int | None = None) -> np.ndarray:  # noqa: ARG002
        """Return a part of the channel (1, y, x) as stored; there is no other one to ask for."""
        return self.source.stored(rows, columns, self.index)

    def close(self) -> None:
        """Close the file."""
        self.source.close()


def one_channel(source: Windowed, wanted: str) -> Windowed:
    """Return the one channel of an image with several whose number or name is `wanted`.

    An image of one channel is returned as it is, and any where nothing is wanted. See
    `channel_index` for what may be wanted, and for errors.
    """
    n = source.facts.shape[0]
    if not wanted or n == 1:
        return source
    index = channel_index(wanted, n, f'"{source.path}"', source.facts.channels)
    return OneChannel(source, index)


def checked_kind(dtype: np.dtype, where: str) -> np.dtype:
    """Return the type of number of an image; refuse what only the whole image could decide."""
    if dtype.newbyteorder("=").type not in KINDS:
        raise ValueError(
            f"{where}: expected 8-bit, 16-bit or decimal numbers in an image that is read in parts, "
            f"found {dtype}; save it as 16-bit."
        )
    return dtype
