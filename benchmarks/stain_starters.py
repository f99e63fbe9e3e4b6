"""What virtual stains of four squares gain from their start: fresh weights, the starter, and other models.

    python benchmarks/stain_starters.py
    python benchmarks/stain_starters.py --other earlier.microshot

The squares and the scored part of *bf2fluo_isl*, the one set with as many planes as the starter, as in
`translate.py`; all learn for as many steps, so that rows of different machines compare.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from measuring import Results, one_thread, rounded
from stained import divided, four_crops
from starts import BEFORE, add_option, starts_of
from translate import SCORES

if TYPE_CHECKING:
    from microshot.bundle import Bundle
    from microshot.data.dataset import Dataset

ABOUT = (
    "Pearson r, SSIM and medMAE (mean error over the median of the stain) of virtual stains on the part not "
    "learned from, means over three stains, after four squares: from fresh weights, the starter virtual-stain and "
    "an earlier one; before = the start, not retrained. As many steps for all. No start has seen any of these "
    "images; they decided about shapes in the preset."
)
TARGET, STARTER = "bf2fluo_isl", "virtual-stain"
STEPS, SEEDS = 300, (0, 1, 2)
FRESH = "fresh weights"


def optimizer(seed: int) -> Any:
    """Return what all trainings have in common."""
    from microshot.settings import OptimizerSettings

    return OptimizerSettings(seed=seed, device="cpu", epochs=1, steps_per_epoch=STEPS)


def trained(start: Bundle | None, four: Dataset, seed: int) -> Bundle:
    """Return a model that has learned from four squares."""
    from microshot import api
    from microshot.settings import RetrainSettings, TrainSettings
    from microshot.settings.translating import TranslationSettings

    if start is None:
        wish = TrainSettings(
            task="translate", minutes=0.0, translation=TranslationSettings(network="unet"),
            training=optimizer(seed),
        )  # fmt: skip
        return api.train(four, wish).bundle
    settings = RetrainSettings(minutes=0.0, check="none", training=optimizer(seed))
    return api.retrain(start, four, settings).bundle


def scores(bundle: Bundle, rest: Dataset) -> dict[str, float]:
    """Return how well a model stains what it has not seen."""
    from microshot import api

    predictor = api.Predictor(bundle)
    return rounded(api.score("translate", [predictor(s) for s in rest], rest)[1], SCORES)


def main() -> None:
    """Measure all starts with all seeds, where they are not measured yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_option(parser)
    given = parser.parse_args()
    one_thread()
    results = Results("stain_starters", ABOUT)
    starts = starts_of(STARTER, given.other, results)
    for name, start in starts.items():
        key: dict[str, Any] = {"start": name, "id": start.card.id, "seed": BEFORE}
        if not results.has(key):
            results.add({**key, **scores(start, divided(TARGET, 0)[1])})
    for seed in SEEDS:
        learned, rest = divided(TARGET, seed)
        four = four_crops(TARGET, learned, seed)
        for name, start in {FRESH: None, **starts}.items():
            key = {"start": name, "id": start.card.id if start else "", "seed": seed}
            if not results.has(key):
                made = trained(start, four, seed)
                steps = made.card.training["steps"]
                results.add({**key, "steps": steps, **scores(made, rest)})


if __name__ == "__main__":
    main()
