"""One step of training: a batch, every player's loss, gradient and change of weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.device import Device
    from microshot.training.average import Average
    from microshot.training.team import Team
    from microshot.training.trainer import Plan, Stage


class Running(Protocol):
    """What a step needs to know of the training it belongs to."""

    model: nn.Module
    plan: Plan
    device: Device
    average: Average | None
    team: Team


def step(
    run: Running,
    stage: Stage,
    optimizers: Sequence[torch.optim.Optimizer],
    number: int,
    rate: float,
) -> dict[str, float] | None:
    """Let every player take one step; None if a loss or a gradient is not finite."""
    batch = {k: _to_device(v, run.device) for k, v in stage.draw(number).items()}
    mixed = run.device.name == "cuda"
    logged: dict[str, float] = {}
    for player, optimizer in zip(stage.players, optimizers, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = player.learning_rate * rate
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16, enabled=mixed):
            losses = player.loss(batch)
        if run.team.any(flag=not bool(torch.isfinite(losses["loss"]))):
            return None
        losses["loss"].backward()
        run.team.average_gradients(player.parameters)
        norm = nn.utils.clip_grad_norm_(list(player.parameters), run.plan.clip or math.inf)
        if not bool(torch.isfinite(norm)):
            return None
        optimizer.step()
        prefix = "" if len(stage.players) == 1 else f"{player.name}_"
        logged |= {prefix + k: float(v.detach()) for k, v in losses.items()}
    run.team.average([b for b in run.model.buffers() if b.is_floating_point()])
    if run.average:
        run.average.update(run.model)
    return logged


def _to_device(value: torch.Tensor, device: Device) -> torch.Tensor:
    if value.ndim == 4:
        value = value.contiguous(memory_format=torch.channels_last)
    return value.to(device.torch, non_blocking=True)
