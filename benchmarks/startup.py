"""How long it takes from the start of a process to the first prediction and to the first dialog.

    sh benchmarks/peer_environment.sh ../peer
    python benchmarks/startup.py --peer ../peer/bin/python --model MODEL.microshot

Each start is a process of its own that predicts one generated image of 256 × 256 px; the programs
take turns. *Nodes* imports what KNIME imports to list and configure the nodes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import HERE, Results
from predict_speed import default_model, for_keras, picture, same_network

ABOUT = (
    "Seconds from the start of a process, of the clock and of its processor time, imports of files "
    "that were read before. `ratio`: StarDist's processor time over ours in the same round."
)
NODES = "from microshot.headless import standin; standin.install(); import microshot_extension"


def nodes() -> dict[str, float]:
    """Import the nodes in a new process."""
    return _timed([sys.executable, "-c", NODES], "")


def prediction(program: str, python: str, model: Path, image: Path) -> dict[str, float]:
    """Predict once in a new process."""
    arguments = [python, str(HERE / "predict_worker.py"), program, str(model), str(image), "1"]
    return _timed(arguments, "\n")


def _timed(arguments: list[str], text: str) -> dict[str, float]:
    before, started = os.times(), time.perf_counter()
    subprocess.run(
        arguments, input=text, text=True, check=True, capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    after = os.times()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return {"wall_s": round(time.perf_counter() - started, 2), "cpu_s": round(cpu, 2)}


def main() -> None:
    """Measure the rounds that are missing in the result file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--peer", required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    from microshot.bundle import Bundle

    results = Results("startup", ABOUT)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pixels, diameter = picture(256)
        np.save(folder / "image.npy", pixels)
        own = default_model(Bundle.load(given.model), diameter)
        same = same_network(own, pixels)
        default, wide = folder / "default.microshot", folder / "wide.microshot"
        own.save(default)
        same.save(wide)
        for_keras(same, wide.with_suffix(".npz"))
        for number in range(given.rounds):
            if results.has({"round": number}):
                continue
            found: dict[str, Any] = {"nodes": nodes()}
            for program, python, file in (
                ("onnx", sys.executable, default), ("torch", sys.executable, default),
                ("stardist", given.peer, wide),
            ):  # fmt: skip
                found[program] = prediction(program, python, file, folder / "image.npy")
            ratio = round(found["stardist"]["cpu_s"] / found["onnx"]["cpu_s"], 2)
            results.add({"round": number, **found, "ratio": ratio})


if __name__ == "__main__":
    main()
