"""Random changes of training patches that leave their labels true.

`Augmenter` makes them one patch after the other. What it draws can also be drawn alone
(`drawn_shade`, `drawn_map`), for patches that are changed elsewhere.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Strength:
    """Ranges of the random changes; the pixel values are those of a normalised image."""

    scale: tuple[float, float] = (1.0, 1.0)
    """Magnification, the same for y and x."""
    rotate_deg: float = 0.0
    """Greatest rotation to either side."""
    shear_deg: float = 0.0
    stretch: float = 0.0
    """Greatest relative difference between the magnification of x and of y, in every other patch."""
    gain: tuple[float, float] = (1.0, 1.0)
    """Factor on all pixel values."""
    offset: float = 0.0
    """Greatest constant added or taken away."""
    gamma: tuple[float, float] = (1.0, 1.0)
    """Exponent on the patch's own range of values."""
    noise: float = 0.0
    """Greatest standard deviation of Gaussian noise."""
    blur_px: float = 0.0
    """Greatest standard deviation of a Gaussian blur."""
    shading: float = 0.0
    """Greatest change of brightness from one side of the patch to the other."""
    invert: float = 0.0
    """Probability of turning bright into dark, around `Augmenter.middle`."""
    cubic: bool = False
    """Whether grey values between pixels are found by cubic convolution, which blurs less than a
    straight line between them but overshoots beside sharp edges."""

    @property
    def of_shapes(self) -> Strength:
        """What of it moves pixels; grey values stay as they are."""
        return Strength(self.scale, self.rotate_deg, self.shear_deg, self.stretch, cubic=self.cubic)

    @property
    def of_shades(self) -> Strength:
        """What of it changes grey values; pixels stay where they are."""
        nothing = Strength()
        return replace(
            self, scale=nothing.scale, rotate_deg=nothing.rotate_deg,
            shear_deg=nothing.shear_deg, stretch=nothing.stretch,
        )  # fmt: skip


_SHAPES = Strength(scale=(0.8, 1.25), rotate_deg=180, shear_deg=5, stretch=0.1)
_STANDARD = replace(
    _SHAPES, gain=(0.6, 1.7), offset=0.2, gamma=(0.7, 1.4), noise=0.05, blur_px=0.7, shading=0.2
)
#: ``shapes`` leaves grey values as they are, for what is foretold from them, and blurs them least:
#: fine structure of transmitted light foretells stains; ``light`` is what
#: StarDist's example notebooks do; ``heavy`` follows the ranges with which pretraining on
#: simulated nuclei transferred best (Wilhelm 2019, combined data sets); ``contrasts`` is what made
#: pretraining transfer between techniques in ``benchmarks``.
STRENGTHS = {
    "none": Strength(),
    "shapes": replace(_SHAPES, cubic=True),
    "light": Strength(gain=(0.6, 2.0), offset=0.2, noise=0.02),
    "standard": _STANDARD,
    "contrasts": replace(_STANDARD, invert=0.5),
    "heavy": Strength(
        scale=(0.5, 1.7), rotate_deg=180, shear_deg=16, stretch=0.2, gain=(0.4, 2.0), offset=0.3,
        gamma=(0.5, 2.0), noise=0.15, blur_px=2.0, shading=0.4, invert=0.3,
    ),
}  # fmt: skip


#: Part of the patches that are stretched, and of those that are blurred.
_SOME = 0.5


class Shade(NamedTuple):
    """One draw of how the grey values of a patch change, in the order in which that is done."""

    inverted: float = 0.0
    """1 = bright is turned into dark."""
    exponent: float = 1.0
    blur_px: float = 0.0
    gain: float = 1.0
    offset: float = 0.0
    rise: float = 0.0
    """Change of brightness over the patch, in the direction of `angle` (radian)."""
    angle: float = 0.0
    noise: float = 0.0


def drawn_shade(s: Strength, rng: np.random.Generator) -> Shade:
    """Draw how the grey values of one patch change."""
    drawn: dict[str, float] = {}
    if s.invert:
        drawn["inverted"] = float(rng.random() < s.invert)
    if s.gamma != (1.0, 1.0):
        drawn["exponent"] = float(np.exp(rng.uniform(*np.log(s.gamma))))
    if s.blur_px and rng.random() < _SOME:
        drawn["blur_px"] = float(rng.uniform(0, s.blur_px))
    if s.gain != (1.0, 1.0) or s.offset:
        drawn["gain"] = float(rng.uniform(*s.gain))
        drawn["offset"] = float(rng.uniform(-s.offset, s.offset))
    if s.shading:
        drawn["rise"] = float(rng.uniform(0, s.shading))
        drawn["angle"] = float(rng.uniform(0, 2 * np.pi))
    if s.noise:
        drawn["noise"] = float(rng.uniform(0, s.noise))
    return Shade(**drawn)


def drawn_map(s: Strength, rng: np.random.Generator) -> np.ndarray:
    """Draw how one patch is moved, mirrored and turned.

    Returns (2, 2) float64: where a pixel of the patch was before, y and x relative to the
    middle, is this map applied to where it is.
    """
    back = np.eye(2)
    if libraries(s):
        scale = rng.uniform(*s.scale)
        turn = np.deg2rad(rng.uniform(-s.rotate_deg, s.rotate_deg, 1))
        shear = np.tan(np.deg2rad(rng.uniform(-s.shear_deg, s.shear_deg, 2)))
        low, high = (1 - s.stretch, 1 + s.stretch) if rng.random() < _SOME else (1.0, 1.0)
        back = _back(turn, shear, rng.uniform(low, high), scale)[0, ::-1, ::-1]
    turns, mirrored = _drawn_symmetry(rng)
    turned = np.linalg.matrix_power([[0, 1], [-1, 0]], turns)
    return back @ turned * [1, -1 if mirrored else 1]


class Augmenter:
    """Applies one `Strength` to patches; every call draws anew from the given generator.

    `middle` is the normalised value around which contrast is inverted: 0.5 for images
    scaled to 0..1, 0 for those of mean 0.
    """

    def __init__(self, strength: Strength, middle: float = 0.5) -> None:
        self.strength = strength
        self.middle = middle

    def margin(self, size: int) -> int:
        """Return how many px around a patch of `size` px its moved content may come from."""
        if not libraries(self.strength):
            return 0
        return int(np.ceil(size / 2 * (_reach(self.strength) - 1))) + 2

    def __call__(
        self, image: np.ndarray, labels: np.ndarray, size: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Change a (C, M, M) float32 patch and its (M, M) int32 labels; return them at `size`.

        M is `size` plus the `margin` on either side; what is cut away would have been filled
        by mirroring.
        """
        if libraries(self.strength):
            back = drawn_map(self.strength, rng)
            image, labels = _moved(image, labels, size, back, cubic=self.strength.cubic)
        else:
            start = (labels.shape[0] - size) // 2
            crop = slice(start, start + size)
            image, labels = _mirror_and_turn(image[:, crop, crop], labels[crop, crop], rng)
        return self.values(image, rng), np.ascontiguousarray(labels)

    def values(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Change the grey values of a (C, Y, X) patch alone; return a new float32 array."""
        s, shade = self.strength, drawn_shade(self.strength, rng)
        image = np.array(image, np.float32)
        if shade.inverted:
            image = 2 * self.middle - image
        if s.gamma != (1.0, 1.0):
            image = _gamma(image, shade.exponent)
        if s.blur_px:
            image = _blur(image, shade.blur_px)
        if s.gain != (1.0, 1.0) or s.offset:
            image = image * shade.gain + shade.offset
        if s.shading:
            image = image + _slope(image.shape[1:], shade.rise, shade.angle)
        if s.noise:
            image = image + rng.normal(0.0, 1.0, image.shape).astype(np.float32) * shade.noise
        return np.ascontiguousarray(image, np.float32)


def libraries(s: Strength) -> tuple[str, ...]:
    """Return the large library that shape changes need; none for mirrors and quarter turns."""
    changed = s.scale != (1.0, 1.0) or s.rotate_deg or s.shear_deg or s.stretch
    return ("albumentations",) if changed else ()


def _moved(
    image: np.ndarray, labels: np.ndarray, size: int, back: np.ndarray, *, cubic: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Move, mirror and turn a patch in one step, by a map of `drawn_map`; only `size` px are made."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks the network otherwise
    import cv2
    from albumentations.augmentations.geometric import functional

    here, there = (size - 1) / 2, (labels.shape[0] - 1) / 2
    matrix = np.eye(3)
    matrix[:2, :2] = back[::-1, ::-1]  # x before y
    matrix[:2, 2] = there - matrix[:2, :2].sum(1) * here

    def warped(pixels: np.ndarray, interpolation: int) -> np.ndarray:
        return functional.warp_affine(
            pixels, matrix, interpolation | cv2.WARP_INVERSE_MAP, 0.0, cv2.BORDER_REFLECT_101,
            (size, size),
        )  # fmt: skip

    between = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
    planes = [warped(np.ascontiguousarray(plane, np.float32), between) for plane in image]
    # float32 holds every id to 2**24 exactly (see `patches.GREATEST_ID`); OpenCV has no int32
    ids = warped(labels.astype(np.float32), cv2.INTER_NEAREST)
    return np.stack(planes), ids.astype(np.int32)


def _reach(s: Strength) -> float:
    """Return how far a moved patch's content comes from at most, relative to half its side."""
    degrees = np.arange(0.0, min(s.rotate_deg, 180.0) + 1)
    turn = np.deg2rad(np.concatenate([degrees, -degrees]))
    farthest = 1.0
    shear = np.tan(np.deg2rad([-s.shear_deg, 0.0, s.shear_deg]))
    for shear_x, shear_y, stretch in product(shear, shear, {1 - s.stretch, 1.0, 1 + s.stretch}):
        inverse = _back(turn, (shear_x, shear_y), stretch, s.scale[0])
        farthest = max(farthest, float(np.abs(inverse).sum(2).max()))  # of a corner (±1, ±1)
    return farthest


def _back(
    turn: np.ndarray, shear: Sequence[float] | np.ndarray, stretch: float, scale: float
) -> np.ndarray:
    """Return the maps (K, 2, 2) from moved to original x and y for K turns (K,), in radian.

    moved = stretch · shear · turn · scale · original, so original = (…)⁻¹ moved.
    """
    straight = np.linalg.inv([[stretch, 0], [0, 1]] @ np.array([[1, shear[0]], [shear[1], 1]]))
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.einsum("ijk,jl->kil", turned, straight) / scale


def _drawn_symmetry(rng: np.random.Generator) -> tuple[int, bool]:
    """Draw quarter turns, and whether to mirror afterwards."""
    return int(rng.integers(4)), bool(rng.random() < 0.5)


def _mirror_and_turn(
    image: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Apply one of the eight symmetries of the square."""
    turns, mirrored = _drawn_symmetry(rng)
    image, labels = np.rot90(image, turns, (1, 2)), np.rot90(labels, turns)
    return (image[:, :, ::-1], labels[:, ::-1]) if mirrored else (image, labels)


def _gamma(image: np.ndarray, exponent: float) -> np.ndarray:
    """Bend the values between the patch's least and greatest, which stay where they are."""
    low, high = float(image.min()), float(image.max())
    if high - low < 1e-6:
        return image
    return ((image - low) / (high - low)) ** exponent * (high - low) + low


def _blur(image: np.ndarray, sd_px: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(image, (0, sd_px, sd_px), mode="reflect") if sd_px > 0.1 else image


def _slope(shape: tuple[int, int], height: float, angle: float) -> np.ndarray:
    """Return a plane that rises by `height` over the patch in a direction, mean 0."""
    y, x = np.linspace(-0.5, 0.5, shape[0]), np.linspace(-0.5, 0.5, shape[1])
    return (height * (np.sin(angle) * y[:, None] + np.cos(angle) * x[None])).astype(np.float32)
