"""The fluorescence look: stained nuclei, before the camera adds blur and noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from microshot.synth import fields

if TYPE_CHECKING:
    from microshot.synth.scene import Scene


@dataclass(frozen=True)
class Fluorescence:
    """Nuclei stained for DNA; brightness 1 is a typical nucleus, 0 no light."""

    transmitted: ClassVar[bool] = False
    brightness_spread: float = 0.3
    """Standard deviation of log(brightness) between nuclei (0.05 to 0.7)."""
    edge: float = 0.2
    """Over what part of the radius the brightness rises from the edge (0.03 to 0.5)."""
    chromatin: float = 0.15
    """Coarse texture (0.02 to 0.35)."""
    grain: float = 0.25
    """Its grain in radii (0.1 to 0.5)."""
    nucleoli: float = 0.0
    """Mean number of dark nucleoli per nucleus (0 to 4)."""
    chromocentres: float = 0.0
    """Mean number of bright spots per nucleus (0 to 10)."""
    spot_contrast: float = 0.5
    """Brightness of those spots relative to the nucleus (0.2 to 1)."""
    base: float = 0.02
    """Light of the empty field (0 to 0.15)."""
    haze: float = 0.1
    """Light of the nuclei scattered nearby and widely (0 to 0.5)."""
    blobs: float = 0.0
    """Nuclei far out of focus, dim and unlabelled, per 256 x 256 px (0 to 5)."""
    specks: float = 0.0
    """Small bright debris per 256 x 256 px (0 to 8)."""
    cytoplasm: float = 0.0
    """Faint stain around the nuclei (0 to 0.12)."""

    def render(self, scene: Scene, rng: np.random.Generator) -> np.ndarray:
        """Textured nuclei, their glow and out-of-focus background."""
        radius = scene.typical_radius(without=8.0)
        nuclei = self._nuclei(scene, rng, radius)
        image = nuclei + np.float32(self.base)
        if self.haze:
            image += np.float32(0.7 * self.haze) * fields.blurred(nuclei, 2.5 * radius)
            image += np.float32(0.5 * self.haze) * fields.blurred(nuclei, 0.6 * radius)
        if self.cytoplasm:
            around = fields.blurred((nuclei > 0).astype(np.float32), 0.9 * radius)
            fibres = np.clip(1 + 0.6 * fields.texture(rng, scene.shape, 0.5 * radius), 0, None)
            image += np.float32(self.cytoplasm) * around * fibres
        image += self._strays(scene.shape, rng, radius)
        return np.maximum(image, 0).astype(np.float32)

    def _nuclei(self, scene: Scene, rng: np.random.Generator, radius: float) -> np.ndarray:
        """The labelled objects alone, 0 outside them."""
        if scene.count == 0:
            return np.zeros(scene.shape, dtype=np.float32)
        bright = np.exp(rng.normal(0, self.brightness_spread, scene.count))
        small = np.array([o.kind in ("debris", "dividing", "round") for o in scene.objects])
        bright = bright * np.where(small, rng.uniform(1.0, 2.0, scene.count), 1.0)
        depth = fields.depth_inside(scene.labels)
        rise = 1 - np.exp(-depth / np.float32(max(self.edge * radius, 0.3)))
        inner = 1 + self.chromatin * fields.texture(rng, scene.shape, self.grain * 2 * radius)
        for mean, sign, size in ((self.nucleoli, -1, 0.16), (self.chromocentres, 1, 0.1)):
            if mean == 0:
                continue
            n_each = np.minimum(rng.poisson(mean, scene.count), 40)
            places, _ = fields.seeded_inside(rng, scene, n_each, 0.4)
            heights = sign * self.spot_contrast * rng.uniform(0.5, 1.0, len(places))
            inner += fields.spots(
                scene.shape, places, heights.astype(np.float32), max(size * radius, 0.6)
            )
        return fields.per_object(scene, bright) * rise * np.clip(inner, 0.15, 2.5)

    def _strays(
        self, shape: tuple[int, int], rng: np.random.Generator, radius: float
    ) -> np.ndarray:
        """Light from nuclei far out of focus and from small debris."""
        size = np.asarray(shape)
        n_blobs = fields.per_frame(rng, self.blobs, shape)
        n_specks = fields.per_frame(rng, self.specks, shape)
        stray = fields.spots(
            shape,
            rng.uniform(-0.1, 1.1, (n_blobs, 2)) * size,
            rng.uniform(0.02, 0.12, n_blobs).astype(np.float32),
            1.5 * radius,
        )
        return stray + fields.spots(
            shape,
            rng.uniform(0, 1, (n_specks, 2)) * size,
            rng.uniform(0.1, 0.8, n_specks).astype(np.float32),
            float(np.clip(0.08 * radius, 0.5, 1.5)),
        )


def draw_fluorescence(rng: np.random.Generator) -> Fluorescence:
    """Draw a look within the documented ranges."""
    spotted = float(rng.random())
    return Fluorescence(
        brightness_spread=float(rng.uniform(0.05, 0.7)),
        edge=fields.log_uniform(rng, 0.03, 0.5),
        chromatin=fields.log_uniform(rng, 0.02, 0.35),
        grain=fields.log_uniform(rng, 0.1, 0.5),
        nucleoli=float(rng.uniform(0, 4)) * float(spotted < 0.4),
        chromocentres=float(rng.uniform(0, 10)) * float(spotted > 0.7),
        spot_contrast=float(rng.uniform(0.2, 1.0)),
        base=float(rng.uniform(0, 0.15)) * float(rng.random()),
        haze=float(rng.uniform(0, 0.5)) * float(rng.random()),
        blobs=float(max(rng.uniform(-4, 5), 0)),
        specks=float(max(rng.uniform(-4, 8), 0)),
        cytoplasm=float(rng.uniform(0, 0.12)) * float(rng.random() < 0.3),
    )
