"""Optical thickness of the objects of a scene: the phase shift that transmitted light sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from microshot.synth.fields import log_uniform, per_object, seeded_inside, spots, texture

if TYPE_CHECKING:
    from microshot.synth.scene import Scene, SceneObject


@dataclass(frozen=True)
class ThicknessLaw:
    """Phase shifts in radians, for one image. `draw` gives the documented ranges."""

    lamella_rad: float
    """Flat part of spread cells (0.02 to 0.2)."""
    body_rad: float
    """Hump around the nucleus of spread cells (0.05 to 0.5)."""
    ruffle_rad: float
    """Patches of ruffled membrane along the edge of spread cells (0 to 0.5)."""
    ruffle_px: float
    """Width of the ruffled band (1.5 to 5)."""
    edge_px: float
    """Over how many pixels the edge rises (0.8 to 3.5; less in small cells)."""
    texture_rad: float
    """Granular texture (0.01 to 0.08)."""
    grain_px: float
    """Grain of that texture (1 to 4)."""
    granules: float
    """Granules and vesicles per 1000 square pixels (0 to 40)."""
    granule_rad: float
    """Their phase shift (0.02 to 0.2)."""
    round_rad: float
    """Centre of rounded cells (0.3 to 1.5)."""
    dome_rad: float
    """Centre of all other objects (0.25 to 1.5)."""
    spread: float = 0.3
    """Standard deviation of the logarithm of these between objects."""


def draw_thickness(rng: np.random.Generator) -> ThicknessLaw:
    """Draw a law within the documented ranges."""
    return ThicknessLaw(
        lamella_rad=log_uniform(rng, 0.02, 0.2),
        body_rad=log_uniform(rng, 0.05, 0.5),
        ruffle_rad=float(rng.uniform(0, 0.5)) * float(rng.random() < 0.7),
        ruffle_px=log_uniform(rng, 1.5, 5.0),
        edge_px=log_uniform(rng, 0.8, 3.5),
        texture_rad=log_uniform(rng, 0.01, 0.08),
        grain_px=log_uniform(rng, 1.0, 4.0),
        granules=float(rng.uniform(0, 40)) * float(rng.random()),
        granule_rad=log_uniform(rng, 0.02, 0.2),
        round_rad=log_uniform(rng, 0.3, 1.5),
        dome_rad=log_uniform(rng, 0.25, 1.5),
        spread=float(rng.uniform(0.1, 0.4)),
    )


def optical_thickness(
    scene: Scene, depth: np.ndarray, law: ThicknessLaw, rng: np.random.Generator
) -> np.ndarray:
    """Phase shift (Y, X) float32 in radians; 0 on the background, negative in vesicles and thin parts.

    `depth` is `fields.depth_inside` of the labels. Spread cells are a lamella with a hump around
    the nucleus, ruffles and granules; rounded cells and all other families are domes.
    """
    if scene.count == 0:
        return np.zeros(scene.shape, dtype=np.float32)
    spread_out = np.array([item.kind in ("adherent", "spindle") for item in scene.objects])
    vary = np.exp(rng.normal(0, law.spread, (4, scene.count)))
    phase = per_object(scene, law.lamella_rad * vary[0] * spread_out)
    radius = np.array([item.radius_px for item in scene.objects])
    edge = per_object(scene, np.minimum(law.edge_px, 0.8 + 0.1 * radius))
    phase *= 1 - np.exp(-((depth / np.maximum(edge, 0.5)) ** 2))  # thin at the very edge
    phase += _ruffles(scene, law, rng, depth, vary[1] * spread_out)
    for index, item in enumerate(scene.objects):
        if spread_out[index]:
            _add_body(phase, scene, index, item, law.body_rad * vary[2, index], rng)
        else:
            top = law.round_rad if item.kind in ("round", "dividing") else law.dome_rad
            _add_dome(phase, depth, scene, index, item, top * vary[3, index])
    return phase + _granularity(scene, law, rng, depth, spread_out)


def scattered_light(
    scene: Scene, depth: np.ndarray, rng: np.random.Generator, *, glow: float, lift: float
) -> np.ndarray:
    """Brightness (Y, X) float32 that objects add by scattering; 0 on the background.

    A thick round cell bends light past the phase ring and looks bright whatever its phase
    shift, and granular cytoplasm scatters a little: this stands for what a thin-object model
    leaves out. About `glow` in the middle of rounded cells, `lift` in spread cells.
    """
    if scene.count == 0:
        return np.zeros(scene.shape, dtype=np.float32)
    rounded = np.array([item.kind in ("round", "dividing") for item in scene.objects])
    light = np.where(rounded, glow * rng.uniform(0.5, 1.3, scene.count), lift)
    radius = np.maximum([item.radius_px for item in scene.objects], 1.0)
    start = np.where(rounded, rng.uniform(0.0, 0.12), 0.1)
    width = np.where(rounded, rng.uniform(0.06, 0.35), 0.25)
    rise = depth * per_object(scene, 1 / (radius * width)) - per_object(scene, start / width)
    grain = 1 + float(rng.uniform(0.05, 0.35)) * texture(rng, scene.shape, float(rng.uniform(2, 5)))
    return per_object(scene, light) * np.clip(rise, 0, 1) * np.clip(grain, 0, 2)


def _ruffles(
    scene: Scene,
    law: ThicknessLaw,
    rng: np.random.Generator,
    depth: np.ndarray,
    heights: np.ndarray,
) -> np.ndarray:
    """Thick patches in a band along the edge."""
    if law.ruffle_rad == 0:
        return np.zeros(scene.shape, dtype=np.float32)
    middle, width = np.float32(law.ruffle_px), np.float32(0.5 * law.ruffle_px + 0.3)
    band = np.exp(-(((depth - middle) / width) ** 2)) * (depth > 0)
    patches = np.clip(texture(rng, scene.shape, 3 * law.ruffle_px) + 0.3, 0, 1.5)
    fine = np.clip(1 + 0.5 * texture(rng, scene.shape, 2.0), 0, 2.5)
    return band * patches * fine * per_object(scene, law.ruffle_rad * heights)


def _add_body(
    phase: np.ndarray,
    scene: Scene,
    index: int,
    item: SceneObject,
    height: float,
    rng: np.random.Generator,
) -> None:
    """Add the hump around the nucleus, the nucleus and its nucleoli to one spread cell."""
    box, own, y, x = _patch(scene, index, item)
    long, wide = rng.uniform(0.5, 1.0) * item.radius_px, rng.uniform(0.3, 0.5) * item.radius_px
    y0, x0 = rng.normal(0, 0.12 * item.radius_px, 2)
    c, s = np.cos(item.angle_rad), np.sin(item.angle_rad)
    along, across = c * (x - x0) + s * (y - y0), -s * (x - x0) + c * (y - y0)
    hump = np.exp(-0.5 * ((along / long) ** 2 + (across / wide) ** 2))
    size = rng.uniform(0.26, 0.4) * item.radius_px
    nucleus = np.sqrt((along / (1.3 * size)) ** 2 + (across / size) ** 2)
    rim = np.exp(-(((nucleus - 1) / 0.18) ** 2)) - rng.uniform(0, 0.8) / (
        1 + np.exp((nucleus - 0.85) * 12)
    )
    hump = hump + rng.uniform(0, 0.2) * rim
    for _ in range(int(rng.integers(0, 4))):
        ny, nx = rng.uniform(-0.5, 0.5, 2) * size
        squared = (x - x0 - nx) ** 2 + (y - y0 - ny) ** 2
        hump = hump + rng.uniform(0.3, 1.0) * np.exp(-squared / (2 * max(0.12 * size, 0.7) ** 2))
    phase[box] += (own * hump * height).astype(np.float32)


def _add_dome(
    phase: np.ndarray, depth: np.ndarray, scene: Scene, index: int, item: SceneObject, height: float
) -> None:
    """Add a cap whose profile is that of a flattened sphere or, for rods, of a cylinder."""
    box, own, _, _ = _patch(scene, index, item)
    inner = depth[box] * own
    top = max(float(inner.max(initial=0.0)), 1.0)
    rise = np.clip(inner / top, 0, 1)
    phase[box] += own * (np.sqrt(rise * (2 - rise)) * height).astype(np.float32)


def _granularity(
    scene: Scene,
    law: ThicknessLaw,
    rng: np.random.Generator,
    depth: np.ndarray,
    spread_out: np.ndarray,
) -> np.ndarray:
    """Texture and granules inside the objects; three granules in five are denser than the cell."""
    cover = np.minimum(depth / 3, 1).astype(np.float32)
    grain = texture(rng, scene.shape, law.grain_px) * np.float32(law.texture_rad)
    area = np.array([np.pi * item.radius_px**2 for item in scene.objects])
    n_each = rng.poisson(law.granules * area / 1000 * np.where(spread_out, 1.0, 0.5))
    places, _ = seeded_inside(rng, scene, np.minimum(n_each, 400), float(rng.uniform(0.2, 0.5)))
    heights = rng.gamma(2.0, law.granule_rad / 2, len(places))
    heights *= np.where(rng.random(len(places)) < 0.6, 1, -1)
    dots = spots(scene.shape, places, heights.astype(np.float32), float(rng.uniform(0.6, 1.4)))
    return cover * (grain + dots)


def _patch(
    scene: Scene, index: int, item: SceneObject
) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray, np.ndarray]:
    """Box of one object, its own pixels there, and y (h, 1) and x (1, w) from its origin."""
    low = np.floor(item.outline_yx.min(axis=0)).astype(int)
    high = np.ceil(item.outline_yx.max(axis=0)).astype(int) + 1
    box = (
        slice(max(int(low[0]), 0), min(int(high[0]), scene.shape[0])),
        slice(max(int(low[1]), 0), min(int(high[1]), scene.shape[1])),
    )
    y = np.arange(box[0].start, box[0].stop)[:, None] - item.origin_yx[0]
    x = np.arange(box[1].start, box[1].stop)[None, :] - item.origin_yx[1]
    return box, scene.labels[box] == index + 1, y, x
