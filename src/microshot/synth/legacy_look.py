"""How the published counting images are drawn: ellipses of two greys over a chamber."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from microshot.synth.legacy import Box, LegacyRecipe
    from microshot.synth.scene import Scene, SceneObject

#: How far a varied cell's blur may reach beyond its box.
_REACH_PX = 8
#: Chambers: rectangles (top, left, bottom, right) as parts of the frame.
_BRIGHT_CHAMBER = (
    (0.07, 0.175, 0.955, 0.845), (-0.1, 0.205, 0.1, 0.285), (-0.1, 0.38, 0.1, 0.455),
    (-0.1, 0.55, 0.1, 0.64), (-0.1, 0.735, 0.1, 0.815),
)  # fmt: skip
_PHASE_CHAMBER = ((0.06, 0.06, 0.94, 0.94), (-0.1, 0.44, 0.2, 0.565), (0.8, 0.44, 1.1, 0.565))


def render_legacy(
    scene: Scene, recipe: LegacyRecipe, background: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw cells over a background, in greys of 8 bits.

    The layer of cells, black and transparent where there is none, is averaged with its blurred
    copy, colours and opacity alike; colours are not weighted by opacity, which darkens the
    outermost pixels. That is how the released images were made.

    Parameters
    ----------
    background : (Y, X) float, 0 to 255.

    Returns
    -------
    (Y, X) float32, 0 to 255.
    """
    if recipe.paper:
        grey, alpha = _varied(scene, recipe, rng)
    else:
        grey, alpha = _soft(*_layer(scene, recipe, rng), recipe.softness)
    return (background * (1 - alpha) + grey * alpha).astype(np.float32)


def _layer(
    scene: Scene, recipe: LegacyRecipe, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Grey (Y, X) uint8 and opacity (Y, X) uint8 of all cells, sharp."""
    from PIL import Image, ImageDraw

    size = scene.shape[1], scene.shape[0]
    canvas, mask = Image.new("L", size), Image.new("L", size)
    for item in scene.objects:
        rim, inner = (start + int(rng.integers(n)) for start, n in (recipe.rim, recipe.inner))
        _ellipse(ImageDraw.Draw(canvas), box_of(item), rim, inner)
        ImageDraw.Draw(mask).ellipse(box_of(item), fill=255)
    return np.asarray(canvas), np.asarray(mask)


def _ellipse(pen: object, box: Box, rim: int, inner: int) -> None:
    left, top, right, bottom = box
    pen.ellipse(box, fill=rim)  # type: ignore[attr-defined]
    if right - left > 2 and bottom - top > 2:
        pen.ellipse((left + 1, top + 1, right - 1, bottom - 1), fill=inner)  # type: ignore[attr-defined]


def box_of(item: SceneObject) -> Box:
    """Return left, top, right and bottom of a cell, to 1e-6 px as they were drawn."""
    low, high = item.outline_yx.min(axis=0), item.outline_yx.max(axis=0)
    left, top, right, bottom = (round(float(v), 6) for v in (low[1], low[0], high[1], high[0]))
    return left, top, right, bottom


def _soft(
    grey: np.ndarray, alpha: np.ndarray, softness: float, radius: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Blend a layer with its blurred copy: greys and opacities (0 to 1)."""
    from PIL import Image, ImageFilter

    blurred = [
        np.asarray(Image.fromarray(part).filter(ImageFilter.GaussianBlur(radius)), dtype=np.float64)
        for part in (grey, alpha)
    ]
    mixed = [(1 - softness) * p + softness * b for p, b in zip((grey, alpha), blurred, strict=True)]
    return mixed[0], mixed[1] / 255


def _varied(
    scene: Scene, recipe: LegacyRecipe, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Cells drawn one by one, each with luminance, blur and noise of its own.

    Luminance factor 0.85 to 1.15, blur radius 0.4 to 1.6 px, noise of up to 6 greys (standard
    deviation); of the rims of dividing pairs 10 to 20. Colours are weighted by opacity.
    """
    grey, alpha = np.zeros(scene.shape), np.zeros(scene.shape)
    groups = [item.group for item in scene.objects]
    for item in scene.objects:
        box = box_of(item)
        y0, x0 = (max(int(v) - _REACH_PX, 0) for v in (box[1], box[0]))
        place = (
            slice(y0, max(int(box[3]) + _REACH_PX, 0)),
            slice(x0, max(int(box[2]) + _REACH_PX, 0)),
        )
        moved = box[0] - x0, box[1] - y0, box[2] - x0, box[3] - y0
        divides = groups.count(item.group) > 1
        own, cover = _one_cell(moved, grey[place].shape, recipe, rng, divides=divides)
        grey[place] = own * cover + grey[place] * (1 - cover)
        alpha[place] = cover + alpha[place] * (1 - cover)
    return np.divide(grey, alpha, out=np.zeros_like(grey), where=alpha > 0), alpha


def _one_cell(
    box: Box,
    shape: tuple[int, ...],
    recipe: LegacyRecipe,
    rng: np.random.Generator,
    *,
    divides: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Greys and opacity (0 to 1) of one varied cell on a patch of `shape`."""
    from PIL import Image, ImageDraw

    size = shape[1], shape[0]
    rim, inner = (start + int(rng.integers(n)) for start, n in (recipe.rim, recipe.inner))
    light = rng.uniform(0.85, 1.15)
    colours = [int(np.clip(round(light * v), 0, 255)) for v in (rim, inner)]
    canvas, mask = Image.new("L", size, colours[0]), Image.new("L", size)
    _ellipse(ImageDraw.Draw(canvas), box, colours[0], colours[1])
    ImageDraw.Draw(mask).ellipse(box, fill=255)
    noise = np.full(shape, rng.uniform(0, 6))
    if divides:
        noise[np.asarray(canvas) == colours[0]] = rng.uniform(10, 20)
    rough = np.asarray(canvas) + noise * rng.standard_normal(shape)
    pixels = np.clip(np.rint(rough), 0, 255).astype(np.uint8)
    return _soft(pixels, np.asarray(mask), recipe.softness, float(rng.uniform(0.4, 1.6)))


def chamber(shape: tuple[int, int], *, bright_field: bool) -> np.ndarray:
    """Empty field (Y, X) float64 in greys of 8 bits: a chamber with channels.

    Drawn by a rule of ours to the statistics of the released backgrounds, which are means of
    real images: bright field 199 (125 to 240), phase contrast 60 (42 to 117).
    """
    depth = _depth(shape, _BRIGHT_CHAMBER if bright_field else _PHASE_CHAMBER)
    if bright_field:
        dark = np.exp(-(((depth - 0.3) / 0.9) ** 2)) + 0.7 * np.exp(-(((depth + 2.2) / 0.8) ** 2))
        light = np.exp(-(((depth + 0.9) / 1.3) ** 2))
        return 203 - 77 * dark + 34 * light - 2.5 * (depth > 2)
    inside = 56 + 32 * np.exp(-np.maximum(depth, 0) / 4)
    wall = 42 * np.exp(-(((depth + 0.3) / 0.9) ** 2))
    return np.where(depth > 0, inside, 45.0) + wall


def _depth(shape: tuple[int, int], rectangles: tuple[tuple[float, ...], ...]) -> np.ndarray:
    """Distance (Y, X) to the chamber's wall in 128ths of the shorter side, negative outside."""
    from scipy import ndimage

    pad = 16
    mask = np.zeros((shape[0] + 2 * pad, shape[1] + 2 * pad), dtype=bool)
    for top, left, bottom, right in rectangles:
        rows = slice(max(pad + round(top * shape[0]), 0), max(pad + round(bottom * shape[0]), 0))
        columns = slice(pad + round(left * shape[1]), pad + round(right * shape[1]))
        mask[rows, columns] = True
    if not mask.any():
        return np.full(shape, 8.0)
    inner = np.asarray(ndimage.distance_transform_edt(mask))
    outer = np.asarray(ndimage.distance_transform_edt(~mask))
    depth = np.where(mask, inner - 0.5, 0.5 - outer) * (128 / min(shape))
    return depth[pad : pad + shape[0], pad : pad + shape[1]]
