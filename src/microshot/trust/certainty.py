"""From the raw probability of an object to how often such objects are right.

Networks are often surer, or less sure, than they are right. A curve with two numbers, fitted
to objects in images that the network had not seen, mends that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.words import form, how_many

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

#: Fewer objects, or fewer that are right or wrong, cannot tell a curve from chance.
LEAST_OBJECTS, LEAST_OF_A_KIND = 40, 5
#: Images needed: one is left out at a time to see how good the curve is.
LEAST_IMAGES = 2
#: Bars of a reliability diagram.
N_BINS = 10
#: Probabilities are kept this far from 0 and 1 before their log odds are taken.
_EDGE = 1e-4
_STEPS = 50


@dataclass(frozen=True)
class Curve:
    """confidence = 1 / (1 + exp(-(slope · log odds + offset))) of the raw probability."""

    slope: float
    """0 or more: a greater probability never means less confidence."""
    offset: float

    def __call__(self, probability: ArrayLike) -> np.ndarray:
        """Return the confidence of objects, float64 within 0 to 1."""
        return _sigmoid(self.slope * _log_odds(probability) + self.offset)

    def to_json(self) -> dict[str, float]:
        """Return plain numbers."""
        return {"slope": self.slope, "offset": self.offset}

    @classmethod
    def from_json(cls, values: Any) -> Curve | None:
        """Return what `to_json` wrote; None where there is none.

        Raises
        ------
        ValueError
            If the numbers make no sense.
        """
        if not isinstance(values, dict) or "slope" not in values:
            return None
        numbers = [values["slope"], values.get("offset")]
        if not all(type(n) in (int, float) and abs(n) < 1e6 for n in numbers) or numbers[0] < 0:
            raise ValueError(
                "The model's curve of confidence must hold a slope from 0 on and an offset, found "
                f"{numbers!r:.60}; the model file was changed by another program."
            )
        return cls(float(numbers[0]), float(numbers[1]))


def fitted(probability: ArrayLike, right: ArrayLike) -> Curve:
    """Return the curve of greatest likelihood, with Platt's softened truths.

    Parameters
    ----------
    probability : (n,) raw probability of objects, 0 to 1.
    right : (n,) bool, whether each is a true object.

    References
    ----------
    .. [1] Platt 1999, Advances in Large Margin Classifiers, section 11.2 (softened truths).
    .. [2] Guo et al. 2017, doi:10.48550/arXiv.1706.04599 (networks and their confidence).
    """
    x, truth = _log_odds(probability), np.asarray(right, bool)
    n_right, n_wrong = int(truth.sum()), int((~truth).sum())
    target = np.where(truth, (n_right + 1) / (n_right + 2), 1 / (n_wrong + 2))
    found = _newton(np.stack([x, np.ones_like(x)], axis=1), target)
    if found[0] < 0:  # greater probabilities were wrong more often: they tell nothing
        found = np.array([0.0, *_newton(np.ones((len(x), 1)), target)])
    return Curve(float(found[0]), float(found[1]))


def _newton(columns: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the weights of a logistic regression of `target` (n,) on `columns` (n, K)."""
    weights = np.zeros(columns.shape[1])
    for _ in range(_STEPS):
        p = _sigmoid(columns @ weights)
        slope = columns.T @ (target - p) - 1e-6 * weights
        curvature = (columns * (p * (1 - p))[:, None]).T @ columns
        step = np.linalg.solve(curvature + 1e-6 * np.eye(len(weights)), slope)
        weights = weights + step * min(1.0, 5 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    return weights


def calibrated(images: Sequence[tuple[ArrayLike, ArrayLike]]) -> dict[str, Any]:
    """Return what a model keeps of its confidence, from images it was not trained on.

    Parameters
    ----------
    images : probability (n,) and right (n,) of the objects of each image.

    Returns
    -------
    ``n_objects`` and ``n_images``; with enough of them the curve, the reliability of the raw
    probabilities (``before``) and that of confidences from a curve that had not seen the
    image (``after``), each with its expected calibration error. Without, ``note`` says why.
    """
    pairs = [(np.asarray(p, float), np.asarray(r, bool)) for p, r in images if np.size(p)]
    p = np.concatenate([np.zeros(0), *(a for a, _ in pairs)])
    right = np.concatenate([np.zeros(0, bool), *(b for _, b in pairs)])
    facts: dict[str, Any] = {"n_objects": len(p), "n_images": len(pairs)}
    rarer = int(min(right.sum(), (~right).sum()))
    if len(pairs) < LEAST_IMAGES or len(p) < LEAST_OBJECTS or rarer < LEAST_OF_A_KIND:
        return {**facts, "note": _too_few(len(p), len(pairs), rarer)}
    left_out = np.concatenate([_without(pairs, index) for index in range(len(pairs))])
    return {
        **facts,
        **fitted(p, right).to_json(),
        "before": {**reliability(p, right), "error": calibration_error(p, right)},
        "after": {**reliability(left_out, right), "error": calibration_error(left_out, right)},
    }


def _without(pairs: Sequence[tuple[np.ndarray, np.ndarray]], index: int) -> np.ndarray:
    """Return the confidence in one image by the curve of all others."""
    others = [pair for i, pair in enumerate(pairs) if i != index]
    curve = fitted(np.concatenate([a for a, _ in others]), np.concatenate([b for _, b in others]))
    return curve(pairs[index][0])


def _too_few(n_objects: int, n_images: int, rarer: int) -> str:
    """Say why there is no curve."""
    found = f"{how_many(n_objects, 'object')} in {how_many(n_images, 'image')}"
    return (
        f"Confidence was not calibrated: it takes at least {LEAST_OBJECTS} objects in "
        f"{LEAST_IMAGES} images that the model had not seen, {LEAST_OF_A_KIND} of them right and "
        f"{LEAST_OF_A_KIND} wrong; there {form(n_objects, 'was', 'were')} {found}, {rarer} of the rarer kind."
    )


def reliability(confidence: ArrayLike, right: ArrayLike) -> dict[str, list[float]]:
    """Return how often objects are right, by how sure they are.

    Returns
    -------
    ``n``, ``confidence`` (mean) and ``right`` (part) of every tenth that holds an object.
    """
    p, truth = np.asarray(confidence, float), np.asarray(right, float)
    tenth = np.minimum((p * N_BINS).astype(int), N_BINS - 1)
    n = np.bincount(tenth, minlength=N_BINS)
    full = n > 0
    sums = [np.bincount(tenth, values, N_BINS)[full] / n[full] for values in (p, truth)]
    return {
        "n": n[full].astype(float).tolist(),
        "confidence": np.round(sums[0], 4).tolist(),
        "right": np.round(sums[1], 4).tolist(),
    }


def calibration_error(confidence: ArrayLike, right: ArrayLike) -> float:
    """Return the expected calibration error: mean |confidence - part that is right|, 0 to 1.

    Over tenths of the confidence, each weighted by its number of objects; NaN without objects.

    References
    ----------
    .. [1] Naeini et al. 2015, AAAI 29 (expected calibration error).
    """
    known = reliability(confidence, right)
    n = np.array(known["n"])
    if not n.sum():
        return math.nan
    gap = np.abs(np.array(known["confidence"]) - np.array(known["right"]))
    return float(gap @ n / n.sum())


def curve_of(calibration: Mapping[str, Any]) -> Curve | None:
    """Return the curve of confidence in a model's calibration; None where there is none."""
    return Curve.from_json(calibration.get("confidence"))


def _log_odds(probability: ArrayLike) -> np.ndarray:
    p = np.clip(np.asarray(probability, float), _EDGE, 1 - _EDGE)
    return np.log(p / (1 - p))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x))
