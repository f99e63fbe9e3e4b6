"""How large the objects of an image are, found by a network that knows objects of any size.

It was shown every image at the scale at which the image's objects have the working diameter. So an
image is looked at on several scales, and one is right on which objects are found that are as large
as objects should be there. Fine structure can look like small objects and several cells like a
large one; what the right size explains is more of the image, more surely.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.objects import object_diameters
from microshot.progress import each
from microshot.tasks.common_size import Trial
from microshot.tasks.object_scale import GREATEST_SCALE, LEAST_SCALE, is_asked
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from microshot.data.dataset import Sample
    from microshot.progress import Progress
    from microshot.tasks.base import Recipe
    from microshot.tasks.common_size import Sizes, Trials
    from microshot.tasks.segmenting.segmentation import Options, Segmentation

#: Ratio of one size that is tried to the one before.
STEP = math.sqrt(2)
#: Side of the part of an image that is looked at, px: the one with most contrast. It is the same for
#: all sizes, as a part that holds but one cell speaks more for its size than the whole image does.
PART_PX = 768
#: Octaves by which objects differ from the size in question: at so many the evidence is 0.6 of the full.
SCATTER = 0.3
#: Evidence of an object grows with this power of its diameter. With the first power small structures
#: inside of cells win, with the second groups of cells.
POWER = 1.6
#: Side of the squares in which contrast is measured, px.
SQUARE_PX = 32
#: An object that is no surer than this is no evidence.
UNSURE = 0.5


def diameters(recipe: Recipe, shape: tuple[int, int]) -> list[float]:
    """Return the diameters in px that are tried on an image of (Y, X) `shape`, ascending.

    From the smallest to the largest that the network can be shown at its working diameter, and none
    larger than the image.
    """
    working = float(recipe.preparation["working_diameter_px"])
    n = 1 + round(math.log(GREATEST_SCALE / LEAST_SCALE, STEP))
    tried = [working / GREATEST_SCALE * STEP**k for k in range(n)]
    return [d for d in tried if d <= min(shape)] or tried[:1]


def tried_on(
    segment: Callable[[Sample, float], Segmentation],
    recipe: Recipe,
    sample: Sample,
    progress: Progress,
) -> Trials:
    """Return what came of each of the `diameters` in px in an image, see `trial`.

    Parameters
    ----------
    segment : finds the objects of an image, told their diameter.
    """
    pixels = np.ascontiguousarray(sample.image.pixels[:, *busiest(sample.image.pixels, PART_PX)])
    image = dataclasses.replace(sample.image, pixels=pixels)
    part = dataclasses.replace(sample, image=image, labels=None)
    tried = diameters(recipe, image.shape)
    trying = each(tried, len(tried), progress, "looking for the size of objects, try")
    return {diameter: trial(segment(part, diameter), diameter) for diameter in trying}


def size_taken(found: Any, recipe: Recipe, options: Options) -> dict[str, float | None]:
    """Return the ``diameter_px`` of an image's row: what objects were taken to measure, to 0.1 px.

    None where it was looked for in vain; no such entry where the model's own size holds.

    Parameters
    ----------
    found : has a ``diameter_px``, 0 = what the model knows.
    """
    if not found.diameter_px and not is_asked(recipe, options):
        return {}
    return {"diameter_px": round(found.diameter_px, 1) or None}


def size_note(rows: Iterable[Mapping[str, Any]], recipe: Recipe, sizes: Sizes | None = None) -> str:
    """Say in one sentence how large objects were found to be; empty where that was not looked for.

    Parameters
    ----------
    rows : one per image, with what `size_taken` says where it was looked for.
    sizes : found in some of them before.
    """
    asked = [row["diameter_px"] for row in rows if "diameter_px" in row]
    if asked and sizes is not None and sizes.common is not None:
        return sizes.note(len(asked), recipe)
    found = [size for size in asked if size is not None]
    said = []
    if found:
        low, middle, high = (f"{v:.3g}" for v in np.percentile(found, [0, 50, 100]))
        wide = f"{low} to {high} px, {middle} px in the median"
        said.append(f"{middle} px" if low == high else wide)
    if vain := len(asked) - len(found):
        where = f" in {vain} of {how_many(len(asked), 'image')}, where" if found else ", and"
        own = recipe.preparation["image_diameter_px"]
        said.append(f"none was found{where} {own:.3g} px was taken as in the training images")
    if not said:
        return ""
    return (
        f"The size of the objects was looked for in each image: {'; '.join(said)}; where that is wrong, "
        "tell their diameter."
    )


def trial(found: Segmentation, diameter_px: float) -> Trial:
    """Return how much speaks for objects of this diameter, and how large those found are.

    Every object found counts by how sure it is and how near its diameter is to the one in question.
    The evidence is the sum of their diameters to the power of `POWER`; measured is their median.
    """
    own, sure = object_diameters(found.labels), np.maximum(found.probability - UNSURE, 0)
    weights = sure * np.exp(-0.5 * (np.log2(own / diameter_px) / SCATTER) ** 2)
    if not weights.any():
        return Trial(0.0, 0.0)
    order = np.argsort(own)
    below = np.cumsum(weights[order])
    middle = int(np.searchsorted(below, below[-1] / 2))
    return Trial(float((weights * own**POWER).sum()), float(own[order][middle]))


def busiest(pixels: np.ndarray, side_px: int) -> tuple[slice, slice]:
    """Return the part of an image (C, Y, X) with most contrast, at most `side_px` high and wide.

    Contrast is the mean variance of the grey values in squares of `SQUARE_PX`.
    """
    shape = pixels.shape[1:]
    sides = [min(side_px, whole) for whole in shape]
    n, m = (min(SQUARE_PX, side) for side in sides)
    height, width = shape[0] // n, shape[1] // m
    rows = np.split(pixels[:, : height * n, : width * m], height, axis=1)  # fills less memory
    spread = np.stack(
        [row.reshape(-1, n, width, m).var((1, 3), dtype=np.float64).sum(0) for row in rows]
    )
    across = sides[0] // n, sides[1] // m
    means = np.lib.stride_tricks.sliding_window_view(spread, across).mean((2, 3))
    row, column = np.unravel_index(int(means.argmax()), means.shape)
    top = min(int(row) * n, shape[0] - sides[0])
    left = min(int(column) * m, shape[1] - sides[1])
    return slice(top, top + sides[0]), slice(left, left + sides[1])
