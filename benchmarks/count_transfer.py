"""Transfer of a counter from one imaging technique to another with few counted images.

    python benchmarks/count_transfer.py main
    python benchmarks/count_transfer.py synthetic-ratio --shots 20
    python benchmarks/count_transfer.py convergence --shots 40

Each seed draws other counted images, other synthetic images and other weights. What a model
was pretrained on is made once per seed and kept in `cache/`. All methods get the same
processor time on the counted images; pretraining comes before that.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from count_pairs import N_REFERENCE, Pair, pair, synthetic
from measuring import CACHE, DATA, Results, count_processor_time, one_thread, rounded

if TYPE_CHECKING:
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


@dataclass(frozen=True)
class Method:
    """One line of the table."""

    way: str
    """Architecture, as in the settings; empty = the mean count of the counted images."""
    source: str = ""
    """What it was pretrained on: ``both`` = source technique and synthetic images, ``natural`` =
    source technique; empty = from scratch."""
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
    "density, transfer": Method("density", "natural"),
}


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
        few, rest = self.data.few(self.n_labelled, self.seed)
        from count_pairs import uncounted

        like = few + uncounted(rest.take(range(max(0, N_REFERENCE - len(few)))))
        return synthetic(self.data.scenes[1], N_SYNTHETIC, 100 + self.seed, like)

    def like_source(self) -> Dataset:
        """Return synthetic images in the look of the known technique."""
        like = self.data.source.take(range(N_REFERENCE))
        return synthetic(self.data.scenes[0], N_SYNTHETIC, self.seed, like)


def settings(way: str, minutes: float, seed: int, **more: Any) -> Any:
    """Return the settings of a training from scratch."""
    from microshot.count_settings import TwinVaeSettings
    from microshot.density_settings import CountSettings
    from microshot.settings import ImageSettings, OptimizerSettings, TrainSettings

    return TrainSettings(
        task="count", minutes=minutes,
        count=CountSettings(architecture=way, frozen_weights=str(WEIGHTS)),
        images=ImageSettings(validation_fraction=0.0), training=OptimizerSettings(seed=seed, device="cpu"),
        twin_vae=TwinVaeSettings(width=WIDTH, **more),
    )  # fmt: skip


def retraining(strategy: str, minutes: float, seed: int, **more: Any) -> Any:
    """Return the settings of a retraining; nothing is held out, as the test images judge."""
    from microshot.count_settings import TwinVaeTraining
    from microshot.settings import OptimizerSettings, RetrainSettings

    return RetrainSettings(
        minutes=minutes, strategy=strategy, check="none",
        training=OptimizerSettings(seed=seed, device="cpu"), twin_vae=TwinVaeTraining(**more),
    )  # fmt: skip


def pretrained(method: Method, case: Case) -> Bundle:
    """Return the model that transfer starts from; made once per seed."""
    from microshot import api
    from microshot.bundle import Bundle

    name = f"{method.way}_{method.source}_{case.pair.replace(' ', '-')}_{case.seed}"
    path = CACHE / f"count_{name}_{case.pretrain_minutes:g}min.microshot"
    if not path.is_file():
        extra = case.like_source() if method.source == "both" else None
        wanted = settings(method.way, case.pretrain_minutes, case.seed)
        made = api.train(case.data.source, wanted, synthetic=extra)
        made.bundle.save(path)
    return Bundle.load(path)


def model(method: Method, case: Case, **more: Any) -> Bundle:
    """Return a model that has learned from the few counted images."""
    from microshot import api

    few, _ = case.data.few(case.n_labelled, case.seed)
    extra = case.like_target() if method.synthetic else None
    if not method.source:
        wanted = settings(method.way, case.minutes, case.seed, **more)
        return api.train(few, wanted, synthetic=extra).bundle
    wanted = retraining(method.strategy, case.minutes, case.seed, **more)
    return api.retrain(pretrained(method, case), few, wanted, synthetic=extra).bundle


def scores(bundle: Bundle, scored: Dataset) -> dict[str, float]:
    """Return how well a model counts images it has not seen."""
    from microshot import api

    predictor = api.Predictor(bundle)
    _, total = api.score("count", [predictor(s) for s in scored], scored)
    return rounded(total, SCORES)
