"""Full training on the fluorescence images of the 2018 Data Science Bowl.

    python benchmarks/dsb2018.py --minutes 20 --seeds 0

A tenth of the images is the test set, the same for every seed of training; it takes no part in
training, in choosing the best state or in setting thresholds. The published figure on another
split of the same images is StarDist's example notebook: F1 0.910, AP 0.835, PQ 0.771 at IoU 0.5
(AP there = TP / (TP + FP + FN), called `accuracy` here).
"""

from __future__ import annotations

import argparse
import time

from measuring import CACHE, Results, count_processor_time, dataset, one_thread, rounded

ABOUT = (
    "dsb2018_fluo, 535 images: a fixed tenth (seed 2018) is the test set. F1, accuracy "
    "TP/(TP+FP+FN) and panoptic quality at IoU 0.5, pooled over objects."
)
SPLIT_SEED, TEST_PART = 2018, 0.1


def measure(results: Results, minutes: float, seed: int, rescale: str) -> None:
    """Train once and score the test images."""
    from microshot import api
    from microshot.data.dataset import split
    from microshot.settings import ImageSettings, OptimizerSettings, TrainSettings

    key = {"minutes": minutes, "seed": seed, "rescale": rescale}
    if results.has(key):
        return
    data = dataset("dsb2018_fluo")
    kept, out = split(data.groups, TEST_PART, SPLIT_SEED)
    settings = TrainSettings(
        minutes=minutes,
        images=ImageSettings(rescale=rescale, validation_fraction=0.08),
        training=OptimizerSettings(seed=seed, device="cpu"),
    )
    started = time.process_time()
    model = api.train(data.take(kept), settings)
    used = time.process_time() - started
    CACHE.mkdir(exist_ok=True)
    model.bundle.save(CACHE / f"dsb2018_{minutes:g}_{seed}.microshot", overwrite=True)
    predictor, test = api.Predictor(model.bundle), data.take(out)
    _, total = api.score("segment", [predictor(s) for s in test], test)
    hits, misses = total["true_positives"], total["false_negatives"] + total["false_positives"]
    results.add(
        {
            **key,
            **rounded(total, ("f1", "panoptic_quality", "average_precision")),
            "accuracy": round(hits / (hits + misses), 4),
            "n_test": len(test),
            "steps": model.bundle.card.training["steps"],
            "learning_rate": model.bundle.card.training["hyper"]["learning_rate"],
            "cpu_seconds": round(used, 1),
        }
    )


def main() -> None:
    """Run the trainings that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20.0, help="of processor time")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--rescale", default="auto")
    given = parser.parse_args()
    one_thread()
    count_processor_time()
    for seed in given.seeds.split(","):
        measure(Results("dsb2018", ABOUT), given.minutes, int(seed), given.rescale)


if __name__ == "__main__":
    main()
