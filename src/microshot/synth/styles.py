"""Styles: one look with the sizes and numbers of objects that go with it."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from microshot.synth.counts import MAX_MEAN, fixed, poisson
from microshot.synth.fields import log_uniform
from microshot.synth.placement import PlacementLaw
from microshot.synth.presets import LOOKS, draw_culture
from microshot.synth.scene import SceneLaw, least_area, mean_size, n_covering

if TYPE_CHECKING:
    from microshot.synth.counts import CountLaw
    from microshot.synth.looks import Look
    from microshot.synth.presets import Culture, LookName, Preset
    from microshot.synth.reference import ImageStatistics, ReferenceStatistics

T = TypeVar("T")
#: How often a child takes a value from the newly drawn style instead of its parent.
_CHANGE = 0.3


@dataclass(frozen=True)
class Style:
    """How all images drawn from it look."""

    culture: Culture
    look_name: LookName
    look: Look
    diameter_px: float
    """Typical diameter of the objects."""
    spread: float
    """Standard deviation of its logarithm inside an image (0.05 to 0.5)."""
    cover: float
    """Covered part of the frame, relative to what was measured in a reference image: 1 where that
    is known from labels (0.5 to 1.8)."""
    touching: float
    """Probability that an object lies next to another."""
    gain: float
    """Contrast of the objects, relative to what was measured in that image (0.4 to 2.2)."""
    blur_px: float
    """Gaussian blur (0.3 to 1.6)."""

    def scene_law(
        self,
        rng: np.random.Generator,
        size_px: tuple[int, int],
        *,
        count: CountLaw | None,
        like: ImageStatistics,
        diameter_px: float | None = None,
    ) -> SceneLaw:
        """Return the law of one scene that follows one reference image.

        Sizes are that image's own where labels tell them; the number of objects is Poisson for
        its cover, unless `count` is given.
        """
        typical, spread = like.known_sizes or (self.diameter_px, self.spread)
        diameter = (diameter_px or typical) * float(np.exp(rng.uniform(-0.1, 0.1)))
        area = np.pi * diameter**2 / 4
        radius = diameter / 2 / np.sqrt(mean_size(self.culture.kinds))
        if count is None:
            mean = n_covering(self.cover * like.cover, size_px, self.culture.kinds, radius, spread)
            count = poisson(min(mean, MAX_MEAN)) if mean > 1e-6 else fixed(0)
        return SceneLaw(
            size_px=size_px,
            count=count,
            kinds=self.culture.kinds,
            radius_px=radius,
            radius_spread=spread,
            placement=PlacementLaw(
                touching=self.touching,
                alignment=self.culture.alignment,
                max_overlap_fraction=self.culture.max_overlap / 2,
            ),
            min_area_px=least_area(area, size_px),
        )


def draw_style(
    rng: np.random.Generator,
    preset: Preset,
    reference: ReferenceStatistics,
    look_name: LookName | None = None,
) -> Style:
    """Draw a style of a preset around what was measured; of one look if it is named.

    Sizes that labels tell are kept; those that were estimated may be off (see `fit_reference`).
    """
    diameter = reference.diameter_px or log_uniform(rng, 10, 40)
    culture, name = draw_culture(preset, rng, diameter)
    for _ in range(50):
        if look_name in (None, name):
            break
        culture, name = draw_culture(preset, rng, diameter)
    name = look_name or name
    return Style(
        culture=culture,
        look_name=name,
        look=LOOKS[name](rng, reference.brighter if rng.random() < 0.7 else None),
        diameter_px=diameter * (1.0 if reference.labelled else log_uniform(rng, 0.7, 1.5)),
        spread=reference.diameter_spread if reference.labelled else log_uniform(rng, 0.05, 0.45),
        cover=1.0 if reference.labelled else log_uniform(rng, 0.5, 1.8),
        touching=float(rng.uniform(*culture.touching)),
        gain=log_uniform(rng, 0.4, 2.2),
        blur_px=log_uniform(rng, 0.3, 1.6),
    )


def child_of(
    parent: Style, rng: np.random.Generator, preset: Preset, reference: ReferenceStatistics
) -> Style:
    """Return a parent with about a third of its values drawn anew, its kind of look kept."""
    fresh = draw_style(rng, preset, reference, parent.look_name)
    return _mixed(parent, fresh, rng)


def _mixed(parent: T, fresh: T, rng: np.random.Generator) -> T:
    """Take each value of a dataclass from `parent` or, less often, from `fresh`; nested too."""
    changed = {}
    for field in fields(parent):  # type: ignore[arg-type]
        own, new = getattr(parent, field.name), getattr(fresh, field.name)
        if field.name == "culture":
            changed[field.name] = new if rng.random() < _CHANGE else own
        elif is_dataclass(own):
            changed[field.name] = _mixed(own, new, rng)
        elif rng.random() < _CHANGE:
            changed[field.name] = new
    return replace(parent, **changed)  # type: ignore[type-var]
