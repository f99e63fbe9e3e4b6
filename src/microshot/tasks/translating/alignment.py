"""Do stains lie on their planes? Measured at training, told, and undone where that is wished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from microshot.data import registration
from microshot.data.dataset import spaced
from microshot.progress import each, silent, span
from microshot.tasks.translating.recipes import names_of_stains
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.data.dataset import Sample
    from microshot.data.registration import Offset
    from microshot.progress import Progress

#: Stacks looked at where nothing is corrected, at most.
MOST_CHECKED = 8
#: Side of the middle of an image that is looked at, for shifts and for what stretches, px.
SHIFT_SIDE_PX, STRETCH_SIDE_PX = 1024, 2048
#: Shifts from here on are told, px; less lies within what optics do.
TOLD_PX = 3.0
#: Images told one by one; more are told together.
MOST_TOLD = 4
#: Nothing is interpolated for less, px.
LEAST_PX = 0.25


@dataclass(frozen=True)
class _Found:
    """The offsets of one stain."""

    stain: str
    offsets: Mapping[int, Offset]
    """By the image's number; only those that are sure."""

    @property
    def evidence(self) -> float:
        return float(sum(o.evidence for o in self.offsets.values()))


def aligned(
    samples: Sequence[Sample], how: str, progress: Progress = silent
) -> tuple[Sequence[Sample], list[str]]:
    """Return the samples, with `how` ``shift`` or ``affine`` corrected, and what was found.

    With ``check`` a few are measured, with ``off`` none. Stacks of the generator lie right. The
    correction follows the stain that can be measured most surely; the others lie as it does,
    as they were taken with the same camera.
    """
    real = [i for i, s in enumerate(samples) if s.target is not None and s.domain == "natural"]
    if how == "off" or not real:
        return samples, []
    correct = how in ("shift", "affine")
    looked_at = real if correct else spaced(real, MOST_CHECKED)
    side = STRETCH_SIDE_PX if how == "affine" else SHIFT_SIDE_PX
    found = _measured(samples, looked_at, side, span(progress, 0.0, 0.0))
    if not correct:
        return samples, [note for one in found for note in _told(samples, one)]
    best = max(found, key=lambda one: one.evidence)
    if not best.offsets:
        return samples, [
            "Whether the stains lie on their planes could not be measured on any image; nothing was "
            "corrected."
        ]
    return _corrected(samples, real, best, stretch=how == "affine")


def _measured(
    samples: Sequence[Sample], indices: Sequence[int], side: int, progress: Progress
) -> list[_Found]:
    """Return what is sure of every stain."""
    first = samples[indices[0]].target
    assert first is not None
    names = names_of_stains(first)
    sure: list[dict[int, Offset]] = [{} for _ in names]
    for index in each(indices, len(indices), progress, "comparing planes and stains of image"):
        sample = samples[index]
        assert sample.target is not None
        y, x = (slice(max(0, (n - side) // 2), (n + side) // 2) for n in sample.image.shape)
        features = registration.features_of(sample.image.pixels[:, y, x])
        for offsets, stain in zip(sure, sample.target.pixels[:, y, x], strict=True):
            offset = registration.offset_of(features, stain)
            if offset is not None and offset.is_sure:
                offsets[index] = offset
    return [_Found(name, offsets) for name, offsets in zip(names, sure, strict=True)]


def _told(samples: Sequence[Sample], found: _Found) -> list[str]:
    """Say where a stain lies too far from its planes."""
    far = {i: o for i, o in found.offsets.items() if o.distance >= TOLD_PX}
    advice = (
        'correct it with "Planes and stains lie" (translation.registration) in the section '
        "Translation, or register the images."
    )
    if len(far) <= MOST_TOLD:
        return [
            f'{samples[i].name}: the stain "{found.stain}" lies {_where(o.shift)} of where the '
            f"planes show it; {advice}"
            for i, o in far.items()
        ]
    middle = np.median([o.shift for o in far.values()], axis=0)
    return [
        f'The stain "{found.stain}" lies {_where(middle)} of where the planes show it, in the '
        f"median of {len(far)} of {len(found.offsets)} images that were measured; {advice}"
    ]


def _where(shift: Sequence[float] | np.ndarray) -> str:
    """Return a shift in words, such as ``10.0 px (8.0 down, 6.0 right)``."""
    y, x = (float(v) for v in shift)
    parts = [
        f"{abs(y):.1f} {'down' if y > 0 else 'up'}",
        f"{abs(x):.1f} {'right' if x > 0 else 'left'}",
    ]
    return f"{np.hypot(y, x):.1f} px ({', '.join(parts)})"


def _corrected(
    samples: Sequence[Sample], real: Sequence[int], found: _Found, *, stretch: bool
) -> tuple[list[Sample], list[str]]:
    """Lay every stain on its planes; images that tell nothing go with the median of the others."""
    offsets = found.offsets
    common = registration.common_stretch(list(offsets.values())) if stretch else np.zeros((2, 2))
    median = np.median([o.shift for o in offsets.values()], axis=0)
    made, distances = list(samples), []
    for index in real:
        shift = offsets[index].shift if index in offsets else tuple(median.tolist())
        mapping = registration.Mapping(shift, common)
        corners = mapping.corners(samples[index].image.shape)
        furthest = float(np.linalg.norm(corners, axis=1).max())
        if furthest >= LEAST_PX:
            made[index] = registration.corrected(samples[index], mapping)
            distances.append(float(np.hypot(shift[0], shift[1])))
    if not distances:
        return made, ["Planes and stains lie on each other; nothing was corrected."]
    stretched = f", stretch {_percent(common)}" if common.any() else ""
    guessed = len(real) - len(offsets)
    unsure = f", {guessed} of them by the median of the others" if guessed else ""
    return made, [
        f"Stains were moved onto their planes in {len(distances)} of {how_many(len(real), 'image')}: "
        f"{min(distances):.1f} to {max(distances):.1f} px, as measured on "
        f'"{found.stain}"{stretched}{unsure}; edges without stain were cut off.'
    ]


def _percent(stretch: np.ndarray) -> str:
    """Return the stretch along y and x and the turn in words."""
    turn = np.degrees((stretch[1, 0] - stretch[0, 1]) / 2)
    return f"{100 * stretch[0, 0]:.2f} % along y, {100 * stretch[1, 1]:.2f} % along x, turn {turn:.2f}°"
