"""Whether labelled objects have the shapes that star-convex polygons can learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from microshot.data.dataset import spaced
from microshot.data.objects import renumbered
from microshot.tasks.segmenting import stardist
from microshot.tasks.segmenting.polygon_filling import filled
from microshot.words import form, how_many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.data.dataset import Sample

#: Images looked at, and objects of each, at most.
MOST_IMAGES, MOST_OBJECTS = 8, 16
#: Smaller objects say nothing of shapes, px.
LEAST_AREA_PX = 50
#: Mean IoU of the polygons of the labels with these, below which they are told; StarDist's authors
#: want more than 0.8 (github.com/stardist/stardist, examples/2D/1_data.ipynb).
LEAST_IOU = 0.8
#: Part of the objects that may have holes without a word.
FEW_HOLES = 0.02


def remarks(samples: Sequence[Sample], rays: int) -> list[str]:
    """Say where polygons of so many `rays` cannot be what was labelled, and where labels have holes."""
    own = [s for s in samples if s.labels is not None and s.domain == "natural"]
    labels = [own[i].labels for i in spaced(range(len(own)), MOST_IMAGES)]
    found = [shapes_of(one, rays) for one in labels if one is not None]
    ious, holed = (np.concatenate([np.zeros(0), *(one[i] for one in found)]) for i in (0, 1))
    notes = []
    if len(ious) and ious.mean() < LEAST_IOU:
        notes.append(
            f"The labelled objects are not star-convex: polygons of {rays} rays drawn after {len(ious)} of "
            f"them reach an IoU of {ious.mean():.2f} with them on average, expected at least {LEAST_IOU:g}; "
            'train with the head "Interior and boundary" (network.head=boundary).'
        )
    n = int(holed.sum())
    if n > FEW_HOLES * len(holed):
        notes.append(
            f"{n} of {how_many(len(holed), 'labelled object')} {form(n, 'has', 'have')} holes, at which rays "
            "end: polygons learn to be too small; fill holes that are not in the objects themselves."
        )
    return notes


def shapes_of(labels: np.ndarray, rays: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the IoU of objects with the polygons drawn after them, and which of them have holes.

    Parameters
    ----------
    labels : (Y, X) ids; of many objects `MOST_OBJECTS` are looked at.

    Returns
    -------
    (N,) float from 0 to 1, and (N,) bool, of the same objects.
    """
    from scipy.ndimage import binary_fill_holes, find_objects

    ious, holed = [], []
    objects = renumbered(np.maximum(labels, 0))
    boxes = find_objects(objects)
    for index in spaced(range(len(boxes)), MOST_OBJECTS):
        mask = np.pad(objects[boxes[index]] == index + 1, 1)
        if mask.sum() < LEAST_AREA_PX:
            continue
        probability, distance = stardist.targets(mask.astype(np.int32), rays, 1)
        y, x = np.unravel_index(int(probability.argmax()), mask.shape)
        outline = stardist.polygons(np.array([[y, x]]), distance[:, y, x][None])
        drawn = filled(outline, mask.shape) > 0
        ious.append((drawn & mask).sum() / (drawn | mask).sum())
        holed.append(bool((binary_fill_holes(mask) & ~mask).any()))
    return np.array(ious, float), np.array(holed, bool)
