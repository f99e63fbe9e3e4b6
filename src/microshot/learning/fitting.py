"""One training, prepared and carried out: a task and its settings meet the trainer here.

Which samples are used is decided in `selecting`, what is done with the result in `api`; `model_card`
writes it down.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.dataset import Dataset
from microshot.device import quickened
from microshot.inference.finite import NotFinite
from microshot.learning.model_card import REMEMBERING
from microshot.libraries import load
from microshot.progress import Cancelled, Progress, each, silent, span
from microshot.tasks.lesson import Lesson
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import nn

    from microshot.bundle import Bundle
    from microshot.data.dataset import Sample
    from microshot.device import Device
    from microshot.inference.predictor import Network
    from microshot.tasks.base import Recipe, Scores, Task
    from microshot.tasks.hyper import Hyper
    from microshot.training.trainer import Fit
    from microshot.training.unfinished import Place, Unfinished

#: Part of the progress bar for training; the rest is setting thresholds and scoring.
TRAINING_SHARE = 0.9
#: Steps below which a training has learned little: the usual rise of the learning rate.
FEW_STEPS = 30


@dataclass(frozen=True, eq=False)
class Example:
    """One image with what was predicted on it, to be shown."""

    sample: Sample
    prediction: Any
    scores: Scores
    old: Any = None
    """What the model before retraining predicted."""
    old_scores: Scores = field(default_factory=dict)
    held_out: bool = False


def both(*calls: Callable[[float], None] | None) -> Callable[[float], None] | None:
    """Return one function that calls those that are there."""
    known = [call for call in calls if call is not None]

    def every(fraction: float) -> None:
        for call in known:
            call(fraction)

    return every if known else None


def arrays(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return tensors on the CPU as arrays, by the same names."""
    return {name: value.numpy() for name, value in state.items()}


def hurried(steps: Sequence[int], checks: Sequence[int] = ()) -> list[str]:
    """Return a note where time ended trainings after few steps: the final one, or those of a check."""
    for done, what, why in (
        (steps, " of training", "to learn much"),
        (checks, " of each training of the check", "to compare by"),
    ):
        n = min(done, default=FEW_STEPS)
        if n < FEW_STEPS:
            return [
                f"Only {how_many(n, 'step')}{what} fitted into the time given, too few {why}: give it more "
                "minutes."
            ]
    return []


def _begun(fitted: Fit) -> Fit:
    """Return what came out of a training, unless it was cancelled before it began."""
    if fitted.stopped == "cancelled" and not fitted.steps:
        raise Cancelled("Training was cancelled before its first step.")
    return fitted


class Fitting:
    """A task with its settings resolved, ready to fit any selection of samples.

    Parameters
    ----------
    settings : `TrainSettings`, or `RetrainSettings` together with `start`.
    start : the model to begin with; None = fresh weights.
    spare : samples of which nothing is known, for tasks that learn from them nevertheless.
    unfinished : where to keep what is done, and to go on from.
    strategy : which parts of `start` learn (see `training.transfer`).
    renew : parts of `start` that begin with fresh weights.
    """

    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        hyper: Hyper,
        settings: Any,
        device: Device,
        start: Bundle | None = None,
        spare: Dataset | None = None,
        unfinished: Unfinished | None = None,
        *,
        strategy: str = "all",
        renew: tuple[str, ...] = (),
    ) -> None:
        self.task, self.recipe, self.hyper = task, recipe, hyper
        self.spare = spare or Dataset()
        self.unfinished = unfinished
        self.settings, self.device, self.start = settings, device, start
        self.strategy, self.renew = strategy, renew
        self.seed = settings.training.seed
        self.steps_in_time: list[int] = []
        """Steps of the trainings so far that the time given has ended."""
        self._items: dict[int, tuple[Sample, Any]] = {}

    def items(self, data: Dataset) -> list[Any]:
        """Prepare samples for training, each only once."""
        for sample in data:
            if id(sample) not in self._items:  # the sample is kept, so its id stays its own
                self._items[id(sample)] = sample, self.task.prepare(sample, self.recipe)
        return [self._items[id(sample)][1] for sample in data]

    def fit(
        self,
        natural: Dataset,
        synthetic: Dataset,
        validation: Dataset,
        seconds: float,
        progress: Progress,
    ) -> Fit:
        """Train a network, from fresh weights or from those of `start`; 0 seconds = no limit.

        `spare` samples take part in every training. What was finished before is not done again.
        """
        place = self.unfinished.next() if self.unfinished else None
        known = place.finished() if place else None
        if known is not None:
            return known
        found = self._fitted(natural, synthetic, validation, seconds, progress, place)
        if place and found.stopped != "cancelled":
            place.finish(found)
        return _begun(found)

    def _fitted(
        self, natural: Dataset, synthetic: Dataset, validation: Dataset, seconds: float,
        progress: Progress, place: Place | None,
    ) -> Fit:  # fmt: skip
        from microshot.training.solving import Solution, solve
        from microshot.training.team import team_of
        from microshot.training.trainer import Plan, fit

        load(progress, *REMEMBERING)
        model, on_fraction = self._model()
        team = team_of(self.device)
        own, made, held_out = map(self.items, (natural + self.spare, synthetic, validation))
        lesson = Lesson(self.recipe, self.hyper, own, made, held_out, team.seed(self.seed))
        stages = self.task.stages(model, lesson)
        if isinstance(stages, Solution):
            return solve(model, stages, self.device, seconds=seconds, progress=progress)
        for stage in stages:
            stage.on_fraction = both(on_fraction, stage.on_fraction)
        t = self.settings.training
        plan = Plan(
            seconds=seconds,
            steps=self.hyper.epochs * t.steps_per_epoch,
            steps_per_epoch=t.steps_per_epoch,
            optimizer=self.hyper.optimizer,
            weight_decay=self.hyper.weight_decay,
            schedule=self.hyper.schedule,
            warmup_steps=self.hyper.warmup_steps,
            patience=t.patience,
            ema=self.hyper.ema,
            clip=self.hyper.clip,
            seed=self.seed,
            paced=not self.hyper.epochs,
        )
        device = quickened(self.device) if t.precision == "auto" else self.device
        found = fit(model, stages, plan, device, progress, place, team)
        if seconds > 0 and found.stopped == "finished" and not 0 < plan.steps <= found.steps:
            self.steps_in_time.append(found.steps)
        return found

    def _model(self) -> tuple[nn.Module, Callable[[float], None] | None]:
        """Return the network as training begins, and what thaws it as training goes on."""
        architecture = self.recipe.architecture
        if self.start is None:
            return self.task.fresh(architecture, self.settings, self.seed), None
        import torch

        from microshot.training import transfer

        model = self.task.build(architecture, self.seed)
        weights = {k: torch.from_numpy(np.array(v)) for k, v in self.start.weights.items()}
        parts, tables = self.task.parts, self.task.strategies(architecture)
        taken = transfer.take_over(model, weights, renew=self.renew, prefixes=parts)
        anew = {*taken.adapted, *taken.new}
        return model, transfer.apply_strategy(model, self.strategy, parts, **tables, anew=anew)

    def network(self, state: Mapping[str, Any]) -> Network:
        """Return the network with the given weights as a function of arrays."""
        from microshot.inference.predictor import TorchNetwork

        model = self.task.build(self.recipe.architecture, self.seed)
        model.load_state_dict(dict(state))
        return TorchNetwork(model, self.device)

    def judged(
        self,
        fitted: Fit,
        data: Dataset,
        progress: Progress,
        *,
        held_out: bool,
        thresholds: Mapping[str, Any] | None = None,
    ) -> tuple[Recipe, list[Example]]:
        """Set the thresholds that suit `data` best, or those given, then score every image of it.

        Where training was cancelled, the user does not want to wait for either: the
        recipe's own thresholds stay and nothing is scored. So it is where the network's output is
        no finite number, which is noted.
        """
        recipe = self.recipe
        if thresholds:
            recipe = dataclasses.replace(recipe, thresholds=thresholds)
        if fitted.stopped != "cancelled":
            try:
                raw = self.raw(self.network(fitted.state), data, span(progress, 0.0, 0.5))
                if not thresholds:
                    middle = span(progress, 0.5, 0.9)
                    recipe = self.with_thresholds(raw, data, middle, held_out=held_out)
                last = span(progress, 0.9, 1.0)
                return recipe, self._examples(raw, recipe, data, last, held_out=held_out)
            except Cancelled:
                fitted.stopped = "cancelled"
            except NotFinite as error:
                fitted.notes.append(f"The trained model cannot be used. {error}")
        return recipe, []

    def _examples(
        self, raw: Sequence[Any], recipe: Recipe, data: Dataset, progress: Progress, *,
        held_out: bool,
    ) -> list[Example]:  # fmt: skip
        examples = []
        for index, sample in enumerate(each(data, len(data), progress, "scoring image")):
            prediction = self.task.decode(raw[index], recipe)
            scores = self.task.score(prediction, sample)
            examples.append(Example(sample, prediction, scores, held_out=held_out))
        return examples

    def raw(self, network: Network, data: Dataset, progress: Progress = silent) -> list[Any]:
        """Run the network over samples, keeping what any threshold could need."""
        return [
            self.task.raw_for_calibration(network, self.recipe, sample)
            for sample in each(data, len(data), progress, "predicting image")
        ]

    def with_thresholds(
        self, raw: Sequence[Any], data: Dataset, progress: Progress, *, held_out: bool
    ) -> Recipe:
        """Return the recipe with the thresholds that suit `data` best."""
        found = self.task.calibrate(raw, data.samples, self.recipe, progress, held_out=held_out)
        return dataclasses.replace(self.recipe, thresholds=found)
