"""Scores of predicted counts collected over a data set."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from microshot.metrics.counts import count_scores, coverage, rounded

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass
class CountScores:
    """Compares predicted with true counts, image by image.

    Absolute errors, MAE, MRE and accuracy are those of rounded counts, the others of counts as
    they are; see `count_scores`.
    """

    rows: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Name and scores of every image added."""
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    """From where to where the count of an image lies, where that is known."""
    _bounds: list[tuple[float, float, float]] = field(default_factory=list)

    def add(
        self,
        name: str,
        truth: float,
        predicted: float,
        low: float | None = None,
        high: float | None = None,
    ) -> dict[str, Any]:
        """Score one image; its interval does not count where a bound is missing."""
        inside = None
        if low is not None and high is not None:
            self._bounds.append((truth, low, high))
            self.intervals[name] = low, high
            inside = bool(low <= truth <= high)
        values = {
            "True count": float(truth),
            "Count": float(predicted),
            "Error": float(predicted) - float(truth),
            "Absolute error": float(abs(rounded(predicted) - truth)),
            "Inside interval": inside,
        }
        self.rows.append((name, values))
        return values

    def worst(self, most: int) -> dict[str, dict[str, Any]]:
        """Return the images whose rounded counts are farthest off, the worst first, and their scores."""
        return dict(sorted(self.rows, key=lambda row: -row[1]["Absolute error"])[:most])

    def summary(self) -> dict[str, Any]:
        """Return the scores of all images together; None where there is nothing to score."""
        found = count_scores(
            [row["True count"] for _, row in self.rows], [row["Count"] for _, row in self.rows]
        )
        columns = tuple(zip(*self._bounds, strict=True)) or ((), (), ())
        values = {
            "MAE": found["mae"],
            "MRE": found["mre"],
            "Accuracy": found["accuracy"],
            "RMSE": found["rmse"],
            "Bias": found["bias"],
            "Interval coverage": coverage(*columns),
        }
        known = {name: None if math.isnan(value) else value for name, value in values.items()}
        return known | {"Intervals": len(self._bounds)}


def worst_counted(scores: Mapping[str, CountScores], most: int) -> list[dict[str, Any]]:
    """Return what a page shows of the images that the best prediction counts worst.

    Parameters
    ----------
    scores : of one or more predictions, all of the same images, by name.
    most : images.

    Returns
    -------
    Per image ``name``, ``true`` and ``counts``: count and interval (None where there is none) by
    prediction.
    """
    known = {name: own for name, own in scores.items() if own.rows}
    if not known:
        return []
    best = min(known, key=lambda name: known[name].summary()["MAE"])
    of = {name: dict(own.rows) for name, own in known.items()}
    return [
        {
            "name": image,
            "true": row["True count"],
            "counts": {
                name: (of[name][image]["Count"], own.intervals.get(image))
                for name, own in known.items()
            },
        }
        for image, row in known[best].worst(most).items()
    ]
