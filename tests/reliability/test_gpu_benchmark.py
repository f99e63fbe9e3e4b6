"""The script that measures a graphics card runs on a processor, so that one run there is enough."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_number_of_the_graphics_card_is_measured_at_small_size_on_a_processor() -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--small", "--device", "cpu"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = {row["part"]: row for row in map(ast.literal_eval, done.stdout.splitlines())}
    assert len(rows) == 10
    for name, found in (("StarDist's schedule", "schedule_min"), ("Twin-VAE, faithful", "epoch_s"),
                        ("the same, cut by the processor", "schedule_min"),
                        ("network over tiles", "mpx_per_s")):  # fmt: skip
        assert rows[name][found] > 0
    assert rows["targets of polygons"]["most_apart"] < 1e-4
    assert rows["targets of polygons"]["batch_ms"] > 0
    contest = rows["translation with adversary"]
    assert contest["players"] == 2
    assert contest["step_ms"] > 0
    assert contest["data_ms"] > 0
    assert rows["same labels as the processor"]["f1"] >= 0.999
    assert rows["same labels as the processor"]["objects"] > 10
    for task in ("segment", "count", "translate"):
        assert rows[f"retrain, {task}"]["steps"] == 1
