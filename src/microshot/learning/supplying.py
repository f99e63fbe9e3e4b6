"""Synthetic images made on the spot, for counters that want some where the user has none."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.dataset import Dataset, spaced
from microshot.progress import Progress, silent
from microshot.tasks.counting.base import true_count

if TYPE_CHECKING:
    from microshot.bundle import Card
    from microshot.data.dataset import Sample

#: Images made per microscope image: the best ratio of Kenneweg, Stallmann & Hammer 2022, Fig. 12.
PER_IMAGE = 2
LEAST, MOST = 100, 1000
#: Microscope images that are followed, at most.
MOST_FOLLOWED = 30


def supplied(
    data: Dataset,
    synthetic: Dataset | None,
    settings: Any,
    start: Card | None = None,
    progress: Progress = silent,
) -> tuple[Dataset | None, list[str]]:
    """Return the synthetic images to learn from, generated if wished, and what to tell of it.

    Parameters
    ----------
    data : microscope images that the generated ones are to resemble.
    synthetic : the images the user has given; nothing is generated where there are any.
    settings : `TrainSettings`, or `RetrainSettings` together with `start`.
    start : card of the model to retrain.

    Raises
    ------
    ValueError
        If the images are too small to be followed.
    """
    kind = settings.twin_vae.generate
    there = bool(synthetic) or any(s.domain == "synthetic" for s in data)
    if kind == "none" or not len(data) or not _is_twin_vae(settings, start):
        return synthetic, []
    if there:
        return synthetic, ["No synthetic images were generated, because some were given."]
    made = _generated(data, kind, settings.training.seed, progress)
    told = (
        f"{len(made)} synthetic images of the kind {kind} were generated to learn from as well, "
        "because none were given."
    )
    return made, [told]


def _is_twin_vae(settings: Any, start: Card | None) -> bool:
    if start is not None:
        return start.architecture.get("name") == "twin-vae"
    return settings.task == "count" and settings.count.architecture == "twin-vae"


def _generated(data: Dataset, kind: str, seed: int, progress: Progress) -> Dataset:
    """Return images of a kind that follow those of `data` in size, look and number of objects."""
    from microshot.synth.generator import generate
    from microshot.synth.reference import fit_reference

    followed = data.take(spaced(range(len(data)), MOST_FOLLOWED))
    counts = [true_count(s) for s in followed]
    known = [c for c in map(true_count, data) if c is not None]
    height, width = np.median([s.image.shape for s in data], axis=0).astype(int)
    made = generate(
        kind,
        min(max(PER_IMAGE * len(data), LEAST), MOST),
        seed,
        size_px=(int(height), int(width)),
        mean_count=max(float(np.mean(known)), 1.0) if known else None,
        count_law="linear" if known else None,
        reference=fit_reference(
            [s.image.pixels for s in followed], [s.labels for s in followed], counts
        ),
        progress=progress,
    )
    n_channels = data[0].image.n_channels
    return Dataset.of(_with_channels(sample, n_channels) for sample in made)


def _with_channels(sample: Sample, n: int) -> Sample:
    """Return a grey image as one of `n` equal channels, as colour images have them."""
    pixels = np.repeat(sample.image.pixels, n, axis=0)
    return dataclasses.replace(sample, image=dataclasses.replace(sample.image, pixels=pixels))
