"""What a training needs before its first step: its images, its recipe, where it computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from microshot.data.dataset import kept_together
from microshot.device import choose_device
from microshot.knobs import Asked, knobs, turned_in_vain
from microshot.learning.fitting import Fitting
from microshot.learning.selecting import (
    LEAST_FOR_VALIDATION,
    arranged,
    as_taken,
    hold_out,
    in_channel,
    in_grey,
    labelled,
    others,
    without_copies,
)
from microshot.libraries import load
from microshot.opening import network_of, recipe_of, skeleton_of
from microshot.predicting import Predictor
from microshot.progress import span
from microshot.settings import PredictSettings, RetrainSettings
from microshot.tasks import task_named
from microshot.tasks.base import Intent

if TYPE_CHECKING:
    from microshot.bundle import Bundle
    from microshot.data.dataset import Dataset
    from microshot.device import Device
    from microshot.progress import Progress
    from microshot.settings import TrainSettings
    from microshot.tasks.base import Recipe, Task
    from microshot.training.unfinished import Unfinished

#: Settings that are asked for before or after this, wherever any other of their section is.
_ELSEWHERE = (
    "images.validation_fraction", "training.patience", "training.precision", "training.seed",
    "training.steps_per_epoch", "twin_vae.generate",
)  # fmt: skip
#: Settings that something is decided by on held-out images alone.
_JUDGING = frozenset({"training.patience", "translation.selection"})
#: Settings of which parts of a network learn step by step, and which of them begin anew.
_LEARNING = frozenset({"strategy", "new_head"})
#: Settings of how images of the microscope and synthetic ones are mixed.
_MIXING = frozenset(
    {"images.synthetic_fraction", "twin_vae.begin_with", "twin_vae.synthetic_ratio"}
)
#: Settings of how often images without a truth are shown beside those that have one.
_SHARING = frozenset({"twin_vae.labelled_share"})
#: Part of the progress bar in which the size of the objects is looked for.
SIZING_SHARE = 0.02


@dataclass(frozen=True)
class Prepared:
    """A training that can begin."""

    run: Fitting
    own: Dataset
    """The user's labelled images; generated ones where there are no others."""
    extra: Dataset
    """Labelled images, most often generated, that are learned from beside them."""
    notes: list[str]
    """What the user should know of all this, one sentence each."""

    @property
    def everything(self) -> Dataset:
        """Every image that is learned from."""
        return self.own + self.extra + self.run.spare


def prepare(
    task: Task,
    start: Bundle | None,
    data: Dataset,
    synthetic: Dataset | None,
    settings: TrainSettings | RetrainSettings,
    unfinished: Unfinished | None,
    progress: Progress,
) -> Prepared:
    """Prepare a training with fresh weights or from the model `start`.

    With the settings of retraining, one of the user's own images has to be labelled, and how is
    trained follows from these alone; else generated ones may stand for them.

    Raises
    ------
    ValueError
        If no sample is labelled that has to be, or labels can teach nothing.
    """
    old = recipe_of(start.card) if start else None
    asked = Asked(settings)
    wanted = _channel(task, asked, old)
    if wanted:
        data = in_channel(data, wanted)
        synthetic = in_channel(synthetic, wanted) if synthetic else synthetic
    data, synthetic, greyed = in_grey(data, synthetic, old)
    synthetic, copies = without_copies(task, data, synthetic)
    own, extra, untold = labelled(task, data, synthetic, start.card.targets if start else ())
    if not len(own):
        if isinstance(settings, RetrainSettings):
            raise ValueError(
                f"None of the images to retrain on is labelled; expected at least one with its "
                f"{task.needs} (the synthetic table alone is not enough)."
            )
        own, extra = extra, own
    own, alike = kept_together(own)
    own, notes = arranged(task, own, extra, asked, progress)
    if start:
        skeleton_of(start)
    recipe = task.recipe(own.samples, asked, old).for_channel(wanted)
    hyper = task.hyper(own.samples, asked, old)
    device = choose_device(asked.training.device)
    recipe, sized = _sized(start, recipe, own, asked, device, progress)
    load(progress, *task.libraries(recipe, hyper))
    spare, remarks = others(
        task, data, synthetic, own + extra, Intent(settings, recipe, hyper, old)
    )
    own, extra, spare = (as_taken(task, table, recipe) for table in (own, extra, spare))
    run = Fitting(
        task, recipe, hyper, settings, device, start, spare, unfinished, **_ways(settings)
    )
    unheeded = _not_judged(settings, own) | _not_mixed(own + spare, extra) | _not_learned(asked)
    unheeded |= frozenset() if len(spare) else _SHARING
    vain = _in_vain(settings, asked, unheeded)
    told = greyed + copies + alike + untold + notes + sized + remarks + vain
    return Prepared(run, own, extra, [*_gone_on(unfinished), *told])


def _gone_on(unfinished: Unfinished | None) -> list[str]:
    """Return a note that tells how far an interrupted training had come."""
    told = "" if unfinished is None else unfinished.told
    return [f"Went on with the training that was interrupted: {told}."] if told else []


def _in_vain(settings: Any, asked: Asked, unheeded: frozenset[str]) -> list[str]:
    """Return a note that names the settings which this training does not heed, if the user set some.

    `unheeded` are asked for, and yet change nothing with these images.
    """
    sections = {path.partition(".")[0] for path in asked.paths}
    elsewhere = {path for path in _ELSEWHERE if path.partition(".")[0] in sections}
    names = {name for name, _, _ in knobs(type(settings))} - {"preset"}
    heeded = (asked.paths | elsewhere | names) - unheeded
    found = turned_in_vain(settings, heeded)
    if not found:
        return []
    named = ", ".join(found)
    return [
        f"Settings without effect on this training: {named}; their help says when they have one."
    ]


def _not_judged(settings: TrainSettings | RetrainSettings, own: Dataset) -> frozenset[str]:
    """Return the settings that nothing is decided by where no images are held out."""
    if isinstance(settings, RetrainSettings):
        return _JUDGING
    if hold_out(own, settings)[1]:
        return frozenset()
    few = settings.images.validation_fraction and len(own) < LEAST_FOR_VALIDATION
    return _JUDGING | {"images.validation_fraction"} if few else _JUDGING


def _not_mixed(data: Dataset, extra: Dataset) -> frozenset[str]:
    """Return the settings of mixing with synthetic images that are in vain where there is one kind alone."""
    kinds = {sample.domain for sample in data}
    if len(extra) or len(kinds) > 1:
        return frozenset()
    return _MIXING | {"twin_vae.cross_feed"} if kinds == {"natural"} else _MIXING


def _not_learned(asked: Asked) -> frozenset[str]:
    """Return the settings of which weights learn where none does, as in a counter without a learning rate."""
    return frozenset() if "training.learning_rate" in asked.paths else _LEARNING


def _channel(task: Task, settings: Any, old: Recipe | None) -> str:
    """Return which channel of images with several is learned from; empty = all."""
    if task.takes_stacks:
        return ""
    return settings.images.channel or (old.channel if old else "")


def _ways(settings: TrainSettings | RetrainSettings) -> dict[str, Any]:
    """Return which parts of a model learn and which begin anew, where the settings say so."""
    if not isinstance(settings, RetrainSettings):
        return {}
    return {"strategy": settings.strategy, "renew": ("head",) if settings.new_head else ()}


def _sized(
    start: Bundle | None,
    recipe: Recipe,
    own: Dataset,
    settings: Any,
    device: Device,
    progress: Progress,
) -> tuple[Recipe, list[str]]:
    """Return the recipe to go on from `start` by with the size of the objects in its images.

    See `tasks.base.Task.sized`. A start that takes other images than these is not asked.
    """
    if start is None or recipe.architecture != recipe_of(start.card).architecture:
        return recipe, []
    task = task_named(start.card.task)
    looking, trying = (
        span(progress, a * SIZING_SHARE, b * SIZING_SHARE) for a, b in ((0, 0.5), (0.5, 1))
    )

    def find() -> float:
        wish = PredictSettings(size_found="once", device=settings.training.device)
        return Predictor(start, wish).size_in_all(own, looking)

    network = network_of(start, device)
    return task.sized(network, recipe, own.samples, settings, find, trying)
