"""The one training loop: budgets, schedules, averaging, validation, stopping, history.

It knows no task. A task hands over `Stage`s; a stage is trained by one or more `Player`s,
each with its own loss and optimiser (an ordinary network is one player, an adversarial
stage has two).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

import torch
from torch import nn

from microshot.device import seeded
from microshot.progress import Cancelled, Progress, silent, throttled
from microshot.training.average import Average
from microshot.training.breakdown import Breakdown, Steady, breakdown_of
from microshot.training.dividing import parts_note
from microshot.training.stage_run import StageRun
from microshot.training.team import ALONE, Team
from microshot.training.transfer import training_mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.device import Device
    from microshot.training.unfinished import Place

Batch = Mapping[str, torch.Tensor]
#: Values of a loss by name; ``loss`` is minimised, the others are logged.
Losses = dict[str, torch.Tensor]
Row = dict[str, float]
#: How to draw the batch of a step on the processor, and how to make it on the device.
Drawing = tuple[Callable[[int], Batch], Callable[[Batch], Batch]]


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
    """They take their steps in this order; the last is the model's own, whose rate is logged."""
    draw: Callable[[int], Batch]
    """Returns the batch of a step, on the CPU; maybe in another thread (see `ahead`)."""
    validate: Callable[[nn.Module], Row] | None = None
    """Scores the (averaged) model on images held out; must contain ``loss``."""
    share: float = 1.0
    """Part of the whole budget, relative to the other stages."""
    make: Callable[[Batch], Batch] | None = None
    """Turns a drawn batch, once it is on the device, into what the losses see."""
    on_fraction: Callable[[float], None] | None = None
    """Called before each step with the part of the whole training that is over (for thawing)."""
    by_step_alone: bool = True
    """Whether batches depend on nothing else, so that they may be drawn ahead of their step."""
    keep: Callable[[torch.device, int], Drawing | None] | None = None
    """Keeps the images on a device and returns `draw` and `make` of batches that are cut there;
    None where they take more than so many bytes."""


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
    paced: bool = False
    """Whether to find out how many threads of a processor are fastest, which weights depend on."""
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
    at_once: int = 0
    """As many images of a batch as memory sufficed for; 0 = it sufficed for all."""
    half: bool = False
    """Whether layers computed in bfloat16."""
    notes: list[str] = field(default_factory=list)
    """What the user must know about how it ended, one sentence each."""


class Run:
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
        self.fit = Fit(self.snapshot(), half=device.half)
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
    weights so far. Where memory does not suffice for a batch, the gradient is added up from parts
    of it (see `stepping`); too little is what is too little for one image. Every stage takes a
    step at least. At `place` the state is kept now and then,
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
        run = Run(model, plan, device, progress, place, team)
        first = run.kept[1]["stage"] if run.kept else 0
        ends = [0.0, *accumulate(stage.share for stage in stages)]
        for run.stage_index in range(first, len(stages)):
            begin, end = (ends[run.stage_index + i] / ends[-1] for i in (0, 1))
            run.fit.stopped = _ended(run, stages[run.stage_index], begin, end)
            if run.fit.stopped not in ("finished", "no longer improving"):
                break
    run.fit.seconds = run.elapsed()
    if run.fit.at_once:
        run.fit.notes.append(parts_note(run.fit.at_once))
    return run.fit


def _ended(run: Run, stage: Stage, begin: float, end: float) -> str:
    """Train a stage; return why it ended."""
    try:
        return StageRun(run, stage, begin, end).go()
    except (MemoryError, RuntimeError) as error:
        reason = breakdown_of(error)
        if reason is None or run.team.size > 1:  # the others cannot go on either
            raise
        return run.broken_off(reason, error)
