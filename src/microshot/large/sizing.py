"""The size of the objects in a large image, for a model that knows objects of any size."""

from __future__ import annotations

import copy
import dataclasses
from contextlib import closing
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from microshot.data.dataset import Sample
from microshot.data.windows import image_of, opened, pixels_of
from microshot.large.plan import seen
from microshot.progress import silent
from microshot.tasks.object_scale import is_asked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from microshot.api import Predictor
    from microshot.data.windowed import Windowed
    from microshot.large.journal import Journal
    from microshot.progress import Progress

#: Side of the part of an image in which sizes are tried, px.
PART_PX = 2048
#: The part is chosen by the contrast in so many windows of the image along each axis, of so many px.
PLACES, PLACE_PX = 6, 128


def with_size(
    predictor: Predictor, source: Windowed, journal: Journal, progress: Progress
) -> Predictor:
    """Return `predictor` told how large the objects of an image are, itself where it knows.

    They are looked for in the part of the image with most contrast, once: `journal` keeps what was
    found, which may be another size on another device.
    """
    if not is_asked(predictor.recipe, predictor.options):
        return predictor
    found = journal.diameter_px()
    if found is None:
        found = predictor.options_for(typical_part(source), progress)[0].diameter_px
        journal.keep_diameter(found)
    told = copy.copy(predictor)
    told.options = dataclasses.replace(told.options, diameter_px=found)
    told.settings = dataclasses.replace(told.settings, diameter_px=found)
    return told


def to_look_at(predictor: Predictor, file: Path) -> Sample:
    """Return the part of a large image in which `with_size` would look, as the model sees it.

    Raises
    ------
    ValueError
        If the image cannot be read or has other channels than the model takes.
    """
    with closing(opened(file)) as source:
        source.check()
        return typical_part(seen(source, predictor.recipe, silent))


def typical_part(source: Windowed) -> Sample:
    """Return the part of a large image, at most 2048 px high and wide, that stands for all of it."""
    return Sample(str(source.path), image_of(source, *_part(source)))


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
