"""Rules that set the probability threshold on few images, compared on the others of the set.

    python benchmarks/threshold_rules.py

Nothing is trained: models that other benchmarks keep (`four_images.py`, `dsb2018.py`) and starter
models find objects at every threshold of a grid, in images that took no part in their training.
Then 4, 8 or 19 of the images are drawn at random, a rule sets the thresholds on these, and all
other images are scored.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from dsb2018 import SPLIT_SEED, TEST_PART
from four_images import pretrained
from measuring import CACHE, Results, dataset, one_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from microshot.bundle import Bundle
    from microshot.data.dataset import Dataset

ABOUT = (
    "F1 at IoU 0.5 on the images that were not drawn, mean over draws, by the rule that sets the "
    "thresholds on the drawn ones."
)
PROBABILITIES = np.round(np.arange(0.3, 0.86, 0.025), 3)
OVERLAPS, LEVELS = (0.3, 0.4, 0.5), (0.3, 0.5, 0.7)
#: The search of thresholds goes down to half the greatest probability.
LEAST = 0.425
N_DRAWN, DRAWS, LEAST_OTHERS, BAGS = (4, 8, 19), 100, 4, 30
DEFAULT = 0.5
#: Model; images; whether it is told the size of the objects; border in px that is not scored.
CASES = {
    "nuclei-fluorescence, its held-out images": ("nuclei-fluorescence-fast", "2026", False, 0),
    "dsb2018_12_1, its held-out images": ("dsb2018_12_1", "1", False, 0),
    "dsb2018_12_2, its held-out images": ("dsb2018_12_2", "2", False, 0),
    "synthetic_0 on ctc_phc_u373": ("synthetic_0", "ctc_phc_u373", True, 50),
    "synthetic_1 on ctc_phc_u373": ("synthetic_1", "ctc_phc_u373", True, 50),
    "synthetic_2 on ctc_phc_u373": ("synthetic_2", "ctc_phc_u373", True, 50),
    "cells-generalist on ctc_phc_u373": ("cells-generalist", "ctc_phc_u373", True, 50),
    "synthetic_0 on usiigaci_phc": ("synthetic_0", "usiigaci_phc", True, 0),
    "synthetic_2 on usiigaci_phc": ("synthetic_2", "usiigaci_phc", True, 0),
    "cells-generalist on usiigaci_phc": ("cells-generalist", "usiigaci_phc", True, 0),
}


def images(wish: str) -> Dataset:
    """Return every other image of a set, or what the training with a seed held out of DSB2018."""
    from microshot.data.dataset import split

    if not wish.isdecimal():
        data = dataset(wish)
        return data.take(range(0, len(data), 1 if len(data) < 20 else 2))
    data = dataset("dsb2018_fluo")
    data = data.take(split(data.groups, TEST_PART, SPLIT_SEED)[0])
    return data.take(split(data.groups, 0.08, int(wish))[1])


def bundle_of(model: str) -> Bundle:
    """Return a starter, a model that has seen generated images, or one that `dsb2018.py` keeps."""
    from microshot.bundle import Bundle
    from microshot.starters import FOLDER

    name, _, seed = model.partition("_")
    if name == "synthetic":
        return pretrained(name, int(seed))
    starter = FOLDER / f"{model}.microshot"
    return Bundle.load(starter if starter.is_file() else CACHE / f"{model}.microshot")


def tallies(model: str, wish: str, border_px: int, *, told: bool) -> np.ndarray:
    """Return hits, false and missed objects of every image at all thresholds; kept for later."""
    from microshot import api
    from microshot.data.objects import median_diameter
    from microshot.metrics.labels import intersection, match_intersection
    from microshot.settings import PredictSettings
    from microshot.tasks.segmenting import stardist
    from microshot.tasks.segmenting.segmentation import _Trials

    kept = CACHE / f"tallies_{model}_{wish}.npy"
    if kept.is_file():
        return np.load(kept)
    data = images(wish)
    size = median_diameter([s.labels for s in data if s.labels is not None]) if told else None
    p = api.Predictor(bundle_of(model), PredictSettings(diameter_px=size or 0.0))
    options: Any = dataclasses.replace(p.options, probability=stardist.LEAST_PROBABILITY)
    shape = (len(data), len(PROBABILITIES), len(OVERLAPS), len(LEVELS), 3)
    found = np.zeros(shape, np.int64)
    for i, sample in enumerate(data):
        raw: Any = p.task.raw(p.network, p.recipe, sample, options)
        trials = _Trials([raw], p.recipe, stardist.LEAST_PROBABILITY)
        assert sample.labels is not None
        for o, overlap in enumerate(OVERLAPS):
            for k, probability in enumerate(PROBABILITIES):
                labels = trials(float(probability), overlap)[0]
                both = intersection(sample.labels, labels, border_px=border_px)
                for t, level in enumerate(LEVELS):
                    m = match_intersection(both, level)
                    found[i, k, o, t] = m.tp, m.fp, m.fn
    np.save(kept, found)
    return found


def accuracy(found: np.ndarray) -> np.ndarray:
    """Return the mean accuracy over the levels, from (…, levels, 3) counts."""
    return (found[..., 0] / np.maximum(found.sum(-1), 1)).mean(-1)


def f1(found: np.ndarray) -> np.ndarray:
    """Return F1 at IoU 0.5, from (…, levels, 3) counts."""
    hits, false, missed = np.moveaxis(found[..., LEVELS.index(0.5), :], -1, 0)
    return 2 * hits / np.maximum(2 * hits + false + missed, 1)


def near(probability: float) -> int:
    """Return the place of a probability on the grid."""
    return int(np.abs(PROBABILITIES - probability).argmin())


def best(found: np.ndarray) -> tuple[int, int]:
    """Take the thresholds with the best accuracy."""
    scores = np.where((PROBABILITIES >= LEAST)[:, None], accuracy(found.sum(0)), -1.0)
    k, o = np.unravel_index(scores.argmax(), scores.shape)
    return int(k), int(o)


def middle(near_enough: np.ndarray, k: int) -> int:
    """Return the middle of the thresholds around `k` that do."""
    first = last = k
    while first > 0 and near_enough[first - 1]:
        first -= 1
    while last + 1 < len(near_enough) and near_enough[last + 1]:
        last += 1
    return (first + last) // 2


def plateau(loss: float) -> Callable[[np.ndarray], tuple[int, int]]:
    """Take the middle of the thresholds that lose up to `loss` accuracy."""

    def rule(found: np.ndarray) -> tuple[int, int]:
        k, o = best(found)
        scores = accuracy(found.sum(0))[:, o]
        return middle(scores >= scores[k] - loss, k), o

    return rule


def one_error(found: np.ndarray) -> tuple[int, int]:
    """Take the middle of the thresholds within a standard error (jackknife over the images)."""
    k, o = best(found)
    n, total = len(found), found[:, :, o].sum(0)
    without = accuracy(total - found[:, :, o])  # (n, probabilities)
    loss = without[:, k : k + 1] - without
    error = np.sqrt((n - 1) / n * ((loss - loss.mean(0)) ** 2).sum(0))
    scores = accuracy(total)
    return middle(scores >= scores[k] - error, k), o


def bagged(found: np.ndarray) -> tuple[int, int]:
    """Take the mean of the best thresholds of images drawn with replacement."""
    rng, n, (_, o) = np.random.default_rng(0), len(found), best(found)
    wanted = [
        PROBABILITIES[best(found[rng.integers(0, n, n)][:, :, o : o + 1])[0]] for _ in range(BAGS)
    ]
    return near(float(np.mean(wanted))), o


def drawn(found: np.ndarray) -> tuple[int, int]:
    """Draw the best threshold towards the default, as Microshot does."""
    from microshot.tasks.segmenting.segmentation import towards_default

    k, o = best(found)
    scores = accuracy(found.sum(0))

    def score(probability: float, overlap: float) -> float:
        return float(scores[near(probability), OVERLAPS.index(overlap)])

    return near(towards_default(score, PROBABILITIES[k], OVERLAPS[o], len(found))), o


RULES: dict[str, Callable[[np.ndarray], tuple[int, int]]] = {
    "the best": best,
    "middle of those that lose 0.005": plateau(0.005),
    "middle of those that lose 0.02": plateau(0.02),
    "middle of those within a standard error": one_error,
    "mean of the best of 30 draws": bagged,
    "always 0.5": lambda _: (near(DEFAULT), OVERLAPS.index(0.4)),
    "as it is: the best, drawn towards 0.5": drawn,
}


def measure(results: Results, case: str) -> None:
    """Compare all rules on the images of one case."""
    model, wish, told, border_px = CASES[case]
    found, rng = tallies(model, wish, border_px, told=told), np.random.default_rng(1)
    for n in (n for n in N_DRAWN if n + LEAST_OTHERS <= len(found)):
        if results.has({"case": case, "n": n}):
            continue
        scores: dict[str, list[float]] = {name: [] for name in RULES}
        for _ in range(DRAWS):
            order = rng.permutation(len(found))
            others = f1(found[order[n:]].sum(0))
            for name, rule in RULES.items():
                scores[name].append(float(others[rule(found[order[:n]])]))
        means = {name: round(float(np.mean(values)), 5) for name, values in scores.items()}
        results.add({"case": case, "n": n, "n_images": len(found), "f1": means})


def main() -> None:
    """Measure every case."""
    one_thread()
    results = Results("threshold_rules", ABOUT)
    for case in CASES:
        measure(results, case)


if __name__ == "__main__":
    main()
