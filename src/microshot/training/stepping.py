"""One step of training: a batch, every player's loss, gradient and change of weights.

Where memory does not suffice for a batch, it is cut into halves, and those again, and the gradients
of the parts are added up, each with its share of the images; the size that fitted is kept. For a
loss that is a mean over images that is the gradient of the whole batch. It is not quite where a loss
is a mean over some of the pixels (a part with few of them counts as much as one with many) or
divides by a statistic of the batch, and batch normalisation sees the statistics of a part.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import torch
from torch import nn

from microshot.device import out_of_memory
from microshot.training.dividing import divided, halved, n_images, too_little

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.device import Device
    from microshot.training.average import Average
    from microshot.training.team import Team
    from microshot.training.trainer import Batch, Fit, Plan, Player, Stage


class Running(Protocol):
    """What a step needs to know of the training it belongs to."""

    model: nn.Module
    plan: Plan
    device: Device
    average: Average | None
    team: Team
    fit: Fit


def step(
    run: Running,
    stage: Stage,
    optimizers: Sequence[torch.optim.Optimizer],
    number: int,
    rate: float,
) -> dict[str, float] | None:
    """Let every player take one step; None if a loss or a gradient is not finite."""
    batch: Batch = {k: _to_device(v, run.device) for k, v in stage.draw(number).items()}
    if stage.make is not None:
        batch = stage.make(batch)
    parts = divided(batch, run.fit.at_once)
    logged: dict[str, float] = {}
    for player, optimizer in zip(stage.players, optimizers, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = player.learning_rate * rate
        while (losses := _learned(run, player, optimizer, parts)) is None:
            parts = _smaller(run, batch, parts)
        if run.team.any(flag=not math.isfinite(losses["loss"])):
            return None
        run.team.average_gradients(player.parameters)
        norm = nn.utils.clip_grad_norm_(list(player.parameters), run.plan.clip or math.inf)
        if not bool(torch.isfinite(norm)):
            return None
        optimizer.step()
        prefix = "" if len(stage.players) == 1 else f"{player.name}_"
        logged |= {prefix + k: v for k, v in losses.items()}
    run.team.average([b for b in run.model.buffers() if b.is_floating_point()])
    if run.average:
        run.average.update(run.model)
    return logged


def _learned(
    run: Running, player: Player, optimizer: torch.optim.Optimizer, parts: Sequence[Batch]
) -> dict[str, float] | None:
    """Leave the gradient of a player's loss over all parts and return its values.

    None where memory does not suffice, in any process. The error is gone when this returns, and
    with it what it kept in memory.
    """
    optimizer.zero_grad(set_to_none=True)
    found: dict[str, float] | None
    try:
        found = _summed(player, parts, run.device)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        found = None
    return None if run.team.any(flag=found is None) else found


def _summed(player: Player, parts: Sequence[Batch], device: Device) -> dict[str, float]:
    """Add up gradients and values of the parts, each with its share of the images."""
    found: dict[str, torch.Tensor] = {}
    total = sum(n_images(part) for part in parts)
    for part in parts:
        with device.precision():
            losses = player.loss(part)
        share = n_images(part) / total
        if not bool(torch.isfinite(losses["loss"])):
            return {"loss": math.nan}
        (losses["loss"] * share if len(parts) > 1 else losses["loss"]).backward()
        for key, value in losses.items():
            found[key] = found.get(key, 0.0) + share * value.detach()
    return {key: float(value) for key, value in found.items()}


def _smaller(run: Running, batch: Batch, parts: list[Batch]) -> list[Batch]:
    """Cut a batch into smaller parts than those that did not fit, now and from now on.

    Raises
    ------
    MemoryError
        If those were single images.
    """
    at_once = halved(parts)
    if at_once is None:
        raise too_little(batch)
    run.fit.at_once = at_once
    return divided(batch, at_once)


def _to_device(value: torch.Tensor, device: Device) -> torch.Tensor:
    if value.ndim == 4:
        value = value.contiguous(memory_format=torch.channels_last)
    return value.to(device.torch, non_blocking=True)
