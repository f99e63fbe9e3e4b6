"""Looks: how a scene appears under a microscope, before the camera adds blur and noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from microshot.synth import fields, optics
from microshot.synth.thickness import (
    ThicknessLaw,
    draw_thickness,
    optical_thickness,
    scattered_light,
)

if TYPE_CHECKING:
    from microshot.synth.scene import Scene


class Look(Protocol):
    """Anything that renders a scene."""

    transmitted: ClassVar[bool]
    """True: the empty field is 1. False: it is near 0 and a typical object 1."""

    def render(self, scene: Scene, rng: np.random.Generator) -> np.ndarray:
        """Return a finite (Y, X) float32 image, 0 or more, typically below 4."""
        ...


@dataclass(frozen=True)
class Clutter:
    """What lies in the field and is no object. `draw_clutter` gives the ranges."""

    specks: float
    """Grains and flecks in focus per 10 000 square pixels (0 to 14)."""
    speck_rad: float
    """Their phase shift (0.05 to 0.5)."""
    fragments: float
    """Bright or dark fragments, smaller than cells, per 256 x 256 px (0 to 4)."""
    rings: float
    """Defocused dust per 256 x 256 px (0 to 8)."""
    ring_strength: float
    """Its modulation of the brightness (0.005 to 0.06)."""
    ghosts: float
    """Blurred floating cells far from focus per 256 x 256 px (0 to 2)."""
    uneven: float
    """Modulation of the background (0 to 0.06)."""
    mottle: float
    """Fine mottle of the background (0.002 to 0.02)."""


def draw_clutter(rng: np.random.Generator) -> Clutter:
    """Draw clutter within the documented ranges; one image in four is nearly clean."""
    clean = rng.random() < 0.25
    return Clutter(
        specks=0.0 if clean else float(rng.uniform(0, 14)) * float(rng.random()),
        speck_rad=fields.log_uniform(rng, 0.05, 0.5),
        fragments=0.0 if clean else float(rng.uniform(0, 4)),
        rings=0.0 if clean else float(rng.uniform(0, 8)),
        ring_strength=fields.log_uniform(rng, 0.005, 0.06),
        ghosts=0.0 if clean else float(max(rng.uniform(-1.5, 2), 0)),
        uneven=float(rng.uniform(0, 0.06)),
        mottle=fields.log_uniform(rng, 0.002, 0.02),
    )


@dataclass(frozen=True)
class PhaseContrast:
    """Adherent or rounded cells in Zernike phase contrast."""

    transmitted: ClassVar[bool] = True
    thickness: ThicknessLaw
    clutter: Clutter
    positive: bool = True
    """Thin cells dark in a bright halo; False: bright in a dark halo."""
    halo: float = 0.3
    """Width of the halo in object radii (0.08 to 0.6)."""
    ring_transmission: float = 0.5
    """Amplitude transmission of the phase ring (0.35 to 0.8); smaller is more contrast."""
    glow: float = 1.5
    """Brightness that rounded cells add by refraction (0.7 to 3)."""
    lift: float = 0.0
    """Brightness that spread cells add by scattering, away from their edge (-0.05 to 0.25)."""
    highlight: float = 1.0
    """Brightness above the background at which highlights level off (0.6 to 2.5)."""

    def render(self, scene: Scene, rng: np.random.Generator) -> np.ndarray:
        """Thickness and clutter through the phase-contrast objective, on an uneven background."""
        radius = scene.typical_radius(without=8.0)
        depth = fields.depth_inside(scene.labels)
        phase = optical_thickness(scene, depth, self.thickness, rng)
        phase += _debris(scene.shape, self.clutter, rng, radius)
        image = optics.phase_contrast(
            phase,
            halo_px=max(self.halo * radius, 1.0),
            ring_transmission=self.ring_transmission,
            positive=self.positive,
        )
        image += scattered_light(scene, depth, rng, glow=self.glow, lift=self.lift)
        return _background(image, self.clutter, rng, radius, self.highlight)


def draw_phase_contrast(rng: np.random.Generator, *, positive: bool | None = None) -> PhaseContrast:
    """Draw a look within the documented ranges; negative contrast in one of eight unless given."""
    return PhaseContrast(
        thickness=draw_thickness(rng),
        clutter=draw_clutter(rng),
        positive=bool(rng.random() < 0.875) if positive is None else positive,
        halo=fields.log_uniform(rng, 0.08, 0.6),
        ring_transmission=float(rng.uniform(0.35, 0.8)),
        glow=fields.log_uniform(rng, 0.7, 3.0),
        lift=float(rng.uniform(-0.05, 0.25)),
        highlight=fields.log_uniform(rng, 0.6, 2.5),
    )


@dataclass(frozen=True)
class BrightField:
    """Cells in bright field near focus: bright and dark edges by refraction."""

    transmitted: ClassVar[bool] = True
    thickness: ThicknessLaw
    clutter: Clutter
    defocus: float = 0.5
    """Distance from focus, in squared object radii (-1.2 to 1.2, not near 0)."""
    absorption: float = 0.05
    """Absorbed amplitude per radian (0 to 0.15)."""
    oblique: float = 0.0
    """Relief shading by light from one side, per radian and pixel (0 to 1.5)."""
    oblique_rad: float = 0.0
    """Direction of that light."""
    blur: float = 0.1
    """Damping of fringes, in object radii (0.04 to 0.2)."""
    walls: int = 0
    """Straight chamber walls (0 to 3)."""
    highlight: float = 1.0
    """Brightness above the background at which highlights level off (0.5 to 2)."""

    def render(self, scene: Scene, rng: np.random.Generator) -> np.ndarray:
        """Thickness, clutter and walls seen out of focus, with relief shading."""
        radius = scene.typical_radius(without=8.0)
        depth = fields.depth_inside(scene.labels)
        phase = optical_thickness(scene, depth, self.thickness, rng)
        phase += _debris(scene.shape, self.clutter, rng, radius)
        phase += _walls(scene.shape, self.walls, rng)
        image = optics.bright_field(
            phase,
            absorption=self.absorption,
            defocus_px2=self.defocus * radius**2,
            blur_px=self.blur * radius,
        )
        if self.oblique and min(scene.shape) > 1:
            dy, dx = np.gradient(fields.blurred(phase, max(0.1 * radius, 0.6)))
            relief = np.sin(self.oblique_rad) * dy + np.cos(self.oblique_rad) * dx
            image = np.maximum(image + np.float32(self.oblique) * relief, 0)
        return _background(image, self.clutter, rng, radius, self.highlight)


def draw_bright_field(rng: np.random.Generator) -> BrightField:
    """Draw a look within the documented ranges."""
    side = 1.0 if rng.random() < 0.6 else -1.0
    return BrightField(
        thickness=draw_thickness(rng),
        clutter=draw_clutter(rng),
        defocus=side * fields.log_uniform(rng, 0.08, 1.2),
        absorption=float(rng.uniform(0, 0.15)),
        oblique=float(rng.uniform(0, 1.5)) * float(rng.random() < 0.35),
        oblique_rad=float(rng.uniform(-np.pi, np.pi)),
        blur=fields.log_uniform(rng, 0.04, 0.2),
        walls=int(max(rng.integers(-9, 4), 0)),
        highlight=fields.log_uniform(rng, 0.5, 2.0),
    )


def _debris(
    shape: tuple[int, int], clutter: Clutter, rng: np.random.Generator, radius: float
) -> np.ndarray:
    """Phase shift (Y, X) of specks (grains and irregular flecks of them) and of fragments."""
    size = np.asarray(shape)
    n = int(rng.poisson(clutter.specks * shape[0] * shape[1] / 10_000))
    starts = rng.uniform(0, 1, (n, 2)) * size
    owner = np.repeat(np.arange(n), rng.geometric(0.3, n))
    reach = rng.gamma(2.0, 0.9, (n, 1)) * rng.uniform(0.3, 1.0, (n, 2))
    places = starts[owner] + reach[owner] * rng.standard_normal((len(owner), 2))
    heights = clutter.speck_rad * rng.uniform(0.3, 1.2, len(owner))
    phase = fields.spots(shape, places, heights.astype(np.float32), float(rng.uniform(0.6, 1.4)))
    n = fields.per_frame(rng, clutter.fragments, shape)
    owner = np.repeat(np.arange(n), 4)
    reach = float(np.clip(0.12 * radius, 0.8, 3.0))
    starts = rng.uniform(0, 1, (n, 2)) * size
    places = starts[owner] + rng.normal(0, reach, (len(owner), 2))
    heights = rng.gamma(1.5, 0.4, len(owner)).astype(np.float32)
    return phase + fields.spots(shape, places, heights, reach * float(rng.uniform(0.5, 1.0)))


def _walls(shape: tuple[int, int], n: int, rng: np.random.Generator) -> np.ndarray:
    """Phase shift (Y, X) of straight ridges along the frame's axes."""
    phase = np.zeros(shape, dtype=np.float32)
    for _ in range(n):
        axis = int(rng.integers(2))
        at = np.arange(shape[axis]) - rng.uniform(0, 1) * shape[axis]
        width, height = rng.uniform(1.0, 5.0), rng.uniform(0.5, 3.0)
        ridge = (height / (1 + np.exp(np.clip((np.abs(at) - width) * 2, -40, 40)))).astype(
            np.float32
        )
        phase += ridge[:, None] if axis == 0 else ridge[None, :]
    return phase


def _background(
    image: np.ndarray, clutter: Clutter, rng: np.random.Generator, radius: float, highlight: float
) -> np.ndarray:
    """Level off highlights, then add defocused dust, ghosts and an uneven background."""
    above = np.maximum(image - 1, 0)
    image = np.minimum(image, 1) + highlight * np.tanh(above / highlight)
    shape = (image.shape[0], image.shape[1])
    light = 1 + clutter.uneven * fields.uneven(rng, shape)
    light += clutter.mottle * fields.texture(rng, shape, float(rng.uniform(3, 12)))
    dust = (max(0.3 * radius, 3.0), max(2.5 * radius, 12.0))
    n_dust = fields.per_frame(rng, clutter.rings, shape)
    light += clutter.ring_strength * fields.rings(rng, shape, n_dust, dust)
    n_ghosts = fields.per_frame(rng, clutter.ghosts, shape)
    ghost = (max(0.5 * radius, 3.0), max(1.2 * radius, 6.0))
    light += 0.12 * fields.rings(rng, shape, n_ghosts, ghost)
    return np.maximum(image * light, 0).astype(np.float32)
