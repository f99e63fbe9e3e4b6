"""What the published losses and the masks of nuclei bring, on generated stacks of fat cells.

    python benchmarks/translate_ablation.py --minutes 1 --seeds 0,1

The published networks at a smaller width, each part of their training added to the one before. All
get the same processor time, the same stacks to learn from and the same other stacks to be scored on.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from typing import TYPE_CHECKING, Any

from measuring import Results, count_processor_time, one_thread, precision, rounded

if TYPE_CHECKING:
    import numpy as np

    from microshot.data.dataset import Dataset
    from microshot.settings import TrainSettings
    from microshot.synth.adipocytes import AdipocyteStack

ABOUT = (
    "Generated stacks of fat cells, a fifth of the droplets with a dark core. Pearson r and medMAE of "
    "the stain; defective droplets found in the virtual stain over those found in the true one (1 is "
    "perfect); error of all features (|prediction - truth| over the median of the truth); part of the "
    "true nuclei of which none is found in the stain (IoU 0.5). Budgets in minutes of processor time "
    "on one thread."
)
N_LEARNED, SIDE_PX = 60, 192
#: Stacks that are scored; hardly one in four holds a defective droplet, so those of lipids are many.
N_SCORED = {"lipids": 128, "nuclei": 16}
#: Part of the droplets with a dark core, the most that generated scenes have, and the exponent of
#: the power law of the droplets' radii; smaller than theirs, so that cores are large enough to be seen.
DEFECTIVE, DROPLET_POWER = 0.2, 1.6
#: Seeds of the stacks that are scored, apart from those that are learned from.
SCORED_SEED = 10_000
SMALL = {"lipids": {"width": 24, "growth": 6}, "nuclei": {"width": 16, "growth": 6}}
#: Typical width of the nuclei, the unit of lengths in the search for objects.
DIAMETER_PX = 40.0
DEFECTS = "Defective droplets: number"


@dataclasses.dataclass(frozen=True)
class Variant:
    """One row of the ablation: a stain, and how it is learned."""

    stain: str
    wish: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Settings of the translation."""
    logarithms: bool = False
    """Whether only the loss of pretraining is learned."""
    masks: bool = True


VARIANTS = {
    "lipids: LsL only": Variant("lipids", logarithms=True),
    "lipids: medMAE and edges": Variant("lipids", {"adversarial_weight": 0.0}),
    "lipids: LsL, then medMAE, edges and adversary": Variant("lipids"),
    "nuclei: no masks": Variant(
        "nuclei", {"network": "dense-unet", "objective": "l1"}, masks=False
    ),
    "nuclei: masks": Variant("nuclei", {"network": "lupi-unet", "objective": "l1"}),
    "nuclei: masks and loss weights": Variant("nuclei", {"network": "lupi-unet"}),
}


def stacks(stain: str, n: int, seed: int, *, masks: bool) -> Dataset:
    """Return generated stacks with one of their stains."""
    from microshot.data.dataset import Dataset
    from microshot.synth.generator import generate

    made = []
    for sample in generate(
        "adipocyte-stack", n, seed, size_px=(SIDE_PX, SIDE_PX), diameter_px=DIAMETER_PX
    ):
        target = sample.target
        assert target is not None
        one = target.pixels[[target.channels.index(stain)]]
        kept = dataclasses.replace(target, pixels=one, channels=(stain,))
        labels = sample.labels if masks else None
        made.append(dataclasses.replace(sample, target=kept, labels=labels))
    return Dataset.of(made)


def with_defects() -> None:
    """Let generated droplets be larger and a fifth of them have a dark core.

    As they are drawn otherwise, hardly one image in ten holds a defect that can be seen.
    """
    from microshot.synth.adipocytes import draw_adipocytes
    from microshot.synth.presets import STACKS

    def draw(rng: np.random.Generator) -> AdipocyteStack:
        return dataclasses.replace(
            draw_adipocytes(rng), defects=DEFECTIVE, droplet_power=DROPLET_POWER
        )

    STACKS["adipocyte-stack"] = draw  # type: ignore[index]  # read by whoever draws such stacks


def settings_of(variant: Variant, minutes: float, seed: int) -> TrainSettings:
    """Return how a variant is trained."""
    from microshot.settings import ImageSettings, OptimizerSettings, TrainSettings
    from microshot.settings.translating import TranslationSettings

    return TrainSettings(
        task="translate", preset=variant.stain, minutes=minutes,
        translation=TranslationSettings(**{**SMALL[variant.stain], **variant.wish}),
        images=ImageSettings(patch_px=128, validation_fraction=0.0),
        training=OptimizerSettings(seed=seed, device="cpu", batch_size=4),
    )  # fmt: skip


def only_logarithms() -> None:
    """Let the preset for lipids learn nothing but the loss of its pretraining."""
    from microshot.tasks.translating import recipes as recipe

    recipe.PRESETS["lipids"] = dataclasses.replace(
        recipe.LIPIDS, terms=recipe.LIPIDS.pretraining_terms, adversarial=0.0, pretraining=0.0
    )


def as_published() -> None:
    """Take `only_logarithms` back."""
    from microshot.tasks.translating import recipes as recipe

    recipe.PRESETS["lipids"] = recipe.LIPIDS


def scored(predictor: Any, stain: str, rest: Dataset) -> dict[str, float]:
    """Return scores of pixels, features and found nuclei."""
    from microshot import api
    from microshot.metrics.feature_scoring import FeatureScores

    truths = [s.target.pixels for s in rest if s.target is not None]
    predictions = [predictor(sample) for sample in rest]
    _, total = api.score("translate", predictions, rest)
    found = rounded(total, ("pearson", "ssim", "med_mae"))
    features = FeatureScores([stain], DIAMETER_PX)
    for sample, truth, prediction in zip(rest, truths, predictions, strict=True):
        features.add(sample.name, truth, prediction.stains.pixels)
    found["feature_error"] = round(features.score(), 4)
    if stain == "lipids":
        true, made = (
            sum(r[DEFECTS] for r in rows) for rows in (features.truth, features.prediction)
        )
        found |= {"n_defects": true} | ({"defects": round(made / true, 4)} if true else {})
    if stain == "nuclei":
        found["missed"] = round(missed(rest, predictions), 4)
    return found


def missed(rest: Dataset, predictions: list[Any]) -> float:
    """Return the part of the true nuclei that are not found in the predicted stain."""
    from microshot.metrics.labels import match
    from microshot.metrics.stain_features import find_objects
    from microshot.metrics.stain_objects import GreyScale

    lost = every = 0
    for sample, prediction in zip(rest, predictions, strict=True):
        assert sample.target is not None
        assert sample.labels is not None
        truth, stain = sample.target.pixels[0], prediction.stains.pixels[0]
        scale = GreyScale.of(truth, stain)
        nuclei = find_objects({"nuclei": stain}, {"nuclei": scale}, DIAMETER_PX).nuclei
        assert nuclei is not None
        tally = match(sample.labels, nuclei, 0.5)
        lost, every = lost + tally.fn, every + tally.fn + tally.tp
    return lost / every


def measure(results: Results, name: str, minutes: float, seed: int) -> None:
    """Measure one variant unless it is there."""
    from microshot import api

    key = {"variant": name, "minutes": minutes, "seed": seed, "precision": precision()}
    if results.has(key):
        return
    variant = VARIANTS[name]
    learned = stacks(variant.stain, N_LEARNED, seed, masks=variant.masks)
    rest = stacks(variant.stain, N_SCORED[variant.stain], SCORED_SEED + seed, masks=True)
    (only_logarithms if variant.logarithms else as_published)()
    started = time.process_time()
    bundle = api.train(learned, settings_of(variant, minutes, seed)).bundle
    used = time.process_time() - started
    extra = {"steps": bundle.card.training["steps"], "cpu_seconds": round(used, 1)}
    results.add({**key, **scored(api.Predictor(bundle), variant.stain, rest), **extra})


def main() -> None:
    """Run the variants that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="of processor time")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--variants", default=";".join(VARIANTS), help="with ; between them")
    given = parser.parse_args()
    one_thread()
    count_processor_time()
    with_defects()
    results = Results("translate_ablation", ABOUT)
    for seed in (int(one) for one in given.seeds.split(",")):
        for name in given.variants.split(";"):
            measure(results, name, given.minutes, seed)


if __name__ == "__main__":
    main()
