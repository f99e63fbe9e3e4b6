"""A barely trained model of every other task with a few images for it, shared by tests."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot import api
from microshot.data.dataset import Dataset
from microshot.data.image import Image
from microshot.settings import (
    ImageSettings,
    NetworkSettings,
    OptimizerSettings,
    TrainSettings,
)
from microshot.settings.density import CountSettings
from tiny_models import changed, fields

if TYPE_CHECKING:
    from microshot.bundle import Bundle


def answer(prediction: Any) -> np.ndarray:
    """Return what a user gets: pixels of the stains, labels, or the count."""
    if getattr(prediction, "stains", None) is not None:
        return np.asarray(prediction.stains.pixels)
    if getattr(prediction, "labels", None) is not None:
        return np.asarray(prediction.labels)
    return np.array([prediction.count])


@cache
def one_of_each(task: str) -> tuple[Bundle, Dataset]:
    """Return a model for ``count``, ``twin-vae`` or ``translate`` and three images."""
    settings, data = little_of(task)
    return api.train(data, settings).bundle, data


def little_of(task: str) -> tuple[TrainSettings, Dataset]:
    """Return settings of two steps of a training, and three images for it."""
    data = fields(3)
    settings = TrainSettings(
        task="translate" if task == "translate" else "count",
        minutes=0,
        network=NetworkSettings(width=4, depth=1),
        images=ImageSettings(patch_px=32, augmentation="none"),
        training=OptimizerSettings(epochs=1, steps_per_epoch=2, batch_size=2, device="cpu"),
    )
    if task == "twin-vae":
        settings = dataclasses.replace(settings, count=CountSettings(architecture="twin-vae"))
    if task == "translate":
        made = []
        for s in data:
            assert s.labels is not None
            stain = (500 + 1000 * (s.labels > 0)).astype(np.uint16)[None]
            made.append(dataclasses.replace(s, target=Image(stain, 0.5, ("nuclei",))))
        data = Dataset.of(made)
        settings = changed(settings, preset="fast")
    return settings, data
