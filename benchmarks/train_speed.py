"""What a training step costs: ours and StarDist's with TensorFlow, the same network, patch and batch.

    sh benchmarks/peer_environment.sh ../peer
    python benchmarks/train_speed.py --peer ../peer/bin/python

StarDist's default network with 32 rays on grid 2, four patches of 256 × 256 px, light augmentation
as in its example notebook; *float32* is ours where bfloat16 is not to be used. Each program draws
its own batches from the same generated images, in a process of its own; they take turns step by
step.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measuring import HERE, Results, Worker

ABOUT = (
    "One training step, drawing the batch included; ms, medians. `ratios`: StarDist's time over "
    "ours, one per round (processor time with one thread, clock with two). `data_part`: of the "
    "step's time, drawing the batch."
)
PROGRAMS = ("stardist", "microshot", "float32")
#: Steps before measuring: graphs are built, memory is taken.
WARM_UP = 3


def images(path: Path) -> None:
    """Write four generated fluorescence images with their labels."""
    from microshot.synth.generator import generate

    side = 512
    made = list(generate("fluorescence-nuclei", 4, 0, size_px=(side, side),
                         mean_count=side * side / 1100, diameter_px=22))  # fmt: skip
    np.savez(path, images=[m.image.pixels[0] for m in made], labels=[m.labels for m in made])


def compare(peer: str, file: Path, threads: int, rounds: int) -> dict[str, list[Any]]:
    """Let the programs take turns; return all answers by program."""
    script = HERE / "train_worker.py"
    workers = {
        p: Worker([peer if p == "stardist" else sys.executable, str(script), p, str(file)], threads)
        for p in PROGRAMS
    }
    answers: dict[str, list[Any]] = {p: [] for p in PROGRAMS}
    try:
        for number in range(WARM_UP + rounds):
            for name, worker in workers.items():
                answer = worker.ask()
                if number >= WARM_UP:
                    answers[name].append(answer)
    finally:
        for worker in workers.values():
            worker.end()
    return answers


def main() -> None:
    """Measure what is missing in the result file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--peer", required=True)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    results = Results("train_speed", ABOUT)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.npz"
        images(file)
        for threads in given.threads:
            if results.has({"threads": threads}):
                continue
            found = compare(given.peer, file, threads, given.rounds)
            key = "cpu_ms" if threads == 1 else "wall_ms"
            for name, answers in found.items():
                made = {k: round(float(np.median([a[k] for a in answers])), 1) for k in answers[0]}
                pairs = zip(answers, found["stardist"], strict=True)
                ratios = [round(t[key] / a[key], 3) for a, t in pairs]
                part = made[f"data_{key}"] / made[key]
                results.add({"threads": threads, "program": name, **made,
                             "data_part": round(part, 4), "ratios": ratios})  # fmt: skip


if __name__ == "__main__":
    main()
