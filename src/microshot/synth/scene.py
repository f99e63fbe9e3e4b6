"""Scenes: which objects lie where in an image, with exact labels; not how they look."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from microshot.synth.counts import CountLaw, poisson
from microshot.synth.placement import CUT_BEYOND, Board, PlacementLaw
from microshot.synth.shapes import KINDS, Kind, draw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.synth.shapes import Outline

#: A fresh outline is drawn after this many places in vain.
_TRIES_PER_OUTLINE = 10
#: The smallest object that is drawn, in pixels.
_MIN_RADIUS_PX = 1.2


@dataclass(frozen=True, eq=False)
class SceneLaw:
    """Everything that decides which objects lie where."""

    size_px: tuple[int, int] = (256, 256)
    """Height and width."""
    count: CountLaw = field(default_factory=lambda: poisson(20.0))
    """How many objects."""
    kinds: tuple[tuple[Kind, float, float], ...] = (("ellipse", 1.0, 1.0),)
    """Shape families, how often each is drawn (relative), and its size relative to `radius_px`."""
    radius_px: float = 10.0
    """Median radius of the disc of equal area."""
    radius_spread: float = 0.15
    """Standard deviation of log(radius) inside an image."""
    placement: PlacementLaw = field(default_factory=PlacementLaw)
    min_area_px: int = 4
    """Objects of which fewer pixels are visible do not exist."""

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        if min(self.size_px) < 1:
            raise ValueError(
                f"An image needs at least 1 x 1 px, found {self.size_px[0]} x {self.size_px[1]} px."
            )
        unknown = [kind for kind, _, _ in self.kinds if kind not in KINDS]
        if unknown or not self.kinds:
            raise ValueError(
                f"A scene needs shapes out of {', '.join(KINDS)}, found {unknown or 'none'}."
            )
        if not self.radius_px > 0 or not 0 <= self.radius_spread <= 1:
            raise ValueError(
                "A scene needs a radius above 0 px and a spread between 0 and 1, found "
                f"{self.radius_px} px and {self.radius_spread}."
            )
        if self.min_area_px < 1:
            raise ValueError(f"min_area_px must be at least 1, found {self.min_area_px}.")


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One object of a scene."""

    kind: Kind
    origin_yx: tuple[float, float]
    """Where its outline was drawn around; may lie outside the frame."""
    centre_yx: tuple[float, float]
    """Mean of its visible pixels."""
    radius_px: float
    """Radius of the disc of the same area as the whole outline."""
    angle_rad: float
    """Direction of the long axis; 0 points along +x."""
    area_px: int
    """Number of visible pixels."""
    outline_yx: np.ndarray
    """(K, 2) float64 vertices of the whole outline in image pixels."""
    group: int
    """Equal for the two daughters of a dividing pair."""


@dataclass(frozen=True, eq=False)
class Scene:
    """Objects and the pixels they own."""

    labels: np.ndarray
    """(Y, X) int32: 0 background, i = the visible part of ``objects[i - 1]``."""
    objects: tuple[SceneObject, ...]
    n_asked: int
    """How many objects the law asked for."""

    @property
    def count(self) -> int:
        """Number of objects, equal to the number of labels."""
        return len(self.objects)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.labels.shape[0], self.labels.shape[1]

    def typical_radius(self, without: float) -> float:
        """Return the median radius of the objects in px; `without` any, that."""
        return float(np.median([o.radius_px for o in self.objects])) if self.objects else without

    @property
    def note(self) -> str:
        """Empty, or one sentence where the scene holds fewer objects than asked for."""
        if self.count >= self.n_asked:
            return ""
        return f"room for {self.count} of the {self.n_asked} objects asked for"


def least_area(typical_px: float, size_px: tuple[int, int]) -> int:
    """Return the fewest pixels of which an object is seen: 4, or 3 % of a typical one.

    An object that is larger than the frame counts as as large as it.
    """
    return max(4, int(0.03 * min(typical_px, size_px[0] * size_px[1])))


def mean_size(kinds: Sequence[tuple[Kind, float, float]]) -> float:
    """Mean area of the objects of a mixture of families, relative to that of one of size 1.

    A dividing pair are two objects with the area of one.
    """
    area = sum(weight * size**2 for _, weight, size in kinds)
    return area / sum(weight * (2 if kind == "dividing" else 1) for kind, weight, _ in kinds)


def n_covering(
    cover: float,
    size_px: tuple[int, int],
    kinds: Sequence[tuple[Kind, float, float]],
    radius_px: float,
    radius_spread: float,
) -> float:
    """Return how many objects cover the part `cover` (0 to 1) of a frame on average.

    Counts that the mean area of objects is larger than that of the median radius (by exp(2 s²)
    for a log-normal radius), that families have sizes of their own, and that the frame cuts
    objects whose origin is near its edge. Overlaps, which the laws of placement keep small, are
    not counted.
    """
    area = np.pi * radius_px**2 * float(np.exp(2 * radius_spread**2)) * mean_size(kinds)
    beyond = 2 * CUT_BEYOND * radius_px
    return cover * (size_px[0] + beyond) * (size_px[1] + beyond) / area


def sample_scene(rng: np.random.Generator, law: SceneLaw) -> Scene:
    """Draw a scene.

    Objects are placed one by one. The first that finds no place within
    ``law.placement.max_tries`` tries ends the scene, so this always returns; `Scene.note`
    says so.
    """
    n = law.count.sample(rng)
    board = Board(law.placement, law.size_px, law.min_area_px)
    group = 0
    while len(board.outlines) < n and _place_next(rng, law, board, n, group):
        group += 1
    return _finished(board, n)


def _place_next(rng: np.random.Generator, law: SceneLaw, board: Board, n: int, number: int) -> bool:
    """Put one more group of objects on the board; say whether a place was found."""
    outlines: Sequence[Outline] = ()
    neighbour = None
    for attempt in range(law.placement.max_tries):
        if attempt % _TRIES_PER_OUTLINE == 0:
            neighbour = board.neighbour(rng) if attempt < law.placement.max_tries // 2 else None
            outlines = _draw(rng, law, board, neighbour, n - len(board.outlines))
        if board.add(outlines, board.propose(rng, outlines, neighbour), number):
            return True
    return False


def _draw(
    rng: np.random.Generator, law: SceneLaw, board: Board, neighbour: int | None, n_left: int
) -> tuple[Outline, ...]:
    """Draw the next object: its family, size and direction."""
    weights = np.array([weight for _, weight, _ in law.kinds], dtype=np.float64)
    kind, _, size = law.kinds[int(rng.choice(len(weights), p=weights / weights.sum()))]
    if kind == "dividing" and n_left < 2:
        kind = "blob"
    radius = size * law.radius_px * float(np.exp(law.radius_spread * rng.standard_normal()))
    angle = None
    if neighbour is not None and rng.random() < law.placement.alignment:
        angle = board.outlines[neighbour].angle_rad + float(rng.normal(0, 0.25))
    return draw(kind, rng, max(radius, _MIN_RADIUS_PX), angle)


def _finished(board: Board, n_asked: int) -> Scene:
    """Number the visible objects 1..n and measure them."""
    n = len(board.outlines)
    areas = np.bincount(board.labels.ravel(), minlength=n + 1)
    keep = areas >= board.min_area_px
    keep[0] = False
    new_ids = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    labels = new_ids[board.labels]
    y, x = np.indices(labels.shape)
    flat = board.labels.ravel()
    sum_y = np.bincount(flat, weights=y.ravel(), minlength=n + 1)
    sum_x = np.bincount(flat, weights=x.ravel(), minlength=n + 1)
    objects = []
    for i in np.flatnonzero(keep).tolist():
        outline, origin = board.outlines[i - 1], board.origins[i - 1]
        objects.append(
            SceneObject(
                kind=outline.kind,
                origin_yx=(float(origin[0]), float(origin[1])),
                centre_yx=(float(sum_y[i] / areas[i]), float(sum_x[i] / areas[i])),
                radius_px=outline.radius_px,
                angle_rad=outline.angle_rad,
                area_px=int(areas[i]),
                outline_yx=outline.points_yx + np.asarray(origin),
                group=board.groups[i - 1],
            )
        )
    return Scene(labels, tuple(objects), n_asked)
