"""The size of the objects in a large image, for a model that knows objects of any size."""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from microshot.data.dataset import Sample
from microshot.data.windows import image_of, pixels_of
from microshot.tasks.segmenting.size_search import is_asked

if TYPE_CHECKING:
    from microshot.api import Predictor
    from microshot.data.windowed import Windowed
    from microshot.progress import Progress

#: Side of the part of an image in which sizes are tried, px.
PART_PX = 2048
#: The part is chosen by the contrast in so many windows of the image along each axis, of so many px.
PLACES, PLACE_PX = 6, 128


def with_size(predictor: Predictor, source: Windowed, progress: Progress) -> Predictor:
    """Return `predictor` told how large the objects of an image are, itself where it knows.

    They are looked for in the part of the image with most contrast.
    """
    if not is_asked(predictor.recipe, predictor.options):
        return predictor
    sample = Sample(str(source.path), image_of(source, *_part(source)))
    told = copy.copy(predictor)
    told.options = predictor.options_for(sample, progress)
    told.settings = dataclasses.replace(told.settings, diameter_px=told.options.diameter_px)
    return told


def _part(source: Windowed) -> tuple[slice, slice]:
    """Return the part of an image around the one of some windows that has most contrast."""
    shape = source.facts.shape[1:]
    if max(shape) <= PART_PX:
        return slice(0, shape[0]), slice(0, shape[1])
    rows, columns = (_starts(side) for side in shape)
    found = {(y, x): _contrast(source, y, x) for y in rows for x in columns}
    corner = max(found, key=lambda place: found[place])
    middles = (first + PLACE_PX // 2 for first in corner)
    starts = (
        max(0, min(middle - PART_PX // 2, side - PART_PX))
        for middle, side in zip(middles, shape, strict=True)
    )
    y, x = (slice(s, min(s + PART_PX, side)) for s, side in zip(starts, shape, strict=True))
    return y, x


def _starts(side: int) -> list[int]:
    """Return where the windows begin along an axis: in the middle of equal parts."""
    middles = (np.arange(PLACES) + 0.5) * side / PLACES
    return [max(0, int(m) - PLACE_PX // 2) for m in middles]


def _contrast(source: Windowed, y: int, x: int) -> float:
    pixels = pixels_of(source, slice(y, y + PLACE_PX), slice(x, x + PLACE_PX))
    return float(pixels.astype(np.float64).var((1, 2)).sum())
