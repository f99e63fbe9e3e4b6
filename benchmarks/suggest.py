"""Does retraining on four suggested images beat four drawn at random?

    python benchmarks/suggest.py --data usiigaci_phc,count_bf_suspension --seeds 0,1,2

Each seed draws which images may be labelled and which are scored (never the same), and another
model to start from. Labels of the images that may be labelled are hidden until they are chosen.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from four_images import pretrained
from measuring import Results, count_processor_time, dataset, folder_of, once, one_thread, rounded

if TYPE_CHECKING:
    from microshot.bundle import Bundle
    from microshot.data.dataset import Dataset

ABOUT = (
    "Four images chosen by each criterion from the same pool, the same start model retrained on "
    "them for the same processor time on one thread, scored on the same other images: F1 at IoU "
    "0.5 (usiigaci_phc), MAE of rounded counts (count_bf_suspension)."
)
CRITERIA = ("random", "both", "unsure", "different")
#: Images that may be chosen, images scored, minutes of retraining.
SIZES = {"usiigaci_phc": (13, 13, 0.2), "count_bf_suspension": (100, 200, 0.15)}
N_CHOSEN = 4
#: Pretraining of the model that counts, on generated bright-field images.
N_SYNTHETIC, START_MINUTES = 120, 0.3


def images(name: str) -> Dataset:
    """Return all images with their truth."""
    if name == "usiigaci_phc":
        return dataset(name)
    from microshot.data.read import read_dataset

    folder = folder_of(name)
    data, _ = read_dataset(folder / "images", folder / "labels.csv")
    return data


def start_model(name: str, seed: int) -> Bundle:
    """Return a model that has seen generated images only; trained once and kept."""
    from microshot import api
    from microshot.settings import OptimizerSettings, TrainSettings
    from microshot.synth.generator import generate

    if name != "count_bf_suspension":
        return pretrained("synthetic", seed)
    training = OptimizerSettings(seed=seed, device="cpu")
    settings = TrainSettings(task="count", minutes=START_MINUTES, training=training)

    def made() -> Bundle:
        data = generate("bright-field", N_SYNTHETIC, seed, size_px=(128, 128), noise="mixed")
        return api.train(data, settings).bundle

    return once(f"suggest_count_{seed}", made)


def orders(start: Bundle, pool: Dataset, seed: int) -> dict[str, list[int]]:
    """Return which four of the pool each criterion chooses."""
    from microshot import suggesting
    from microshot.settings.suggesting import SuggestSettings

    observer = suggesting.Observer(start, SuggestSettings(device="cpu"))
    looks = [observer(sample) for sample in pool]
    made = {"random": np.random.default_rng(seed).permutation(len(pool))[:N_CHOSEN].tolist()}
    for criterion in CRITERIA[1:]:
        settings = SuggestSettings(n=N_CHOSEN, criterion=criterion)
        made[criterion] = [s.index for s in suggesting.ranked(looks, settings)]
    return made


def retrained(start: Bundle, four: Dataset, minutes: float, seed: int) -> Bundle:
    """Retrain without comparing, which would take half of the time."""
    from microshot import api
    from microshot.settings import OptimizerSettings, RetrainSettings

    training = OptimizerSettings(seed=seed, device="cpu")
    settings = RetrainSettings(minutes=minutes, check="none", training=training)
    return api.retrain(start, four, settings).bundle


def scored(bundle: Bundle, test: Dataset) -> dict[str, float]:
    """Return the scores on images that could not be chosen."""
    from microshot import api

    predictor = api.Predictor(bundle)
    _, total = api.score(bundle.card.task, [predictor(sample) for sample in test], test)
    return rounded(total, ["f1"] if bundle.card.task == "segment" else ["mae", "mre"])


def measure(results: Results, name: str, seed: int) -> None:
    """Measure all criteria of one data set and seed, unless they are there."""
    keys = {c: {"data": name, "seed": seed, "criterion": c} for c in CRITERIA}
    if all(results.has(key) for key in keys.values()):
        return
    data, (n_pool, n_test, minutes) = images(name), SIZES[name]
    order = np.random.default_rng(seed).permutation(len(data))
    pool = data.take(order[:n_pool].tolist())
    test = data.take(order[n_pool : n_pool + n_test].tolist())
    start = start_model(name, seed)
    begun = time.process_time()
    chosen = orders(start, pool, seed)
    looking = (time.process_time() - begun) / len(pool)
    for criterion, key in keys.items():
        if results.has(key):
            continue
        bundle = retrained(start, pool.take(chosen[criterion]), minutes, seed)
        facts: dict[str, Any] = {
            "minutes": minutes, "n_pool": n_pool, "n_scored": n_test,
            "chosen": [pool[i].name for i in chosen[criterion]],
            "cpu_seconds_per_look": round(looking, 3),
        }  # fmt: skip
        results.add({**key, **scored(bundle, test), **facts})


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=",".join(SIZES))
    parser.add_argument("--seeds", default="0,1,2")
    given = parser.parse_args()
    one_thread()
    count_processor_time()
    results = Results("suggest", ABOUT)
    for name in given.data.split(","):
        for seed in (int(one) for one in given.seeds.split(",")):
            measure(results, name, seed)


if __name__ == "__main__":
    main()
