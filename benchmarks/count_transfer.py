"""Transfer of a counter from one imaging technique to another with few counted images.

    python benchmarks/count_transfer.py main
    python benchmarks/count_transfer.py synthetic-ratio
    python benchmarks/count_transfer.py convergence

Each seed draws other counted images, other synthetic images and other weights. Models to
begin with are made once per pair and kept in `cache/`. All methods get the same processor
time on the counted images; pretraining comes before that.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from count_pairs import N_REFERENCE, Pair, pair, synthetic, uncounted
from measuring import DATA, Results, count_processor_time, once, one_thread, rounded

from microshot.data.dataset import spaced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.bundle import Bundle
    from microshot.data.dataset import Dataset

ABOUT = (
    "Counts of images of a new technique after few counted ones: MAE and exact accuracy of rounded "
    "counts, MRE as a part of the true count. Budgets in minutes of processor time on one "
    "thread, beside the pretraining. The part test took no part in choosing settings."
)
PAIRS = ("stains", "phase to bright")
SCORES = ("mae", "accuracy", "mre", "mae_unrounded", "bias")
#: Published ResNet or U-Net for the method *frozen CNN*, where it is.
WEIGHTS = DATA / "weights_unet2d_nuclei_broad" / "unet2d_nuclei_broad.state_dict.pt"
N_SYNTHETIC = 300
WIDTH = 0.25
#: The paper's ratios of synthetic to microscope images (Fig. 12).
RATIOS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
#: Steps from scratch, and parts of them that a retraining gets, to see when it is as good.
STEPS, PARTS = 200, (0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class Method:
    """One line of the table."""

    way: str
    """Architecture, as in the settings; empty = the mean count of the counted images."""
    source: str = ""
    """What it was pretrained on: ``natural`` = source technique, ``both`` = also synthetic images like
    it, ``looks`` = also synthetic images like the new technique; ``starter`` = the starter model
    of the extension; empty = from scratch."""
    synthetic: bool = False
    """Whether it also learns from synthetic images of the new technique."""
    strategy: str = "all"


METHODS = {
    "constant": Method(""),
    "watershed": Method("watershed"),
    "frozen CNN": Method("frozen-cnn"),
    "natural only": Method("twin-vae"),
    "from scratch": Method("twin-vae", synthetic=True),
    "transfer": Method("twin-vae", "both", synthetic=True),
    "transfer, natural only": Method("twin-vae", "natural"),
    "transfer, frozen core": Method("twin-vae", "both", synthetic=True, strategy="freeze-core"),
    "transfer, frozen outer": Method("twin-vae", "both", synthetic=True, strategy="freeze-outer"),
    "transfer, thawing": Method("twin-vae", "both", synthetic=True, strategy="thaw"),
    "density": Method("density"),
    "density, synthetic": Method("density", synthetic=True),
    "density, transfer": Method("density", "looks"),
    "density, transfer, natural only": Method("density", "natural"),
    "density, starter": Method("density", "starter"),
}
#: The case whose counted images the synthetic ones for pretraining follow in their counts.
FIRST = {"n_labelled": 4, "seed": 0}


@dataclass(frozen=True)
class Case:
    """What a cell of the table is measured on."""

    pair: str
    n_labelled: int
    seed: int
    minutes: float
    pretrain_minutes: float
    part: str

    @property
    def data(self) -> Pair:
        """Images of both techniques."""
        return pair(self.pair)

    def like_target(self) -> Dataset:
        """Return synthetic images in the look of the new technique, counts as in the few."""
        return _like_target(self.pair, self.n_labelled, self.seed)

    def like_source(self, n: int = N_SYNTHETIC) -> Dataset:
        """Return synthetic images in the look of the known technique."""
        like = self.data.source.take(spaced(range(len(self.data.source)), N_REFERENCE))
        return synthetic(self.data.scenes[0], n, self.seed, like)

    def beside(self, source: str) -> Dataset | None:
        """Return the synthetic images that a model is pretrained on beside the known technique."""
        if source == "natural":
            return None
        if source == "both":
            return self.like_source()
        return self.like_source(N_SYNTHETIC // 2) + self.like_target()


@functools.cache
def _like_target(pair_name: str, n_labelled: int, seed: int) -> Dataset:
    data = pair(pair_name)
    few, rest = data.few(n_labelled, seed)
    like = few + uncounted(rest.take(range(max(0, N_REFERENCE - len(few)))))
    return synthetic(data.scenes[1], N_SYNTHETIC, 100 + seed, like)


def settings(
    way: str, minutes: float, seed: int, steps: int = 0, rate: float = 0.0, **more: Any
) -> Any:
    """Return the settings of a training from scratch; nothing is held out, test images judge."""
    from microshot.settings import ImageSettings, TrainSettings
    from microshot.settings.counting import TwinVaeSettings
    from microshot.settings.density import CountSettings

    return TrainSettings(
        task="count", minutes=minutes, images=ImageSettings(validation_fraction=0.0),
        count=CountSettings(architecture=way, frozen_weights=str(WEIGHTS)),
        training=_optimizer(seed, steps, rate), twin_vae=TwinVaeSettings(width=WIDTH, **more),
    )  # fmt: skip


def retraining(
    strategy: str, minutes: float, seed: int, steps: int = 0, rate: float = 0.0, **more: Any
) -> Any:
    """Return the settings of a retraining."""
    from microshot.settings import RetrainSettings
    from microshot.settings.counting import TwinVaeTraining

    return RetrainSettings(
        minutes=minutes, strategy=strategy, check="none",
        training=_optimizer(seed, steps, rate),
        twin_vae=TwinVaeTraining(**more),
    )  # fmt: skip


def _optimizer(seed: int, steps: int, rate: float) -> Any:
    from microshot.settings import OptimizerSettings

    return OptimizerSettings(
        seed=seed, device="cpu", epochs=int(steps > 0), steps_per_epoch=steps or 100,
        learning_rate=rate,
    )  # fmt: skip


def pretrained(method: Method, case: Case) -> Bundle:
    """Return the model that transfer starts from; made once per pair."""
    from microshot import api, starters
    from microshot.bundle import Bundle

    if method.source == "starter":
        return Bundle.load(starters.path_of("cells-density"))

    def made() -> Bundle:
        first = dataclasses.replace(case, **FIRST)
        wanted = settings(method.way, first.pretrain_minutes, first.seed)
        # what is bright here may be dark there
        contrasts = dataclasses.replace(wanted.images, augmentation="contrasts")
        wanted = dataclasses.replace(wanted, images=contrasts)
        beside = first.beside(method.source)
        return api.train(first.data.source, wanted, synthetic=beside).bundle

    name = f"{method.way}_{method.source}_{case.pair.replace(' ', '-')}"
    return once(f"count_{name}_{case.pretrain_minutes:g}min", made)


def model(method: Method, case: Case, steps: int = 0, rate: float = 0.0, **more: Any) -> Bundle:
    """Return a model that has learned from the few counted images.

    `steps` replace the minutes, `rate` the preset's learning rate.
    """
    from microshot import api

    few, _ = case.data.few(case.n_labelled, case.seed)
    extra = case.like_target() if method.synthetic else None
    minutes = 0.0 if steps else case.minutes
    if not method.source:
        wanted = settings(method.way, minutes, case.seed, steps, rate, **more)
        return api.train(few, wanted, synthetic=extra).bundle
    wanted = retraining(method.strategy, minutes, case.seed, steps, rate, **more)
    return api.retrain(pretrained(method, case), few, wanted, synthetic=extra).bundle


def scores(bundle: Bundle, scored: Dataset) -> dict[str, float]:
    """Return how well a model counts images it has not seen."""
    from microshot import api

    predictor = api.Predictor(bundle)
    _, total = api.score("count", [predictor(s) for s in scored], scored)
    return rounded(total, SCORES)


def constant(case: Case, scored: Dataset) -> dict[str, float]:
    """Return how well the mean of the counted images does."""
    from microshot.metrics.counts import count_scores

    few, _ = case.data.few(case.n_labelled, case.seed)
    mean = float(np.mean([s.count for s in few]))
    return rounded(count_scores([s.count for s in scored], [mean] * len(scored)), SCORES)


def measure(results: Results, case: Case, name: str, steps: int = 0, **more: Any) -> dict[str, Any]:
    """Measure one cell of a table unless it is there; return its row."""
    key = {**asdict(case), "method": name, "steps_given": steps, **more}
    if (row := results.find(key)) is not None:
        return row
    scored, method = case.data.scored(case.part), METHODS[name]
    if not method.way:
        results.add({**key, **constant(case, scored), "n_scored": len(scored)})
        return results.rows[-1]
    if method.source:
        pretrained(method, case)
    started = time.process_time()
    bundle = model(method, case, steps, **more)
    used = {
        "steps": bundle.card.training["steps"],
        "cpu_seconds": round(time.process_time() - started, 1),
    }
    results.add({**key, **scores(bundle, scored), "n_scored": len(scored), **used})
    return results.rows[-1]


def main_table(results: Results, cases: Sequence[Case], methods: Sequence[str]) -> None:
    """All methods on all cases."""
    for case in cases:
        for name in methods:
            measure(results, case, name)


def synthetic_ratio(results: Results, cases: Sequence[Case], methods: Sequence[str]) -> None:
    """How many synthetic images per microscope image are best for the methods that use them."""
    for case in cases:
        for name in methods:
            for ratio in RATIOS:
                measure(results, case, name, synthetic_ratio=ratio)


def convergence(results: Results, cases: Sequence[Case], methods: Sequence[str]) -> None:
    """After how many steps a retraining counts as well as a training from scratch at its end."""
    for case in cases:
        for name in methods:
            scratch = "density" if METHODS[name].way == "density" else "from scratch"
            goal = measure(results, case, scratch, STEPS)["mae"]
            for part in PARTS:
                if measure(results, case, name, round(part * STEPS))["mae"] <= goal:
                    break


MODES = {
    "main": (main_table, tuple(METHODS), "4,10,20,40"),
    "synthetic-ratio": (synthetic_ratio, ("from scratch", "transfer"), "20"),
    "convergence": (convergence, ("density, starter", "density, transfer"), "4"),
}


def main() -> None:
    """Run the cells that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--pairs", default=",".join(PAIRS))
    parser.add_argument("--shots", help="numbers of labelled images")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--methods", help="names, with semicolons between them")
    parser.add_argument("--minutes", type=float, default=0.15, help="of processor time")
    parser.add_argument("--pretrain-minutes", type=float, default=0.6)
    parser.add_argument("--part", choices=("development", "test"), default="test")
    given = parser.parse_args()
    one_thread()
    count_processor_time()
    run, methods, shots = MODES[given.mode]
    if given.methods:
        methods = given.methods.split(";")
    cases = [
        Case(name, int(n), int(seed), given.minutes, given.pretrain_minutes, given.part)
        for name in given.pairs.split(",")
        for seed in given.seeds.split(",")
        for n in (given.shots or shots).split(",")
    ]
    suffix = "" if given.mode == "main" else f"_{given.mode.replace('-', '_')}"
    suffix += "" if given.part == "test" else "_development"
    run(Results(f"count_transfer{suffix}", ABOUT), cases, methods)


if __name__ == "__main__":
    main()
