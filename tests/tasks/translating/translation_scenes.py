"""Bright-field stacks with the stains of what is in them, and settings to learn from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from microshot.data.dataset import Dataset, Sample
from microshot.data.image import Image
from microshot.settings import (
    CropSettings,
    ImageSettings,
    OptimizerSettings,
    RetrainSettings,
    TrainSettings,
)
from microshot.settings.translating import TranslationSettings

CROPS: dict[str, Any] = {"patch_px": 32}
STEPS = {"epochs": 1, "steps_per_epoch": 3, "batch_size": 2, "device": "cpu"}
TRAIN = TrainSettings(
    task="translate",
    minutes=0.0,
    images=ImageSettings(**CROPS),
    training=OptimizerSettings(**STEPS),
    translation=TranslationSettings(width=8, depth=2),
)
RETRAIN = RetrainSettings(
    minutes=0.0, images=CropSettings(**CROPS), training=OptimizerSettings(**STEPS)
)


def scene(
    seed: int = 0,
    shape: tuple[int, int] = (64, 72),
    *,
    n_planes: int = 3,
    n_stains: int = 1,
    labels: bool = True,
    dtype: type = np.uint16,
) -> Sample:
    """Return nuclei that shine in the stain and only bend light in the planes.

    Through focus the contrast of nuclei turns around, so that no single plane and no mean of
    planes looks like the stain; dark specks lie over it all.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    ids = np.zeros(shape, np.int32)
    height = np.zeros(shape)
    for i in range(1, 2 + shape[0] * shape[1] // 600):
        cy, cx, r = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(4, 7)
        inside = (y - cy) ** 2 + (x - cx) ** 2
        ids[inside < r**2] = i
        height = np.maximum(height, np.sqrt(np.maximum(1 - inside / r**2, 0)) * rng.uniform(0.7, 1))
    specks = gaussian_filter((rng.random(shape) < 0.004).astype(float), 1.0)
    planes = []
    for z in np.linspace(-1, 1, n_planes):
        lens = height - gaussian_filter(height, 2 + abs(z))
        planes.append(1 + 0.5 * (z + 0.1) * lens - 0.8 * gaussian_filter(specks, 1 + abs(z)))
    noise = rng.normal(0, 0.01, (n_planes, *shape))
    image = Image(((np.stack(planes) + noise).clip(0, 2) * 8000).astype(np.uint16), 0.5)
    light = [gaussian_filter(height, 0.7 + k) for k in range(n_stains)]
    stains = 200 + 1500 * np.stack(light) + rng.normal(0, 20, (n_stains, *shape))
    target = Image(stains.clip(0).astype(dtype), 0.5, tuple(f"S{k}" for k in range(n_stains)))
    return Sample(f"scene{seed}", image, ids if labels else None, target=target)


def scenes(n: int, seed: int = 0, **rest: Any) -> Dataset:
    return Dataset.of(scene(seed + i, **rest) for i in range(n))
