"""Maps that say at which pixels a network's mask can be trusted, with a stated rate of errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Calibration pixels remembered per class and image; neighbours tell nearly the same.
PIXELS_PER_IMAGE = 2000


@dataclass(frozen=True, eq=False)
class MaskCalibration:
    """How strange the true class looked at pixels that the network was not trained on."""

    background: np.ndarray
    """(n0,) float32 ascending: 1 less the probability of background, at background pixels."""
    nucleus: np.ndarray
    """(n1,) float32 ascending: 1 less the probability of a nucleus, at nuclei's pixels."""

    @classmethod
    def fit(
        cls, probability: list[np.ndarray], labels: list[np.ndarray], seed: int = 0
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
        background, nucleus = (np.sort(np.concatenate(parts)) for parts in found)
        for name, values in (("background", background), ("nuclei", nucleus)):
            if not len(values):
                raise ValueError(
                    f"Confidence needs calibration images with pixels of {name}, found none."
                )
        return cls(background, nucleus)

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
