"""The one training loop: budgets, schedules, averaging, validation, stopping, history.

It knows no task. A task hands over `Stage`s; a stage is trained by one or more `Player`s,
each with its own loss and optimiser (an ordinary network is one player, an adversarial
stage has two).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from microshot.progress import Cancelled, Progress, remaining, silent, throttled
from microshot.training.schedule import PlateauRate, learning_rate_factor
from microshot.training.transfer import training_mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.device import Device

Batch = Mapping[str, torch.Tensor]
#: Values of a loss by name; ``loss`` is minimised, the others are logged.
Losses = dict[str, torch.Tensor]
Row = dict[str, float]


@dataclass
class Player:
    """Parameters that are trained together against one loss."""

    name: str
    parameters: Sequence[nn.Parameter]
    loss: Callable[[Batch], Losses]
    learning_rate: float


@dataclass
class Stage:
    """One stretch of training with a fixed set of players."""

    name: str
    players: Sequence[Player]
    draw: Callable[[int], Batch]
    """Returns the batch of a step, on the CPU."""
    validate: Callable[[nn.Module], Row] | None = None
    """Scores the (averaged) model on images held out; must contain ``loss``."""
    share: float = 1.0
    """Part of the whole budget, relative to the other stages."""
    on_fraction: Callable[[float], None] | None = None
    """Called before each step with the part of the stage that is over (for thawing)."""


@dataclass(frozen=True)
class Plan:
    """How long and in which way to train; a budget of 0 means no limit of that kind."""

    seconds: float = 0.0
    steps: int = 0
    steps_per_epoch: int = 100
    optimizer: str = "adam"
    weight_decay: float = 0.0
    schedule: str = "cosine"
    warmup_steps: int = 30
    patience: int = 0
    """Epochs without improvement of the validation loss before stopping; 0 = never."""
    ema: float = 0.995
    """Decay of the averaged weights; 0 = no averaging."""
    clip: float = 1.0
    """Greatest norm of a player's gradient; 0 = no clipping."""
    seed: int = 0
    clock: Callable[[], float] = time.monotonic


@dataclass
class Fit:
    """What came out of training."""

    state: dict[str, torch.Tensor]
    """The best weights seen, on the CPU."""
    history: list[Row] = field(default_factory=list)
    stopped: str = "finished"
    """``finished``, ``no longer improving``, ``cancelled`` or ``diverged``."""
    steps: int = 0
    seconds: float = 0.0


OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "radam": torch.optim.RAdam}


class _Average:
    """Exponential moving average of all weights; the decay grows with the steps taken."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.state = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.steps += 1
        decay = min(self.decay, self.steps / (10 + self.steps))
        for key, value in model.state_dict().items():
            if value.is_floating_point():
                self.state[key].lerp_(value, 1 - decay)
            else:
                self.state[key].copy_(value)


class _Run:
    """State of one call of `fit`."""

    def __init__(self, model: nn.Module, plan: Plan, device: Device, progress: Progress) -> None:
        self.model, self.plan, self.device = model, plan, device
        self.progress = throttled(progress)
        self.start = plan.clock()
        self.average = _Average(model, plan.ema) if plan.ema > 0 else None
        self.fit = Fit(self.snapshot())
        self.best = math.inf
        self.validation_seconds = 0.0

    def snapshot(self) -> dict[str, torch.Tensor]:
        state = self.average.state if self.average else self.model.state_dict()
        return {k: v.detach().to("cpu", copy=True) for k, v in state.items()}

    def elapsed(self) -> float:
        return self.plan.clock() - self.start

    def validate(self, stage: Stage) -> Row:
        """Score the averaged weights and remember them when they are the best so far."""
        if stage.validate is None:
            self.fit.state = self.snapshot()
            return {}
        started = self.plan.clock()
        own = None
        if self.average:
            own = {k: v.clone() for k, v in self.model.state_dict().items()}
            self.model.load_state_dict(self.average.state)
        self.model.eval()
        try:
            with torch.no_grad():
                row = stage.validate(self.model)
        finally:
            if own is not None:
                self.model.load_state_dict(own)
        if row["loss"] < self.best:
            self.best = row["loss"]
            self.fit.state = self.snapshot()
        self.validation_seconds = self.plan.clock() - started
        return {f"validation_{k}": v for k, v in row.items()}


def fit(
    model: nn.Module,
    stages: Sequence[Stage],
    plan: Plan,
    device: Device,
    progress: Progress = silent,
) -> Fit:
    """Train `model` through `stages` and return the best weights and the history.

    `model` is left on the device with the last weights; the result's state is what to keep:
    the averaged weights with the lowest validation loss, or the last averaged weights
    where a stage has no validation. A cancel request or a loss that is no longer finite
    ends training early with the best weights so far.

    Raises
    ------
    ValueError
        If the plan has neither a time nor a step budget.
    FloatingPointError
        If the loss is not finite before any weights could be kept.
    """
    if plan.seconds <= 0 and plan.steps <= 0:
        raise ValueError("Training needs a limit: set the minutes or the number of epochs above 0.")
    model.to(device.torch)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    devices = [0] if device.name == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(plan.seed)
        run = _Run(model, plan, device, progress)
        total = sum(stage.share for stage in stages)
        done = 0.0
        for stage in stages:
            _train_stage(run, stage, done / total, (done + stage.share) / total)
            done += stage.share
            if run.fit.stopped in ("cancelled", "diverged"):
                break
    run.fit.seconds = run.elapsed()
    return run.fit


def _train_stage(run: _Run, stage: Stage, begin: float, end: float) -> None:
    """Train one stage that spans `begin` to `end` of the budget."""
    plan = run.plan
    optimizers = [
        OPTIMIZERS[plan.optimizer](
            list(player.parameters),  # frozen ones have no gradient and are left alone
            lr=player.learning_rate,
            weight_decay=plan.weight_decay,
        )
        for player in stage.players
    ]
    plateau = PlateauRate() if plan.schedule == "plateau" else None
    run.best = math.inf  # another stage has another loss
    sums: dict[str, float] = {}
    n_summed, stale, step, last_row = 0, 0, 0, run.elapsed()
    training_mode(run.model)
    while True:
        fraction = _fraction(run, step, begin, end)
        if fraction >= 1:
            break
        try:
            message = _message(run, stage, sums, n_summed)
            run.progress(begin + (end - begin) * fraction, message)
        except Cancelled:
            run.fit.stopped = "cancelled"
            break
        if stage.on_fraction is not None:
            stage.on_fraction(fraction)
        rate = learning_rate_factor(plan.schedule, fraction, step, plan.warmup_steps)
        rate *= plateau.factor if plateau else 1.0
        losses = _step(run, stage, optimizers, step, rate)
        step += 1
        run.fit.steps += 1
        if losses is None:
            run.fit.stopped = "diverged"
            if not run.fit.history:
                raise FloatingPointError(
                    f"Training stopped at step {step}: the loss is not a finite number; "
                    "lower the learning rate or check the images for extreme values."
                )
            return
        for key, value in losses.items():
            sums[key] = sums.get(key, 0.0) + value
        n_summed += 1
        if _row_due(run, step, last_row):
            row = _write_row(
                run, stage, step, sums, n_summed, rate * stage.players[0].learning_rate
            )
            sums, n_summed, last_row = {}, 0, run.elapsed()
            training_mode(run.model)
            improved = stage.validate is None or row["validation_loss"] <= run.best
            stale = 0 if improved else stale + 1
            if plateau:
                plateau.update(stale)
            if plan.patience and stale >= plan.patience:
                run.fit.stopped = "no longer improving"
                return
    if n_summed or not run.fit.history:
        rate = learning_rate_factor(plan.schedule, 1.0, step, plan.warmup_steps)
        _write_row(run, stage, step, sums, n_summed, rate * stage.players[0].learning_rate)


def _fraction(run: _Run, step: int, begin: float, end: float) -> float:
    """Part of the stage that is over: by time or by steps, whichever is further."""
    plan, parts = run.plan, [0.0]
    if plan.seconds > 0:
        parts.append((run.elapsed() / plan.seconds - begin) / (end - begin))
    if plan.steps > 0:
        parts.append(step / max(1, round(plan.steps * (end - begin))))
    return max(parts)


def _row_due(run: _Run, step: int, last_row: float) -> bool:
    """Say whether to validate and log now.

    By epochs where steps are the only budget (so that a seed repeats exactly); by time
    otherwise, about 40 rows, and never more than a sixth of the time in validation.
    """
    plan = run.plan
    if plan.seconds <= 0:
        return step % plan.steps_per_epoch == 0
    since = run.elapsed() - last_row
    return since >= max(plan.seconds / 40, 5 * run.validation_seconds)


def _step(
    run: _Run,
    stage: Stage,
    optimizers: Sequence[torch.optim.Optimizer],
    step: int,
    rate: float,
) -> dict[str, float] | None:
    """Let every player take one step; None if a loss is not finite."""
    batch = {k: _to_device(v, run.device) for k, v in stage.draw(step).items()}
    mixed = run.device.name == "cuda"
    logged: dict[str, float] = {}
    for player, optimizer in zip(stage.players, optimizers, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = player.learning_rate * rate
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16, enabled=mixed):
            losses = player.loss(batch)
        if not bool(torch.isfinite(losses["loss"])):
            return None
        losses["loss"].backward()
        if run.plan.clip > 0:
            nn.utils.clip_grad_norm_(list(player.parameters), run.plan.clip)
        optimizer.step()
        prefix = "" if len(stage.players) == 1 else f"{player.name}_"
        logged |= {prefix + k: float(v.detach()) for k, v in losses.items()}
    if run.average:
        run.average.update(run.model)
    return logged


def _to_device(value: torch.Tensor, device: Device) -> torch.Tensor:
    if value.ndim == 4:
        value = value.contiguous(memory_format=torch.channels_last)
    return value.to(device.torch, non_blocking=True)


def _write_row(
    run: _Run, stage: Stage, step: int, sums: Mapping[str, float], n: int, rate: float
) -> Row:
    row: dict[str, Any] = {
        "stage": stage.name,
        "step": run.fit.steps,
        "epoch": step / run.plan.steps_per_epoch,
        "seconds": run.elapsed(),
        "learning_rate": rate,
    }
    row |= {k: v / max(n, 1) for k, v in sums.items()}
    row |= run.validate(stage)
    run.fit.history.append(row)
    return row


def _message(run: _Run, stage: Stage, sums: Mapping[str, float], n: int) -> str:
    """Say which step, which loss, and how long still."""
    parts = [f"{stage.name}, step {run.fit.steps + 1}"]
    key = "loss" if "loss" in sums else next((k for k in sums if k.endswith("loss")), None)
    if key and n:
        parts.append(f"loss {sums[key] / n:.3f}")
    elif run.fit.history and "loss" in run.fit.history[-1]:
        parts.append(f"loss {run.fit.history[-1]['loss']:.3f}")
    elapsed, plan = run.elapsed(), run.plan
    left = [plan.seconds - elapsed] if plan.seconds > 0 else []
    if plan.steps > 0 and run.fit.steps > 0:
        left.append(elapsed / run.fit.steps * (plan.steps - run.fit.steps))
    if left:
        parts.append(remaining(min(left)))
    return ", ".join(parts)
