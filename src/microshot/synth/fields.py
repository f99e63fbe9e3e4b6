"""Building blocks of looks: random textures, spots, rings and distances inside labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from microshot.synth.scene import Scene


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform between those of `low` and `high`."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def per_frame(rng: np.random.Generator, n_mean: float, shape: tuple[int, int]) -> int:
    """Poisson number with mean `n_mean` per 256 x 256 pixels of the frame."""
    return int(rng.poisson(n_mean * shape[0] * shape[1] / 65_536))


def blurred(image: np.ndarray, sigma_px: float) -> np.ndarray:
    """Return the image (Y, X) float32 after a Gaussian of `sigma_px`, edges mirrored.

    Wide Gaussians are applied to a coarser copy, which changes the result by less than 1 %
    of its range and keeps the time independent of `sigma_px`.
    """
    from scipy import ndimage

    if sigma_px < 0.2:
        return image.astype(np.float32, copy=False)
    step = int(sigma_px // 4)
    if step < 2 or min(image.shape) < 4 * step:
        return ndimage.gaussian_filter(image.astype(np.float32), sigma_px, truncate=3.0)
    rest = [(-n) % step for n in image.shape]
    whole = np.pad(image, [(0, rest[0]), (0, rest[1])], mode="symmetric")
    rows, columns = whole.shape[0] // step, whole.shape[1] // step
    coarse = whole.reshape(rows, step, columns, step).mean(axis=(1, 3), dtype=np.float32)
    coarse = ndimage.gaussian_filter(coarse, sigma_px / step, truncate=3.0)
    return _enlarged(coarse, step)[: image.shape[0], : image.shape[1]]


def _enlarged(coarse: np.ndarray, step: int) -> np.ndarray:
    """Linear interpolation of block means back to pixels, one axis after the other."""
    for axis in (0, 1):
        n = coarse.shape[axis]
        at = (np.arange(n * step, dtype=np.float32) + 0.5) / step - 0.5
        low = np.clip(np.floor(at).astype(int), 0, n - 1)
        high = np.minimum(low + 1, n - 1)
        part = np.clip(at - low, 0, 1).astype(np.float32)
        part = part[:, None] if axis == 0 else part[None, :]
        coarse = np.take(coarse, low, axis) * (1 - part) + np.take(coarse, high, axis) * part
    return coarse


def texture(rng: np.random.Generator, shape: tuple[int, int], grain_px: float) -> np.ndarray:
    """Gaussian random field (Y, X) float32 with mean 0, sd 1 and grains of about `grain_px`.

    Coarse grains are drawn on a coarse grid and enlarged.
    """
    step = max(int(grain_px // 3), 1)
    coarse = (-(-shape[0] // step) + 1, -(-shape[1] // step) + 1) if step > 1 else shape
    field = blurred(rng.standard_normal(coarse, dtype=np.float32), grain_px / 2 / step)
    if step > 1:
        field = _enlarged(field, step)[: shape[0], : shape[1]]
    field = field - field.mean()
    spread = float(field.std())
    return field / spread if spread > 1e-6 else np.zeros(shape, dtype=np.float32)


def uneven(rng: np.random.Generator, shape: tuple[int, int], order: int = 3) -> np.ndarray:
    """Smooth random field (Y, X) float32, mean 0 and values within -1 to 1.

    A sum of cosines of at most `order` half periods per side, higher ones weaker.
    """
    waves = [np.cos(np.pi * np.outer((np.arange(n) + 0.5) / n, range(order + 1))) for n in shape]
    ky, kx = np.indices((order + 1, order + 1))
    weights = rng.standard_normal(ky.shape) / (1 + ky**2 + kx**2)
    weights[0, 0] = 0
    field = np.einsum("yk,kl,xl->yx", waves[0], weights, waves[1], optimize=True)
    top = float(np.abs(field).max())
    return (field / top if top > 1e-9 else field).astype(np.float32)


def spots(
    shape: tuple[int, int], places_yx: np.ndarray, heights: np.ndarray, sigma_px: float
) -> np.ndarray:
    """Gaussian spots (Y, X) float32 with the given peak heights; places outside are dropped."""
    canvas = np.zeros(shape, dtype=np.float32)
    if len(places_yx) == 0:
        return canvas
    at = np.rint(places_yx).astype(int)
    inside = ((at >= 0) & (at < np.asarray(shape))).all(axis=1)
    np.add.at(canvas, tuple(at[inside].T), heights[inside])
    return blurred(canvas, sigma_px) * max(2 * np.pi * sigma_px**2, 1.0)


def rings(
    rng: np.random.Generator, shape: tuple[int, int], n: int, radius_px: tuple[float, float]
) -> np.ndarray:
    """Defocused specks (Y, X) float32, values within about -1 to 1: fading rings around a dot."""
    canvas = np.zeros(shape, dtype=np.float32)
    rows, columns = (np.arange(k, dtype=np.float32) for k in shape)
    for _ in range(n):
        radius = float(np.exp(rng.uniform(*np.log(radius_px))))
        y, x = (float(rng.uniform(0, k)) for k in shape)
        phase, turns = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(1.0, 3.5))
        height = float(rng.uniform(0.2, 1.0))
        box = tuple(
            slice(max(int(c - 1.6 * radius), 0), max(int(c + 1.6 * radius) + 1, 0)) for c in (y, x)
        )
        squared = ((rows[box[0]] - y) ** 2)[:, None] + ((columns[box[1]] - x) ** 2)[None, :]
        squared = squared / np.float32(radius**2)
        fade = 1 / (1 + np.exp(np.minimum((np.sqrt(squared) - 1) * 10, 40)))
        canvas[box] += height * np.cos(np.pi * turns * squared + phase) * fade
    return canvas


def depth_inside(labels: np.ndarray) -> np.ndarray:
    """Distance in pixels (Y, X) float32 of every object pixel to the nearest pixel not its own.

    0 on the background; along a seam between two labels 0.5. The frame is no edge.
    """
    from scipy import ndimage

    seam = np.zeros(labels.shape, dtype=bool)
    for a, b in (
        ((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
    ):
        differ = (labels[a] != labels[b]) & (labels[a] > 0) & (labels[b] > 0)
        seam[a] |= differ
        seam[b] |= differ
    inner = (labels > 0) & ~seam
    if inner.all():
        return np.full(labels.shape, float(max(labels.shape)), dtype=np.float32)
    depth = np.asarray(ndimage.distance_transform_edt(inner), dtype=np.float32)
    depth[seam] = 0.5
    return depth


def per_object(scene: Scene, values: np.ndarray) -> np.ndarray:
    """Spread one value per object (n,) over its pixels; 0 on the background."""
    return np.concatenate([[0.0], values]).astype(np.float32)[scene.labels]


def seeded_inside(
    rng: np.random.Generator, scene: Scene, n_each: np.ndarray, spread: float
) -> tuple[np.ndarray, np.ndarray]:
    """Random places around the origins of objects: (M, 2) places and (M,) object indices.

    Normal with `spread` times the radius; places outside the own visible part are dropped.
    """
    owner = np.repeat(np.arange(scene.count), n_each)
    if len(owner) == 0:
        return np.zeros((0, 2)), owner
    origins = np.array([item.origin_yx for item in scene.objects])
    radii = np.array([item.radius_px for item in scene.objects])
    places = origins[owner] + rng.normal(0, spread, (len(owner), 2)) * radii[owner, None]
    at = np.clip(np.rint(places).astype(int), 0, np.asarray(scene.shape) - 1)
    own = scene.labels[at[:, 0], at[:, 1]] == owner + 1
    return places[own], owner[own]
