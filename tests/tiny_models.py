"""Tiny images, settings and models that train in a fraction of a second, shared by tests."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot import api
from microshot.bundle import Bundle
from microshot.data.dataset import Dataset, Sample
from microshot.data.image import Image
from microshot.data.write import write_image, write_labels
from microshot.progress import Cancelled
from microshot.settings import (
    CropSettings,
    ImageSettings,
    NetworkSettings,
    OptimizerSettings,
    RetrainSettings,
    TrainSettings,
)

if TYPE_CHECKING:
    from pathlib import Path


TRAIN = TrainSettings(
    minutes=0,
    network=NetworkSettings(width=8, depth=2, head="foreground"),
    images=ImageSettings(patch_px=48, augmentation="none"),
    training=OptimizerSettings(epochs=1, steps_per_epoch=3, batch_size=2, device="cpu"),
)
RETRAIN = RetrainSettings(
    minutes=0,
    images=CropSettings(patch_px=48, augmentation="none"),
    training=OptimizerSettings(epochs=1, steps_per_epoch=3, batch_size=2, device="cpu"),
)


def changed(settings: Any, **changes: Any) -> Any:
    """Return `settings` with changes; ``training__epochs`` means that knob of that section."""
    for key, value in changes.items():
        section, _, name = key.rpartition("__")
        if section:
            inner = dataclasses.replace(getattr(settings, section), **{name: value})
            settings = dataclasses.replace(settings, **{section: inner})
        else:
            settings = dataclasses.replace(settings, **{key: value})
    return settings


def field(
    seed: int, shape: tuple[int, int] = (64, 72), n_channels: int = 1, radius: float = 7
) -> Sample:
    """Return a noisy 16-bit image of bright discs that do not touch, with its labels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int32)
    step = int(2 * radius + 6)
    n = 0
    for row in range(step // 2, shape[0], step):
        for column in range(step // 2, shape[1], step):
            if rng.random() < 0.7 or not n:
                n += 1
                shift = rng.uniform(-2, 2, 2)
                r = radius * rng.uniform(0.8, 1.2)
                labels[(y - row - shift[0]) ** 2 + (x - column - shift[1]) ** 2 < r * r] = n
    pixels = 1000 + 3000 * (labels > 0) + rng.normal(0, 150, (n_channels, *shape))
    return Sample(f"field{seed}", Image(pixels.clip(0, 65535).astype(np.uint16), 0.5), labels)


def fields(n: int, seed: int = 0, **options: Any) -> Dataset:
    """Return `n` different fields."""
    return Dataset.of(field(100 * seed + i, **options) for i in range(n))


def write_fields(folder: Path, n: int = 4) -> None:
    """Write the first images and their label images into ``images`` and ``labels`` of a folder."""
    for part in ("images", "labels"):
        (folder / part).mkdir()
    for sample in fields(n):
        write_image(folder / "images" / f"{sample.name}.tif", sample.image)
        assert sample.labels is not None
        write_labels(folder / "labels" / f"{sample.name}.tif", sample.labels)


def synthetic(n: int, seed: int = 7, **options: Any) -> Dataset:
    """Return fields that are marked as generated."""
    made = fields(n, seed, **options)
    return Dataset.of(dataclasses.replace(s, domain="synthetic") for s in made)


def unlabelled(sample: Sample) -> Sample:
    """Return the sample without what is known of it."""
    return dataclasses.replace(sample, labels=None)


@cache
def model(n_channels: int = 1, head: str = "stardist") -> Bundle:
    """Return a model that has learned for a second to find the discs of `fields`."""
    settings = changed(
        TRAIN, name="tiny", licence="CC0", network__head=head, network__rays=8,
        training__steps_per_epoch=80, training__learning_rate=5e-3,
    )  # fmt: skip
    return api.train(fields(2, seed=30, n_channels=n_channels), settings).bundle


def with_card(**changes: Any) -> Bundle:
    """Return the tiny model with another card."""
    return Bundle(dataclasses.replace(model().card, **changes), model().weights)


def any_size(bundle: Bundle) -> Bundle:
    """Return a model that says that it learned from objects of any size."""
    preparation = {**bundle.card.preparation, "each_image": True}
    card = dataclasses.replace(bundle.card, preparation=preparation)
    return Bundle.make(card, bundle.weights)


def same_objects(a: np.ndarray, b: np.ndarray) -> bool:
    """Say whether two label images (Y, X) are equal but for the numbers of the objects.

    Networks round otherwise in tiles of another size, so a pixel in a thousand, as it may lie
    on an outline, need not be the same.
    """
    pairs, n = np.unique(
        np.stack([a.ravel(), b.ravel()]).astype(np.int64), axis=1, return_counts=True
    )
    kept = pairs[:, n > 3]
    one_to_one = len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == kept.shape[1]
    return one_to_one and n[n <= 3].sum() <= np.count_nonzero(a) / 1000


class CancelWhen:
    """Progress that asks to stop as soon as a message holds a text, and remembers all reports."""

    def __init__(self, text: str, after: int = 0) -> None:
        self.text, self.after = text, after
        self.fractions: list[float] = []

    def __call__(self, fraction: float, message: str = "") -> None:
        self.fractions.append(fraction)
        if self.text in message:
            self.after -= 1
            if self.after < 0:
                raise Cancelled


class Watch:
    """Progress that remembers every report."""

    def __init__(self) -> None:
        self.fractions: list[float] = []
        self.messages: list[str] = []

    def __call__(self, fraction: float, message: str = "") -> None:
        self.fractions.append(fraction)
        self.messages.append(message)
