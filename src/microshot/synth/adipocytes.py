"""Adipocytes: cells full of lipid droplets around the nuclei of a scene, in focus and out of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from microshot.synth import fields, optics
from microshot.synth.fluorescence import Fluorescence, draw_fluorescence

if TYPE_CHECKING:
    from microshot.synth.scene import Scene

#: Planes of the stack from below to above, the middle one near focus.
PLANES = tuple(f"z{i}" for i in range(7))
#: Stains, in the order of the challenge's channels C01 to C03.
STAINS = ("nuclei", "lipids", "cytoplasm")
#: Radius of the droplet whose phase shift is `AdipocyteStack.lipid_rad`, in nucleus radii.
_TYPICAL_DROPLET = 0.2


@dataclass(frozen=True, eq=False)
class Cells:
    """What lies around the nuclei."""

    height: np.ndarray
    """(Y, X) float32 thickness of the cytoplasm, 0 to 1."""
    droplets: np.ndarray
    """(Y, X) float32 thickness of lipid droplets; 1 is the middle of a typical one."""
    lipids: np.ndarray
    """(Y, X) float32 stain of the droplets; defective ones have a dark core."""


@dataclass(frozen=True)
class AdipocyteStack:
    """Bright-field planes and stains of one scene whose objects are the nuclei.

    Phase shifts order how hard the stains are to predict, as in the HASTE/AstraZeneca
    adipocyte images: lipid droplets bend light strongly, cytoplasm little, nuclei hardly.
    """

    stain: Fluorescence
    """Look of the stained nuclei."""
    reach: float = 1.3
    """How far cells extend beyond their nucleus, in nucleus radii (0.9 to 1.8)."""
    fullness: float = 0.4
    """Part of the cytoplasm covered by droplets, on average (0.1 to 0.6)."""
    droplet_power: float = 3.0
    """Exponent of the power law of droplet radii (2.2 to 3.5)."""
    defects: float = 0.1
    """Part of the droplets with a dark core in the stain (0 to 0.2)."""
    cytoplasm_rad: float = 0.4
    """Phase shift of the thickest cytoplasm (0.2 to 0.6)."""
    nucleus_rad: float = 0.2
    """Phase shift that nuclei add (0.1 to 0.4)."""
    lipid_rad: float = 1.0
    """Phase shift of a typical droplet (0.6 to 1.4)."""
    absorption: float = 0.03
    """Absorbed amplitude per radian (0.01 to 0.06)."""
    step: float = 0.04
    """Defocus between planes, in squared nucleus radii (0.02 to 0.07)."""
    off_focus: float = 0.0
    """Where focus lies from the middle plane, in planes (-0.5 to 0.5)."""
    blur_px: float = 0.6
    """Blur in focus; every plane away from it adds a quarter (0.4 to 0.9)."""
    uneven: float = 0.03
    """Modulation of the lamp's light (0 to 0.06)."""
    dust: float = 1.0
    """Defocused dust on the optics per 256 x 256 px (0 to 4)."""
    haze: float = 0.1
    """Part of the stains' light that is scattered around (0.02 to 0.2)."""

    def render(self, scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return planes (7, Y, X), empty field about 1, and stains (3, Y, X), typically 0 to 3.

        Both float32, finite and not negative.
        """
        radius = scene.typical_radius(without=10.0)
        cells = self._cells(scene, rng, radius)
        depth = fields.depth_inside(scene.labels)
        phase = self._phase(scene, cells, depth, rng)
        light = 1 + np.float32(self.uneven) * fields.uneven(rng, scene.shape)
        n_dust = fields.per_frame(rng, self.dust, scene.shape)
        light += np.float32(0.03) * fields.rings(
            rng, scene.shape, n_dust, (0.5 * radius, 3 * radius)
        )
        planes = [light * self._plane(phase, z, radius) for z in range(len(PLANES))]
        return np.maximum(planes, 0).astype(np.float32), self._stains(scene, cells, rng, radius)

    def _plane(self, phase: np.ndarray, z: int, radius: float) -> np.ndarray:
        """Return plane `z` (Y, X): contrast is reversed on the other side of focus."""
        away = z - len(PLANES) // 2 - self.off_focus
        return optics.bright_field(
            phase,
            absorption=self.absorption,
            defocus_px2=away * self.step * radius**2,
            blur_px=self.blur_px * (1 + 0.25 * abs(away)),
        )

    def _phase(
        self, scene: Scene, cells: Cells, depth: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Return the phase shift (Y, X) float32 in radians."""
        radii = np.array([item.radius_px for item in scene.objects])
        rise = np.clip(depth * fields.per_object(scene, 1 / np.maximum(0.7 * radii, 1)), 0, 1)
        phase = np.float32(self.cytoplasm_rad) * cells.height
        phase += np.float32(self.nucleus_rad) * np.sqrt(rise * (2 - rise))
        phase += np.float32(self.lipid_rad) * cells.droplets
        grain = fields.texture(rng, scene.shape, 2.0) * (0.1 * self.cytoplasm_rad)
        n_specks = fields.per_frame(rng, 4.0, scene.shape)
        places = rng.uniform(0, 1, (n_specks, 2)) * np.asarray(scene.shape)
        heights = rng.uniform(0.1, 0.6, n_specks).astype(np.float32)
        specks = fields.spots(scene.shape, places, heights, 0.9)
        return (phase + grain * cells.height + specks).astype(np.float32)

    def _cells(self, scene: Scene, rng: np.random.Generator, radius: float) -> Cells:
        """Draw a cell around every nucleus and droplets into its cytoplasm."""
        empty = np.zeros(scene.shape, dtype=np.float32)
        if scene.count == 0:
            return Cells(empty, empty, empty)
        from scipy import ndimage

        distance, nearest = ndimage.distance_transform_edt(  # type: ignore[misc]
            scene.labels == 0, return_indices=True
        )
        owner = scene.labels[tuple(nearest)]
        reach = self.reach * radius * np.exp(rng.normal(0, 0.2, scene.count + 1))
        rough = 1 + 0.2 * fields.texture(rng, scene.shape, 1.2 * radius)
        inner = np.clip(1 - distance / np.maximum(reach[owner] * rough, 1), 0, 1)
        cells = np.where(inner > 0, owner, 0)
        edge = 1 - np.exp(-((fields.depth_inside(cells) / max(0.15 * radius, 0.8)) ** 2))
        height = (np.sqrt(inner * (2 - inner)) * edge).astype(np.float32)
        droplets, lipids = self._droplets(cells, distance, scene.count, rng, radius)
        return Cells(height, droplets, lipids)

    def _droplets(
        self,
        cells: np.ndarray,
        distance: np.ndarray,
        n_cells: int,
        rng: np.random.Generator,
        radius: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return thickness and stain of droplets (Y, X): spheres that do not reach a nucleus.

        No middle lies in a larger droplet. Sizes follow a power law; some cells are full of them,
        some have few.
        """
        thickness, stain = (np.zeros(cells.shape, dtype=np.float32) for _ in range(2))
        free = np.flatnonzero((cells > 0) & (distance > 1))
        smallest, largest = max(0.08 * radius, 0.9), max(0.45 * radius, 1.5)
        typical = max(_TYPICAL_DROPLET * radius, 1.0)
        per_cell = rng.gamma(1.5, 1 / 1.5, n_cells + 1)
        weights = per_cell[cells.ravel()[free]]
        n = int(rng.poisson(self.fullness * len(free) / (np.pi * (1.5 * smallest) ** 2)))
        if not n or not weights.sum() > 0:
            return thickness, stain
        places = free[rng.choice(len(free), n, p=weights / weights.sum())]
        sizes = smallest * (1 - rng.random(n)) ** (-1 / (self.droplet_power - 1))
        sizes = np.minimum(np.minimum(sizes, largest), distance.ravel()[places])
        brightness = np.exp(rng.normal(0, 0.25, n))
        holes = np.where(rng.random(n) < self.defects, rng.uniform(0.5, 0.95, n), 0.0)
        for i in np.argsort(-sizes, kind="stable"):
            y, x = divmod(int(places[i]), cells.shape[1])
            r = float(sizes[i])
            if thickness[y, x] > 0:
                continue
            box = tuple(slice(max(int(c - r), 0), int(c + r) + 2) for c in (y, x))
            own = thickness[box]
            rows = np.arange(box[0].start, box[0].start + own.shape[0])[:, None] - y
            columns = np.arange(box[1].start, box[1].start + own.shape[1])[None, :] - x
            squared = (rows**2 + columns**2) / r**2
            sphere = np.sqrt(np.maximum(1 - squared, 0)) * (r / typical)
            np.maximum(own, sphere, out=own)
            light = brightness[i] * sphere**0.7 * (1 - holes[i] * np.exp(-squared / 0.18))
            np.maximum(stain[box], light, out=stain[box])
        return thickness, stain

    def _stains(
        self, scene: Scene, cells: Cells, rng: np.random.Generator, radius: float
    ) -> np.ndarray:
        """Return the light of nuclei, lipids and cytoplasm (3, Y, X) float32."""
        nuclei = self.stain.render(scene, rng)
        lipids = cells.lipids + np.float32(0.04) * cells.height
        grain = np.clip(1 + 0.15 * fields.texture(rng, scene.shape, 0.4 * radius), 0, None)
        displaced = 1 - 0.7 * np.minimum(cells.droplets, 1)
        within = 1 - 0.35 * fields.blurred((scene.labels > 0).astype(np.float32), 0.1 * radius)
        cytoplasm = cells.height * displaced * within * grain
        glowing = [nuclei, *(self._glow(light, radius) for light in (lipids, cytoplasm))]
        return np.maximum(glowing, 0).astype(np.float32)

    def _glow(self, light: np.ndarray, radius: float) -> np.ndarray:
        """Add scattered light and that of the empty field."""
        return light + np.float32(self.haze) * fields.blurred(light, 2 * radius) + np.float32(0.02)


def draw_adipocytes(rng: np.random.Generator) -> AdipocyteStack:
    """Draw a look within the documented ranges."""
    return AdipocyteStack(
        stain=replace(draw_fluorescence(rng), blobs=0.0, specks=0.0, cytoplasm=0.0),
        reach=float(rng.uniform(0.9, 1.8)),
        fullness=fields.log_uniform(rng, 0.1, 0.6),
        droplet_power=float(rng.uniform(2.2, 3.5)),
        defects=float(rng.uniform(0, 0.2)),
        cytoplasm_rad=fields.log_uniform(rng, 0.2, 0.6),
        nucleus_rad=fields.log_uniform(rng, 0.1, 0.4),
        lipid_rad=fields.log_uniform(rng, 0.6, 1.4),
        absorption=float(rng.uniform(0.01, 0.06)),
        step=fields.log_uniform(rng, 0.02, 0.07),
        off_focus=float(rng.uniform(-0.5, 0.5)),
        blur_px=float(rng.uniform(0.4, 0.9)),
        uneven=float(rng.uniform(0, 0.06)),
        dust=float(max(rng.uniform(-2, 4), 0)),
        haze=fields.log_uniform(rng, 0.02, 0.2),
    )
