"""The way *frozen-cnn* of the task *count*: a line fitted to features of a published network.

The network's weights come from a local file and never change; what is learned is one number
per feature. A baseline to hold trained counters against.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.normalize import Normalization
from microshot.progress import Progress, silent
from microshot.tasks.base import Recipe, image_for
from microshot.tasks.counting.base import RawCount, checked_thresholds, true_count
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

#: Larger images are looked at in windows of about this side, which are added up.
WINDOW_PX = 512


@dataclass(frozen=True, eq=False)
class Windows:
    """An image (C, Y, X) in windows, and its count."""

    windows: list[np.ndarray]
    count: float

    @property
    def n_pixels(self) -> int:
        """Number of px of the image."""
        return sum(w[0].size for w in self.windows)


def hyper(samples: Sequence[Sample], settings: Any, start: Recipe | None) -> Hyper:
    """Return training values without meaning: nothing is learned step by step."""
    return Hyper(learning_rate=0.0, batch_size=0, patch_px=0, augmentation="none")


def recipe(samples: Sequence[Sample], settings: Any, start: Recipe | None) -> Recipe:
    """Return the recipe: the network that the file holds, images with mean 0 and deviation 1.

    Raises
    ------
    FileNotFoundError, ValueError
        If no file is named, or it holds no network that is known.
    """
    n = samples[0].image.n_channels
    if start is not None:
        network = {**start.architecture, "in_channels": n}
        return Recipe(network, start.normalization, thresholds=checked_thresholds({}))
    from microshot.nn.encoder_weights import read_tensors
    from microshot.nn.frozen_counter import check_architecture, described

    path = weights_file(settings)
    known = described(read_tensors(path), path.name)
    network = check_architecture({"name": "frozen-cnn", "in_channels": n, **known})
    return Recipe(network, Normalization("zscore"), thresholds=checked_thresholds({}))


def weights_file(settings: Any) -> Path:
    """Return the file with the network's weights.

    Raises
    ------
    ValueError
        If none is named.
    """
    if not settings.count.frozen_weights.strip():
        raise ValueError(
            '"Weights of the frozen network" is empty: this counter needs a file with the weights of '
            "a ResNet or a U-Net (.safetensors, .pth or .pt) on this machine; choose one, or another "
            "counter."
        )
    return Path(settings.count.frozen_weights.strip())


def checked(given: Recipe) -> Recipe:
    """Return the recipe of a model file with what is optional filled in; ValueError if senseless."""
    from microshot.nn.frozen_counter import check_architecture

    network = check_architecture(given.architecture)
    thresholds = checked_thresholds(given.thresholds)
    return Recipe(network, given.normalization, given.preparation, given.tile, thresholds)


def build(architecture: Mapping[str, Any], seed: int) -> nn.Module:
    """Return the network with random weights drawn from `seed`."""
    from microshot.device import seeded
    from microshot.nn.frozen_counter import FrozenCounter

    with seeded(seed):
        return FrozenCounter(architecture)


def fresh(architecture: Mapping[str, Any], settings: Any, seed: int) -> nn.Module:
    """Return the network with the weights of the file."""
    from microshot.nn.encoder_weights import put_weights, read_tensors
    from microshot.nn.frozen_counter import FrozenCounter

    model, path, kind = build(architecture, seed), weights_file(settings), architecture["encoder"]
    assert isinstance(model, FrozenCounter)
    first = "encoders.0.0.weight" if kind == "unet" else "conv1.weight"
    put_weights(model.encoder, read_tensors(path), path.name, kind, first)
    return model


def prepare(sample: Sample, recipe: Recipe) -> Windows:
    """Return the windows of a sample."""
    count = true_count(sample)
    return Windows(_windows(sample, recipe), math.nan if count is None else count)


def _windows(sample: Sample, recipe: Recipe) -> list[np.ndarray]:
    """Normalise an image as a whole and cut it into windows (C, Y', X') of about equal size."""
    image = recipe.normalization.apply(image_for(sample, recipe).pixels)
    rows, columns = (-(-side // WINDOW_PX) for side in image.shape[1:])
    bands = np.array_split(image, rows, axis=1)
    return [w for band in bands for w in np.array_split(band, columns, axis=2)]


def stages(model: nn.Module, lesson: Lesson[Windows, Hyper]) -> Solution:
    """Return the regression on real images, or on synthetic ones where those are all.

    Synthetic images beside real ones are left out: another look has other features.
    """
    from microshot.training.solving import Solution

    known = [item for item in lesson.natural if not math.isnan(item.count)]
    return Solution("regression", lambda model: _fitted(model, known))


def _fitted(model: nn.Module, items: Sequence[Windows]) -> Iterator[tuple[float, Row]]:
    """Collect the features of all images, then fit the line.

    Counts per px are fitted, in objects per image of mean size.
    """
    import torch

    from microshot.nn.frozen_counter import FrozenCounter
    from microshot.nn.ridge import ridge

    assert isinstance(model, FrozenCounter)
    device, rows = next(model.parameters()).device, []
    for index, item in enumerate(items):
        found = [
            model.features(torch.from_numpy(w[None]).to(device))[0].double().cpu().numpy()
            * w[0].size
            for w in item.windows
        ]
        rows.append(np.sum(found, axis=0) / item.n_pixels)
        yield (index + 1) / (len(items) + 1), {}
    size = float(np.mean([item.n_pixels for item in items]))
    density = np.array([item.count / item.n_pixels for item in items])
    slope, intercept, error = ridge(np.stack(rows), density * size)
    model.set(torch.from_numpy(slope / size).float().to(device), intercept / size)
    yield 1.0, {"loss": error}


def raw(
    network: Network,
    recipe: Recipe,
    sample: Sample,
    options: Any = None,
    progress: Progress = silent,
) -> RawCount:
    """Count in one image of any size."""
    count, parts = 0.0, _windows(sample, recipe)
    for index, window in enumerate(parts):
        count += float(network(window[None])[0, 0, 0, 0]) * window[0].size
        progress((index + 1) / len(parts))
    return RawCount(max(0.0, count))


WAY = Way(hyper, recipe, checked, build, prepare, stages, raw, fresh=fresh)
