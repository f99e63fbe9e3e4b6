"""Where objects lie: laws of placement, overlap rules and the board that enforces them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from microshot.synth.shapes import rasterise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.synth.shapes import Outline

#: How far outside the frame, in radii, origins of objects that it cuts may lie.
CUT_BEYOND = 0.6
#: Range of the distance of neighbours that touch, in units of "outlines just meet".
TOUCHING_DISTANCE = (0.9, 1.1)


@dataclass(frozen=True, eq=False)
class PlacementLaw:
    """How objects are spread over the frame, which may cut them, and how much they may overlap."""

    touching: float = 0.0
    """Probability that an object is put next to one already there, else anywhere."""
    alignment: float = 0.0
    """Probability that such a neighbour lies in the same direction (within about 15 degrees)."""
    max_overlap_fraction: float = 0.05
    """Largest part of an object, 0 to 1, that may cover others or be covered by later ones."""
    max_tries: int = 60
    """Places tried for one object before the image is given up as full."""

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        for name in ("touching", "alignment", "max_overlap_fraction"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, found {value}.")
        if self.max_tries < 1:
            raise ValueError(f"max_tries must be at least 1, found {self.max_tries}.")


@dataclass(eq=False)
class Board:
    """The frame while it is being filled; later objects lie on top of earlier ones."""

    law: PlacementLaw
    shape: tuple[int, int]
    min_area_px: int
    labels: np.ndarray = field(init=False)
    """(Y, X) int32: 0 or the number (from 1) of the topmost object."""
    outlines: list[Outline] = field(default_factory=list)
    origins: list[tuple[float, float]] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    _full: list[int] = field(default_factory=list)
    _visible: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Clear the frame."""
        self.labels = np.zeros(self.shape, dtype=np.int32)

    def neighbour(self, rng: np.random.Generator) -> int | None:
        """Draw the object that the next one shall touch, by its index; None = none."""
        if not self.origins or rng.random() >= self.law.touching:
            return None
        return int(rng.integers(len(self.origins)))

    def propose(
        self, rng: np.random.Generator, group: Sequence[Outline], neighbour: int | None
    ) -> tuple[float, float]:
        """Draw a place (y, x) for a group of outlines."""
        if neighbour is not None:
            there = self.origins[neighbour]
            direction = float(rng.uniform(-np.pi, np.pi))
            mine = max(outline.reach(direction + np.pi) for outline in group)
            apart = self.outlines[neighbour].reach(direction) + mine
            apart *= float(rng.uniform(*TOUCHING_DISTANCE))
            return there[0] + apart * np.sin(direction), there[1] + apart * np.cos(direction)
        beyond = CUT_BEYOND * group[0].radius_px
        y, x = (float(rng.uniform(-0.5 - beyond, n - 0.5 + beyond)) for n in self.shape)
        return y, x

    def add(self, group: Sequence[Outline], place: tuple[float, float], number: int) -> bool:
        """Draw the outlines of a group at a place if the law allows it; say whether it did.

        Either all outlines of the group are drawn or none.
        """
        origins = [(place[0] + o.offset_yx[0], place[1] + o.offset_yx[1]) for o in group]
        pieces = []
        for outline, origin in zip(group, origins, strict=True):
            piece = self._fit(outline, origin)
            if piece is None:
                return False
            pieces.append(piece)
        for outline, origin, (box, inside) in zip(group, origins, pieces, strict=True):
            area = int(inside.sum())
            for index, hidden in self._hits(box, inside):
                self._visible[index] -= hidden
            self.outlines.append(outline)
            self.origins.append(origin)
            self.groups.append(number)
            self._full.append(area)
            self._visible.append(area)
            self.labels[box][inside] = len(self.outlines)
        return True

    def _fit(
        self, outline: Outline, origin: tuple[float, float]
    ) -> tuple[tuple[slice, slice], np.ndarray] | None:
        """Return the pixels of an outline at a place, or None where a rule forbids it."""
        limit = self.law.max_overlap_fraction
        y, x = round(origin[0]), round(origin[1])
        in_frame = 0 <= y < self.shape[0] and 0 <= x < self.shape[1]
        if in_frame and limit < 0.3 and self.labels[y, x]:
            return None
        box, inside = rasterise(outline.points_yx + np.asarray(origin), self.shape)
        area = int(inside.sum())
        if area < max(self.min_area_px, 1):
            return None
        hits = self._hits(box, inside)
        if sum(hidden for _, hidden in hits) > limit * area:
            return None
        for index, hidden in hits:
            left = self._visible[index] - hidden
            if limit < 1 and left < max((1 - limit) * self._full[index], self.min_area_px):
                return None
        return box, inside

    def _hits(self, box: tuple[slice, slice], inside: np.ndarray) -> list[tuple[int, int]]:
        """(index of an object, number of its visible pixels under the mask) for all there are."""
        under = self.labels[box][inside]
        under = under[under > 0]
        if under.size == 0:
            return []
        ids, n = np.unique(under, return_counts=True)
        return [(int(i) - 1, int(k)) for i, k in zip(ids, n, strict=True)]
