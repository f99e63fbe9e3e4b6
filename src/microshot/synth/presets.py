"""Presets: which objects a kind of microscopy shows, how many, how large, and how they look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from microshot.synth.adipocytes import draw_adipocytes
from microshot.synth.counts import MAX_MEAN, poisson
from microshot.synth.fields import log_uniform
from microshot.synth.fluorescence import draw_fluorescence
from microshot.synth.legacy import LEGACY, LegacyRecipe
from microshot.synth.looks import draw_bright_field, draw_phase_contrast
from microshot.synth.placement import PlacementLaw
from microshot.synth.scene import SceneLaw, least_area

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from microshot.synth.adipocytes import AdipocyteStack
    from microshot.synth.counts import CountLaw
    from microshot.synth.looks import Look
    from microshot.synth.shapes import Kind

Kinds = tuple[tuple["Kind", float, float], ...]


@dataclass(frozen=True)
class Culture:
    """A kind of sample: the ranges from which the scene of one image is drawn."""

    kinds: Kinds
    """Shape families with weight and relative size."""
    diameter_px: tuple[float, float]
    """Range of the typical diameter (log-uniform between images)."""
    cover: tuple[float, float]
    """Range of the part of the frame that is covered (log-uniform)."""
    touching: tuple[float, float]
    """Range of the probability that an object lies next to another."""
    max_overlap: float = 0.1
    alignment: float = 0.0


@dataclass(frozen=True)
class Preset:
    """A named kind of images: cultures to choose from and looks to choose from."""

    name: str
    """As in `settings.SCENES`, which tells users what it shows."""
    cultures: tuple[tuple[float, Culture, LookName], ...]
    """How often (relative) each culture is drawn, and the look it is rendered with."""
    legacy: LegacyRecipe | None = None
    """Given for the published counting images, which have no cultures."""

    @property
    def is_stack(self) -> bool:
        """Whether its images are focus stacks with stains."""
        return any(look in STACKS for _, _, look in self.cultures)


LookName = Literal["fluorescence", "phase-contrast", "bright-field", "adipocyte-stack"]

#: Draws a look; the second argument says whether objects are brighter than the background
#: in the reference images (None = no reference).
LOOKS: Mapping[LookName, Callable[[np.random.Generator, bool | None], Look]] = {
    "fluorescence": lambda rng, _brighter: draw_fluorescence(rng),
    "phase-contrast": lambda rng, brighter: draw_phase_contrast(
        rng, positive=None if brighter is None else not brighter
    ),
    "bright-field": lambda rng, _brighter: draw_bright_field(rng),
}

#: Draws a look of several planes together with stains.
STACKS: Mapping[str, Callable[[np.random.Generator], AdipocyteStack]] = {
    "adipocyte-stack": draw_adipocytes
}

_NUCLEI = Culture(
    (("ellipse", 0.5, 1.0), ("blob", 0.4, 1.0), ("dividing", 0.03, 1.0), ("debris", 0.02, 0.5)),
    (10, 60),
    (0.03, 0.5),
    (0.0, 0.7),
)
_CROWDED_NUCLEI = Culture(
    (("ellipse", 0.5, 1.0), ("blob", 0.45, 1.0), ("dividing", 0.05, 1.0)),
    (10, 30),
    (0.3, 0.6),
    (0.5, 0.95),
    max_overlap=0.2,
)
_LOBED_NUCLEI = Culture(
    (("lobed", 0.8, 1.0), ("round", 0.2, 1.0)), (12, 40), (0.03, 0.35), (0.0, 0.7)
)
_SPREAD_CELLS = Culture(
    (("adherent", 0.85, 1.0), ("round", 0.1, 0.6), ("dividing", 0.03, 0.8)),
    (40, 95),
    (0.08, 0.45),
    (0.0, 0.5),
)
_STELLATE_CELLS = Culture(
    (
        ("adherent", 0.66, 1.0),
        ("spindle", 0.27, 0.9),
        ("round", 0.05, 0.6),
        ("dividing", 0.02, 0.8),
    ),
    (16, 45),
    (0.1, 0.55),
    (0.2, 0.8),
    max_overlap=0.12,
    alignment=0.6,
)
_ROUNDED_CELLS = Culture(
    (("round", 0.8, 1.0), ("blob", 0.15, 1.0), ("dividing", 0.05, 1.2)),
    (10, 40),
    (0.02, 0.35),
    (0.0, 0.6),
)
_SUSPENSION = Culture(
    (("round", 0.7, 1.0), ("ellipse", 0.2, 1.0), ("dividing", 0.05, 1.2), ("blob", 0.05, 1.0)),
    (8, 40),
    (0.01, 0.3),
    (0.0, 0.5),
)
_RODS = Culture((("rod", 1.0, 1.0),), (8, 24), (0.03, 0.5), (0.3, 0.95), alignment=0.8)
_ADIPOCYTE_NUCLEI = Culture(
    (("ellipse", 0.7, 1.0), ("blob", 0.27, 1.0), ("dividing", 0.03, 1.0)),
    (14, 32),
    (0.06, 0.16),
    (0.0, 0.15),
    max_overlap=0.02,
)

_Choice = tuple[tuple[float, Culture, LookName], ...]
_FLUORESCENCE: _Choice = (
    (0.65, _NUCLEI, "fluorescence"),
    (0.25, _CROWDED_NUCLEI, "fluorescence"),
    (0.10, _LOBED_NUCLEI, "fluorescence"),
)
_PHASE_CONTRAST: _Choice = (
    (0.40, _SPREAD_CELLS, "phase-contrast"),
    (0.45, _STELLATE_CELLS, "phase-contrast"),
    (0.10, _ROUNDED_CELLS, "phase-contrast"),
    (0.05, _RODS, "phase-contrast"),
)
_BRIGHT_FIELD: _Choice = (
    (0.80, _SUSPENSION, "bright-field"),
    (0.15, _STELLATE_CELLS, "bright-field"),
    (0.05, _RODS, "bright-field"),
)

#: Every preset by its name.
PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("fluorescence-nuclei", _FLUORESCENCE),
        Preset("phase-contrast", _PHASE_CONTRAST),
        Preset("bright-field", _BRIGHT_FIELD),
        Preset("mixed", (*_FLUORESCENCE, *_PHASE_CONTRAST, *_BRIGHT_FIELD)),
        Preset("adipocyte-stack", ((1.0, _ADIPOCYTE_NUCLEI, "adipocyte-stack"),)),
        Preset("legacy-bright-field", (), LEGACY["legacy-bright-field"]),
        Preset("legacy-phase-contrast", (), LEGACY["legacy-phase-contrast"]),
    )
}


def find_preset(name: str) -> Preset:
    """Return a preset.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if name not in PRESETS:
        raise ValueError(f'Unknown preset "{name}": choose one of {", ".join(PRESETS)}.')
    return PRESETS[name]


def draw_culture(
    preset: Preset, rng: np.random.Generator, diameter_px: float | None = None
) -> tuple[Culture, LookName]:
    """Draw one of the cultures of a preset and the name of its look.

    With a diameter, one whose range holds it (within a factor of 1.4), if there is any.
    """
    cultures = preset.cultures
    if diameter_px is not None:
        cultures = tuple(
            entry
            for entry in cultures
            if entry[1].diameter_px[0] / 1.4 <= diameter_px <= entry[1].diameter_px[1] * 1.4
        )
        cultures = cultures or preset.cultures
    weights = np.array([weight for weight, _, _ in cultures])
    index = int(rng.choice(len(weights), p=weights / weights.sum()))
    return cultures[index][1], cultures[index][2]


def draw_scene_law(
    culture: Culture,
    rng: np.random.Generator,
    size_px: tuple[int, int],
    *,
    count: CountLaw | None = None,
    diameter_px: float | None = None,
    diameter_spread: float | None = None,
) -> SceneLaw:
    """Draw the law of one scene; what is given is kept (the diameter to within 15 %).

    Without `count` the number of objects is a Poisson number for the drawn cover, at least
    1.5 and at most `MAX_MEAN` on average. Of objects less is never seen than `least_area`.
    """
    cover = log_uniform(rng, *culture.cover)
    spread = float(rng.uniform(0.08, 0.3)) if diameter_spread is None else diameter_spread
    touching = float(rng.uniform(*culture.touching))
    if diameter_px is None:
        low, high = culture.diameter_px
        top = max(min(high, 0.45 * min(size_px)), 3.0)
        diameter = log_uniform(rng, min(low, top), top)
    else:
        diameter = diameter_px * float(np.exp(rng.uniform(-0.15, 0.15)))
    area = np.pi * diameter**2 / 4
    law = poisson(min(max(cover * size_px[0] * size_px[1] / area, 1.5), MAX_MEAN))
    return SceneLaw(
        size_px=size_px,
        count=law if count is None else count,
        kinds=culture.kinds,
        radius_px=diameter / 2,
        radius_spread=spread,
        placement=PlacementLaw(
            touching=touching,
            alignment=culture.alignment,
            max_overlap_fraction=float(rng.uniform(0, culture.max_overlap)),
        ),
        min_area_px=least_area(area, size_px),
    )
