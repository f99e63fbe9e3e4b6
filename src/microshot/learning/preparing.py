"""What a training needs before its first step: its images, its recipe, where it computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from microshot import starters
from microshot.bundle import Bundle
from microshot.device import choose_device
from microshot.learning.fitting import Fitting
from microshot.learning.selecting import arranged, labelled, others
from microshot.libraries import load
from microshot.opening import network_of, recipe_of, skeleton_of
from microshot.progress import span
from microshot.tasks import task_named

if TYPE_CHECKING:
    from microshot.data.dataset import Dataset
    from microshot.device import Device
    from microshot.progress import Progress
    from microshot.settings import RetrainSettings, TrainSettings
    from microshot.tasks.base import Recipe
    from microshot.training.unfinished import Unfinished

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


def to_train(
    data: Dataset,
    synthetic: Dataset | None,
    settings: TrainSettings,
    unfinished: Unfinished | None,
    progress: Progress,
) -> Prepared:
    """Prepare a training with fresh weights or, where `settings` name one, from a starter model.

    Raises
    ------
    ValueError
        If no sample is labelled, or labels can teach nothing.
    """
    load(progress, "microshot.training.preloading")
    start = None if settings.start == "fresh" else Bundle.load(starters.path_of(settings.start))
    task = task_named(settings.task)
    own, extra = labelled(task, data, synthetic, start.card.targets if start else ())
    if not len(own):
        own, extra = extra, own
    known = recipe_of(start.card) if start else None
    own, notes = arranged(task, own, extra, settings, progress)
    recipe = task.recipe(own.samples, settings, known)
    hyper = task.hyper((own + extra).samples, settings, known)
    device = choose_device(settings.training.device)
    if start:
        recipe, told = _sized(start, recipe, own, settings, device, progress)
        notes += told
    spare, told = others(task, data, synthetic, own + extra, settings, recipe, hyper)
    run = Fitting(task, recipe, hyper, settings, device, start, spare, unfinished)
    return Prepared(run, own, extra, notes + told)


def to_retrain(
    start: Bundle,
    data: Dataset,
    synthetic: Dataset | None,
    settings: RetrainSettings,
    unfinished: Unfinished | None,
    progress: Progress,
) -> Prepared:
    """Prepare a training of a model that exists.

    Raises
    ------
    ValueError
        If no sample of `data` is labelled, or labels can teach nothing.
    """
    load(progress, "microshot.training.preloading")
    task, old = task_named(start.card.task), recipe_of(start.card)
    own, extra = labelled(task, data, synthetic, start.card.targets)
    if not len(own):
        raise ValueError(
            f"None of the images to retrain on is labelled; expected at least one with its "
            f"{task.needs} (the synthetic table alone is not enough)."
        )
    own, notes = arranged(task, own, extra, settings, progress)
    skeleton_of(start)
    recipe, hyper = task.recipe(own.samples, settings, old), task.hyper(own.samples, settings, old)
    device = choose_device(settings.training.device)
    recipe, told = _sized(start, recipe, own, settings, device, progress)
    spare, more = others(task, data, synthetic, own + extra, settings, recipe, hyper)
    run = Fitting(
        task, recipe, hyper, settings, device, start, spare, unfinished,
        strategy=settings.strategy, renew=("head",) if settings.new_head else (),
    )  # fmt: skip
    return Prepared(run, own, extra, notes + told + more)


def _sized(
    start: Bundle, recipe: Recipe, own: Dataset, settings: Any, device: Device, progress: Progress
) -> tuple[Recipe, list[str]]:
    """Return the recipe to go on from `start` by with the size of the objects in its images.

    See `tasks.base.Task.sized`. A start that takes other images than these is not asked.
    """
    if recipe.architecture != recipe_of(start.card).architecture:
        return recipe, []
    task, looking = task_named(start.card.task), span(progress, 0.0, SIZING_SHARE)
    return task.sized(network_of(start, device), recipe, own.samples, settings, looking)
