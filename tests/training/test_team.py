"""Processes that train together end with the same weights and learn as one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from toys import CPU, draw, stage
from two_processes import PLAN, Halves, plain

from microshot.bundle import Bundle
from microshot.device import rank_and_size
from microshot.training.team import ALONE, Team, team_of
from microshot.training.trainer import fit
from tiny_models import write_fields

ROOT = Path(__file__).parents[2]


def together(*command: object) -> str:
    """Run a command in two processes on one thread each and return what they print."""
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}",
           "OMP_NUM_THREADS": "1"}  # fmt: skip
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*run, *map(str, command)], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_a_process_is_alone_unless_torchrun_says_otherwise(monkeypatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    assert team_of(CPU) is ALONE
    assert ALONE.seed(42) == 42
    assert len({Team(rank, 4).seed(seed) for rank in range(4) for seed in range(100)}) == 400
    monkeypatch.setenv("RANK", "1")  # some other program's
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert rank_and_size() == (0, 1)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    assert rank_and_size() == (1, 4)


@pytest.mark.slow
def test_two_processes_take_the_same_steps_and_those_of_one_with_both_batches(tmp_path) -> None:
    together(ROOT / "tests" / "training" / "two_processes.py", tmp_path)

    def both(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        first, second = (
            json.loads((tmp_path / f"{name}_{rank}.json").read_text("utf-8")) for rank in (0, 1)
        )
        assert first["state"] == second["state"], name
        assert (first["steps"], first["stopped"]) == (second["steps"], second["stopped"])
        return first, second

    model = plain(0)

    def drawn(step: int) -> dict[str, torch.Tensor]:
        a, b = draw(2 * step), draw(2 * step + 1)
        return {key: torch.cat([a[key], b[key]]) for key in a}

    one = fit(model, [stage(model, draw=drawn)], PLAN, CPU)
    for kind in ("short", "plain"):
        first, second = both(kind)
        for name, value in one.state.items():
            assert torch.allclose(torch.tensor(first["state"][name]), value, atol=1e-5), kind
    means = [(a + b) / 2 for a, b in zip(first["losses"], second["losses"], strict=True)]
    assert means == pytest.approx([row["loss"] for row in one.history], rel=1e-3)
    first, _ = both("normalised")
    assert first["losses"][-1] < first["losses"][0] / 2
    before, (after, _) = Halves().state_dict(), both("halves")
    changed = [not torch.equal(torch.tensor(after["state"][k]), v) for k, v in before.items()]
    assert changed == [True, True, True, True, False, False]
    assert both("timed")[0]["steps"] > 3
    assert both("stopped")[0]["stopped"] == "cancelled"
    assert both("stopped")[0]["steps"] == 0
    assert both("broken")[0]["stopped"] == "diverged"
    assert both("broken")[0]["steps"] == 11


def test_numbers_are_averaged_not_added_up(monkeypatch) -> None:
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda flat: flat.add_(3.0))
    known = [torch.ones(2, 2), torch.tensor(5.0)]
    Team(0, 2).average(known)  # the other process has 3 everywhere
    assert [t.tolist() for t in known] == [[[2.0, 2.0], [2.0, 2.0]], 4.0]


@pytest.mark.slow
def test_the_command_line_trains_in_two_processes_and_writes_one_model(tmp_path) -> None:
    write_fields(tmp_path)
    sets = ("epochs=1", "steps_per_epoch=60", "patch_px=48", "network.width=8", "network.rays=8",
            "learning_rate=0.005")  # fmt: skip
    told = together(
        "-m", "microshot", "train", "--task", "segment", "--images", tmp_path / "images",
        "--labels", tmp_path / "labels", "--minutes", 0, "--device", "cpu",
        *(word for one in sets for word in ("--set", one)),
        "--out", tmp_path / "made" / "m.microshot", "--json",
    )  # fmt: skip
    found = json.loads(told)  # one process speaks
    assert found["steps"] == 60
    assert found["scores"]["f1"] > 0.5
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["m.microshot"]
    card = Bundle.load(tmp_path / "made" / "m.microshot").card
    assert card.training["steps"] == 60
    assert card.device == found["device"]
    assert card.device.startswith("CPU, 1 thread, 2 processes: ")
