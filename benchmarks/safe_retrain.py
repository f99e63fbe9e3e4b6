"""Does the verdict of Retrain, reached with four labelled images, agree with the truth?

    python benchmarks/safe_retrain.py --data usiigaci_phc,ctc_phc_u373 --seeds 0,1,2

Each seed draws four labelled images, images that the truth is measured on, and images that only
the start model called *good* has learned from; none is in two of these. Every row keeps the scores
of each left-out image and each image set aside, so that other rules can be tried without training.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from four_images import pretrained
from measuring import Results, count_processor_time, dataset, once, one_thread, precision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.bundle import Bundle
    from microshot.data.dataset import Dataset

ABOUT = (
    "Old and retrained model on the four labelled images, each left out once (loo), and on images "
    "set aside (truth); the starting model has seen generated images only, or is a good one "
    "already: it has learned from other images of the same set. Minutes of processor time on one "
    "thread for check and training together."
)
N_LABELLED = 4
#: Training of a start model on the images of another technique.
OTHER_MINUTES = 1.0
#: What is kept of the scores of an image.
KEPT = ("true_positives", "false_positives", "false_negatives", "iou_sum", "f1",
        "average_precision", "true_count", "count")  # fmt: skip


@dataclass(frozen=True)
class Set:
    """A data set and how long is trained on it."""

    minutes: float
    """Of one retraining with its check."""
    n_good: int
    """Images that the good start model learns from."""
    good_minutes: float
    n_aside: int
    """Most images the truth is measured on."""
    scene: str = ""
    """Generated images that a start model for counting learns from."""
    side_px: int = 0


SETS = {
    "usiigaci_phc": Set(0.5, 8, 0.6, 8),
    "ctc_phc_u373": Set(0.5, 3, 0.4, 5),
    "dsb2018_fluo": Set(0.4, 0, 0.0, 20),
    "count_bf_suspension": Set(0.4, 60, 0.5, 30, "bright-field", 128),
    "count_vgg_synthetic": Set(0.5, 20, 0.5, 30, "fluorescence-nuclei", 256),
}
OTHER = "another technique"
#: Whose images a start model of another technique has learned from; for counting there is none.
OTHERS = {
    "usiigaci_phc": "dsb2018_fluo",
    "ctc_phc_u373": "dsb2018_fluo",
    "dsb2018_fluo": "usiigaci_phc",
}
#: Way to retrain → start model, part of the minutes, learning rate (0 = automatic).
WAYS: dict[str, tuple[str, float, float]] = {
    "usual": ("generated", 1.0, 0.0),
    "unhurried": ("generated", 4.0, 0.0),
    OTHER: (OTHER, 1.0, 0.0),
    "good start": ("good", 1.0, 0.0),
    "good start, hurried": ("good", 0.1, 0.0),
    "good start, reckless": ("good", 0.2, 0.01),
}


def images(name: str) -> Dataset:
    """Return all images of a set with their truth."""
    if name == "count_vgg_synthetic":
        from counting import cells

        return cells()
    if name == "count_bf_suspension":
        from suggest import images as counted

        return counted(name)
    return dataset(name)


def drawn(name: str, seed: int) -> tuple[Dataset, Dataset, Dataset]:
    """Return the labelled images, those set aside, and those of the good start model."""
    data, n_good = images(name), SETS[name].n_good
    order = np.random.default_rng(seed).permutation(len(data)).tolist()
    good, rest = order[:n_good], order[n_good:]
    aside = rest[N_LABELLED:][: SETS[name].n_aside]
    return data.take(sorted(rest[:N_LABELLED])), data.take(sorted(aside)), data.take(sorted(good))


def start_model(name: str, kind: str, seed: int, good: Dataset) -> Bundle:
    """Return the model to retrain; trained once and kept. Seeds share three generated ones."""
    if kind == OTHER:
        return of_another_technique(OTHERS[name], seed % 3)
    if name == "dsb2018_fluo" and kind == "good":  # learned from all images of the set
        return pretrained("dsb2018_fluo", seed % 3)
    if kind == "generated":
        if not SETS[name].scene:
            return pretrained("synthetic", seed % 3)
        return generated_counter(name, seed % 3)
    return once(
        f"good_{name}_{seed}",
        lambda: retrained(
            start_model(name, "generated", seed, good), good, SETS[name].good_minutes, seed,
            check="none",
        )[0],
    )  # fmt: skip


def of_another_technique(other: str, seed: int) -> Bundle:
    """Return a model that has learned from all images of another data set."""
    from microshot import api
    from microshot.settings import OptimizerSettings, TrainSettings

    if other == "dsb2018_fluo":
        return pretrained(other, seed)
    training = OptimizerSettings(seed=seed, device="cpu")
    settings = TrainSettings(minutes=OTHER_MINUTES, training=training)
    return once(f"all_{other}_{seed}", lambda: api.train(images(other), settings).bundle)


def generated_counter(name: str, seed: int) -> Bundle:
    """Return a model that counts and has seen generated images only."""
    from suggest import N_SYNTHETIC, START_MINUTES
    from suggest import start_model as bright_field

    from microshot import api
    from microshot.settings import OptimizerSettings, TrainSettings
    from microshot.synth.generator import generate

    if name == "count_bf_suspension":
        return bright_field(name, seed)
    side = SETS[name].side_px
    training = OptimizerSettings(seed=seed, device="cpu")
    settings = TrainSettings(task="count", minutes=START_MINUTES, training=training)

    def made() -> Bundle:
        scenes = generate(SETS[name].scene, N_SYNTHETIC // 2, seed, size_px=(side, side))
        return api.train(scenes, settings).bundle

    return once(f"generated_{name}_{seed}", made)


def retrained(
    start: Bundle, data: Dataset, minutes: float, seed: int, *, rate: float = 0.0,
    check: str = "leave-one-out",
) -> tuple[Bundle, Sequence[Any]]:  # fmt: skip
    """Return the new model, whether or not it is the better one, and the comparison."""
    from microshot import api
    from microshot.settings import OptimizerSettings, RetrainSettings

    training = OptimizerSettings(seed=seed, device="cpu", learning_rate=rate)
    settings = RetrainSettings(minutes=minutes, check=check, keep_better=False, training=training)
    result = api.retrain(start, data, settings)
    return result.bundle, result.comparison


def scores_of(start: Bundle, new: Bundle, aside: Dataset) -> tuple[list[Any], list[Any]]:
    """Return the scores of old and new model per image; the old one knows the objects' size."""
    from microshot.device import choose_device
    from microshot.opening import network_of, recipe_of
    from microshot.tasks import task_named

    task, to, device = task_named(new.card.task), recipe_of(new.card), choose_device("cpu")
    made = []
    for bundle, recipe in ((start, task.adapted(recipe_of(start.card), to)), (new, to)):
        network = network_of(bundle, device)
        made.append(
            [task.score(task.decode(task.raw(network, recipe, s), recipe), s) for s in aside]
        )
    return made[0], made[1]


def brief(scores: Sequence[Mapping[str, float]]) -> dict[str, str]:
    """Return what any rule or score can be computed from: numbers of all images by name."""
    return {
        k: " ".join(f"{s[k]:.4f}".rstrip("0").rstrip(".") for s in scores)
        for k in KEPT
        if k in scores[0]
    }


def possible(name: str, kind: str) -> bool:
    """Say whether there is such a start model for a set."""
    return kind != OTHER or name in OTHERS


def measure(results: Results, name: str, way: str, seed: int) -> None:
    """Retrain once and compare the check with the truth, unless this was done before."""
    key = {"data": name, "way": way, "seed": seed, "precision": precision()}
    if results.has(key):
        return
    four, aside, good = drawn(name, seed)
    kind, part, rate = WAYS[way]
    start, minutes = start_model(name, kind, seed, good), SETS[name].minutes * part
    begun = time.process_time()
    new, comparison = retrained(start, four, minutes, seed, rate=rate)
    used = time.process_time() - begun
    before, after = scores_of(start, new, aside)
    results.add(
        {
            **key, "minutes": round(minutes, 3), "steps": new.card.training["steps"],
            "cpu_seconds": round(used, 1),
            "loo": {"old": brief([e.old_scores for e in comparison]),
                    "new": brief([e.scores for e in comparison])},
            "truth": {"old": brief(before), "new": brief(after)},
        }
    )  # fmt: skip


def main() -> None:
    """Run what the command line asks for, one seed of everything after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=",".join(SETS))
    parser.add_argument("--ways", default="", help="those whose names contain this")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--out", default="safe_retrain", help="name of the result file")
    given = parser.parse_args()
    ways = [way for way in WAYS if given.ways in way]
    one_thread()
    count_processor_time()
    results = Results(given.out, ABOUT)
    for seed in (int(one) for one in given.seeds.split(",")):
        for name in given.data.split(","):
            for way in ways:
                if possible(name, WAYS[way][0]):
                    measure(results, name, way, seed)


if __name__ == "__main__":
    main()
