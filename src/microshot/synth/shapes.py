"""Outlines of cells and nuclei as polygons, and their exact rasterisation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Kind = Literal[
    "ellipse", "blob", "round", "rod", "spindle", "adherent", "dividing", "lobed", "debris"
]
#: Shape families that can be drawn.
KINDS: tuple[Kind, ...] = get_args(Kind)

#: Number of directions in which a radius function r(theta) is sampled.
N_ANGLES = 144
_THETA = np.arange(N_ANGLES) * (2 * np.pi / N_ANGLES)
_UNIT = np.stack([np.sin(_THETA), np.cos(_THETA)], axis=1)  # (K, 2) as (y, x)
_MAX_ORDER = 36
_HARMONICS = np.exp(1j * np.outer(np.arange(_MAX_ORDER + 1), _THETA))  # (order, K)


@dataclass(frozen=True, eq=False)
class Outline:
    """One object before it is placed."""

    points_yx: np.ndarray
    """(K, 2) float64 vertices in pixels, relative to the object's origin, in order."""
    kind: Kind
    radius_px: float
    """Radius of the disc of equal area."""
    angle_rad: float
    """Direction of the long axis; 0 points along +x."""
    offset_yx: tuple[float, float] = (0.0, 0.0)
    """Origin relative to the place of the group (a dividing pair has two outlines)."""

    def reach(self, direction_rad: float) -> float:
        """Distance in pixels from the origin to the outline, looking in a direction.

        For an outline that is cut more than once the farthest cut counts, and the largest
        value within 10 degrees is taken.
        """
        angles = np.arctan2(self.points_yx[:, 0], self.points_yx[:, 1])
        apart = np.abs(np.angle(np.exp(1j * (angles - direction_rad))))
        near = apart <= max(np.pi / 18, float(apart.min()))
        return float(np.hypot(*self.points_yx[near].T).max())


def draw(
    kind: Kind, rng: np.random.Generator, radius_px: float, angle_rad: float | None = None
) -> tuple[Outline, ...]:
    """Draw a random outline of a family; ``"dividing"`` gives two that touch, all others one.

    Every outline of the families other than ``"dividing"`` has the area of a disc of
    `radius_px`; the two of a pair have half of that each. `angle_rad` is the direction of
    the long axis, at random if None.

    Raises
    ------
    ValueError
        If `kind` is not one of `KINDS`.
    """
    if kind not in KINDS:
        raise ValueError(f'Unknown shape "{kind}": choose one of {", ".join(KINDS)}.')
    angle = float(rng.uniform(-np.pi, np.pi)) if angle_rad is None else float(angle_rad)
    if kind == "dividing":
        return _dividing(rng, radius_px, angle)
    return (_finish(_FAMILIES[kind](rng), kind, radius_px, angle),)


def polygon_area(points_yx: np.ndarray) -> float:
    """Area enclosed by a simple polygon (K, 2), in square pixels (shoelace formula)."""
    y, x = points_yx[:, 0], points_yx[:, 1]
    return float(abs((x * _shifted(y)).sum() - (y * _shifted(x)).sum()) / 2)


def rasterise(
    points_yx: np.ndarray, shape: tuple[int, int]
) -> tuple[tuple[slice, slice], np.ndarray]:
    """Return the pixels of an image of `shape` whose centres lie inside a polygon.

    Pixel (i, j) has its centre at y = i, x = j. A centre on the left or upper edge is
    inside, on the right or lower edge outside, so polygons that share an edge share no
    pixel. Even-odd rule; parts outside the frame are cut off.

    Parameters
    ----------
    points_yx : (K, 2) vertices in order, in pixels; the last is joined to the first.

    Returns
    -------
    box : rows and columns of the bounding box inside the frame; empty slices where the
        polygon misses the frame.
    inside : bool mask of the box.
    """
    low, high = points_yx.min(axis=0), points_yx.max(axis=0)
    y0, x0 = (max(int(np.ceil(v)), 0) for v in low)
    y1, x1 = (min(int(np.floor(v)) + 1, n) for v, n in zip(high, shape, strict=True))
    if y1 <= y0 or x1 <= x0:
        return (slice(0, 0), slice(0, 0)), np.zeros((0, 0), dtype=bool)
    ya, xa = points_yx[:, 0], points_yx[:, 1]
    yb, xb = _shifted(ya), _shifted(xa)
    rows = np.arange(y0, y1, dtype=np.float64)[:, None]
    row, edge = np.nonzero((ya <= rows) != (yb <= rows))
    slope = (xb[edge] - xa[edge]) / (yb[edge] - ya[edge])
    cut = xa[edge] + (rows[row, 0] - ya[edge]) * slope
    column = np.clip(np.ceil(cut).astype(np.int64) - x0, 0, x1 - x0)
    width = x1 - x0 + 1
    toggles = np.bincount(row * width + column, minlength=(y1 - y0) * width)
    inside = np.cumsum(toggles.reshape(y1 - y0, width), axis=1)[:, :-1] % 2 == 1
    return (slice(y0, y1), slice(x0, x1)), inside


def _shifted(values: np.ndarray) -> np.ndarray:
    """The next vertex's value for every vertex of a closed polygon."""
    return np.concatenate((values[1:], values[:1]))


def _finish(shape: tuple[np.ndarray, float], kind: Kind, radius_px: float, angle: float) -> Outline:
    """Turn a radius function (K,) and a bend into an outline of the wanted size and direction.

    The bend is the shear y -> y + bend * x^2 / length along the long axis: it keeps the
    area and never makes the outline cross itself.
    """
    radii, bend = shape
    points = _UNIT * radii[:, None]
    if bend:
        length = float(np.abs(points[:, 1]).max())
        points = points + np.stack(
            [bend * points[:, 1] ** 2 / length, np.zeros(len(points))], axis=1
        )
    points = points * (radius_px * np.sqrt(np.pi / max(polygon_area(points), 1e-12)))
    return Outline(_turned(points, angle), kind, float(radius_px), angle)


def _turned(points_yx: np.ndarray, angle: float) -> np.ndarray:
    """Rotate points (K, 2) so that the +x axis points to `angle`."""
    c, s = np.cos(angle), np.sin(angle)
    y, x = points_yx[:, 0], points_yx[:, 1]
    return np.stack([s * x + c * y, c * x - s * y], axis=1)


def _waves(
    rng: np.random.Generator, size: float, first: int, last: int, power: float = 2.0
) -> np.ndarray:
    """Fourier series (K,) with coefficients N(0, size / k^power) for k = first..last."""
    orders = np.arange(first, last + 1)
    phase = np.exp(1j * rng.uniform(0, 2 * np.pi, len(orders)))
    weight = rng.normal(0, size, len(orders)) / orders**power
    return np.real((weight * phase)[:, None] * _HARMONICS[first : last + 1]).sum(axis=0)


def _superellipse(ratio: float, power: float) -> np.ndarray:
    """Radius function of |x/ratio|^power + |y|^power = 1; power 2 is an ellipse, less is pointed."""
    x, y = np.abs(np.cos(_THETA)) / ratio, np.abs(np.sin(_THETA))
    return (x**power + y**power) ** (-1 / power)


def _ellipse(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    return _superellipse(rng.uniform(1.0, 2.0), 2.0), 0.0


def _blob(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    waves = 1 + _waves(rng, rng.uniform(0.1, 0.45), 2, 8)
    return _superellipse(rng.uniform(1.0, 1.6), 2.0) * np.maximum(waves, 0.4), 0.0


def _round(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    return _superellipse(rng.uniform(1.0, 1.15), 2.0) * (1 + _waves(rng, 0.05, 2, 6)), 0.0


def _rod(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Capsule of length-to-width ratio 1.5 to 5: a stadium, seen from its centre."""
    half = rng.uniform(1.5, 5.0) - 1  # half the straight part; the caps have radius 1
    c, s = np.abs(np.cos(_THETA)), np.abs(np.sin(_THETA))
    side = 1 / np.maximum(s, 1e-9)
    cap = half * c + np.sqrt(np.maximum(1 - (half * s) ** 2, 0))
    return np.where(side * c <= half, side, cap), float(rng.normal(0, 0.12))


def _spindle(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    radii = _superellipse(rng.uniform(2.0, 4.5), rng.uniform(1.1, 1.7))
    return radii * (1 + _waves(rng, 0.04, 3, 12, 1.0)), float(rng.normal(0, 0.15))


def _adherent(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Spread cell: stellate (half), a fan with a lamellipodium (a third) or round with spikes.

    A process of length l is the bump l * (0.5 exp(f c) + 0.8 exp(g c)) with
    c = cos(theta - t) - 1: a broad foot (f = 2..7) that leaves concave sides between
    processes, and a thin tip (g = 15..70). A lamellipodium is a foot alone (f = 1..3).
    """
    style = rng.random()
    radii = _superellipse(rng.uniform(1.0, 2.2), rng.uniform(1.3, 2.1))
    bend = 0.0
    if style < 0.5:
        n = int(rng.integers(2, 6))
        long = rng.uniform(0.3, 1.7, n) * np.where(rng.random(n) < 0.2, 1.8, 1.0)
        radii = 0.75 * radii + _processes(rng, long, poles=rng.random() < 0.6)
        bend = float(rng.normal(0, 0.25))
    elif style < 0.85:
        long = rng.uniform(0.1, 0.7, int(rng.integers(0, 4)))
        side = np.cos(_THETA - rng.choice([-0.5, 0.5]) * np.pi - rng.normal(0, 0.4)) - 1
        radii = radii + rng.uniform(0.0, 1.0) * np.exp(rng.uniform(1.0, 3.0) * side)
        radii = radii + _processes(rng, long, poles=True)
        bend = float(rng.normal(0, 0.6))
    else:
        long = rng.uniform(0.1, 0.6, int(rng.integers(5, 12)))
        radii = _superellipse(rng.uniform(1.0, 1.3), 2.0) + _processes(rng, long, poles=False)
    rough = 1 + _waves(rng, rng.uniform(0.05, 0.25), 2, 6)
    rough += _waves(rng, rng.uniform(0.02, 0.25), 7, _MAX_ORDER, 1.3)
    return radii * np.maximum(rough, 0.35), bend


def _processes(rng: np.random.Generator, long: np.ndarray, *, poles: bool) -> np.ndarray:
    """Sum (K,) of processes of lengths `long`; with `poles` the first two lie on the long axis."""
    n = len(long)
    if n == 0:
        return np.zeros(N_ANGLES)
    at = rng.uniform(0, 2 * np.pi) + (np.arange(n) + rng.uniform(-0.35, 0.35, n)) * (2 * np.pi / n)
    if poles:
        at[:2] = (np.array([0.0, np.pi]) + rng.normal(0, 0.2, 2))[: min(n, 2)]
    foot, tip = rng.uniform(2, 7, n), rng.uniform(15, 70, n)
    turn = np.cos(_THETA - at[:, None]) - 1
    bumps = 0.5 * np.exp(foot[:, None] * turn) + 0.8 * np.exp(tip[:, None] * turn)
    return (long[:, None] * bumps).sum(axis=0)


def _lobed(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Nucleus of 2 to 4 lobes: the union of discs that all contain the origin."""
    n = int(rng.integers(2, 5))
    at = rng.uniform(0, 2 * np.pi) + np.arange(n) * (2 * np.pi / n) + rng.uniform(-0.3, 0.3, n)
    size = rng.uniform(0.8, 1.2, n)[:, None]
    away = size * rng.uniform(0.7, 0.92, n)[:, None]
    turn = _THETA - at[:, None]
    exits = away * np.cos(turn) + np.sqrt(size**2 - (away * np.sin(turn)) ** 2)
    return exits.max(axis=0), 0.0


def _debris(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    waves = 1 + _waves(rng, 0.5, 2, 8, 1.0)
    return _superellipse(rng.uniform(1.0, 3.0), rng.uniform(1.0, 2.0)) * np.maximum(waves, 0.3), 0.0


def _dividing(rng: np.random.Generator, radius_px: float, angle: float) -> tuple[Outline, ...]:
    """Two daughters of equal size, cut along the plane between them so that they only touch."""
    gap = rng.uniform(0.7, 1.0)  # distance of the cut, in daughter radii
    daughters = []
    for side in (0.0, np.pi):
        radii = 1 + _waves(rng, 0.08, 2, 6)
        towards = np.cos(_THETA)  # the sister lies along +x
        radii = np.where(towards > 0, np.minimum(radii, gap / np.maximum(towards, 1e-9)), radii)
        daughter = _finish((radii, 0.0), "dividing", radius_px / np.sqrt(2), angle + side)
        plane = float((daughter.points_yx @ _direction(angle + side)).max())
        away = -plane * _direction(angle + side)
        daughters.append(replace(daughter, offset_yx=(float(away[0]), float(away[1]))))
    return tuple(daughters)


def _direction(angle: float) -> np.ndarray:
    """Unit vector (y, x) towards `angle`."""
    return np.array([np.sin(angle), np.cos(angle)])


_FAMILIES: Mapping[Kind, Callable[[np.random.Generator], tuple[np.ndarray, float]]] = {
    "ellipse": _ellipse,
    "blob": _blob,
    "round": _round,
    "rod": _rod,
    "spindle": _spindle,
    "adherent": _adherent,
    "lobed": _lobed,
    "debris": _debris,
}
