"""Images of discs with their labels, and samples made of them."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from microshot.data.dataset import Dataset, Sample
from microshot.data.image import Image


def disc_labels(
    shape: tuple[int, int], n: int, rng: np.random.Generator, radius: tuple[float, float] = (5, 9)
) -> np.ndarray:
    """Draw up to `n` discs that do not overlap but may touch; (Y, X) int32."""
    labels = np.zeros(shape, np.int32)
    y, x = np.mgrid[: shape[0], : shape[1]]
    placed: list[tuple[float, float, float]] = []
    for _ in range(20 * n):
        if len(placed) == n:
            break
        r = rng.uniform(*radius)
        cy, cx = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        if all((cy - a) ** 2 + (cx - b) ** 2 > (r + s + 1) ** 2 for a, b, s in placed):
            placed.append((cy, cx, r))
            labels[(y - cy) ** 2 + (x - cx) ** 2 < r * r] = len(placed)
    ids, numbers = np.unique(labels, return_inverse=True)
    return numbers.reshape(shape).astype(np.int32) if ids[0] == 0 else labels


def sample(
    name: str,
    seed: int,
    shape: tuple[int, int] = (96, 96),
    n: int = 10,
    radius: tuple[float, float] = (5, 9),
    *,
    dark: bool = False,
    n_channels: int = 1,
) -> Sample:
    """Return a noisy 16-bit image of bright (or dark) discs with its labels."""
    rng = np.random.default_rng(seed)
    labels = disc_labels(shape, n, rng, radius)
    inside = gaussian_filter((labels > 0).astype(float), 1.0)
    inside = 1 - inside if dark else inside
    pixels = 1000 + 3000 * inside + rng.normal(0, 200, (n_channels, *shape))
    return Sample(name, Image(np.clip(pixels, 0, 65535).astype(np.uint16)), labels)


def samples(n: int, seed: int = 0, **kwargs) -> Dataset:
    """Return `n` different samples."""
    return Dataset.of(sample(f"image{i}", 100 * seed + i, **kwargs) for i in range(n))
