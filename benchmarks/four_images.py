"""Four labelled phase-contrast images: from scratch, pretrained only, retrained.

    python benchmarks/four_images.py main --budgets 0.5,1,2 --seeds 0,1,2
    python benchmarks/four_images.py ablation --seeds 0,1,2

Each seed draws another four labelled images, other synthetic images and other weights. F1 is
measured on all other images of the set. Training from scratch and retraining get the same
processor time; pretraining comes before, once, and is stated.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from measuring import (
    Results,
    count_processor_time,
    dataset,
    once,
    one_thread,
    precision,
    rounded,
)

if TYPE_CHECKING:
    from microshot.bundle import Bundle
    from microshot.data.dataset import Dataset

ABOUT = (
    "F1 at IoU 0.5 on the images not used, four labelled images per seed. Budgets in minutes of "
    "processor time on one thread. Development data: the settings were chosen on these sets with "
    "seeds 0 and 1."
)
#: Data sets and the border in which objects are not scored (gold labels leave them out).
TARGETS = {"ctc_phc_u373": 50, "usiigaci_phc": 0}
PRETRAINING_MINUTES = 2.0
N_SYNTHETIC, SIDE_PX = 240, 192
SCORES = ("f1", "average_precision", "panoptic_quality")


@dataclass(frozen=True)
class Source:
    """What a model is pretrained on and how."""

    data: str
    images: dict[str, Any] = field(default_factory=dict)
    """Image settings that differ from the preset's."""
    minutes: float = PRETRAINING_MINUTES


#: A collection of real images is given the settings that synthetic ones have by themselves.
MIXED = {"augmentation": "contrasts", "rescale": "each"}
SOURCES = {
    "synthetic": Source("mixed"),
    "dsb2018_fluo": Source("dsb2018_fluo", MIXED),
}
#: One change each against the source "synthetic".
ABLATIONS = {
    "synthetic, pretrained for 8 min": Source("mixed", minutes=8.0),
    "synthetic, one contrast": Source("mixed", {"augmentation": "standard"}),
    "synthetic, heavy augmentation": Source("mixed", {"augmentation": "heavy"}),
    "synthetic, percentile normalisation": Source("mixed", {"normalization": "percentile"}),
    "synthetic, not brought to one size": Source("mixed", {"rescale": "no"}),
    "synthetic, scenes like the target": Source("phase-contrast"),
    "dsb2018_fluo, as it is": Source("dsb2018_fluo"),
}


def source_data(source: Source, seed: int) -> Dataset:
    """Return the images a model is pretrained on."""
    if source.data == "dsb2018_fluo":
        return dataset(source.data)
    from microshot.synth.generator import generate

    return generate(source.data, N_SYNTHETIC, seed, size_px=(SIDE_PX, SIDE_PX), noise="mixed")


def pretrained(name: str, seed: int) -> Bundle:
    """Return the model pretrained on a source; trained once and kept."""
    from microshot import api
    from microshot.settings import ImageSettings, OptimizerSettings, TrainSettings

    source = {**SOURCES, **ABLATIONS}[name]
    settings = TrainSettings(
        minutes=source.minutes,
        images=ImageSettings(**{"validation_fraction": 0.0, **source.images}),
        training=OptimizerSettings(seed=seed, device="cpu"),
    )
    stem = f"{name.replace(', ', '_').replace(' ', '-')}_{seed}"
    return once(stem, lambda: api.train(source_data(source, seed), settings).bundle)


def scored(bundle: Bundle, four: Dataset, rest: Dataset, border_px: int) -> dict[str, float]:
    """Return the scores of a model on `rest`; it is told the object size in `four`."""
    from microshot import api
    from microshot.data.objects import median_diameter
    from microshot.settings import PredictSettings

    diameter = median_diameter([s.labels for s in four if s.labels is not None])
    predictor = api.Predictor(bundle, PredictSettings(diameter_px=diameter or 0.0))
    predictions = [predictor(sample) for sample in rest]
    _, total = api.score("segment", predictions, rest, border_px=border_px)
    return rounded(total, SCORES)


def trained(
    method: str, source: str, four: Dataset, minutes: float, seed: int, rate: float = 0.0
) -> Bundle:
    """Return the model of one way to use the four images; `rate` 0 = the preset's."""
    from microshot import api
    from microshot.settings import OptimizerSettings, RetrainSettings, TrainSettings

    training = OptimizerSettings(seed=seed, device="cpu", learning_rate=rate)
    if method == "scratch":
        return api.train(four, TrainSettings(minutes=minutes, training=training)).bundle
    start = pretrained(source, seed)
    if method == "pretrained only":
        return start
    strategy = {"retrained": "all"}.get(method, method)
    settings = RetrainSettings(minutes=minutes, check="none", strategy=strategy, training=training)
    return api.retrain(start, four, settings).bundle


def drawn(target: str, seed: int) -> tuple[Dataset, Dataset]:
    """Return four images of a data set to learn from, drawn at random, and all others."""
    data = dataset(target)
    order = np.random.default_rng(seed).permutation(len(data))
    return data.take(sorted(order[:4])), data.take(sorted(order[4:]))


def measure(results: Results, key: dict[str, Any]) -> None:
    """Measure one cell of the table unless it is there."""
    key = {**key, "precision": precision()}
    if results.has(key):
        return
    four, rest = drawn(key["target"], key["seed"])
    if key["method"] != "scratch":
        pretrained(key["source"], key["seed"])
    started = time.process_time()
    bundle = trained(key["method"], key["source"], four, key["minutes"], key["seed"])
    used = time.process_time() - started
    training = bundle.card.training
    found = scored(bundle, four, rest, TARGETS[key["target"]])
    extra = {"n_scored": len(rest), "steps": training["steps"], "cpu_seconds": round(used, 1)}
    rate = training["hyper"]["learning_rate"]
    results.add({**key, **found, **extra, "learning_rate": rate})


def main_table(
    results: Results,
    budgets: list[float],
    seeds: list[int],
    targets: list[str],
    sources: list[str],
) -> None:
    """Scratch, pretrained only and retrained, for every budget and source."""
    for minutes in budgets:
        for seed in seeds:
            for target in targets:
                base = {"target": target, "seed": seed}
                cell = {"method": "scratch", "source": "", "minutes": minutes}
                measure(results, {**base, **cell})
                for source in sources:
                    cell = {"method": "pretrained only", "source": source, "minutes": 0.0}
                    measure(results, {**base, **cell})
                    cell = {"method": "retrained", "source": source, "minutes": minutes}
                    measure(results, {**base, **cell})


def ablation(
    results: Results, minutes: float, seeds: list[int], targets: list[str], only: str
) -> None:
    """What pretraining and retraining owe to each of their parts."""
    for seed in seeds:
        for target in targets:
            base = {"target": target, "seed": seed, "minutes": minutes}
            for method in ("freeze-encoder", "head", "thaw"):
                if only in method:
                    measure(results, {**base, "method": method, "source": "synthetic"})
            for source in (name for name in ABLATIONS if only in name):
                measure(results, {**base, "method": "retrained", "source": source})
                cell = {"method": "pretrained only", "source": source, "minutes": 0.0}
                measure(results, {**base, **cell})


def main() -> None:
    """Run the cells that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("main", "ablation"))
    parser.add_argument("--budgets", default="0.5,1,2,5,10", help="minutes of processor time")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--sources", default=",".join(SOURCES), help="of starts")
    parser.add_argument("--only", default="", help="ablations whose names contain this")
    given = parser.parse_args()
    one_thread()
    count_processor_time()
    budgets = [float(one) for one in given.budgets.split(",")]
    seeds, targets = [int(one) for one in given.seeds.split(",")], given.targets.split(",")
    if given.what == "main":
        results = Results("four_images", ABOUT)
        main_table(results, budgets, seeds, targets, given.sources.split(","))
    else:
        results = Results("four_images_ablation", ABOUT)
        ablation(results, budgets[0], seeds, targets, given.only)


if __name__ == "__main__":
    main()
