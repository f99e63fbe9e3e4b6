"""Scores of predicted counts collected over a data set."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from microshot.metrics.counts import count_scores, coverage, rounded


@dataclass
class CountScores:
    """Compares predicted with true counts, image by image.

    Absolute errors, MAE, MRE and accuracy are those of rounded counts, the others of counts as
    they are; see `count_scores`.
    """

    rows: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Name and scores of every image added."""
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
