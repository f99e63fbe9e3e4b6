"""Counting with the Twin-VAE: one number for the whole image, learned from counts alone.

Real (natural) and synthetic images have a reader each, and share the core that counts; so
synthetic images help where few real ones are counted. The functions are those of a way of
the task *count*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.nn.twin_vae_shapes import FROZEN, PARTS, THAW, Reading, reading
from microshot.progress import Progress, silent
from microshot.tasks.counting.base import RawCount
from microshot.tasks.counting.twin_vae_advice import learns_unlabelled, remarks
from microshot.tasks.counting.twin_vae_images import (
    Views,
    joined,
    normalised,
    reduced,
    reduced_shape,
    taken,
    views,
    windows,
)
from microshot.tasks.counting.twin_vae_recipes import checked, hyper, recipe
from microshot.tasks.counting.way import Way

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from microshot.data.dataset import Sample
    from microshot.inference.predictor import Network
    from microshot.tasks.base import Recipe
    from microshot.tasks.counting.twin_vae_recipes import TwinVaeHyper
    from microshot.tasks.lesson import Lesson
    from microshot.training.trainer import Stage

#: Windows that the network sees at once.
WINDOWS_AT_ONCE = 32


def build(architecture: Mapping[str, Any], seed: int) -> nn.Module:
    """Return the network with fresh weights drawn from `seed`."""
    from microshot.device import seeded
    from microshot.nn.twin_vae import TwinVAE

    with seeded(seed):
        return TwinVAE(architecture)


def prepare(sample: Sample, recipe: Recipe) -> Views:
    """Bring a sample, counted or not, into the form the training batches are drawn from."""
    return views(sample, recipe)


def stages(model: nn.Module, lesson: Lesson[Views, TwinVaeHyper]) -> list[Stage]:
    """Return the one stage; each picture goes to the reader of its own domain."""
    from microshot.nn.twin_vae import TwinVAE
    from microshot.tasks.counting.twin_vae_training import stage

    assert isinstance(model, TwinVAE)
    return [stage(model, lesson)]


def raw(
    network: Network,
    recipe: Recipe,
    sample: Sample,
    options: Any = None,
    progress: Progress = silent,
) -> RawCount:
    """Count in one image of any size; windows are added up, their variances too.

    Raises
    ------
    ValueError
        If the image is too small or its channels are no colours.
    """
    grey = normalised(sample, recipe)
    read = _read(network, recipe, _pictures(grey, recipe), sample.domain, progress)
    drawn = read.reconstructions.get(sample.domain)
    return RawCount(
        count=max(0.0, float(read.count.sum(dtype=np.float64))),
        spread=float(np.sqrt(np.square(read.spread, dtype=np.float64).sum())),
        embedding=read.latent.mean(0),
        reconstruction=None if drawn is None else _whole(drawn, grey.shape, recipe),
    )


def reconstructions(network: Network, recipe: Recipe, sample: Sample) -> dict[str, np.ndarray]:
    """Return the image as the network sees it, and drawn by the writer of either domain.

    Entries ``image``, ``natural`` and ``synthetic``, (Y, X) float32 from 0 to 1; the one that
    is not the sample's own is its switch reconstruction.

    Raises
    ------
    ValueError
        If the model has no decoder.
    """
    if not recipe.architecture["decoder"]:
        raise ValueError(
            "This model draws no images, because it was trained without reconstruction; train it "
            'with "Reconstruct images" on.'
        )
    grey = normalised(sample, recipe)
    pictures = _pictures(grey, recipe)
    read = _read(network, recipe, pictures, sample.domain, silent)
    shown = {"image": pictures, **read.reconstructions}
    return {name: _whole(drawn, grey.shape, recipe) for name, drawn in shown.items()}


def _pictures(grey: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Return what the network sees of an image (Y, X): (n, S, S) float32."""
    side = int(recipe.architecture["side"])
    in_windows = recipe.preparation["large_images"] == "windows"
    return windows(grey, side) if in_windows else reduced(grey, side)[None]


def _whole(pictures: np.ndarray, shape: tuple[int, ...], recipe: Recipe) -> np.ndarray:
    """Put (n, S, S) together to the image, at the scale the network works at."""
    if recipe.preparation["large_images"] == "windows":
        return joined(pictures, shape)
    height, width = reduced_shape(shape, pictures.shape[1])
    return pictures[0, :height, :width]


def _read(
    network: Network, recipe: Recipe, pictures: np.ndarray, domain: str, progress: Progress
) -> Reading:
    """Run the network over (n, S, S) pictures of one domain."""
    x = pictures[:, None]
    if domain == "synthetic":
        x = np.concatenate([x, np.ones_like(x)], axis=1)
    outputs = []
    for begin in range(0, len(x), WINDOWS_AT_ONCE):
        progress(begin / len(x), f"window {begin + 1} of {len(x)}" if len(x) > 1 else "")
        outputs.append(network(x[begin : begin + WINDOWS_AT_ONCE]))
    progress(1.0)
    return reading(np.concatenate(outputs), recipe.architecture)


WAY = Way(
    hyper, recipe, checked, build, prepare, stages, raw, PARTS, {"frozen": FROZEN, "thaw": THAW},
    learns_unlabelled, remarks=remarks, image=taken,
)  # fmt: skip
