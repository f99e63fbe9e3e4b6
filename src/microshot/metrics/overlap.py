"""Pixels that true and predicted objects share: the table every label metric is computed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: A predicted object with more than this part of its area on ignored pixels is not judged.
IGNORED_FRACTION = 0.5


@dataclass(frozen=True, eq=False)
class Intersection:
    """Which true and predicted objects share pixels: a contingency table without its zeros."""

    truth_ids: np.ndarray
    """(T,) ids of the true objects that are judged, ascending."""
    prediction_ids: np.ndarray
    """(P,) ids of the predicted objects that are judged, ascending."""
    truth_px: np.ndarray
    """(T,) areas in pixels."""
    prediction_px: np.ndarray
    """(P,) areas in pixels, ignored pixels not counted."""
    rows: np.ndarray
    """(K,) index into `truth_ids` of each overlapping pair."""
    columns: np.ndarray
    """(K,) index into `prediction_ids` of each overlapping pair."""
    shared_px: np.ndarray
    """(K,) pixels that both objects have in common, at least 1."""

    def iou(self) -> np.ndarray:
        """Return (K,) float64, above 0 to 1: shared pixels over the union of each overlapping pair."""
        together = self.truth_px[self.rows] + self.prediction_px[self.columns]
        return self.shared_px / (together - self.shared_px)


def intersection(truth: np.ndarray, prediction: np.ndarray, *, border_px: int = 0) -> Intersection:
    """Count the pixels that each true shares with each predicted object.

    Pixels where `truth` is negative are not judged: they count for no object, and predicted
    objects that lie on them with more than half their area are left out.

    Parameters
    ----------
    truth : (Y, X) integer ids; 0 background, negative = ignore (not annotated).
    prediction : (Y, X) integer ids; 0 and below is background.
    border_px : objects, true or predicted, without a pixel inside the frame shrunk by this much
        are left out: the "field of interest" of the Cell Tracking Challenge, whose annotators
        skip cells at the edge (Maška et al. 2023, doi:10.1038/s41592-023-01879-y).

    Raises
    ------
    ValueError : if the arrays differ in shape, are not integers, or the border leaves nothing.
    """
    truth, prediction = _checked(truth, prediction, border_px)
    truth_ids, truth_index = _indexed(truth)
    prediction_ids, prediction_index = _indexed(prediction)
    n_true, n_predicted = len(truth_ids), len(prediction_ids)
    judged = truth >= 0
    whole_px = np.bincount(prediction_index.ravel(), minlength=n_predicted + 1)
    prediction_px = np.bincount(prediction_index[judged], minlength=n_predicted + 1)
    truth_px = np.bincount(truth_index.ravel(), minlength=n_true + 1)
    keep_truth = _inside(truth_index, n_true, border_px)
    keep_prediction = _inside(prediction_index, n_predicted, border_px)
    keep_prediction &= whole_px - prediction_px <= IGNORED_FRACTION * whole_px
    both = (truth_index > 0) & (prediction_index > 0)
    code = truth_index[both].astype(np.int64) * (n_predicted + 1) + prediction_index[both]
    codes, shared_px = np.unique(code, return_counts=True)
    rows, columns = np.divmod(codes, n_predicted + 1)
    kept = keep_truth[rows] & keep_prediction[columns]
    keep_truth[0] = keep_prediction[0] = False
    return Intersection(
        truth_ids[keep_truth[1:]],
        prediction_ids[keep_prediction[1:]],
        truth_px[keep_truth],
        prediction_px[keep_prediction],
        np.cumsum(keep_truth)[rows[kept]] - 1,
        np.cumsum(keep_prediction)[columns[kept]] - 1,
        shared_px[kept],
    )


def _checked(
    truth: np.ndarray, prediction: np.ndarray, border_px: int
) -> tuple[np.ndarray, np.ndarray]:
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    if truth.shape != prediction.shape or truth.ndim != 2:
        raise ValueError(
            "Truth and prediction must be label images (y, x) of one size, found "
            f"{truth.shape} and {prediction.shape}."
        )
    for what, labels in (("truth", truth), ("prediction", prediction)):
        if not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(f"The {what} must hold whole numbers, found {labels.dtype}.")
    if border_px < 0 or (border_px and 2 * border_px >= min(truth.shape)):
        raise ValueError(
            f"The border must leave part of the image of {truth.shape[0]} x {truth.shape[1]} px, "
            f"found {border_px} px."
        )
    return truth, prediction


def _indexed(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the positive ids ascending, and per pixel 0 or the id's place, counted from 1."""
    top = int(labels.max(initial=0))
    if top <= max(1 << 20, labels.size):
        present = np.bincount(np.maximum(labels, 0).ravel(), minlength=1) > 0
        present[0] = False
        ids = np.flatnonzero(present)
        return ids, np.cumsum(present)[np.maximum(labels, 0)] * (labels > 0)
    ids = np.unique(labels)
    ids = ids[ids > 0].astype(np.int64)
    return ids, (np.searchsorted(ids, labels) + 1) * (labels > 0)


def _inside(index: np.ndarray, n: int, border_px: int) -> np.ndarray:
    """Return (n + 1,) bool: which objects have a pixel inside the shrunk frame."""
    inner = index[border_px : index.shape[0] - border_px, border_px : index.shape[1] - border_px]
    return np.bincount(inner.ravel(), minlength=n + 1) > 0


@dataclass(frozen=True)
class ForegroundOverlap:
    """Pixels of true, predicted and common foreground; addable over images."""

    shared_px: int
    truth_px: int
    prediction_px: int

    def __add__(self, other: ForegroundOverlap) -> ForegroundOverlap:
        return ForegroundOverlap(
            self.shared_px + other.shared_px,
            self.truth_px + other.truth_px,
            self.prediction_px + other.prediction_px,
        )

    @property
    def dice(self) -> float:
        """2 x common / (true + predicted); 1 where both are empty."""
        total = self.truth_px + self.prediction_px
        return 2 * self.shared_px / total if total else 1.0

    @property
    def iou(self) -> float:
        """Common / union; 1 where both are empty."""
        union = self.truth_px + self.prediction_px - self.shared_px
        return self.shared_px / union if union else 1.0


def foreground_overlap(truth: np.ndarray, prediction: np.ndarray) -> ForegroundOverlap:
    """Compare what is object and what is background, pixel by pixel.

    Parameters are those of `intersection`; pixels where `truth` is negative are not judged.
    """
    truth, prediction = _checked(truth, prediction, 0)
    true, predicted = truth > 0, (prediction > 0) & (truth >= 0)
    return ForegroundOverlap(
        int(np.count_nonzero(true & predicted)),
        int(np.count_nonzero(true)),
        int(np.count_nonzero(predicted)),
    )
