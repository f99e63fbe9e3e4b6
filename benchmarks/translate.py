"""Translating transmitted light to stains: every method gets the same processor time.

    python benchmarks/translate.py --sets bf2fluo_isl,phc2dapi_cohen --seeds 0,1
    python benchmarks/translate.py --minutes 2 --methods "unet;dense"
    python benchmarks/translate.py --methods "four, after generated" --pretraining 4
    python benchmarks/translate.py --precision float32

`regression` predicts each pixel of a stain from the planes at that pixel alone. `unet` and `dense`
learn from all that may be learned from with the preset *fast*, the others with the published
losses, networks at a smaller width. Those called *four* learn from four small squares. What a
network makes of mirror images, too, is scored beside what it makes of the images.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from measuring import Results, count_processor_time, once, one_thread, precision, rounded
from stained import SETS, divided, four_crops, generated, same_shape

if TYPE_CHECKING:
    from microshot.bundle import Bundle
    from microshot.data.dataset import Dataset

ABOUT = (
    "Pearson r, SSIM and medMAE (mean error over the median of the stain) on the part not learned "
    "from, means over the stains. Budgets in minutes of processor time on one thread. Development "
    "data."
)
SCORES = ("pearson", "ssim", "med_mae")
#: Preset and what differs from it. Published networks at half their width, learning from smaller
#: crops, so that a minute holds a few hundred steps.
TRAININGS: dict[str, tuple[str, dict[str, Any]]] = {
    "unet": ("fast", {"network": "unet"}),
    "dense": ("fast", {"network": "dense-unet"}),
    "nuclei, small": ("nuclei", {"width": 16, "growth": 6}),
    "lipids, small": ("lipids", {"width": 24, "growth": 6}),
    "cytoplasm, small": ("cytoplasm", {"width": 24, "growth": 6}),
}
#: How the four squares are used: from scratch, or after learning from other images.
FOUR = ("four, scratch", "four, after generated", "four, after other")
METHODS = ("regression", *TRAININGS, *FOUR)
#: Of starts, unless the command line says otherwise.
PRETRAINING_MINUTES = 1.0


@dataclass(frozen=True)
class How:
    """What is asked for beside method and minutes."""

    augmentation: str = "auto"
    precision: str = "auto"
    pretraining: float = PRETRAINING_MINUTES
    rate: float = 0.0
    """Learning rate; 0 = the preset's."""

    def training(self, seed: int, **more: Any) -> Any:
        """Return the settings of the optimiser."""
        from microshot.settings import OptimizerSettings

        return OptimizerSettings(
            seed=seed, device="cpu", learning_rate=self.rate, precision=self.precision, **more
        )


def settings_of(method: str, minutes: float, seed: int, how: How) -> Any:
    """Return how a network is trained from scratch."""
    from microshot.settings import ImageSettings, TrainSettings
    from microshot.settings.translating import TranslationSettings

    preset, network = TRAININGS[method]
    small = {} if preset == "fast" else {"patch_px": 128}
    batch = {} if preset == "fast" else {"batch_size": 4}
    return TrainSettings(
        task="translate", preset=preset, minutes=minutes,
        translation=TranslationSettings(**network),
        images=ImageSettings(augmentation=how.augmentation, **small),
        training=how.training(seed, **batch),
    )  # fmt: skip


def pretrained(source: str, target: str, seed: int, how: How) -> Bundle:
    """Return the model to retrain: learned from generated stacks or another set, once."""
    from microshot import api

    def made() -> Bundle:
        if source == "generated":
            data = generated(target, seed)
        else:
            data = same_shape(divided(SETS[target].other, seed)[0], target)
        asked = dataclasses.replace(how, rate=0.0)
        return api.train(data, settings_of("unet", how.pretraining, seed, asked)).bundle

    stem = f"translate_{source}_{target}_{seed}_{how.augmentation}_{how.pretraining:g}min"
    return once(stem.replace(" ", "-"), made, how.precision)


def trained(
    method: str, target: str, learned: Dataset, minutes: float, seed: int, how: How
) -> Bundle:
    """Return the model of one method."""
    from microshot import api
    from microshot.settings import CropSettings, RetrainSettings

    if method in TRAININGS:
        return api.train(learned, settings_of(method, minutes, seed, how)).bundle
    four = four_crops(target, learned, seed)
    if method == "four, scratch":
        return api.train(four, settings_of("unet", minutes, seed, how)).bundle
    settings = RetrainSettings(
        minutes=minutes, check="none", images=CropSettings(augmentation=how.augmentation),
        training=how.training(seed),
    )  # fmt: skip
    source = method.removeprefix("four, after ")
    start = pretrained(source, target, seed, how)
    return api.retrain(start, four, settings).bundle


def regressed(learned: Dataset, rest: Dataset) -> list[Any]:
    """Return the stains of `rest` as a linear function of the planes at the same pixel."""
    from microshot.data.image import Image
    from microshot.tasks.translating.translation import Translation

    def planes(sample: Any) -> np.ndarray:
        values = sample.image.pixels.reshape(sample.image.n_channels, -1).astype(np.float64)
        values = (values - values.mean(1, keepdims=True)) / np.maximum(values.std(1), 1)[:, None]
        return np.concatenate([values, np.ones((1, values.shape[1]))])

    x = np.concatenate([planes(s) for s in learned], axis=1)
    y = np.concatenate([s.target.pixels.reshape(s.target.n_channels, -1) for s in learned], axis=1)  # type: ignore[union-attr]
    weights = np.linalg.solve(x @ x.T + 1e-6 * np.eye(len(x)), x @ y.T.astype(np.float64))
    made = []
    for sample in rest:
        assert sample.target is not None
        pixels = (weights.T @ planes(sample)).reshape(sample.target.pixels.shape)
        made.append(Translation(Image(pixels.astype(np.float32), None, sample.target.channels)))
    return made


def measure(results: Results, key: dict[str, Any], how: How) -> None:
    """Measure one cell of the table unless it is there."""
    from microshot import api
    from microshot.settings import TranslateSettings

    if results.has(key):
        return
    learned, rest = divided(key["target"], key["seed"])
    method, seed = key["method"], key["seed"]
    extra: dict[str, Any] = {}
    averaged: list[Any] = []
    if method.startswith("four, after "):  # not counted
        source = method.removeprefix("four, after ")
        pretrained(source, key["target"], seed, how)
    started = time.process_time()
    if method == "regression":
        predictions = regressed(learned, rest)
    else:
        bundle = trained(method, key["target"], learned, key["minutes"], seed, how)
        extra = {"steps": bundle.card.training["steps"]}
        extra["cpu_seconds"] = round(time.process_time() - started, 1)
        looks = [api.Predictor(bundle, TranslateSettings(mirrored=m)) for m in (False, True)]
        predictions, averaged = ([look(sample) for sample in rest] for look in looks)
    _, total = api.score("translate", predictions, rest)
    if averaged:
        extra["mirrored"] = rounded(api.score("translate", averaged, rest)[1], SCORES)
    per_stain = [n for n in total if n.startswith(("pearson_", "ssim_", "med_mae_"))]
    results.add({**key, **rounded(total, (*SCORES, *per_stain)), "n_scored": len(rest), **extra})


def main() -> None:
    """Run the cells that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="of processor time")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--methods", default=";".join(METHODS), help="with ; between them")
    parser.add_argument("--augmentation", default="auto", help="of all that is trained")
    parser.add_argument("--precision", default="auto", choices=("auto", "float32"))
    parser.add_argument(
        "--pretraining", type=float, default=PRETRAINING_MINUTES, help="minutes, before the four"
    )
    given = parser.parse_args()
    methods = given.methods.split(";")
    if unknown := set(methods) - set(METHODS):
        parser.error(f"--methods: no {' or '.join(sorted(unknown))} among {'; '.join(METHODS)}")
    one_thread()
    count_processor_time()
    results = Results("translate", ABOUT)
    for seed in (int(one) for one in given.seeds.split(",")):
        for method in methods:
            for target in given.sets.split(","):
                minutes = 0.0 if method == "regression" else given.minutes
                key: dict[str, Any] = {"target": target, "method": method, "seed": seed}
                key |= {"minutes": minutes, "augmentation": given.augmentation}
                if method != "regression":
                    key["precision"] = precision(given.precision)
                if method.startswith("four, after "):
                    key["pretraining"] = given.pretraining
                measure(results, key, How(given.augmentation, given.precision, given.pretraining))


if __name__ == "__main__":
    main()
