"""Published counting images: simple cells in a chamber, as released with the Twin-VAE."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from microshot.synth.counts import linear
from microshot.synth.scene import Scene, SceneObject
from microshot.synth.shapes import N_ANGLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from microshot.synth.counts import CountLaw

Softness = Literal["released", "0.1", "0.5", "0.75", "1"]
#: Part of the blurred image -> rim of phase-contrast cells that goes with it (notes in the code).
RIM_OF_SOFTNESS: Mapping[str, int] = {"0.1": 160, "0.5": 190, "0.75": 200, "1": 210}
#: Side of the released images in pixels; margins grow with larger ones.
SIDE_PX = 128
#: Places tried for one cell before the image is given up as full.
_MAX_TRIES = 400
_MIN_AREA_PX = 4


@dataclass(frozen=True)
class LegacyVariant:
    """What may differ from the released images."""

    paper: bool = False
    """Draw the paper's ingredients too; see `LegacyRecipe`."""
    softness: Softness = "released"
    """Part of the image that is blurred; ``"released"`` is 0.5 with a rim made for 0.1."""
    high_contrast: bool = False


@dataclass(frozen=True)
class LegacyRecipe:
    """One of the two released kinds of images; grey values are those of 8 bits.

    Numbers: the code released with Kenneweg, Stallmann & Hammer 2022,
    doi:10.1007/s00521-022-08115-2. What the paper adds to it (`paper`) has no published numbers;
    the ranges in `legacy_look` are ours.
    """

    radius_px: tuple[int, int]
    """Smallest and largest radius, every whole number equally likely."""
    margin_px: tuple[int, int, int, int]
    """Left, right, top, bottom: distance of a cell's disc from the frame."""
    overlap_px: int
    """How far two cells may overlap."""
    rim: tuple[int, int]
    """Darkest rim, and how many greys from there on are equally likely."""
    inner: tuple[int, int]
    """The same for the inside, an ellipse 1 px smaller on each side."""
    contrast_step: int
    """Added to the rim where high contrast is asked for."""
    softness: float = 0.5
    """Part of the image that is blurred with radius 1; the rest stays sharp."""
    bright_field: bool = True
    paper: bool = False
    """Add what the paper describes and the code lacks: luminance, blur and noise of each cell,
    and dividing pairs with noisier rims."""

    def varied(self, variant: LegacyVariant) -> LegacyRecipe:
        """Return a documented variant: softness with the rim that belongs to it, contrast."""
        made = replace(self, paper=variant.paper)
        if variant.softness != "released":
            rim = self.rim[0] if self.bright_field else RIM_OF_SOFTNESS[variant.softness]
            made = replace(made, softness=float(variant.softness), rim=(rim, self.rim[1]))
        if variant.high_contrast:
            made = replace(made, rim=(made.rim[0] + self.contrast_step, made.rim[1]))
        return made

    @property
    def mean_diameter_px(self) -> float:
        """Mean diameter of the cells before they are deformed."""
        return float(sum(self.radius_px))


LEGACY: Mapping[str, LegacyRecipe] = {
    "legacy-bright-field": LegacyRecipe(
        (3, 7), (26, 20, 12, 6), 0, rim=(80, 50), inner=(180, 30), contrast_step=-40
    ),
    "legacy-phase-contrast": LegacyRecipe(
        (3, 9),
        (12, 11, 11, 10),
        1,
        rim=(160, 50),
        inner=(50, 10),
        contrast_step=20,
        bright_field=False,
    ),
}

Box = tuple[float, float, float, float]


def sample_legacy(
    rng: np.random.Generator,
    recipe: LegacyRecipe,
    size_px: tuple[int, int],
    *,
    count: CountLaw | None = None,
    diameter_px: float | None = None,
) -> Scene:
    """Draw where the cells lie; without `count`, P(n) ~ 36 - n for 1 to 30 cells.

    A cell that finds no place within a fixed number of tries ends the image, so this always
    returns. Left and upper edges are shifted by -2 to 1 px (half of that for cells of 3 px).
    """
    n = (count or linear()).sample(rng)
    scale = 1.0 if diameter_px is None else diameter_px / recipe.mean_diameter_px
    discs: list[tuple[float, float, float]] = []
    groups: list[int] = []
    while len(discs) < n:
        pair = recipe.paper and len(discs) + 1 < n and rng.random() < 0.08
        found = _place(rng, recipe, size_px, scale, discs, pair=pair)
        if not found:
            break
        groups += [max(groups, default=-1) + 1] * len(found)
        discs += found
    boxes = [_deformed(rng, x, y, r) for y, x, r in discs]
    return _scene_of(boxes, groups, size_px, n)


def _place(
    rng: np.random.Generator,
    recipe: LegacyRecipe,
    size_px: tuple[int, int],
    scale: float,
    discs: list[tuple[float, float, float]],
    *,
    pair: bool,
) -> list[tuple[float, float, float]]:
    """Find a place for a cell, or for two that overlap; discs are (y, x, radius)."""
    left, right, top, bottom = recipe.margin_px
    rows, columns = (top, bottom, size_px[0]), (left, right, size_px[1])
    for _ in range(_MAX_TRIES):
        r = max(scale * int(rng.integers(recipe.radius_px[0], recipe.radius_px[1] + 1)), 1.5)
        y = _centre(rng, r, *rows)
        x = _centre(rng, r, *columns)
        found = [(y, x, r)]
        if pair:
            angle = rng.uniform(-np.pi, np.pi)
            apart = rng.uniform(1.3, 1.7) * r
            away = apart * float(np.sin(angle)), apart * float(np.cos(angle))
            found.append((_beside(y, away[0], r, *rows), _beside(x, away[1], r, *columns), r))
        if all(
            np.hypot(y - v, x - u) >= r + q - recipe.overlap_px
            for y, x, r in found
            for v, u, q in discs
        ):
            return found
    return []


def _limits(r: float, before: int, after: int, n: int) -> tuple[float, float]:
    """Return between which coordinates a cell lies inside the chamber."""
    return r + before * n / SIDE_PX, n - r - after * n / SIDE_PX


def _centre(rng: np.random.Generator, r: float, before: int, after: int, n: int) -> float:
    """Draw one coordinate in steps of 2 px from the first allowed one on."""
    low, high = _limits(r, before, after, n)
    steps = int(np.ceil((high - low) / 2))
    return low + 2 * int(rng.integers(steps)) if steps > 0 else (n - 1) / 2


def _beside(centre: float, away: float, r: float, before: int, after: int, n: int) -> float:
    """Return the coordinate of a sister: on the other side where she would leave the chamber."""
    low, high = _limits(r, before, after, n)
    return centre + away if low <= centre + away <= high else centre - away


def _deformed(rng: np.random.Generator, x: float, y: float, r: float) -> Box:
    """Left, top, right and bottom of a cell."""
    shift = rng.integers(-2, 2, 2) * (0.5 if r <= 3 else 1.0)
    return x - r + float(shift[0]), y - r + float(shift[1]), x + r, y + r


def _scene_of(boxes: list[Box], groups: list[int], size_px: tuple[int, int], n: int) -> Scene:
    """Draw labels; cells of which fewer than 4 px are seen do not exist."""
    from PIL import Image, ImageDraw

    canvas = Image.new("I", (size_px[1], size_px[0]))
    pen = ImageDraw.Draw(canvas)
    for index, box in enumerate(boxes):
        pen.ellipse(box, fill=index + 1)
    drawn = np.asarray(canvas, dtype=np.int32)
    areas = np.bincount(drawn.ravel(), minlength=len(boxes) + 1)
    ids, objects = np.zeros(len(boxes) + 1, dtype=np.int32), []
    for index, (box, group) in enumerate(zip(boxes, groups, strict=True)):
        if areas[index + 1] < _MIN_AREA_PX:
            continue
        centre = np.argwhere(drawn == index + 1).mean(axis=0)
        objects.append(_object(box, group, centre, int(areas[index + 1])))
        ids[index + 1] = len(objects)
    return Scene(ids[drawn], tuple(objects), n)


def _object(box: Box, group: int, centre: np.ndarray, area: int) -> SceneObject:
    left, top, right, bottom = box
    theta = np.arange(N_ANGLES) * (2 * np.pi / N_ANGLES)
    half = (bottom - top) / 2, (right - left) / 2
    middle = (bottom + top) / 2, (right + left) / 2
    return SceneObject(
        kind="ellipse",
        origin_yx=middle,
        centre_yx=(float(centre[0]), float(centre[1])),
        radius_px=float(np.sqrt(half[0] * half[1])),
        angle_rad=0.0 if half[1] >= half[0] else np.pi / 2,
        area_px=area,
        outline_yx=np.stack(
            [middle[0] + half[0] * np.sin(theta), middle[1] + half[1] * np.cos(theta)], axis=1
        ),
        group=group,
    )
