"""Which images to label next: those that stand for many of which the model is unsure.

References
----------
.. [1] Sener & Savarese 2018, doi:10.48550/arXiv.1708.00489 (few images whose features cover all).
.. [2] Nemhauser, Wolsey & Fisher 1978, doi:10.1007/BF01588971 (one at a time is within 1 - 1/e of
   the best choice for such sums).
.. [3] Zhdanov 2019, doi:10.48550/arXiv.1901.05954 (images weighted by uncertainty).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from microshot import api, knobs
from microshot.data.dataset import spaced
from microshot.inference.encoder_features import listening
from microshot.progress import Progress, silent, span, throttled
from microshot.settings import PredictSettings
from microshot.tasks.doubt import doubt
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.bundle import Bundle
    from microshot.data.dataset import Dataset, Sample
    from microshot.settings.suggesting import SuggestSettings

#: Images chosen one by one; those after them follow by doubt.
MOST_CHOSEN = 200
#: Images that choices are measured by, at most.
MOST_COVERED = 3000
#: Weight of an image of which the model is surest, against 1 for the one it is least sure of.
LEAST_WEIGHT = 0.1
#: Images are alike up to this multiple of the distance at which the one most like an image lies,
#: the median over all images, and if they differ no more than the halves of one image do.
ALIKE = 2.0
#: Among fewer images none can be said to be like others or unlike them.
FEWEST_COMPARED = 3
#: Reason of an image without any doubt, where only doubt is asked for.
SURE = "the model is sure"


@dataclass(frozen=True, eq=False)
class Look:
    """What a model makes of one image."""

    name: str
    doubt: float
    """0 to 1."""
    why: str
    """What raises the doubt, in plain words."""
    features: np.ndarray
    """(F,) float32."""
    within: np.ndarray
    """(F,) float32, by how much the features of its halves differ; 0 where that is not known."""


@dataclass(frozen=True)
class Suggestion:
    """One image in the order in which to label."""

    index: int
    """Place among the looks."""
    name: str
    rank: int
    """From 1."""
    benefit: float
    """What labelling it is expected to give, relative to the first one."""
    doubt: float
    reason: str


class Observer:
    """Looks at one image after another with a model."""

    def __init__(
        self, bundle: Bundle, settings: SuggestSettings, progress: Progress = silent
    ) -> None:
        knobs.check(settings)
        same = {n: getattr(settings, n) for n in ("diameter_px", "channel", "tile_px", "device")}
        self.predictor = api.Predictor(
            bundle, PredictSettings(**same), inspected=True, progress=progress
        )

    def __call__(self, sample: Sample, progress: Progress = silent) -> Look:
        """Return what the model makes of `sample`; its truth, if any, is not looked at."""
        p = self.predictor
        options, rest = p.options_for(sample, progress)
        with listening(p.network.model) as features:  # type: ignore[attr-defined]
            found = doubt(p.task, p.network, p.recipe, sample, options, rest)
            return Look(sample.name, found.value, found.why, *features.take())


def suggest(
    bundle: Bundle, data: Dataset, settings: SuggestSettings, *, progress: Progress = silent
) -> list[Suggestion]:
    """Put images into the order in which labelling them helps most.

    Raises
    ------
    ValueError
        If there is no image, or one does not suit the model.
    Cancelled
        If cancelled.
    """
    if not len(data):
        raise ValueError("There is no image to choose from; give a folder or table with images.")
    observer, looks = Observer(bundle, settings, progress), []
    for index, sample in enumerate(data):
        here = span(progress, 0.95 * index / len(data), 0.95 * (index + 1) / len(data))
        here(0.0, f"looking at image {index + 1} of {len(data)}")
        looks.append(observer(sample, here))
    return ranked(looks, settings, progress=span(progress, 0.95, 1.0))


def ranked(
    looks: Sequence[Look], settings: SuggestSettings, *, progress: Progress = silent
) -> list[Suggestion]:
    """Order images by doubt and by what they stand for; at most `settings.n` unless 0."""
    n = len(looks)
    if not n:
        return []
    wanted = min(settings.n or n, n)
    doubts = np.array([look.doubt for look in looks])
    if settings.criterion == "unsure":
        order = np.argsort(-doubts, kind="stable")[:wanted]
        top = max(float(doubts.max()), 1e-12)
        return [
            Suggestion(i, looks[i].name, rank, float(doubts[i]) / top, float(doubts[i]),
                       f"unsure: {looks[i].why}" if doubts[i] > 0 else SURE)
            for rank, i in enumerate(order.tolist(), 1)
        ]  # fmt: skip
    unsure = _ranks(doubts)
    weights = np.ones(n) if settings.criterion == "different" else unsure
    if settings.criterion == "both":
        weights = LEAST_WEIGHT + (1 - LEAST_WEIGHT) * unsure
    chosen = _covering(looks, weights, min(wanted, MOST_CHOSEN), progress)
    taken = {i for i, _, _ in chosen}
    rest = [i for i in np.argsort(-doubts, kind="stable").tolist() if i not in taken]
    every: list[tuple[int, float, int | None]] = [*chosen, *((i, 0.0, None) for i in rest)][:wanted]
    top = max(every[0][1], 1e-12)
    return [
        Suggestion(i, looks[i].name, rank, gain / top, float(doubts[i]),
                   _reason(looks[i], float(unsure[i]), alike, settings.criterion, n))
        for rank, (i, gain, alike) in enumerate(every, 1)
    ]  # fmt: skip


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return the place of every value between the least (0) and the greatest (1)."""
    if len(values) < 2 or np.ptp(values) == 0:
        return np.full(len(values), 0.5)
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count + 1) / 2  # ties share the mean of their ranks
    return middle[place] / (len(values) - 1)


def _covering(
    looks: Sequence[Look], weights: np.ndarray, n: int, progress: Progress
) -> list[tuple[int, float, int]]:
    """Choose `n` images one by one so that every image has a chosen one near in feature space.

    Each step takes the image i with the greatest Σ_j w_j max(0, near_j - d_ij), where near_j is the
    distance of image j to the nearest chosen one, at first to the one farthest from it.

    Returns
    -------
    Index, gain and the number of other images that are alike, by choice.
    """
    scaled, within = _scaled(looks)
    at = np.array(spaced(range(len(looks)), MOST_COVERED))
    distance = _distances(scaled, scaled[at])
    near, w, report = distance.max(0), weights[at], throttled(progress)
    others = np.where(np.arange(len(looks))[:, None] == at, np.inf, distance)
    alike = ALIKE * float(np.median(others.min(1)))
    free = np.ones(len(looks), bool)
    made: list[tuple[int, float, int]] = []
    for step in range(n):
        report(step / n, f"choosing image {step + 1} of {n}")
        gain = np.maximum(near - distance, 0) @ w
        gain[~free] = -1.0
        best = int(np.argmax(gain + 1e-9 * weights))
        reach = np.minimum(alike, (within[best] + within[at]) / 2)
        made.append((best, float(gain[best]), int((others[best] <= reach).sum())))
        near, free[best] = np.minimum(near, distance[best]), False
    return made


def _scaled(looks: Sequence[Look]) -> tuple[np.ndarray, np.ndarray]:
    """Return the features by their spread over the images (N, F), and the distances of halves (N,).

    Halves that do not differ at all, as where a network sees the image as one, limit nothing.
    """
    features, within = (
        np.stack([getattr(look, n) for look in looks]) for n in ("features", "within")
    )
    spread = features.std(0)
    known = spread > 1e-6 * max(float(np.abs(features).max()), 1e-12)
    if not known.any():
        return np.zeros((len(looks), 1)), np.full(len(looks), np.inf)
    scaled = (features - features.mean(0))[:, known] / spread[known]
    halves = np.sqrt(((within[:, known] / spread[known]) ** 2).mean(1))
    return scaled, np.where(halves > 0, halves, np.inf)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the distances between the rows of `a` and of `b` per square root of a feature."""
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    found = np.sqrt(np.maximum(squares, 0) / a.shape[1])
    return np.where(found < 1e-5, 0.0, found)


def _reason(look: Look, unsure: float, alike: int | None, criterion: str, n: int) -> str:
    """Say in a phrase why an image is suggested; `alike` of the others of `n` look like it."""
    parts = []
    if unsure > 0.5 and criterion != "different":
        parts.append(f"unsure: {look.why}")
    if n < FEWEST_COMPARED:
        return "; ".join(parts) or "too few images to compare"
    if alike is not None:
        parts.append(f"looks like {how_many(alike, 'other')}" if alike > 0 else "unlike the others")
    return "; ".join(parts) or "much like images before it"
