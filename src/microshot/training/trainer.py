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
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from microshot.device import seeded
from microshot.progress import Cancelled, Progress, silent, throttled
from microshot.training.average import Average
from microshot.training.breakdown import Breakdown, Steady, breakdown_of
from microshot.training.schedule import PlateauRate, learning_rate_factor
from microshot.training.state import captured, restore
from microshot.training.stepping import step
from microshot.training.team import ALONE, Team
from microshot.training.telling import message
from microshot.training.transfer import training_mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.device import Device
    from microshot.training.unfinished import Place

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
    """Epochs without a better validation loss before a stage stops; 0 = never."""
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
    """Why the last stage ended: ``finished``, ``no longer improving``, ``cancelled``, ``diverged``,
    ``out of memory``, ``device lost``."""
    steps: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    """What the user must know about how it ended, one sentence each."""


OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "radam": torch.optim.RAdam}


class _Run:
    """State of one call of `fit`."""

    def __init__(
        self, model: nn.Module, plan: Plan, device: Device, progress: Progress,
        place: Place | None, team: Team,
    ) -> None:  # fmt: skip
        self.model, self.plan, self.device, self.team = model, plan, device, team
        self.progress = throttled(progress)
        self.clock = Steady(lambda: team.agreed(plan.clock()))
        self.start = self.clock()
        self.average = Average(model, plan.ema) if plan.ema > 0 else None
        self.fit = Fit(self.snapshot())
        self.validation_seconds = 0.0
        self.stage_index, self.place = 0, place
        self.kept = place.kept() if place else None

    def snapshot(self) -> dict[str, torch.Tensor]:
        state = self.average.state if self.average else self.model.state_dict()
        return {k: v.detach().to("cpu", copy=True) for k, v in state.items()}

    def keep(self) -> None:
        """Remember the (averaged) weights as the result, unless they are broken."""
        state = self.snapshot()
        if all(bool(torch.isfinite(v).all()) for v in state.values()):
            self.fit.state = state

    def elapsed(self) -> float:
        return self.clock() - self.start

    def cancelled(self, fraction: float, told: str) -> bool:
        """Report progress; return whether the user wants to stop, in any process."""
        asked = False
        try:
            self.progress(fraction, told)
        except Cancelled:
            asked = True
        return self.team.any(flag=asked)

    def broken_off(self, reason: str, error: BaseException | None = None) -> str:
        """Note why training cannot go on; without any weights worth keeping it is an error."""
        found = Breakdown(reason, self.fit.steps, error)
        if not self.fit.history:
            raise found.failure() from error
        self.fit.notes.append(found.note())
        return reason

    def score(self, validate: Callable[[nn.Module], Row]) -> Row:
        """Return the scores of the averaged weights; the model keeps its own."""
        started = self.clock()
        own = None
        if self.average:
            own = {k: v.clone() for k, v in self.model.state_dict().items()}
            self.model.load_state_dict(self.average.state)
        self.model.eval()
        try:
            with torch.no_grad():
                return validate(self.model)
        finally:
            if own is not None:
                self.model.load_state_dict(own)
            training_mode(self.model)
            self.validation_seconds = self.clock() - started


def fit(
    model: nn.Module,
    stages: Sequence[Stage],
    plan: Plan,
    device: Device,
    progress: Progress = silent,
    place: Place | None = None,
    team: Team = ALONE,
) -> Fit:
    """Train `model` through `stages` and return the best weights and the history.

    `model` is left on the device with the last weights; the result's state is what to keep:
    the averaged weights with the lowest validation loss of the last stage, or its last
    averaged weights where it has no validation. A cancel request or a loss that is no longer
    finite, too little memory or a graphics card that fails end training early with the best
    weights so far. Every stage takes a step at least. At `place` the state is kept now and then,
    and a training that was killed goes on from there. The processes of a `team` all get the same.

    Raises
    ------
    ValueError
        If the plan has neither a time nor a step budget.
    FloatingPointError
        If the loss is not finite before any weights could be kept.
    MemoryError, RuntimeError
        If memory does not suffice, or the graphics card fails, before any could be kept.
    """
    if plan.seconds <= 0 and plan.steps <= 0:
        raise ValueError("Training needs a limit: set the minutes or the number of epochs above 0.")
    model.to(device.torch)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    team.begin(model, stages)
    with seeded(team.seed(plan.seed), device):
        run = _Run(model, plan, device, progress, place, team)
        first = run.kept[1]["stage"] if run.kept else 0
        ends = [0.0, *accumulate(stage.share for stage in stages)]
        for run.stage_index in range(first, len(stages)):
            begin, end = (ends[run.stage_index + i] / ends[-1] for i in (0, 1))
            run.fit.stopped = _ended(run, stages[run.stage_index], begin, end)
            if run.fit.stopped not in ("finished", "no longer improving"):
                break
    run.fit.seconds = run.elapsed()
    return run.fit


def _ended(run: _Run, stage: Stage, begin: float, end: float) -> str:
    """Train a stage; return why it ended."""
    try:
        return _StageRun(run, stage, begin, end).go()
    except (MemoryError, RuntimeError) as error:
        reason = breakdown_of(error)
        if reason is None or run.team.size > 1:  # the others cannot go on either
            raise
        return run.broken_off(reason, error)


class _StageRun:
    """Trains one stage, which spans `begin` to `end` of the whole budget."""

    def __init__(self, run: _Run, stage: Stage, begin: float, end: float) -> None:
        plan = run.plan
        self.run, self.stage, self.plan = run, stage, plan
        self.begin, self.end = begin, end
        self.optimizers = [
            OPTIMIZERS[plan.optimizer](
                list(player.parameters),  # frozen ones have no gradient and are left alone
                lr=player.learning_rate,
                weight_decay=plan.weight_decay,
            )
            for player in stage.players
        ]
        self.plateau = PlateauRate() if plan.schedule == "plateau" else None
        self.step, self.rate = 0, 0.0
        self.sums: dict[str, float] = {}
        self.n_summed = 0
        self.last_row = run.elapsed()
        self.best, self.best_step = math.inf, 0  # another stage has another loss

    def go(self) -> str:
        """Train until the budget is used up; return why it ended."""
        run, stopped = self.run, "finished"
        if run.kept:
            restore(self, *run.kept)
            run.kept = None
        training_mode(run.model)
        while (fraction := self._fraction()) < 1 or self.step == 0:
            fraction = min(fraction, 1.0)
            done = self.begin + (self.end - self.begin) * fraction
            if run.cancelled(done, self._message()):
                stopped = "cancelled"
                break
            if not self._train_on(fraction):
                return run.broken_off("diverged")
            if self._row_due():
                stale = self._write_row()
                if self.plan.patience and self.stage.validate and stale >= self.plan.patience:
                    return "no longer improving"
            if run.place and run.place.due():
                run.place.keep(*captured(self))
        if self.n_summed or not run.fit.history:
            self._write_row()
        return stopped

    def _train_on(self, fraction: float) -> bool:
        """Take one step; return whether the loss was finite."""
        plan = self.plan
        if self.stage.on_fraction is not None:
            self.stage.on_fraction(fraction)
        self.rate = learning_rate_factor(
            plan.schedule, fraction, self.step, plan.warmup_steps, self.step / plan.steps_per_epoch
        )
        self.rate *= self.plateau.factor if self.plateau else 1.0
        losses = step(self.run, self.stage, self.optimizers, self.step, self.rate)
        self.step += 1
        self.run.fit.steps += 1
        for key, value in (losses or {}).items():
            self.sums[key] = self.sums.get(key, 0.0) + value
        self.n_summed += losses is not None
        return losses is not None

    def _fraction(self) -> float:
        """Part of the stage that is over: by time or by steps, whichever is further."""
        plan, parts = self.plan, [0.0]
        if plan.seconds > 0:
            elapsed = self.run.elapsed() / plan.seconds
            parts.append((elapsed - self.begin) / (self.end - self.begin))
        if plan.steps > 0:
            steps = round(plan.steps * self.end) - round(plan.steps * self.begin)
            parts.append(self.step / max(1, steps))
        return max(parts)

    def _row_due(self) -> bool:
        """Say whether to validate and log now.

        By epochs where steps are the only budget (so that a seed repeats exactly); by time
        otherwise, about 40 rows, and never more than a sixth of the time in validation.
        """
        plan, run = self.plan, self.run
        if plan.seconds <= 0:
            return self.step % plan.steps_per_epoch == 0
        since = run.elapsed() - self.last_row
        return since >= max(plan.seconds / 40, 5 * run.validation_seconds)

    def _write_row(self) -> float:
        """Log, validate, keep the best weights; return the epochs since the best loss.

        That is the validation loss, or the training loss where there is no validation.
        """
        run, stage = self.run, self.stage
        row: dict[str, Any] = {
            "stage": stage.name,
            "step": run.fit.steps,
            "epoch": self.step / self.plan.steps_per_epoch,
            "seconds": run.elapsed(),
            "learning_rate": self.rate * stage.players[0].learning_rate,
        }
        row |= {k: v / max(self.n_summed, 1) for k, v in self.sums.items()}
        if stage.validate is not None:
            row |= {f"validation_{k}": v for k, v in run.score(stage.validate).items()}
        loss = row.get("loss", math.inf) if stage.validate is None else row["validation_loss"]
        loss = run.team.agreed(loss)
        better = loss < self.best
        if better:
            self.best, self.best_step = loss, self.step
        if better or stage.validate is None:
            run.keep()
        run.fit.history.append(row)
        self.sums, self.n_summed, self.last_row = {}, 0, run.elapsed()
        stale = (self.step - self.best_step) / self.plan.steps_per_epoch
        if self.plateau:
            self.plateau.update(stale)
        return stale

    def _message(self) -> str:
        now = {k: v / self.n_summed for k, v in self.sums.items()}
        return message(self.stage.name, self.run.fit, self.plan, self.run.elapsed(), now)
