"""Maps that say at which pixels a network's mask can be trusted, with a stated rate of errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Calibration pixels drawn per class and image; neighbours tell nearly the same.
PIXELS_PER_IMAGE = 2000
#: Calibration pixels remembered per class: errors of 1 in 100 are told to within 0.3 in 100.
MOST_PIXELS = 1000
#: Steps in which a model file stores strangeness; rounded up, which promises less, not more.
STEP = 1e-5


@dataclass(frozen=True, eq=False)
class MaskCalibration:
    """How strange the true class looked at pixels that the network was not trained on."""

    background: np.ndarray
    """(n0,) float32 ascending: 1 less the probability of background, at background pixels."""
    nucleus: np.ndarray
    """(n1,) float32 ascending: 1 less the probability of a nucleus, at nuclei's pixels."""

    @classmethod
    def fit(
        cls, probability: Sequence[np.ndarray], labels: Sequence[np.ndarray], seed: int = 0
    ) -> MaskCalibration:
        """Return the calibration from images held out of training.

        Parameters
        ----------
        probability : (Y, X) probabilities of a nucleus.
        labels : (Y, X) ids; 0 background, negative = not annotated, left out.

        Raises
        ------
        ValueError
            If a class has no pixel at all.
        """
        rng = np.random.default_rng(seed)
        found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        for p, truth in zip(probability, labels, strict=True):
            for index, where in enumerate((truth == 0, truth > 0)):
                values = 1 - p[where] if index else p[where]
                n = min(len(values), PIXELS_PER_IMAGE)
                found[index].append(rng.choice(values, n, replace=False).astype(np.float32))
        kept = []
        for name, parts in zip(("background", "nuclei"), found, strict=True):
            values = np.concatenate([np.zeros(0, np.float32), *parts])
            if not len(values):
                raise ValueError(
                    f"Confidence needs calibration images with pixels of {name}, found none."
                )
            few = rng.choice(values, min(len(values), MOST_PIXELS), replace=False)
            kept.append(np.sort(few).astype(np.float32))
        return cls(*kept)

    def to_json(self) -> dict[str, list[float]]:
        """Return plain lists of numbers."""
        parts = {"background": self.background, "nucleus": self.nucleus}
        return {
            name: np.round(np.ceil(values.astype(np.float64) / STEP) * STEP, 5).tolist()
            for name, values in parts.items()
        }

    @classmethod
    def from_json(cls, document: Any) -> MaskCalibration:
        """Return what `to_json` wrote.

        Raises
        ------
        ValueError
            If it is not two ascending lists of numbers from 0 to 1.
        """
        given = document if isinstance(document, Mapping) else {}
        parts = []
        for name in ("background", "nucleus"):
            listed = given.get(name)
            ok = isinstance(listed, list) and all(type(v) in (int, float) for v in listed)
            values = np.asarray(listed if ok else [], np.float32)
            inside = len(values) and values[0] >= 0 and values[-1] <= 1 + STEP
            if not inside or not (np.diff(values) >= 0).all():  # NaN is neither
                raise ValueError(
                    f"The model must remember for its confidence how strange pixels of {name} "
                    f"looked, as ascending numbers from 0 to 1, found {listed!r:.60}; the model "
                    "file was changed by another program."
                )
            parts.append(values)
        return cls(*parts)

    def maps(self, probability: np.ndarray) -> ConfidenceMaps:
        """Return what is known of every pixel of an image (Y, X) of probabilities of a nucleus."""
        return ConfidenceMaps(*self.p_values(probability))

    def p_values(self, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return p-values of background and of nucleus at every pixel, (Y, X) float32 each.

        (1 + number of calibration pixels of the class at least as strange) / (n + 1).

        References
        ----------
        .. [1] Vovk et al. 2005, doi:10.1007/b106715, section 4.5 (label-conditional conformal).
        """
        return _p_value(self.background, probability), _p_value(self.nucleus, 1 - probability)


def _p_value(calibration: np.ndarray, strangeness: np.ndarray) -> np.ndarray:
    at_least = len(calibration) - np.searchsorted(calibration, strangeness.astype(np.float32))
    return ((1 + at_least) / (len(calibration) + 1)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class ConfidenceMaps:
    """What is known of every pixel of one image."""

    background: np.ndarray
    """(Y, X) float32 p-value of background."""
    nucleus: np.ndarray
    """(Y, X) float32 p-value of nucleus."""

    @property
    def confidence(self) -> np.ndarray:
        """1 less the second largest p-value: how sure it is that it is not the other class."""
        return 1 - np.minimum(self.background, self.nucleus)

    @property
    def credibility(self) -> np.ndarray:
        """The largest p-value: low where a pixel is like nothing in the calibration images."""
        return np.maximum(self.background, self.nucleus)

    def classes(self, error: float) -> np.ndarray:
        """Return which classes remain possible, (Y, X) uint8: 0 none, 1 background, 2 nucleus, 3 both.

        The true class is left out at no more than `error` of the pixels of each class, in images
        like those of the calibration.
        """
        return ((self.background > error) + 2 * (self.nucleus > error)).astype(np.uint8)

    def seeds(self, error: float) -> np.ndarray:
        """Return the connected regions that are surely nuclei, (Y, X) int32 ids: watershed seeds."""
        from skimage.measure import label

        return np.asarray(label(self.classes(error) == 2, connectivity=1)).astype(np.int32)

    def certain(self, error: float) -> float:
        """Return the part of the pixels, 0 to 1, at which one class alone remains possible."""
        return float(np.isin(self.classes(error), (1, 2)).mean())


def grown(seeds: np.ndarray, probability: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Let `seeds` (Y, X) grow over `mask` where nuclei are most probable, (Y, X) int32 ids.

    Parts of the mask that no seed reaches stay 0: nothing in them was surely a nucleus.
    """
    from skimage.segmentation import watershed

    return watershed(-np.asarray(probability, np.float32), seeds, mask=mask).astype(np.int32)
