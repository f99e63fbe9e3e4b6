"""What all ways of counting share: the raw count of an image, its true count, the prediction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot import conformal
from microshot.data.objects import object_areas
from microshot.tasks.base import image_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.data.dataset import Sample
    from microshot.tasks.base import Recipe

#: Levels of the intervals whose half-widths a model keeps.
LEVELS = (0.8, 0.9, 0.95)


@dataclass(frozen=True, eq=False)
class RawCount:
    """What a network says about one image, before any threshold, rounding or interval."""

    count: float
    """Not rounded, 0 or more."""
    points: np.ndarray | None = None
    """(n, 2) float32 y and x of the objects in px of the image, where the way knows them."""
    heat: np.ndarray | None = None
    """(Y, X) float32 objects per px; its sum is `count`."""
    spread: float | None = None
    """Standard deviation of the count over samples of the latent variables."""
    clarity: float | None = None
    """How clearly the network told objects apart, 0 to 1, where the way knows it."""
    embedding: np.ndarray | None = None
    """(L,) float32 latent mean."""
    reconstruction: np.ndarray | None = None
    """(Y, X) float32 the image as the network reproduces it, 0 to 1."""


@dataclass(frozen=True, eq=False)
class CountPrediction:
    """The number of objects in one image, and between which numbers it lies."""

    raw: RawCount
    low: float = 0.0
    """Least count in the interval, a whole number."""
    high: float = math.inf
    """Greatest count in the interval, a whole number; inf where nothing is known."""
    level: float = LEVELS[0]
    """How often such intervals hold the true count."""
    note: str = ""
    """Why the interval is without bound; empty where it is not."""
    diameter_px: float = 0.0
    """What objects were taken to measure; 0 = what the model knows."""

    @property
    def count(self) -> float:
        """Number of objects, not rounded."""
        return self.raw.count

    @property
    def n_objects(self) -> int:
        """Number of objects, rounded; halves to the even number."""
        return round(self.raw.count)

    @property
    def points(self) -> np.ndarray | None:
        """(n, 2) y and x of the objects, where they are known."""
        return self.raw.points

    @property
    def heat(self) -> np.ndarray | None:
        """(Y, X) objects per px, where they are known."""
        return self.raw.heat

    @property
    def confidence(self) -> float | None:
        """How clearly the objects were told apart, 0 to 1, where it is known."""
        return self.raw.clarity


@dataclass(frozen=True)
class Options:
    """What a user may change when predicting; 0 = as the model says."""

    diameter_px: float = 0.0
    tile_px: int = 0
    level: float = 0.0
    """Of the interval, one of `LEVELS`; 0 = 0.9, or 0.8 with too few images for that."""
    size_found: str = "auto"
    """See `tasks.common_size`."""


def true_count(sample: Sample) -> float | None:
    """Return the number of objects: the count if given, else of points, else of labels, or None.

    None too where objects may lie in areas to be ignored.
    """
    if sample.count is not None:
        return float(sample.count)
    if sample.partly_known:
        return None
    if sample.points is not None:
        return float(len(sample.points))
    return None if sample.labels is None else float(len(object_areas(sample.labels)))


def half_widths(raw: Sequence[RawCount], samples: Sequence[Sample]) -> dict[str, float]:
    """Return what intervals need, from predictions on images the model was not trained on.

    ``calibration_images``, and ``interval_80`` and so on: the half-width of the interval of
    that level in units of the square root of the count, as far as the images suffice.
    """
    pairs = [
        (truth, r.count)
        for r, s in zip(raw, samples, strict=True)
        if (truth := true_count(s)) is not None
    ]
    errors = conformal.errors_of([t for t, _ in pairs], [p for _, p in pairs])
    found = {_key(level): conformal.quantile(errors, level) for level in LEVELS}
    finite = {key: value for key, value in found.items() if math.isfinite(value)}
    return {"calibration_images": float(len(errors)), **finite}


def checked_thresholds(given: Mapping[str, Any]) -> dict[str, float]:
    """Return the thresholds of a model file completed.

    Raises
    ------
    ValueError
        If a number makes no sense.
    """
    made: dict[str, float] = {"calibration_images": 0.0}
    for name in ("calibration_images", *map(_key, LEVELS)):
        if name not in given:
            continue
        value = given[name]
        ok = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not ok or not 0 <= value < 1e300:
            raise ValueError(
                f"The model's {name} must be a number from 0 on, found {value!r:.60}; "
                "the model file was changed by another program."
            )
        made[name] = float(value)
    return made


def decoded(raw: RawCount, recipe: Recipe, options: Options) -> CountPrediction:
    """Put the interval around a raw count."""
    kept = recipe.thresholds
    n = int(kept.get("calibration_images", 0))
    level = options.level or (LEVELS[1] if _key(LEVELS[1]) in kept else LEVELS[0])
    if level not in LEVELS:
        raise ValueError(
            f"Interval: expected one of {', '.join(map(str, LEVELS))} as level, found {level!r:.60}."
        )
    half = float(kept.get(_key(level), math.inf))
    low, high = conformal.around(raw.count, half)
    note = ""
    if math.isinf(half):
        note = conformal.too_few(n, level) or f"The model keeps no interval of {level:.0%}."
    return CountPrediction(raw, low, high, level, note, options.diameter_px)


def _key(level: float) -> str:
    return f"interval_{level * 100:.0f}"


def colour_mean(sample: Sample, recipe: Recipe) -> np.ndarray:
    """Return the normalised image (Y, X) float32, averaged over its channels.

    Raises
    ------
    ValueError
        If it has another number of channels than the model's training images.
    """
    pixels = image_for(sample, recipe).pixels
    return recipe.normalization.apply(pixels).mean(axis=0, dtype=np.float32)
