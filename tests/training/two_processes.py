"""Trains small networks in each process that `torchrun` has started, and writes what came out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))

from toys import CPU, Clock, TinyNet, draw, squared_error, stage

from microshot.progress import Cancelled
from microshot.training.team import team_of
from microshot.training.trainer import Plan, fit

PLAN = Plan(steps=40, steps_per_epoch=10, schedule="constant", warmup_steps=0, ema=0.9, clip=1.0)


def plain(seed: int) -> nn.Module:
    """Return a network whose loss on a batch is the mean of those on its parts."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Conv2d(1, 1, 3, padding=1)


def own(step: int) -> Any:
    """Return a batch that no other process has."""
    return draw(2 * step + team_of(CPU).rank)


class Halves(nn.Module):
    """Two networks of which a batch shows one only, and a third that none shows."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList(plain(seed) for seed in range(3))

    def forward(self, x: torch.Tensor, part: int) -> torch.Tensor:
        return self.parts[part](x)


def stopping(_fraction: float, _message: str = "") -> None:
    """Ask the last process to stop as soon as it begins."""
    if team_of(CPU).rank == 1:
        raise Cancelled


def main(folder: Path) -> None:
    """Write one file per network and process."""
    team = team_of(CPU)

    def keep(name: str, found: Any) -> None:
        kept = {k: v.tolist() for k, v in found.state.items()}
        told = {"state": kept, "steps": found.steps, "stopped": found.stopped,
                "losses": [row.get("loss") for row in found.history]}  # fmt: skip
        (folder / f"{name}_{team.rank}.json").write_text(json.dumps(told), "utf-8")

    # other weights at first in every process
    model = plain(team.rank)
    keep("plain", fit(model, [stage(model, draw=own)], PLAN, CPU, team=team))
    model = TinyNet(team.rank)
    keep("normalised", fit(model, [stage(model, draw=own)], PLAN, CPU, team=team))
    # memory suffices for one image at a time, in the last process
    model = plain(team.rank)

    def short(batch: Any) -> Any:
        if team.rank == 1 and len(batch["image"]) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return squared_error(model, batch)

    keep("short", fit(model, [stage(model, loss=short, draw=own)], PLAN, CPU, team=team))
    # each process sees one half of a network
    halves = Halves()

    def seen(batch: Any) -> Any:
        error = halves(batch["image"], team.rank) - batch["target"]
        return {"loss": error.square().mean()}

    keep("halves", fit(halves, [stage(halves, loss=seen)], PLAN, CPU, team=team))
    # the clocks go at different speeds, and the last process wants to stop
    model, timed = plain(0), Plan(seconds=30, clock=Clock(1.0 + team.rank), ema=0.0)
    keep("timed", fit(model, [stage(model)], timed, CPU, team=team))
    model = plain(0)
    keep("stopped", fit(model, [stage(model)], PLAN, CPU, stopping, team=team))
    # one process meets a number that is none
    model = plain(0)

    def broken(batch: Any) -> Any:
        made = squared_error(model, batch)
        return {"loss": made["loss"] * float("nan")} if batch["bad"] else made

    def spoiled(number: int) -> Any:
        return {**draw(number), "bad": torch.tensor(number == 10 and team.rank == 1)}

    quick = Plan(steps=40, steps_per_epoch=5, ema=0.0)
    stages = [stage(model, loss=broken, draw=spoiled)]
    keep("broken", fit(model, stages, quick, CPU, team=team))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
