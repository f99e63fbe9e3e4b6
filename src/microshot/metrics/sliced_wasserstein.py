"""How far apart two sets of images are: sliced Wasserstein distance of their detail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Patches of 7 x 7 px, as in the source named below.
PATCH = 7
#: Levels of the pyramid: detail of about 1, 2, 4 px, and what is coarser.
LEVELS = 4
#: Weights of the binomial filter of the pyramid (Burt & Adelson 1983,
#: doi:10.1109/TCOM.1983.1095851).
_BINOMIAL = np.array([1, 4, 6, 4, 1], dtype=np.float32) / 16


@dataclass(frozen=True)
class Distance:
    """Distance between two sets of images, 0 where they hold the same."""

    levels: tuple[float, ...]
    """Per level of the pyramid, finest first, in standard deviations of both sets together."""

    @property
    def mean(self) -> float:
        """Mean over the levels."""
        return float(np.mean(self.levels))


def sliced_wasserstein(
    a: Sequence[np.ndarray],
    b: Sequence[np.ndarray],
    *,
    seed: int = 0,
    n_patches: int = 4096,
    n_directions: int = 96,
) -> Distance:
    """Compare two sets of images by small patches of each level of a Laplacian pyramid.

    The patches of either set are projected on the same random directions; the Wasserstein
    distance of the projections, which in one dimension is the mean difference of the sorted
    values, is averaged over directions (Rabin et al. 2012,
    doi:10.1007/978-3-642-24785-9_37; patches of Laplacian pyramids: Karras et al. 2018,
    arXiv:1710.10196, section 5). Each level is divided by the standard deviation of both
    sets together. The last level is not band-passed, so overall brightness counts too.

    Symmetric in `a` and `b`; exactly 0 for equal sets; the same for the same seed.

    Parameters
    ----------
    a, b : grey images (Y, X) of any size, at least one each, on one common grey scale.
    seed : where patches and directions come from.
    n_patches : patches per set and level, shared evenly between the images.
    n_directions : random directions.

    Raises
    ------
    ValueError
        If a set is empty, or an image is no plane or holds values that are not finite.
    """
    for name, images in (("first", a), ("second", b)):
        _check(name, images)
    directions = _directions(np.random.default_rng((seed, 1)), n_directions)
    first, second = (_patches(images, seed, n_patches) for images in (a, b))
    levels = []
    for own, other in zip(first, second, strict=True):
        spread = float(np.std(np.concatenate([own, other])))
        if spread == 0:
            levels.append(0.0)
            continue
        apart = np.sort(own @ directions, axis=0) - np.sort(other @ directions, axis=0)
        levels.append(float(np.abs(apart).mean()) / spread)
    return Distance(tuple(levels))


def _check(name: str, images: Sequence[np.ndarray]) -> None:
    if not len(images):
        raise ValueError(f"The {name} set of images to compare is empty; give at least one image.")
    for index, image in enumerate(images):
        if image.ndim != 2 or image.size == 0 or not np.isfinite(image).all():
            raise ValueError(
                f"Image {index + 1} of the {name} set: expected a grey image (y, x) of finite "
                f"values, found shape {image.shape}."
            )


def _directions(rng: np.random.Generator, n: int) -> np.ndarray:
    """Random unit vectors (PATCH^2, n) float32."""
    vectors = rng.standard_normal((PATCH * PATCH, n)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=0)


def _patches(images: Sequence[np.ndarray], seed: int, n: int) -> list[np.ndarray]:
    """Per level, (n, PATCH^2) float32 patches, drawn with places that depend on the seed only."""
    levels: list[list[np.ndarray]] = [[] for _ in range(LEVELS)]
    shares = np.bincount(np.arange(n) % len(images), minlength=len(images))
    for image, share in zip(images, shares.tolist(), strict=True):
        rng = np.random.default_rng((seed, 2, share))
        for found, level in zip(levels, pyramid(image), strict=True):
            places = rng.random((share, 2))
            found.append(_cut(level, places))
    return [np.concatenate(found) for found in levels]


def _cut(level: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Patches (n, PATCH^2) at relative places (n, 2); a level that is too small is mirrored."""
    missing = [max(PATCH - n, 0) for n in level.shape]
    level = np.pad(level, [(0, m) for m in missing], mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(level, (PATCH, PATCH))
    y, x = (places * windows.shape[:2]).astype(int).T
    return windows[y, x].reshape(len(places), PATCH * PATCH)


def pyramid(image: np.ndarray) -> list[np.ndarray]:
    """Laplacian pyramid of a (Y, X) image: `LEVELS` float32 images, finest first.

    Each level but the last is what blurring to the next takes away, at half the resolution
    of the one before.
    """
    levels, rest = [], image.astype(np.float32)
    for _ in range(LEVELS - 1):
        smooth = _smooth(rest)
        levels.append(rest - smooth)
        rest = smooth[::2, ::2]
    return [*levels, rest]


def _smooth(image: np.ndarray) -> np.ndarray:
    """Binomial blur (Y, X) float32, edges mirrored."""
    for axis in (0, 1):
        width = [(2, 2) if k == axis else (0, 0) for k in (0, 1)]
        padded = np.pad(image, width, mode="symmetric")
        n = image.shape[axis]
        image = np.zeros_like(image)
        for shift, weight in enumerate(_BINOMIAL):
            image += weight * np.take(padded, np.arange(shift, shift + n), axis)
    return image
