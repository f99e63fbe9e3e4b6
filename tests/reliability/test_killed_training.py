"""A training that is killed with SIGKILL goes on when the same command is given again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from microshot.bundle import Bundle
from microshot.cli import main
from microshot.training import stage_run
from tiny_images import discs
from tiny_models import model

SRC = str(Path(__file__).parents[2] / "src")
#: Keeps the state after every step and kills itself after so many files.
KILLED = """
import os, signal, sys
from microshot.training import unfinished

unfinished.EVERY_SECONDS = 0.0
write, left = unfinished.Unfinished.write, [int(sys.argv[1])]
def killing(self, name, tensors, values):
    write(self, name, tensors, values)
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
unfinished.Unfinished.write = killing
from microshot.cli import main
main(sys.argv[2:])
"""
QUICK = [
    "--minutes", "0", "--device", "cpu", "--seed", "3", "--set", "epochs=1", "--set", "steps_per_epoch=5",
    "--set", "batch_size=2", "--set", "patch_px=32",
]  # fmt: skip
TRAIN = ["train", *QUICK, "--set", "network.width=4", "--set", "network.depth=1"]


@pytest.fixture
def images(tmp_path, monkeypatch):
    """Three labelled images; this process computes as the one that is killed."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    for i in range(3):
        pixels, labels = discs(seed=i)
        tifffile.imwrite(tmp_path / "images" / f"{i}.tif", pixels)
        tifffile.imwrite(tmp_path / "labels" / f"{i}.tif", labels.astype(np.uint16))
    model().save(tmp_path / "start.microshot")
    yield ["--images", str(tmp_path / "images"), "--labels", str(tmp_path / "labels")]
    torch.set_num_threads(before)


def killed(after: int, arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(after), *arguments],
        env={**os.environ, "PYTHONPATH": SRC}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def same_model(a: Path, b: Path) -> bool:
    first, second = Bundle.load(a), Bundle.load(b)
    alike = all(np.array_equal(first.weights[k], second.weights[k]) for k in second.weights)
    return alike and first.card.scores == second.card.scores and first.card.id == second.card.id


@pytest.fixture
def steps(monkeypatch) -> list[int]:
    """The steps of training that this process takes, as they are taken."""
    taken, step = [], stage_run.step

    def noted(run, stage, optimizers, number, rate):
        taken.append(number)
        return step(run, stage, optimizers, number, rate)

    monkeypatch.setattr(stage_run, "step", noted)
    return taken


NEEDS_KILL = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")


@NEEDS_KILL
def test_a_killed_training_ends_as_one_that_was_not(images, steps, tmp_path, capsys) -> None:
    out, kept = tmp_path / "m.microshot", tmp_path / ".m.microshot.unfinished"
    command = [*TRAIN, *images, "--out", str(out)]
    killed(3, command)
    assert not out.exists()
    assert sorted(p.name for p in kept.iterdir()) == ["job.json", "step_0.safetensors"]
    assert main([*command, "--set", "learning_rate=0.5"]) == 1
    assert "an unfinished training that differs in settings lies there" in capsys.readouterr().err
    label = tmp_path / "labels" / "1.tif"
    before = label.read_bytes()
    tifffile.imwrite(label, np.flipud(tifffile.imread(label)))
    assert main(command) == 1
    assert "an unfinished training that differs in images lies there" in capsys.readouterr().err
    label.write_bytes(before)
    assert steps == []
    assert main(command) == 0
    assert steps == [3, 4]
    told = capsys.readouterr().err
    assert "Going on with the training that was interrupted: the present one at step 3" in told
    assert not kept.exists()
    assert main([*TRAIN, *images, "--out", str(tmp_path / "whole.microshot")]) == 0
    assert same_model(out, tmp_path / "whole.microshot")


@NEEDS_KILL
def test_a_killed_check_does_not_train_again_what_was_finished(
    images, steps, tmp_path, capsys
) -> None:
    start = ["retrain", "--model", str(tmp_path / "start.microshot"), *QUICK, *images]
    start += ["--set", "keep_better=false"]
    command = [*start, "--out", str(tmp_path / "m.microshot")]
    killed(8, command)  # 5 states and a model of the first training, 2 states of the second
    capsys.readouterr()
    assert main(command) == 0
    told = capsys.readouterr().err
    assert "1 training of the check finished, the present one at step 2" in told
    assert steps == [2, 3, 4, *range(5), *range(5)]
    assert main([*start, "--out", str(tmp_path / "whole.microshot")]) == 0
    assert same_model(tmp_path / "m.microshot", tmp_path / "whole.microshot")
    assert not (tmp_path / ".m.microshot.unfinished").exists()
