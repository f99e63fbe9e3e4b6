"""Is an image taken at the magnification that a model knows? Told, rescaled or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from microshot.tasks.translating.stacks import Oddity
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.data.dataset import Sample
    from microshot.tasks.base import Recipe

#: Pixel sizes that differ by more are another magnification.
PIXEL_SIZE_TOLERANCE = 0.1


def _differ(own: float | None, here: float | None) -> bool:
    return bool(own and here and abs(here / own - 1) > PIXEL_SIZE_TOLERANCE)


def _known(recipe: Recipe) -> float | None:
    return recipe.preparation.get("pixel_size_um")


def scale_for(recipe: Recipe, sample: Sample, wish: str) -> float:
    """Return by which factor an image is resampled to have the model's pixel size.

    Parameters
    ----------
    wish : ``warn`` (1 is returned), ``rescale`` or ``refuse``.

    Raises
    ------
    ValueError
        If pixel sizes differ and that is to be refused.
    """
    own, here = _known(recipe), sample.image.pixel_size_um
    if own is None or here is None or not _differ(own, here) or wish == "warn":
        return 1.0
    if wish == "refuse":
        raise ValueError(
            f"{sample.name}: expected pixels of {own:g} µm as in the model's training images, found "
            f"{here:g} µm; use a model for this magnification, or let images be rescaled."
        )
    return here / own


def oddities(recipe: Recipe, sample: Sample, scale: float) -> list[Oddity]:
    """Say where an image was taken at another magnification than the model was trained for."""
    own, here = _known(recipe), sample.image.pixel_size_um
    if not _differ(own, here):
        return []
    done = "use a model for this magnification" if scale == 1.0 else f"rescaled {scale:.3g} times"
    text = f"one pixel is {here:g} µm, but {own:g} µm in the model's training images; {done}."
    return [Oddity(f"pixels of {own:g} µm", sample.name, text)]


def mixed(samples: Sequence[Sample], start: Recipe | None) -> list[str]:
    """Say where training images differ in magnification, or together from those of the model to start from."""
    sizes = [(s.name, s.image.pixel_size_um) for s in samples if s.image.pixel_size_um]
    if not sizes:
        return []
    usual = float(np.median([size for _, size in sizes]))
    others = [(name, size) for name, size in sizes if _differ(usual, size)]
    notes = []
    if others:
        name, size = others[0]
        notes.append(
            f"Pixels measure {usual:g} µm in most images, but not in {len(others)} of "
            f"{how_many(len(samples), 'image')} (first: {name}, {size:g} µm): train one model per magnification."
        )
    old = _known(start) if start else None
    if _differ(old, usual):
        notes.append(
            f"Pixels measure {usual:g} µm, but {old:g} µm in the images that the model to start from has "
            "learned; a start of the same magnification has less to learn anew."
        )
    return notes
