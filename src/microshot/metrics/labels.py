"""How well predicted objects agree with true ones: one-to-one matching and average precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from microshot.metrics.overlap import Intersection, intersection

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Thresholds of the 2018 Data Science Bowl, 0.50 to 0.95 in steps of 0.05.
AP_THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))


@dataclass(frozen=True)
class Tally:
    """Matched and unmatched objects of one image, or summed over images.

    Where there is neither a true nor a predicted object, agreement is perfect and every score
    is 1; where only one of the two is missing, every score is 0.
    """

    tp: int
    """Pairs of a true and a predicted object."""
    fp: int
    """Predicted objects without partner."""
    fn: int
    """True objects without partner."""
    score_sum: float
    """Sum of the IoU over the pairs."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.tp + other.tp,
            self.fp + other.fp,
            self.fn + other.fn,
            self.score_sum + other.score_sum,
        )

    @property
    def n_true(self) -> int:
        """True objects."""
        return self.tp + self.fn

    @property
    def n_predicted(self) -> int:
        """Predicted objects."""
        return self.tp + self.fp

    @property
    def precision(self) -> float:
        """TP / (TP + FP)."""
        return self._ratio(self.tp, self.n_predicted)

    @property
    def recall(self) -> float:
        """TP / (TP + FN)."""
        return self._ratio(self.tp, self.n_true)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN)."""
        return self._ratio(2 * self.tp, self.n_true + self.n_predicted)

    @property
    def accuracy(self) -> float:
        """TP / (TP + FP + FN), the "average precision" of the Data Science Bowl at one threshold."""
        return self._ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def panoptic_quality(self) -> float:
        """Sum of IoU / (TP + FP/2 + FN/2); Kirillov et al. 2019, doi:10.1109/CVPR.2019.00963, eq. 1."""
        return self._ratio(self.score_sum, self.tp + (self.fp + self.fn) / 2)

    def _ratio(self, part: float, whole: float) -> float:
        if not (self.tp or self.fp or self.fn):
            return 1.0
        return float(part / whole) if whole else 0.0


@dataclass(frozen=True)
class Matching(Tally):
    """The tally of one image with its pairs."""

    pairs: tuple[tuple[int, int], ...] = ()
    """(true id, predicted id) of each pair, by true id."""
    scores: tuple[float, ...] = ()
    """IoU of each pair."""


def match(
    truth: np.ndarray,
    prediction: np.ndarray,
    threshold: float = 0.5,
    *,
    strict: bool = False,
    border_px: int = 0,
) -> Matching:
    """Pair true and predicted objects one to one.

    As many pairs as possible are made; among equally many, those with the highest sum of IoU.

    Parameters
    ----------
    truth, prediction, border_px : see `intersection`.
    threshold : intersection over union (IoU) that a pair must reach, above 0 to 1.
    strict : whether the IoU must exceed the threshold (2018 Data Science Bowl) rather than
        reach it (StarDist).

    Raises
    ------
    ValueError : as `intersection`, and for a threshold outside its range.
    """
    return match_intersection(
        intersection(truth, prediction, border_px=border_px), threshold, strict=strict
    )


def match_intersection(
    table: Intersection,
    threshold: float = 0.5,
    *,
    strict: bool = False,
) -> Matching:
    """Pair objects as `match`, from a table that serves several thresholds."""
    if not 0 < threshold <= 1:
        raise ValueError(f"The threshold must lie above 0 and up to 1, found {threshold}.")
    scores = table.iou()
    good = np.flatnonzero(scores > threshold if strict else scores >= threshold)
    chosen = good[_assignment(table.rows[good], table.columns[good], scores[good])]
    chosen = chosen[np.argsort(table.rows[chosen])]
    true_ids = table.truth_ids[table.rows[chosen]].tolist()
    predicted_ids = table.prediction_ids[table.columns[chosen]].tolist()
    n = len(chosen)
    return Matching(
        n,
        len(table.prediction_ids) - n,
        len(table.truth_ids) - n,
        float(scores[chosen].sum()),
        tuple(zip(true_ids, predicted_ids, strict=True)),
        tuple(scores[chosen].tolist()),
    )


def _assignment(rows: np.ndarray, columns: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return which of the possible pairs to make, as indices.

    An object with one possible partner that has no other needs no search; only groups of
    objects that compete are assigned (Hungarian method), so the cost matrices stay small.
    """
    if not len(rows):
        return np.zeros(0, np.int64)
    lonely = (np.bincount(rows)[rows] == 1) & (np.bincount(columns)[columns] == 1)
    rivals = np.flatnonzero(~lonely)
    if not len(rivals):
        return np.flatnonzero(lonely)
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n_rows, n_columns = rows.max() + 1, columns.max() + 1
    ends = (rows[rivals], n_rows + columns[rivals])
    graph = coo_array((np.ones(len(rivals)), ends), shape=(n_rows + n_columns,) * 2)
    _, group = connected_components(graph, directed=False)
    order = rivals[np.argsort(group[rows[rivals]], kind="stable")]
    _, starts = np.unique(group[rows[order]], return_index=True)
    chosen = [np.flatnonzero(lonely)]
    for members in np.split(order, starts[1:]):
        _, r = np.unique(rows[members], return_inverse=True)
        _, c = np.unique(columns[members], return_inverse=True)
        shape = (r.max() + 1, c.max() + 1)
        gain = np.zeros(shape)
        gain[r, c] = 1 + scores[members] / (2 * min(shape))  # one pair more beats any score
        pair = np.full(shape, -1)
        pair[r, c] = members
        made = pair[linear_sum_assignment(gain, maximize=True)]
        chosen.append(made[made >= 0])
    return np.concatenate(chosen)


def average_precision(
    truth: np.ndarray,
    prediction: np.ndarray,
    thresholds: Sequence[float] = AP_THRESHOLDS,
    *,
    border_px: int = 0,
) -> float:
    """Return the score of the 2018 Data Science Bowl for one image, 0 to 1.

    Mean over `thresholds` of TP / (TP + FP + FN), where a pair's IoU must *exceed* the threshold
    (Caicedo et al. 2019, doi:10.1038/s41592-019-0612-7). 1 for an image without objects, true
    or predicted.
    """
    table = intersection(truth, prediction, border_px=border_px)
    return float(np.mean([match_intersection(table, t, strict=True).accuracy for t in thresholds]))


def sum_tallies(tallies: Iterable[Tally]) -> Tally:
    """Count the objects of several images together."""
    total = Tally(0, 0, 0, 0.0)
    for tally in tallies:
        total += tally
    return total
