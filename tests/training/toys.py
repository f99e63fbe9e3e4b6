"""Small networks, stages and clocks for the tests of the trainer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from microshot.device import Device
from microshot.training.trainer import Player, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

CPU = Device("cpu", "test", 1)


class Clock:
    """Advances by `tick` seconds whenever it is read, and by whatever a test adds."""

    def __init__(self, tick: float = 0.0) -> None:
        self.now, self.tick = 100.0, tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


class TinyNet(nn.Module):
    """Two convolutions with a batch normalisation between, in two named parts."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.first = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4))
            self.head = nn.Conv2d(4, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.first(x)))


PARTS = {"encoder": ("first.",), "head": ("head.",)}


def draw(step: int) -> dict[str, torch.Tensor]:
    """A batch that depends on nothing but the step."""
    generator = torch.Generator().manual_seed(1000 + step)
    image = torch.randn(2, 1, 8, 8, generator=generator)
    return {"image": image, "target": 2 * image - 1}


def squared_error(model: nn.Module, batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {"loss": (model(batch["image"]) - batch["target"]).square().mean()}


def stage(model: nn.Module, **changes: Any) -> Stage:
    """Return a stage that teaches `model` a linear function."""
    rate = changes.pop("learning_rate", 0.01)
    loss = changes.pop("loss", lambda batch: squared_error(model, batch))
    player = Player("network", list(model.parameters()), loss, rate)
    return Stage(**{"name": "training", "players": [player], "draw": draw, **changes})


def scores(*losses: float) -> Any:
    """Return a validation that gives these losses one after the other, then the last one."""
    remaining = list(losses)

    def validate(model: nn.Module) -> dict[str, float]:
        return {"loss": remaining.pop(0) if len(remaining) > 1 else remaining[0]}

    return validate
