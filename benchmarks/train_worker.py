"""One program that takes training steps whenever it is told to; train_speed.py starts several.

Runs in the environment of the program it stands for, so it imports nothing that both lack.
Every line on stdin starts one step; every answer on stdout is one line of JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

#: Fresh weights of StarDist's default network on this grid, patches and batches of this size.
PATCH_PX, BATCH, RAYS, GRID, WIDTH = 256, 4, 32, 2, 32


class Meter:
    """Answers with what each step took, and waits to be told to take the next one."""

    def __init__(self) -> None:
        self.say, sys.stdout = sys.stdout, sys.stderr  # libraries print
        self.began = self.drawn = (0.0, 0.0)
        self.running = False

    def next(self) -> bool:
        """End a step, wait, begin another; False if there shall be none."""
        if self.running:
            wall, cpu = _now()
            answer = {
                "wall_ms": wall - self.began[0],
                "cpu_ms": cpu - self.began[1],
                "data_wall_ms": self.drawn[0] - self.began[0],
                "data_cpu_ms": self.drawn[1] - self.began[1],
            }
            answer = {k: round(1000 * v, 2) for k, v in answer.items()}
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(json.dumps({**answer, "peak_mb": peak}), file=self.say, flush=True)
        self.running = bool(sys.stdin.readline())
        self.began = _now()
        return self.running

    def drew(self) -> None:
        """Note that the batch is there."""
        self.drawn = _now()


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def microshot(images: np.ndarray, labels: np.ndarray, meter: Meter, precision: str) -> None:
    """Train with the very loop that every training of ours runs through."""
    from microshot.device import prepare_process

    prepare_process()  # as every verb does before PyTorch is imported
    from microshot.data.dataset import Dataset, Sample
    from microshot.data.image import Image
    from microshot.device import choose_device
    from microshot.learning.fitting import Fitting
    from microshot.progress import Cancelled
    from microshot.settings import (
        ImageSettings,
        NetworkSettings,
        OptimizerSettings,
        TrainSettings,
    )
    from microshot.tasks import task_named
    from microshot.training import trainer

    data = Dataset.of(
        Sample(str(i), Image(image[None]), own.astype(np.int32))
        for i, (image, own) in enumerate(zip(images, labels, strict=True))
    )
    settings = TrainSettings(
        minutes=0,
        network=NetworkSettings(backbone="unet", head="stardist", width=WIDTH, depth=3, rays=RAYS,
                                grid=str(GRID)),
        images=ImageSettings(patch_px=PATCH_PX, augmentation="light", rescale="no",
                             normalization="percentile"),
        training=OptimizerSettings(
            batch_size=BATCH, epochs=100, steps_per_epoch=100, precision=precision
        ),
    )  # fmt: skip
    task, device = task_named("segment"), choose_device("cpu")
    recipe = task.recipe(data.samples, settings, None)
    hyper = task.hyper(data.samples, settings, None)
    run = Fitting(task, recipe, hyper, settings, device)
    original = trainer.fit

    def metered(model: Any, stages: Any, *rest: Any) -> Any:
        for stage in stages:
            stage.draw = _metered(stage.draw, meter)
            if stage.make is not None:
                stage.make = _metered(stage.make, meter)
        return original(model, stages, *rest)

    def stop_at_the_end(_fraction: float, _message: str = "") -> None:
        if not meter.next():
            raise Cancelled

    trainer.fit = metered
    run.fit(data, Dataset(), Dataset(), 0, stop_at_the_end)


def _metered(draw: Callable[[Any], Any], meter: Meter) -> Callable[[Any], Any]:
    def drawn(given: Any) -> Any:
        made = draw(given)
        meter.drew()
        return made

    return drawn


def stardist(images: np.ndarray, labels: np.ndarray, meter: Meter, threads: int) -> None:
    """Train StarDist with the augmentation of its example notebook."""
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    from csbdeep.utils import normalize
    from stardist.models import Config2D, StarDist2D
    from stardist.models.model2d import StarDistData2D

    size = (PATCH_PX, PATCH_PX)
    config = Config2D(n_rays=RAYS, grid=(GRID, GRID), unet_n_filter_base=WIDTH,
                      train_patch_size=size, train_batch_size=BATCH)  # fmt: skip
    model: Any = StarDist2D(config, name=None, basedir=None)
    model.prepare_for_training()
    data = StarDistData2D(
        [normalize(x, 1, 99.8) for x in images], list(labels), batch_size=BATCH, n_rays=RAYS,
        length=10000, patch_size=size, grid=(GRID, GRID), augmenter=_augmented,
        foreground_prob=config.train_foreground_only,
    )  # fmt: skip
    step = 0
    while meter.next():
        (x,), targets = data[step]
        meter.drew()
        model.keras_model.train_on_batch(x, targets)
        step += 1


RNG = np.random.default_rng(0)


def _augmented(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mirror, turn and change the brightness, as in StarDist's example of training."""
    turns, mirrored = RNG.integers(4), RNG.integers(2)
    x, y = np.rot90(x, turns), np.rot90(y, turns)
    if mirrored:
        x, y = x[::-1], y[::-1]
    x = x * RNG.uniform(0.6, 2) + RNG.uniform(-0.2, 0.2)
    return x + 0.02 * RNG.uniform() * RNG.normal(0, 1, x.shape), y


def main() -> None:
    """Take steps until there are no more lines."""
    program, file, threads = sys.argv[1:]
    meter = Meter()
    given: Any = np.load(Path(file))
    if program == "stardist":
        stardist(given["images"], given["labels"], meter, int(threads))
    else:
        precision = "float32" if program == "float32" else "auto"
        microshot(given["images"], given["labels"], meter, precision)


if __name__ == "__main__":
    main()
