"""Stains with objects of known place and size."""

from __future__ import annotations

import numpy as np


def discs(
    places: list[tuple[float, float, float]], shape: tuple[int, int] = (120, 120), soft: float = 1.0
) -> np.ndarray:
    """Return discs (y, x, radius) of light 1 on 0 with an edge about `soft` px wide, float64."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    light = np.zeros(shape)
    for cy, cx, r in places:
        light = np.maximum(light, np.clip((r - np.hypot(y - cy, x - cx)) / soft + 0.5, 0, 1))
    return light


def adipocytes(
    seed: int, *, defects: float = 0.0, n: int = 6, size: int = 192, noise: bool = True
) -> np.ndarray:
    """Return nuclei, lipids and cytoplasm (3, Y, X) in counts of a camera, nuclei 40 px wide."""
    from microshot.synth import counts
    from microshot.synth.adipocytes import AdipocyteStack
    from microshot.synth.fluorescence import Fluorescence
    from microshot.synth.scene import SceneLaw, sample_scene

    law = SceneLaw(size_px=(size, size), count=counts.fixed(n), radius_px=20)
    scene = sample_scene(np.random.default_rng(seed), law)
    look = AdipocyteStack(Fluorescence(), defects=defects, haze=0.05, fullness=0.2)
    _, stains = look.render(scene, np.random.default_rng(seed))
    light = 400 * stains.astype(np.float64)
    return np.random.default_rng(seed).poisson(light).astype(np.float64) if noise else light
