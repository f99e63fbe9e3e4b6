"""Scores of predicted stains, of one image and collected over a data set."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.metrics import images

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Headings of the scores in tables, by the names of `stain_scores`.
HEADINGS = {"pearson": "Pearson r", "ssim": "SSIM", "psnr": "PSNR (dB)", "med_mae": "medMAE"}


def stain_scores(truth: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """Compare a predicted stain (Y, X) with the measured one; see `metrics.images`.

    ``med_mae`` is the mean error over the image's own median.
    """
    return {
        "pearson": images.pearson(truth, prediction),
        "med_mae": images.med_mae([truth], [prediction]),
        "psnr": images.psnr(truth, prediction),
        "ssim": images.ssim(truth, prediction),
    }


@dataclass
class StainScores:
    """Compares one predicted stain with the measured one, image by image."""

    rows: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Name and scores of every image added, by heading; None where a score does not exist."""

    def add(self, name: str, truth: np.ndarray, prediction: np.ndarray) -> dict[str, Any]:
        """Score one image: two (Y, X) arrays in the camera's numbers.

        Raises
        ------
        ValueError
            If they differ in size.
        """
        if truth.shape != prediction.shape:
            raise ValueError(
                f"{name}: expected the size of the measured stain, {truth.shape[0]} x "
                f"{truth.shape[1]} px, found {prediction.shape[0]} x {prediction.shape[1]} px; "
                "compare stains of one and the same field of view."
            )
        found = stain_scores(truth, prediction)
        values = {heading: _known(found[key]) for key, heading in HEADINGS.items()}
        self.rows.append((name, values))
        return values

    def summary(self) -> dict[str, Any]:
        """Return the mean of every score over the images that have it; None where none has."""
        return {
            heading: _mean([row[heading] for _, row in self.rows]) for heading in HEADINGS.values()
        }


def _known(value: float) -> float | None:
    """Return a number; None for what is none, and for the infinite PSNR of a perfect stain."""
    return value if math.isfinite(value) else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
