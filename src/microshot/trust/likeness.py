"""Whether an image is like those a model was trained on, and if not, what is different about it.

The model keeps the signatures (`metrics.texture`) of some of its training images. The distance of
a new image to the nearest of them is held against the distances of the training images to each
other. Where it is too large, the same is done with the training images inverted, blurred and
resized: an image that is like one of these is called so. Where training images vary so much that
few others are far from all of them, what each check looks at alone still speaks: contrast,
sharpness and the size of objects.

References
----------
.. [1] Sun et al. 2022, doi:10.48550/arXiv.2204.06507 (nearest neighbours).
.. [2] Gelman et al. 2013, Bayesian Data Analysis, section 3.3 (limits from few images: the scatter
   is learned from the images and from a prior that weighs as much as `PRIOR_IMAGES` of them).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.metrics.texture import (
    CONTRAST,
    N_NUMBERS,
    TYPICAL_SCATTER,
    inverted,
    is_noise,
    sharpness,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

#: Training images kept, and those of each variant.
MOST_KEPT, MOST_VARIED = 48, 8
#: With fewer training images nothing can be said.
LEAST_IMAGES = 3
#: Images that the prior counts for.
PRIOR_IMAGES = 4.0
#: Prior scatter: of the logarithm of distances, of the sharpness and of the log2 of diameters.
DISTANCE_SCATTER, SHARPNESS_SCATTER, SIZE_SCATTER = 0.3, 0.4, 0.25
#: Part of the images like those of the training that are not flagged, for each of the checks; for
#: the size of objects, which may be too small or too large, twice as many are.
LEVEL = 0.9925
#: Prior scatter of the contrast (-1 to 1), and the same part for it, whose tails are heavy.
CONTRAST_SCATTER, CONTRAST_LEVEL = 0.15, 0.999
#: How far it must at least be from the middle: images of one kind have more ground or less.
LEAST_CONTRAST = 0.4
#: Objects whose size is compared, at least.
LEAST_OBJECTS = 5
#: Variants of the training images and what an image like them is called.
BLURRED, LARGER, SMALLER = "blurred", "larger", "smaller"
INVERTED_WORDS, BLURRED_WORDS, OTHER_WORDS = (
    "inverted contrast",
    "out of focus",
    "other kind of image",
)
DARKER_WORDS, BRIGHTER_WORDS = "darker background", "brighter background"
#: Of an image without any structure, such as an empty field.
NOISE_WORDS = "nothing but noise"
_WORDS = {
    BLURRED: BLURRED_WORDS,
    LARGER: "structures about twice as large",
    SMALLER: "structures about half as large",
}


@dataclass(frozen=True)
class Range:
    """Where numbers of images like those of the training lie."""

    middle: float
    reach: float
    """Largest difference that is not remarkable, above 0."""

    @classmethod
    def of(cls, values: ArrayLike, prior_scatter: float, level: float = LEVEL) -> Range:
        """Return the range in which the next of such `values` (n,), n > 0, lies."""
        from scipy.stats import t

        known = np.asarray(values, float)
        n = len(known)
        freedom = PRIOR_IMAGES + n - 1
        squares = PRIOR_IMAGES * prior_scatter**2 + float(((known - known.mean()) ** 2).sum())
        width = float(t.ppf(level, freedom)) * np.sqrt(squares / freedom * (1 + 1 / n))
        return cls(float(known.mean()), float(width))

    def excess(self, value: float) -> float:
        """Return the difference of `value` in units of the reach, with its sign."""
        return (value - self.middle) / self.reach


@dataclass(frozen=True)
class Verdict:
    """What is said of one image."""

    score: float
    """0 or more; above 1 the image is unlike the training images."""
    warning: str = ""
    """What is different, in plain words; empty where the image is like the training images."""


@dataclass(frozen=True, eq=False)
class Likeness:
    """What a model remembers of the look of its training images."""

    references: np.ndarray
    """(n, 16) signatures."""
    distances: Range
    """Of the log distance of a training image to the nearest other one."""
    sharp: Range
    sizes: Range | None = None
    """Of the log2 of the median diameter of the objects of an image, in px."""
    variants: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Signatures (m, 16) of blurred and resized training images."""

    @classmethod
    def of(
        cls,
        signatures: Sequence[np.ndarray],
        diameters: Sequence[float] = (),
        variants: Mapping[str, Sequence[np.ndarray]] | None = None,
    ) -> Likeness | None:
        """Learn from training images; None where there are too few.

        Parameters
        ----------
        signatures : (16,) of each image.
        diameters : in px, the median of the objects of each image that has enough of them.
        variants : signatures of images that were changed, by the name of the change.
        """
        if len(signatures) < LEAST_IMAGES:
            return None
        kept = np.stack(signatures[:MOST_KEPT]).round(4)
        scatter = _scatter(kept)
        apart = _distances(kept, kept, scatter)
        np.fill_diagonal(apart, np.inf)
        nearest = np.log(np.maximum(apart.min(1), 1e-3))
        sizes = np.log2(np.asarray(diameters, float))
        return cls(
            kept,
            Range.of(nearest, DISTANCE_SCATTER),
            Range.of(sharpness(kept), SHARPNESS_SCATTER),
            Range.of(sizes, SIZE_SCATTER) if len(sizes) >= LEAST_IMAGES else None,
            {k: np.stack(v[:MOST_VARIED]).round(4) for k, v in (variants or {}).items() if len(v)},
        )

    def judge(self, signature: np.ndarray, diameters: ArrayLike = ()) -> Verdict:
        """Say how unlike the training images an image is, and why.

        Parameters
        ----------
        signature : (16,) of the image.
        diameters : in px, of the objects found in it.
        """
        scatter = _scatter(self.references)
        limit = float(np.exp(self.distances.middle + self.distances.reach))

        def away(found: np.ndarray, known: np.ndarray) -> float:
            return float(_distances(found[None], known, scatter).min()) / limit

        far, size = away(signature, self.references), self._size(diameters)
        dull = -self.sharp.excess(float(sharpness(signature)))
        contrast, usual = float(signature[CONTRAST]), self.contrast
        score = max(far, dull, abs(size), abs(usual.excess(contrast)))
        if score <= 1:
            return Verdict(score)
        if is_noise(signature) and not abs(size) > 1:
            return Verdict(score, NOISE_WORDS)
        reasons = []
        if abs(size) > 1 and self.sizes is not None:
            reasons.append(_of_size(float(_log2_median(diameters)) - self.sizes.middle))
        near = {INVERTED_WORDS: away(inverted(signature), self.references)}
        near |= {_WORDS[k]: away(signature, v) for k, v in self.variants.items() if k in _WORDS}
        best = min(near, key=lambda k: near[k])
        if abs(usual.excess(contrast)) > 1:
            reasons.append(_of_contrast(contrast, usual))
        elif far > 1 and near[best] <= 1:
            reasons.append(best)
        elif dull > 1 >= far:
            reasons.append(BLURRED_WORDS)
        elif far > 1 and not reasons:
            reasons.append(OTHER_WORDS)
        return Verdict(score, ", ".join(reasons))

    @property
    def contrast(self) -> Range:
        """Of the contrast, whatever else an image has."""
        found = Range.of(self.references[:, CONTRAST], CONTRAST_SCATTER, CONTRAST_LEVEL)
        return replace(found, reach=max(found.reach, LEAST_CONTRAST))

    def _size(self, diameters: ArrayLike) -> float:
        """Return how far the size of objects is outside the training's, with its sign."""
        if self.sizes is None or np.size(diameters) < LEAST_OBJECTS:
            return 0.0
        return self.sizes.excess(float(_log2_median(diameters)))

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers and lists."""
        ranges = {"distances": self.distances, "sharp": self.sharp, "sizes": self.sizes}
        return {
            "references": self.references.tolist(),
            "variants": {k: v.tolist() for k, v in self.variants.items()},
            **{k: [r.middle, r.reach] for k, r in ranges.items() if r is not None},
        }

    @classmethod
    def from_json(cls, values: Any) -> Likeness | None:
        """Return what `to_json` wrote; None where a model keeps nothing of the kind.

        Raises
        ------
        ValueError
            If it is not what `to_json` writes.
        """
        if not isinstance(values, dict) or "references" not in values:
            return None
        variants = values.get("variants", {})
        if not isinstance(variants, dict):
            raise _changed("variants", variants)
        sizes = values.get("sizes")
        return cls(
            _signatures("references", values["references"], MOST_KEPT),
            _range("distances", values.get("distances")),
            _range("sharp", values.get("sharp")),
            None if sizes is None else _range("sizes", sizes),
            {str(k): _signatures(str(k), v, MOST_VARIED) for k, v in variants.items()},
        )


def _scatter(references: np.ndarray) -> np.ndarray:
    """Return the scatter of each number (16,) among (n, 16), drawn to what is typical."""
    squares = ((references - references.mean(0)) ** 2).sum(0)
    freedom = PRIOR_IMAGES + len(references) - 1
    return np.sqrt((PRIOR_IMAGES * TYPICAL_SCATTER**2 + squares) / freedom)


def _distances(a: np.ndarray, b: np.ndarray, scatter: np.ndarray) -> np.ndarray:
    """Return (n, m): root mean square difference in units of the scatter."""
    return np.sqrt((((a[:, None] - b[None]) / scatter) ** 2).mean(2))


def _log2_median(diameters: ArrayLike) -> float:
    return float(np.log2(np.median(np.asarray(diameters, float))))


def _of_size(octaves: float) -> str:
    """Say by how much objects are larger or smaller."""
    ratio = 2 ** abs(octaves)
    if 1.7 < ratio < 2.4:
        return f"objects {'twice' if octaves > 0 else 'half'} as large"
    return f"objects {ratio:.1f} times as {'large' if octaves > 0 else 'small'}"


def _of_contrast(contrast: float, usual: Range) -> str:
    """Say how the contrast differs: inverted, or what lies between the objects."""
    if abs(usual.excess(-contrast)) <= 1:
        return INVERTED_WORDS
    return DARKER_WORDS if contrast > usual.middle else BRIGHTER_WORDS


def _changed(name: str, value: Any) -> ValueError:
    return ValueError(
        f'The model\'s memory of its training images has a wrong value, "{name}": {value!r:.60}; '
        "the model file was changed by another program."
    )


def _range(name: str, value: Any) -> Range:
    numbers: list[Any] = value if isinstance(value, list) and len(value) == 2 else [None]
    if not all(type(n) in (int, float) and abs(n) < 1e6 for n in numbers) or numbers[1] <= 0:
        raise _changed(name, value)
    return Range(float(numbers[0]), float(numbers[1]))


def _signatures(name: str, value: Any, most: int) -> np.ndarray:
    rows: list[Any] = value if isinstance(value, list) and 0 < len(value) <= most else [None]
    for row in rows:
        numbers: list[Any] = row if isinstance(row, list) and len(row) == N_NUMBERS else [None]
        if not all(type(n) in (int, float) and abs(n) < 1e6 for n in numbers):
            raise _changed(name, value)
    return np.array(rows, float)
