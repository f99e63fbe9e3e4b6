"""How large objects are in images without label images: the size at which a model counts them best."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.dataset import spaced
from microshot.progress import Progress, each, silent
from microshot.tasks.counting.base import Options, true_count
from microshot.tasks.object_scale import scale_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from microshot.data.dataset import Sample
    from microshot.tasks.base import Recipe

#: Sizes that are tried, as factors of the one in the model's own training images.
FACTORS = tuple(2.0 ** (k / 4) for k in range(-4, 5))
#: Another size is believed if the error falls below this part of that at the model's own, and if the
#: model then knows something of these images: below this part of what the mean count gives. One
#: that does not finds a size by chance: of 4 counted images in bright field, one that gave 0.4 of it
#: and left the model worse; where size was the difference (another stain), 0.01 to 0.03.
CLEARLY_LESS, KNOWS = 0.8, 0.15
#: Images that are looked at, and their pixels together, at most; two at least.
MOST_IMAGES, MOST_PX = 12, 4_000_000


def best_size(
    count: Callable[[Sample, Options], float],
    recipe: Recipe,
    samples: Sequence[Sample],
    progress: Progress = silent,
    found_px: float = 0.0,
) -> float:
    """Return the diameter in px at which a model counts `samples` best; its own if that does not tell.

    Parameters
    ----------
    count : counts the objects of an image, told how large they are.
    recipe : of the model.
    samples : counted images.
    found_px : the diameter that objects look to have, 0 = not known. It is believed if the model counts
        better with it than with its own; no other is tried then.

    Notes
    -----
    The error is the mean of (2 √(p + 3/8) - 2 √(c + 3/8))², as in `nn.density.density_loss`. Sizes
    that ask for the same scale are tried once.
    """
    own = float(recipe.preparation["image_diameter_px"])
    looked_at = _few([s for s in samples if true_count(s) is not None])
    sizes = {scale_of(recipe, own * f): own * f for f in (*FACTORS, 1.0)}
    truth = np.array([true_count(s) for s in looked_at], float)

    def error(size: float) -> float:
        return _error(np.array([count(s, Options(diameter_px=size)) for s in looked_at]), truth)

    errors = {own: error(own)}
    if found_px and error(found_px) < errors[own]:
        return found_px
    others = [size for size in sizes.values() if size != own]
    for size in each(others, len(others), progress, "trying size"):
        errors[size] = error(size)
    best = min(errors, key=lambda size: errors[size])
    least = min(
        CLEARLY_LESS * errors[own], KNOWS * _error(np.full_like(truth, truth.mean()), truth)
    )
    return best if errors[best] < least else own


def _error(found: np.ndarray, truth: np.ndarray) -> float:
    """Return how far counts are off, in units of the scatter of a Poisson count, squared."""
    return float(4 * np.square(np.sqrt(found + 0.375) - np.sqrt(truth + 0.375)).mean())


def sized(
    count: Callable[[Sample, Options], float],
    recipe: Recipe,
    samples: Sequence[Sample],
    settings: Any,
    find: Callable[[], float],
    progress: Progress = silent,
) -> tuple[Recipe, list[str]]:
    """Return the recipe of a retraining with the size of the objects in its images, and what to tell.

    Where labels or the user say how large objects are, it stays as it is.

    Parameters
    ----------
    find : looks for the diameter in px of the objects of all `samples`; 0 where that tells nothing.
    """
    told = any(s.labels is not None for s in samples)
    if told or settings.images.diameter_px or not samples:
        return recipe, []
    own = recipe.preparation["image_diameter_px"]
    best = best_size(count, recipe, samples, progress, find())
    if best == own:
        return recipe, []
    note = (
        f"Objects are taken to measure {best:.3g} px, {best / own:.2g} times what the start model knows, "
        "because so it counts these images best; set the diameter of the objects if you know it."
    )
    preparation = {**recipe.preparation, "image_diameter_px": best}
    return dataclasses.replace(recipe, preparation=preparation), [note]


def _few(samples: Sequence[Sample]) -> list[Sample]:
    """Return some of the images, evenly spread, so that trying takes seconds."""
    size = float(np.median([np.prod(s.image.shape) for s in samples]))
    n = int(np.clip(MOST_PX // size, 2, MOST_IMAGES))
    return [samples[i] for i in spaced(range(len(samples)), n)]
