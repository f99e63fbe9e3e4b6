"""Counting synthetic fluorescent cells (VGG) after a few labelled images.

    python benchmarks/counting.py --minutes 1 --shots 4,32 --seeds 0,1,2

Each seed draws other training images and other weights; all other images of the set are
counted. Points: a dot per cell. Counts: only how many cells an image holds.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from measuring import Results, count_processor_time, folder_of, one_thread, rounded

if TYPE_CHECKING:
    from microshot.bundle import Bundle
    from microshot.data.dataset import Dataset

ABOUT = (
    "Error of counts on the images not used (MAE of rounded counts; MRE is a part of the true "
    "count); part of the true counts inside their intervals. Budgets in minutes of processor time "
    "on one thread. Development data: settings were chosen on this set with seed 0."
)
FOLDER = "count_vgg_synthetic"
METHODS = ("constant", "points", "counts")
SCORES = ("mae", "mae_unrounded", "mre", "bias")


def cells() -> Dataset:
    """Return the images with their counts and one point per cell.

    Raises
    ------
    FileNotFoundError
        If the data are not there.
    """
    from microshot.data.dataset import Dataset
    from microshot.data.read import read_dataset

    folder = folder_of(FOLDER)
    with (folder / "labels.csv").open(encoding="utf-8") as table:
        dots = {row["file"].removesuffix(".png"): row["dots_xy"] for row in csv.DictReader(table)}
    data, _ = read_dataset(folder / "images")
    samples = []
    for sample in data:
        yx = np.array([dot.split(",")[::-1] for dot in dots[sample.name].split(";")], float)
        samples.append(dataclasses.replace(sample, points=yx, count=float(len(yx))))
    return Dataset.of(samples)


def trained(method: str, data: Dataset, minutes: float, seed: int) -> Bundle:
    """Return a model that learned from points, or from counts only."""
    from microshot import api
    from microshot.data.dataset import Dataset
    from microshot.settings import OptimizerSettings, TrainSettings

    if method == "counts":
        data = Dataset.of(dataclasses.replace(sample, points=None) for sample in data)
    training = OptimizerSettings(seed=seed, device="cpu")
    return api.train(data, TrainSettings(task="count", minutes=minutes, training=training)).bundle


def counted(bundle: Bundle, rest: Dataset) -> dict[str, float]:
    """Return the scores of a model on `rest`, and how often its intervals hold the truth."""
    from microshot import api
    from microshot.metrics.counts import coverage

    predictor = api.Predictor(bundle)
    started = time.process_time()
    predictions = [predictor(sample) for sample in rest]
    seconds = (time.process_time() - started) / len(rest)
    _, total = api.score("count", predictions, rest)
    found = rounded(total, SCORES) | {"cpu_seconds_per_image": round(seconds, 4)}
    if np.isfinite(predictions[0].high):
        truth = [sample.count for sample in rest]
        low, high = ([getattr(p, end) for p in predictions] for end in ("low", "high"))
        found |= {
            "level": predictions[0].level,
            "coverage": round(coverage(truth, low, high), 3),
            "median_width": float(np.median(np.subtract(high, low))),
        }
    return found


def measure(results: Results, data: Dataset, key: dict[str, Any]) -> None:
    """Measure one cell of the table unless it is there."""
    if results.has(key):
        return
    order = np.random.default_rng(key["seed"]).permutation(len(data))
    n = key["n_labelled"]
    few, rest = data.take(sorted(order[:n])), data.take(sorted(order[n:]))
    if key["method"] == "constant":
        from microshot.metrics.counts import count_scores

        mean = float(np.mean([sample.count for sample in few]))
        scores = count_scores([s.count for s in rest], [mean] * len(rest))
        results.add({**key, **rounded(scores, SCORES), "n_scored": len(rest)})
        return
    started = time.process_time()
    bundle = trained(key["method"], few, key["minutes"], key["seed"])
    used = time.process_time() - started
    extra = {
        "n_scored": len(rest),
        "steps": bundle.card.training["steps"],
        "cpu_seconds": round(used, 1),
    }
    results.add({**key, **counted(bundle, rest), **extra})


def main() -> None:
    """Run the cells that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="of processor time")
    parser.add_argument("--shots", default="4,32", help="numbers of labelled images")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--methods", default=",".join(METHODS))
    given = parser.parse_args()
    one_thread()
    count_processor_time()
    data, results = cells(), Results("counting_vgg", ABOUT)
    for n in (int(one) for one in given.shots.split(",")):
        for seed in (int(one) for one in given.seeds.split(",")):
            for method in given.methods.split(","):
                minutes = 0.0 if method == "constant" else given.minutes
                key = {"method": method, "n_labelled": n, "seed": seed, "minutes": minutes}
                measure(results, data, key)


if __name__ == "__main__":
    main()
