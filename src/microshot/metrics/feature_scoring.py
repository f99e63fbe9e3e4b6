"""The feature score: how far measurements on predicted stains are from those on the real ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.metrics.stain_features import measure_stains, stain_keys
from microshot.metrics.stain_objects import NUCLEUS_PX, GreyScale
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: A feature whose median is below this part of its mean size is divided by that mean instead.
MEDIAN_PART = 0.1
#: Shares of the light are divided by one percent at least: what is next to nothing in the truth
#: would outweigh all other features.
LEAST_PERCENT = 1.0


@dataclass(frozen=True)
class FeatureError:
    """How well one feature is kept."""

    name: str
    truth: float
    """Mean over the images that have it, on the measured stains."""
    prediction: float
    """The same on the predicted ones."""
    error: float
    """Mean of |prediction - truth| over the truth's median; 0 is perfect."""


def feature_errors(
    truth: Sequence[Mapping[str, float]], prediction: Sequence[Mapping[str, float]]
) -> list[FeatureError]:
    """Return the error of every feature over all images, in the order of the features.

    The challenge's: mean over images of |prediction - truth| / median of the truth. It leaves
    open what to do where that cannot be computed; here a feature that one side lacks (NaN: no
    object to measure) counts as 0 on that side, and an image where both lack it is left out; a
    median that is tiny beside the mean of |truth| gives way to that mean, and one of a share of
    light below 1 % to 1 %; where the truth is 0 in all images, every image with another
    prediction counts 1. A feature that no image has is left out.

    References
    ----------
    .. [1] github.com/aidotse/adipocyte_cell_challenge, hackathon_evaluation_metrics.ipynb.
    """
    names = dict.fromkeys(name for row in (*truth, *prediction) for name in row)
    made = []
    for name in names:
        pairs = np.array(
            [(t.get(name, np.nan), p.get(name, np.nan))
             for t, p in zip(truth, prediction, strict=True)], np.float64
        )  # fmt: skip
        pairs = pairs[~np.isnan(pairs).all(axis=1)]
        if len(pairs):
            least = LEAST_PERCENT if name.endswith("(%)") else 0.0
            made.append(FeatureError(name, *_told(pairs), _error(pairs, least)))
    return made


def feature_score(errors: Iterable[FeatureError]) -> float:
    """Return the mean error over the features; NaN where there is none."""
    values = [one.error for one in errors]
    return float(np.mean(values)) if values else float("nan")


def _told(pairs: np.ndarray) -> tuple[float, float]:
    """Return means over images that have the feature, NaN where none has it."""
    means = [column[~np.isnan(column)] for column in pairs.T]
    truth, prediction = (float(m.mean()) if len(m) else float("nan") for m in means)
    return truth, prediction


def _error(pairs: np.ndarray, least: float) -> float:
    known = np.abs(pairs[:, 0][~np.isnan(pairs[:, 0])])
    values = np.nan_to_num(pairs)
    mean = float(known.mean()) if len(known) else 0.0
    if not max(mean, least) > 0:
        return float(np.mean(values[:, 1] != 0))
    middle = abs(float(np.median(pairs[:, 0][~np.isnan(pairs[:, 0])]))) if len(known) else 0.0
    by = max(middle if middle >= MEDIAN_PART * mean else mean, least)
    return float(np.abs(values[:, 1] - values[:, 0]).mean() / by)


@dataclass
class FeatureScores:
    """Adds up features of measured and predicted stains, image by image.

    `names` are those of the stains, which say what they show (see `stain_features.kinds_of`);
    `nucleus_px` is the typical width of a nucleus in all images (see
    `stain_features.typical_nucleus`).
    """

    names: Sequence[str]
    nucleus_px: float = NUCLEUS_PX
    images: list[str] = field(default_factory=list)
    """Names of the images added."""
    truth: list[dict[str, float]] = field(default_factory=list)
    """One row of features per image, on the measured stains."""
    prediction: list[dict[str, float]] = field(default_factory=list)
    """The same on the predicted ones."""

    def add(self, name: str, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Measure one image: measured and predicted stains (T, Y, X), T as `names`.

        Objects are looked for on the same grey scale, that of the measured stains. Of a prediction
        with pixels that are no finite numbers, nothing is measured.

        Raises
        ------
        ValueError
            If the two differ in size, or in the number of stains from `names`, or a pixel of the
            measured stains is no finite number.
        """
        if truth.shape != prediction.shape or len(truth) != len(self.names):
            raise ValueError(
                f"{name}: expected measured and predicted images of {how_many(len(self.names), 'stain')} "
                f"in one size, found {_size(truth)} and {_size(prediction)}; compare each image with its own "
                "prediction."
            )
        if not np.isfinite(truth).all():
            raise ValueError(
                f"{name}: expected measured stains of numbers, found {truth[~np.isfinite(truth)][0]}; "
                "replace such pixels before scoring."
            )
        keys = stain_keys(self.names)
        scales = {k: GreyScale.of(t, p) for k, t, p in zip(keys, truth, prediction, strict=True)}
        self.images.append(name)
        for rows, stains in ((self.truth, truth), (self.prediction, prediction)):
            given = dict(zip(keys, stains, strict=True))
            rows.append(measure_stains(given, scales, self.nucleus_px))

    def errors(self) -> list[FeatureError]:
        """Return the table: one row per feature over all images."""
        return feature_errors(self.truth, self.prediction)

    def score(self) -> float:
        """Return the feature score of all images; NaN where there is none."""
        return feature_score(self.errors())

    def table(self) -> list[dict[str, Any]]:
        """Return the table with plain headings, the worst feature first."""
        worst = sorted(self.errors(), key=lambda one: -one.error)
        return [
            {"Feature": e.name, "Measured": e.truth, "Predicted": e.prediction, "Error": e.error}
            for e in worst
        ]


def _size(stains: np.ndarray) -> str:
    return f"{len(stains)} of {stains.shape[1]} x {stains.shape[2]} px"
