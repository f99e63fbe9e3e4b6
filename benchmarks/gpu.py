"""What a graphics card makes of the same work: every number in one run of at most ten minutes.

    python benchmarks/gpu.py                      on the card, into results/gpu.json
    python benchmarks/gpu.py --small --device cpu the same at a size for a processor, printed alone

Trainings run through the trainer, as every training does; steps are timed from batch to batch, the
card having done all that it was given. Batches are drawn by the processor meanwhile; images that a
training keeps on a card are cut and changed there, also with ``--device cpu``.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from measuring import Results
from predict_speed import picture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from microshot.data.dataset import Dataset
    from microshot.device import Device

ABOUT = (
    "One run on one device. `step_ms`: mean of a step; `data_ms`: of drawing its batch on the "
    "processor, which a card does not wait for unless it takes longer than the step before; "
    "`target`: what is hoped for on a card of the H200 class, in the unit of the number before it."
)


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    pictures: int = 6300
    patch_px: int = 256
    stains_px: int = 512
    steps: int = 60
    side_px: int = 4096
    compared_px: int = 2048
    retrain_minutes: float = 0.75
    retrain_steps: int = 0
    """Steps of a retraining; 0 = until the minutes are over."""
    width: int = 0
    """Of networks; 0 = as the preset says."""


LARGE = Size()
SMALL = Size(pictures=16, patch_px=64, stains_px=64, steps=3, side_px=256, compared_px=256,
             retrain_minutes=0.0, retrain_steps=1, width=4)  # fmt: skip


@dataclass
class Stopwatch:
    """Notes when steps begin, that is, when their batches have been drawn."""

    device: Device
    began: list[float] = field(default_factory=list)

    def now(self) -> float:
        """Return the seconds of a clock, once the device has nothing left to do."""
        if self.device.name == "cuda":
            import torch

            torch.cuda.synchronize()
        return time.perf_counter()

    def timed(self, stage: Any) -> Any:
        """Return a stage whose steps are timed."""

        def making(batch: Any) -> Any:
            self.began.append(self.now())
            return stage.make(batch) if stage.make else batch

        return dataclasses.replace(stage, make=making, keep=None, share=1.0)

    def step_ms(self) -> float:
        """Return the milliseconds of a step, without the first third."""
        return round(1000 * float(np.diff(self.began)[len(self.began) // 3 :].mean()), 2)


def drawing_ms(stage: Any, steps: int) -> float:
    """Return the milliseconds of drawing a batch, which is done while a card works."""
    stage.draw(0)
    started = time.perf_counter()
    for step in range(1, steps + 1):
        stage.draw(step)
    return round(1000 * (time.perf_counter() - started) / steps, 2)


def kept(stage: Any, device: Device) -> Any:
    """Return a stage with its images on the device, where it knows how."""
    found = stage.keep and stage.keep(device.torch, sys.maxsize)
    return dataclasses.replace(stage, draw=found[0], make=found[1]) if found else stage


def steps_of(
    settings: Any, data: Dataset, device: Device, steps: int, placed: Callable[..., Any] = kept
) -> dict[str, Any]:
    """Train the last stage of a task for some steps; return what a step takes."""
    from microshot.learning.fitting import Fitting
    from microshot.tasks import task_named
    from microshot.tasks.lesson import Lesson
    from microshot.training.trainer import Plan, fit

    task = task_named(settings.task)
    recipe = task.recipe(data.samples, settings, None)
    hyper = task.hyper(data.samples, settings, None)
    run = Fitting(task, recipe, hyper, settings, device)
    model = task.fresh(recipe.architecture, settings, 0)
    stages: Any = task.stages(model, Lesson(recipe, hyper, run.items(data)))
    last, watch = placed(stages[-1], device), Stopwatch(device)
    stage = watch.timed(last)
    plan = Plan(steps=steps, optimizer=hyper.optimizer, ema=hyper.ema, clip=hyper.clip)
    fit(model, [stage], plan, device)
    times = {"step_ms": watch.step_ms(), "data_ms": drawing_ms(last, steps)}
    return {**times, "batch": hyper.batch_size, "players": len(stage.players)}


def training(task: str, size: Size, preset: str = "fast", **more: Any) -> Any:
    """Return settings of a training on patches of `more`'s size."""
    from microshot.settings import (
        ImageSettings,
        NetworkSettings,
        OptimizerSettings,
        TrainSettings,
    )

    wide = NetworkSettings(width=size.width) if size.width else NetworkSettings()
    batch = more.pop("batch_size", 0)
    return TrainSettings(
        task=task, preset=preset, minutes=0.0, network=more.pop("network", wide),
        images=ImageSettings(**more), training=OptimizerSettings(batch_size=batch),
    )  # fmt: skip


def nuclei(n: int, side: int) -> Dataset:
    """Return generated fluorescence images."""
    from microshot.synth.generator import generate

    return generate("fluorescence-nuclei", n, 0, size_px=(side, side), mean_count=side**2 / 1100,
                    diameter_px=22)  # fmt: skip


def twin_vae(size: Size, device: Device) -> dict[str, Any]:
    """One epoch of the published Twin-VAE: all pictures once."""
    from microshot.data.dataset import Dataset
    from microshot.synth.generator import generate

    few = list(generate("phase-contrast", min(size.pictures, 256), 0, size_px=(128, 128),
                        mean_count=12))  # fmt: skip
    data = Dataset.of(few[i % len(few)] for i in range(size.pictures))
    found = steps_of(training("count", size, "faithful"), data, device, size.steps)
    steps = -(-size.pictures // found["batch"])
    return {**found, "epoch_s": round(steps * found["step_ms"] / 1000, 3), "target": 0.3}


def stardist(size: Size, device: Device, placed: Callable[..., Any] = kept) -> dict[str, Any]:
    """StarDist's default schedule: 400 epochs of 100 steps, four patches each."""
    from microshot.settings import NetworkSettings

    network = NetworkSettings(backbone="unet", head="stardist", width=size.width or 32, grid="2")
    settings = training("segment", size, network=network, patch_px=size.patch_px, batch_size=4,
                        augmentation="light", rescale="no")  # fmt: skip
    found = steps_of(settings, nuclei(4, 2 * size.patch_px), device, size.steps, placed)
    return {**found, "schedule_min": round(40_000 * found["step_ms"] / 60_000, 2), "target": 4}


def star_targets(size: Size, device: Device) -> dict[str, Any]:
    """Targets of a batch on the device, against those of the package on the processor."""
    import torch

    from microshot.nn.star_targets import star_targets as made
    from microshot.tasks.segmenting.stardist import targets

    labels = np.stack([sample.labels for sample in nuclei(4, size.patch_px)])  # type: ignore[misc]
    there, watch = torch.from_numpy(labels).to(device.torch), Stopwatch(device)
    probability, distance = made(there, 32, 2)
    targets(labels[0], 32, 2)
    started = watch.now()
    for _ in range(size.steps):
        made(there, 32, 2)
    middle = watch.now()
    known = [targets(one, 32, 2) for one in labels]
    took = watch.now() - middle
    apart = max(
        float(np.abs(found.cpu().numpy() - np.stack([one[i] for one in known])).max())
        for i, found in enumerate((probability, distance))
    )
    return {"batch_ms": round(1000 * (middle - started) / size.steps, 2),
            "processor_ms": round(1000 * took, 2), "most_apart": round(apart, 6), "target": 2}  # fmt: skip


def adversary(size: Size, device: Device) -> dict[str, Any]:
    """A step of the published translation with its adversary."""
    from microshot.synth.generator import generate

    side = size.stains_px
    data = generate("adipocyte-stack", 2, 0, size_px=(side, side))
    settings = training("translate", size, "nuclei", patch_px=side, batch_size=4)
    contest = dataclasses.replace(settings.translation, objective="adversarial")
    settings = dataclasses.replace(settings, translation=contest)
    return {**steps_of(settings, data, device, size.steps), "target": 60}


def network(size: Size, device: Device) -> dict[str, Any]:
    """The network's pass over the tiles of one image, copies to and from the device included."""
    from microshot.inference.predictor import TorchNetwork
    from microshot.nn.segmenter import Segmenter

    architecture = {"backbone": "unet", "head": "stardist", "in_channels": 1, "depth": 3,
                    "width": size.width or 32, "rays": 32, "grid": 2}  # fmt: skip
    tile = min(1024, size.side_px)
    applied = TorchNetwork(Segmenter(architecture), device)
    x = np.random.default_rng(0).normal(size=(1, 1, tile, tile)).astype(np.float32)
    applied(x)
    n, watch = (size.side_px // tile) ** 2, Stopwatch(device)
    started = watch.now()
    for _ in range(n):
        applied(x)
    return {"mpx_per_s": round(n * tile**2 / 1e6 / (watch.now() - started), 2), "target": 100}


def retraining(name: str, data: Dataset, size: Size, device: Device) -> dict[str, Any]:
    """Retrain a starter model on four images and return how long all of it took."""
    from microshot import api, starters
    from microshot.bundle import Bundle
    from microshot.settings import OptimizerSettings, RetrainSettings

    start = Bundle.load(starters.path_of(name))
    steps = size.retrain_steps
    few = {"epochs": 1, "steps_per_epoch": steps, "batch_size": 2} if steps else {}
    settings = RetrainSettings(
        minutes=size.retrain_minutes, check="none",
        training=OptimizerSettings(device=device.name, **few),
    )  # fmt: skip
    started = time.perf_counter()
    made = api.retrain(start, data, settings).bundle.card
    seconds = round(time.perf_counter() - started, 2)
    return {"seconds": seconds, "steps": made.training["steps"], "target": 60}


def agreement(size: Size, device: Device) -> dict[str, Any]:
    """Labels from the device against those from ONNX Runtime on the processor."""
    from microshot import api, starters
    from microshot.bundle import Bundle
    from microshot.data.dataset import Sample
    from microshot.data.image import Image
    from microshot.metrics.labels import match
    from microshot.settings import PredictSettings

    bundle = Bundle.load(starters.path_of("nuclei-fluorescence"))
    sample = Sample("image", Image(picture(size.compared_px)[0][None]))
    there = api.Predictor(bundle, PredictSettings(device=device.name), inspected=True)(sample)
    here = api.Predictor(bundle, PredictSettings(device="cpu"))(sample)
    same = match(here.labels, there.labels, 0.5)
    return {"f1": round(same.f1, 5), "objects": here.n_objects, "target": 0.999}


def parts(size: Size) -> dict[str, Callable[[Device], dict[str, Any]]]:
    """Return all that is measured, by name."""
    from microshot.synth.generator import generate

    side = 2 * size.patch_px

    def again(name: str, data: Callable[[], Sequence[Any]]) -> Callable[[Device], dict[str, Any]]:
        from microshot.data.dataset import Dataset

        return lambda device: retraining(name, Dataset.of(data()), size, device)

    return {
        "StarDist's schedule": lambda device: stardist(size, device),
        "the same, cut by the processor": lambda device: stardist(
            size, device, lambda stage, _: stage
        ),
        "targets of polygons": lambda device: star_targets(size, device),
        "Twin-VAE, faithful": lambda device: twin_vae(size, device),
        "translation with adversary": lambda device: adversary(size, device),
        "network over tiles": lambda device: network(size, device),
        "same labels as the processor": lambda device: agreement(size, device),
        "retrain, segment": again("nuclei-fluorescence", lambda: nuclei(4, side)),
        "retrain, count": again(
            "cells-density", lambda: generate("phase-contrast", 4, 1, size_px=(side, side))
        ),
        "retrain, translate": again(
            "virtual-stain", lambda: generate("adipocyte-stack", 4, 1, size_px=(side, side))
        ),
    }


def main() -> None:
    """Measure what is missing in the result file; small sizes are printed alone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="a size for a processor")
    given = parser.parse_args()
    from microshot.device import choose_device, peak_memory_mb

    device = choose_device(given.device)
    results = Results("gpu", ABOUT)
    for name, measure in parts(SMALL if given.small else LARGE).items():
        if not given.small and results.has({"part": name, "device": device.reason}):
            continue
        started = time.perf_counter()
        found = measure(device)
        took = round(time.perf_counter() - started, 1)
        row = {"part": name, "device": device.reason, **found, "took_s": took,
               "peak_mb": peak_memory_mb(device)}  # fmt: skip
        if given.small:
            sys.stdout.write(f"{row}\n")
        else:
            results.add(row)


if __name__ == "__main__":
    main()
