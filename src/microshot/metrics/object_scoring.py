"""Scores of predicted objects collected over a data set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from microshot.metrics.labels import Tally, average_precision, match, sum_tallies
from microshot.metrics.overlap import ForegroundOverlap, foreground_overlap


@dataclass
class ObjectScores:
    """Adds up how well predicted objects agree with true ones, image by image.

    `threshold` is the least IoU of a match; objects that lie entirely in a border of
    `border_px` are not scored.
    """

    threshold: float = 0.5
    border_px: int = 0
    rows: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Name and scores of every image added."""
    _tallies: list[Tally] = field(default_factory=list)
    _precisions: list[float] = field(default_factory=list)
    _foreground: list[ForegroundOverlap] = field(default_factory=list)

    def add(self, name: str, truth: np.ndarray, prediction: np.ndarray) -> dict[str, Any]:
        """Score one image: two (Y, X) label images of equal size."""
        if truth.shape != prediction.shape:
            raise ValueError(
                f"{name}: true and predicted label image must have the same size, expected "
                f"{truth.shape[0]} x {truth.shape[1]} px, found {prediction.shape[0]} x "
                f"{prediction.shape[1]} px."
            )
        tally: Tally = match(truth, prediction, self.threshold, border_px=self.border_px)
        precision = average_precision(truth, prediction, border_px=self.border_px)
        foreground = foreground_overlap(truth, prediction)
        self._tallies.append(tally)
        self._precisions.append(precision)
        self._foreground.append(foreground)
        values = _named(tally, precision, foreground.dice)
        self.rows.append((name, values))
        return values

    def extend(self, other: ObjectScores) -> None:
        """Take in the images that `other` has scored by the same rules."""
        self.rows += other.rows
        self._tallies += other._tallies
        self._precisions += other._precisions
        self._foreground += other._foreground

    def summary(self) -> dict[str, Any]:
        """Return the scores of all images together; None where there is no image.

        Found, false and missed objects and the foreground are added up over the images;
        average precision is the mean over images.
        """
        if not self.rows:
            return dict.fromkeys(_named(Tally(0, 0, 0, 0.0), 1.0, 1.0))
        foreground = sum(self._foreground, ForegroundOverlap(0, 0, 0))
        precision = float(np.mean(self._precisions))
        return _named(sum_tallies(self._tallies), precision, foreground.dice)


def _named(tally: Tally, precision: float, dice: float) -> dict[str, Any]:
    return {
        "F1": tally.f1,
        "Precision": tally.precision,
        "Recall": tally.recall,
        "Average precision (0.50-0.95)": precision,
        "Panoptic quality": tally.panoptic_quality,
        "Foreground Dice": dice,
        "Found": tally.tp,
        "False": tally.fp,
        "Missed": tally.fn,
    }
