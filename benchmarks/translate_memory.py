"""How much memory and time translating one large stack takes on the CPU, each network alone.

``python benchmarks/translate_memory.py`` measures every network in a process of its own and writes
``results/translate_memory.json``. Models are made by another process, so that the one that is measured
does what a user's does: it knows ONNX Runtime and no PyTorch. ``--side 1024`` prints all alone for a
smaller stack.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import Results

#: Height, width and planes of the stack.
SIDE_PX, N_PLANES = 2160, 7
#: Networks as their presets make them at full width, and with three stains in one pass.
NETWORKS = {
    "fast U-Net": [("fast", 3)],
    "Dense U-Net (lipids)": [("lipids", 1)],
    "Dense U-Net with masks (nuclei)": [("nuclei", 1)],
    "nuclei, lipids and cytoplasm together": [("nuclei", 1), ("lipids", 1), ("cytoplasm", 1)],
}


def stack(side: int, n_stains: int, seed: int = 0) -> Any:
    """Return noise with the size and the type of a camera's stack; contents do not matter."""
    from microshot.data.dataset import Sample
    from microshot.data.image import Image

    rng = np.random.default_rng(seed)
    planes = rng.integers(0, 65536, (N_PLANES, side, side), dtype=np.uint16)
    target = Image(rng.integers(0, 65536, (n_stains, side, side), dtype=np.uint16))
    labels = np.zeros((side, side), np.int32)
    labels[: side // 2] = 1
    return Sample("stack", Image(planes), labels, target=target)


def model(preset: str, n_stains: int) -> Any:
    """Return the number of parameters and a model with the network of `preset`, untrained."""
    from microshot import settings
    from microshot.bundle import Bundle, Card
    from microshot.tasks import task_named

    task = task_named("translate")
    chosen = settings.TrainSettings(task="translate", preset=preset)
    recipe = task.recipe([stack(64, n_stains)], chosen, None)
    network = task.build(recipe.architecture, 0)
    n = sum(p.numel() for p in network.parameters())
    card = Card(
        task="translate", architecture=recipe.architecture, preparation=recipe.preparation,
        normalization=recipe.normalization.to_json(), tile=recipe.tile,
        thresholds=recipe.thresholds, targets=tuple(recipe.preparation["targets"]), name=preset,
    )  # fmt: skip
    return n, Bundle.make(card, {k: v.numpy() for k, v in network.state_dict().items()})


def made(name: str, folder: Path) -> None:
    """Write the models of a row into a folder, each with its number of parameters in its name."""
    for index, one in enumerate(NETWORKS[name]):
        n, bundle = model(*one)
        bundle.save(folder / f"{index}_{n}.microshot")


def measured(name: str, side: int, folder: Path) -> dict[str, Any]:
    """Translate a stack once in this process and return what it took."""
    from microshot import api
    from microshot.bundle import Bundle
    from microshot.device import peak_memory_mb
    from microshot.settings import TranslateSettings

    paths = sorted(folder.glob("*.microshot"))
    predictors = [api.Predictor(Bundle.load(p), TranslateSettings(device="cpu")) for p in paths]
    sample = dataclasses.replace(stack(side, 1), labels=None, target=None)
    before, started = peak_memory_mb(predictors[0].device), time.process_time()
    for found in api.translate(predictors, sample):
        found.as_camera()
    return {
        "network": name,
        "parameters": sum(int(p.stem.split("_")[1]) for p in paths),
        "tile_px": min(int(p.recipe.tile["tile_px"]) for p in predictors),
        "seconds": round(time.process_time() - started, 1),
        "mb_before": before,
        "peak_mb": peak_memory_mb(predictors[0].device),
    }


def alone(name: str, side: int) -> dict[str, Any]:
    """Measure one row in a process of its own, on one thread."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, __file__, "--only", name, "--side", str(side), "--in", folder]
        subprocess.run([*command, "--make"], check=True, env=env)
        done = subprocess.run(command, check=True, env=env, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure what is missing in the result file; smaller stacks are printed alone."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", choices=list(NETWORKS), help="one of the rows")
    arguments.add_argument("--side", type=int, default=SIDE_PX, help="of the stack in px")
    arguments.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.make:
        made(given.only, given.folder)
    elif given.folder:
        sys.stdout.write(json.dumps(measured(given.only, given.side, given.folder)) + "\n")
    else:
        about = (
            f"One stack of {N_PLANES} planes of {SIDE_PX} x {SIDE_PX} px, uint16, translated once."
        )
        results = Results("translate_memory", about)
        for name in [given.only] if given.only else NETWORKS:
            if given.side != SIDE_PX:
                sys.stdout.write(f"{alone(name, given.side)}\n")
            elif not results.has({"network": name}):
                results.add(alone(name, given.side))


if __name__ == "__main__":
    main()
