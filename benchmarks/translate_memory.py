"""How much memory and time translating one large stack takes on the CPU, each network alone.

``python benchmarks/translate_memory.py`` measures every network in a process of its own and writes
``results/translate_memory.json``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import time
from typing import Any

import numpy as np
from measuring import Results, one_thread

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
    """Return a model with the network of `preset`, untrained."""
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


def measured(name: str) -> dict[str, Any]:
    """Translate the stack once in this process and return what it took."""
    one_thread()
    from microshot import api
    from microshot.device import peak_memory_mb
    from microshot.settings import TranslateSettings

    made = [model(*one) for one in NETWORKS[name]]
    predictors = [api.Predictor(m, TranslateSettings(device="cpu")) for _, m in made]
    sample = dataclasses.replace(stack(SIDE_PX, 1), labels=None, target=None)
    before, started = peak_memory_mb(predictors[0].device), time.process_time()
    for found in api.translate(predictors, sample):
        found.as_camera()
    return {
        "network": name,
        "parameters": sum(n for n, _ in made),
        "tile_px": min(int(p.recipe.tile["tile_px"]) for p in predictors),
        "seconds": round(time.process_time() - started, 1),
        "mb_before": before,
        "peak_mb": peak_memory_mb(predictors[0].device),
    }


def main() -> None:
    """Measure all networks, or one where it is named."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", choices=list(NETWORKS), help="measure one, print JSON")
    given = arguments.parse_args()
    if given.only:
        sys.stdout.write(json.dumps(measured(given.only)) + "\n")
        return
    about = f"One stack of {N_PLANES} planes of {SIDE_PX} x {SIDE_PX} px, uint16, translated once."
    results = Results("translate_memory", about)
    for name in NETWORKS:
        if not results.has({"network": name}):
            command = [sys.executable, __file__, "--only", name]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            results.add(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
