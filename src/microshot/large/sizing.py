"""The size of the objects in a large image, for a model that knows objects of any size."""

from __future__ import annotations

import copy
import dataclasses
from contextlib import closing
from typing import TYPE_CHECKING

from microshot.data.windows import opened
from microshot.large.plan import seen
from microshot.large.typical import typical_part
from microshot.progress import silent
from microshot.tasks.object_scale import is_asked

if TYPE_CHECKING:
    from pathlib import Path

    from microshot.api import Predictor
    from microshot.data.dataset import Sample
    from microshot.large.journal import Journal
    from microshot.large.typical import TypicalPart
    from microshot.progress import Progress


def with_size(
    predictor: Predictor, part: TypicalPart, journal: Journal, progress: Progress
) -> Predictor:
    """Return `predictor` told how large the objects of an image are, itself where it knows.

    They are looked for in a part of the image, once: `journal` keeps what was found, which may be
    another size on another device.
    """
    if not is_asked(predictor.recipe, predictor.options):
        return predictor
    found = journal.diameter_px()
    if found is None:
        found = predictor.options_for(part.sample, progress)[0].diameter_px
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
        return typical_part(seen(source, predictor.recipe, silent)).sample
