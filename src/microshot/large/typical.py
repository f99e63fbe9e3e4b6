"""The part of a large image that stands for all of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from microshot.data.dataset import Sample
from microshot.data.windows import image_of, pixels_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.data.windowed import Windowed

#: Greatest side of the part, px.
PART_PX = 2048
#: The part is chosen by the contrast in so many windows of the image along each axis, of so many px.
PLACES, PLACE_PX = 6, 128


@dataclass(frozen=True, eq=False)
class TypicalPart:
    """A part of an image, and where it lies."""

    rows: slice
    columns: slice
    sample: Sample


def typical_part(source: Windowed) -> TypicalPart:
    """Return the part with most contrast of a large image, at most 2048 px high and wide."""
    rows, columns = _part(source)
    return TypicalPart(rows, columns, Sample(str(source.path), image_of(source, rows, columns)))


def _part(source: Windowed) -> tuple[slice, slice]:
    """Return the part of an image around the one of some windows that has most contrast."""
    shape = source.facts.shape[1:]
    if max(shape) <= PART_PX:
        return slice(0, shape[0]), slice(0, shape[1])
    middles = [[int((k + 0.5) * side / PLACES) for k in range(PLACES)] for side in shape]

    def contrast(place: tuple[int, ...]) -> float:
        pixels = pixels_of(source, *_around(place, shape, PLACE_PX))
        return float(pixels.astype(np.float64).var((1, 2)).sum())

    return _around(max(product(*middles), key=contrast), shape, PART_PX)


def _around(place: Sequence[int], shape: Sequence[int], side_px: int) -> tuple[slice, slice]:
    """Return the window around a place (y, x), at most `side_px` high and wide, within the image."""
    starts = [max(0, min(m - side_px // 2, n - side_px)) for m, n in zip(place, shape, strict=True)]
    y, x = (slice(s, min(s + side_px, n)) for s, n in zip(starts, shape, strict=True))
    return y, x
