"""The way *watershed* of the task *count*: no network, its few numbers found by trying a grid.

The classical baseline to hold learned counters against.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.normalize import Normalization
from microshot.data.objects import centroids
from microshot.progress import Progress, silent
from microshot.tasks.base import Recipe
from microshot.tasks.counting.base import RawCount, checked_thresholds, colour_mean, true_count
from microshot.tasks.counting.way import Way
from microshot.tasks.hyper import Hyper

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import nn

    from microshot.data.dataset import Sample
    from microshot.inference.predictor import Network
    from microshot.tasks.lesson import Lesson
    from microshot.training.solving import Solution
    from microshot.training.trainer import Row

#: Images that the grid is tried on, at most.
MOST_TRIED = 48


@dataclass(frozen=True, eq=False)
class Picture:
    """A normalised grey picture (Y, X) and its count."""

    grey: np.ndarray
    count: float


def hyper(samples: Sequence[Sample], settings: Any, start: Recipe | None) -> Hyper:
    """Return training values without meaning: nothing is learned step by step."""
    return Hyper(learning_rate=0.0, batch_size=0, patch_px=0, augmentation="none")


def recipe(samples: Sequence[Sample], settings: Any, start: Recipe | None) -> Recipe:
    """Return the recipe: grey values by percentiles, at the images' own scale."""
    network = {"name": "watershed", "in_channels": samples[0].image.n_channels}
    kept = start.normalization if start is not None else Normalization("percentile")
    return Recipe(network, kept, thresholds=checked_thresholds({}))


def checked(given: Recipe) -> Recipe:
    """Return the recipe of a model file with what is optional filled in; ValueError if senseless."""
    n = given.architecture.get("in_channels", 1)
    if type(n) is not int or n < 1:
        raise ValueError(f"Watershed: expected a whole number of channels, found {n!r:.60}.")
    network = {**given.architecture, "in_channels": n}
    thresholds = checked_thresholds(given.thresholds)
    return Recipe(network, given.normalization, given.preparation, given.tile, thresholds)


def build(architecture: Mapping[str, Any], seed: int) -> nn.Module:
    """Return the watershed with numbers in the middle of the grid."""
    from microshot.nn.watershed import Watershed

    return Watershed()


def prepare(sample: Sample, recipe: Recipe) -> Picture:
    """Return the grey picture of a counted sample."""
    count = true_count(sample)
    return Picture(colour_mean(sample, recipe), math.nan if count is None else count)


def stages(model: nn.Module, lesson: Lesson[Picture, Hyper]) -> Solution:
    """Return the search over the grid on real images, or on synthetic ones where those are all.

    Synthetic images beside real ones are left out: another look would need other numbers.
    """
    from microshot.training.solving import Solution

    known = [p for p in lesson.natural if not math.isnan(p.count)]
    order = np.random.default_rng(lesson.seed).permutation(len(known))[:MOST_TRIED]
    return Solution("trying parameters", lambda model: _tried(model, [known[i] for i in order]))


def _tried(model: nn.Module, pictures: Sequence[Picture]) -> Iterator[tuple[float, Row]]:
    """Try the grid; leave the best numbers in the model and yield a row whenever they changed."""
    from dataclasses import asdict

    from microshot.nn.watershed import Watershed, search

    assert isinstance(model, Watershed)
    least = math.inf
    for done, error, found in search([p.grey for p in pictures], [p.count for p in pictures]):
        row: Row = {}
        if error < least:
            least = error
            model.set(found)
            row = {"loss": error, **{k: float(v) for k, v in asdict(found).items()}}
        yield done, row


def raw(
    network: Network,
    recipe: Recipe,
    sample: Sample,
    options: Any = None,
    progress: Progress = silent,
) -> RawCount:
    """Count the regions of one image; their centres are the points."""
    labels = network(colour_mean(sample, recipe)[None, None])[0, 0].astype(np.int32)
    progress(1.0)
    return RawCount(float(labels.max()), centroids(labels).astype(np.float32))


WAY = Way(hyper, recipe, checked, build, prepare, stages, raw)
