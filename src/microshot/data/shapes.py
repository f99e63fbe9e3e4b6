"""Shapes that people draw by hand, as labelme and VIA keep them: outlines, points, and what is neither."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from microshot.data.json_text import shown
from microshot.data.regions import Marks, Region, Union
from microshot.words import form, how_many

if TYPE_CHECKING:
    from collections.abc import Hashable


@dataclass
class Shapes:
    """The shapes of one image so far."""

    regions: dict[Hashable, list[Region]] = field(default_factory=dict)
    """What belongs together is one object."""
    points: list[np.ndarray] = field(default_factory=list)
    """(n, 2) x and y each, px from the corner of the first pixel."""
    left_out: Counter[str] = field(default_factory=Counter)
    n_boxes: int = 0
    n_px: int = 0
    """Pixels of masks."""

    def add(self, region: Region, together: Hashable = None) -> None:
        """Add a region: to those with the same `together`, unless that is None."""
        key = len(self.regions) if together is None else ("together", together)
        self.regions.setdefault(key, []).append(region)

    def leave_out(self, kind: object) -> None:
        """Count a shape of a kind that is neither an outline nor a point."""
        self.left_out[shown(kind)] += 1

    def marks(self, program: str) -> Marks:
        """Return the objects in the order in which they were begun."""
        points = np.concatenate(self.points)[:, ::-1] - 0.5 if self.points else None
        regions = [
            parts[0] if len(parts) == 1 else Union(tuple(parts), parts[0].ignore)
            for parts in self.regions.values()
        ]
        notes = [
            f"{how_many(n, 'shape')} of the kind {kind} left out"
            for kind, n in self.left_out.items()
        ]
        if self.n_boxes:
            notes.append(
                f"{how_many(self.n_boxes, 'rectangle')} taken for {form(self.n_boxes, 'an outline', 'outlines')}"
            )
        what = "points" if self.points and not regions else "outlines"
        return Marks(f"{program} {what}", tuple(regions), points, notes=tuple(notes))
