"""The verbs: train, retrain, predict, translate, score.

Everything a node or the command line does with a model goes through here. How a training is
prepared lies in `learning.preparing`, how it is carried out in `fitting`, how two models are compared
in `comparing`; how a model is applied, in `predicting`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from microshot import knobs, starters
from microshot.bundle import Bundle, Card
from microshot.data.dataset import Dataset
from microshot.learning.comparing import Check, hindrance, leave_out
from microshot.learning.fitting import TRAINING_SHARE, Example, Fitting, arrays, hurried
from microshot.learning.model_card import card_of
from microshot.learning.preparing import prepare
from microshot.learning.selecting import held_back, hold_out, to_judge_by
from microshot.learning.verdict import Point, judge
from microshot.libraries import load
from microshot.opening import recipe_of
from microshot.predicting import Predictor, translate
from microshot.progress import Progress, silent, span
from microshot.provenance import descent
from microshot.tasks import task_named
from microshot.tasks.translating.features import feature_scores
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.settings import RetrainSettings, TrainSettings
    from microshot.tasks.base import Recipe, Scores, Task
    from microshot.training.trainer import Fit, Row
    from microshot.training.unfinished import Unfinished

__all__ = [
    "Example",
    "Predictor",
    "Retrained",
    "Trained",
    "retrain",
    "score",
    "train",
    "translate",
]

#: Part of the time limit that the check takes.
CHECK_SHARE = 0.5


@dataclass
class Trained:
    """A model and how it came about."""

    bundle: Bundle
    history: list[Row]
    notes: list[str] = field(default_factory=list)
    """Warnings for the user, one sentence each."""
    examples: list[Example] = field(default_factory=list)
    """Every image that was scored, with its prediction."""
    stopped: str = "finished"
    data: Dataset = field(default_factory=Dataset)
    """Every image that was trained on."""


@dataclass
class Retrained(Trained):
    """A retrained model, compared with the one it started from."""

    comparison: list[Example] = field(default_factory=list)
    """One entry per labelled image, predicted by models that had not seen it."""
    verdict: str = ""
    kept: str = "new"
    """Which model `bundle` is: ``new`` or ``old``."""
    better: bool = True
    """Whether the verdict is for the new model."""
    curve: list[Point] = field(default_factory=list)
    """Scores by number of labelled images, if asked for."""


# ------------------------------------------------------------------------------------- train


def train(
    data: Dataset,
    settings: TrainSettings,
    *,
    synthetic: Dataset | None = None,
    progress: Progress = silent,
    unfinished: Unfinished | None = None,
) -> Trained:
    """Train a model on the labelled samples of `data` (and `synthetic`).

    Weights are fresh, or those of the starter model that `settings.start` names; that one's
    network and normalisation are kept. A network that learns to draw images learns from images
    without label, too. Without a labelled sample in `data`, the synthetic ones take their place.
    A cancel request ends training with the best model so far (``stopped == "cancelled"``). What a
    killed training has left in `unfinished` is gone on from.

    Raises
    ------
    ValueError
        If no sample is labelled, labels can teach nothing, or a setting is not allowed.
    """
    knobs.check(settings)
    load(progress, "microshot.training.preloading")
    task = task_named(settings.task)
    start = None if settings.start == "fresh" else Bundle.load(starters.path_of(settings.start))
    prepared = prepare(task, start, data, synthetic, settings, unfinished, progress)
    run, own = prepared.run, prepared.own
    keep, out = hold_out(own, settings)
    training, judging = span(progress, 0.0, TRAINING_SHARE), span(progress, TRAINING_SHARE, 1.0)
    fitted = run.fit(own.take(keep), prepared.extra, own.take(out), settings.minutes * 60, training)
    recipe, examples = run.judged(
        fitted, own.take(out or to_judge_by(keep)), judging, held_out=bool(out)
    )
    card = card_of(
        run, recipe, fitted, prepared.everything, own.samples, examples,
        settings.name, settings.licence, settings.origin, progress=span(progress, 1.0, 1.0),
    )  # fmt: skip
    ended = [*fitted.notes, *hurried(run.steps_in_time)]
    notes = [*prepared.notes, *held_back(own, out, settings), *ended]
    bundle = Bundle.make(card, arrays(fitted.state))
    return Trained(bundle, fitted.history, notes, examples, fitted.stopped, prepared.everything)


# ----------------------------------------------------------------------------------- retrain


def retrain(
    start: Bundle,
    data: Dataset,
    settings: RetrainSettings,
    *,
    synthetic: Dataset | None = None,
    progress: Progress = silent,
    unfinished: Unfinished | None = None,
) -> Retrained:
    """Adapt `start` to the labelled samples of `data` and compare old and new.

    The comparison trains once per image without that image (see `RetrainSettings.check`), so
    that every image is judged by a model that has not seen it; the final model is trained
    on all of them. A cancel request during the final training keeps its best state. What a killed
    retraining has left in `unfinished` is gone on from.

    Raises
    ------
    ValueError
        If no sample is labelled or a setting is not allowed.
    Cancelled
        If cancelled before the final training began.
    """
    knobs.check(settings)
    load(progress, "microshot.training.preloading")
    task = task_named(start.card.task)
    prepared = prepare(task, start, data, synthetic, settings, unfinished, progress)
    run, own, total = prepared.run, prepared.own, settings.minutes * 60
    asked = settings.check != "none"
    reason = hindrance(recipe_of(start.card), run.recipe, own) if asked else ""
    check, share = Check(), CHECK_SHARE if asked and not reason else 0.0
    if share:
        checking = span(progress, 0.0, share, "check: ")
        check = leave_out(run, own, prepared.extra, total * share, checking)
    checked, run.steps_in_time = run.steps_in_time, []
    trained = 1 - (1 - share) * (1 - TRAINING_SHARE)
    training, judging = span(progress, share, trained), span(progress, trained, 1.0)
    fitted = run.fit(own, prepared.extra, Dataset(), total * (1 - share), training)
    recipe, examples = run.judged(fitted, own, judging, held_out=False, thresholds=check.thresholds)
    verdict, better = judge(task, check.examples)
    ended = [*fitted.notes, *hurried(run.steps_in_time, checked)]
    notes = [*prepared.notes, *([reason] if reason else []), *ended]
    made = Retrained(
        start, fitted.history, notes, examples, fitted.stopped, prepared.everything,
        check.examples, verdict, better=better, curve=check.curve,
    )  # fmt: skip
    if check.examples and not better and settings.keep_better:
        made.bundle, made.kept = _passed_on(start, task, recipe, notes), "old"
    else:
        card = _retrained_card(run, recipe, fitted, own, made, span(progress, 1.0, 1.0))
        made.stopped = fitted.stopped
        made.bundle = Bundle.make(card, arrays(fitted.state))
    return made


#: What an old model is told of the images it is compared on (`Task.adapted`), by the recipe's name.
_ADAPTED = {
    "image_diameter_px": "object size",
    "each_image": "object size",
    "channel": "channel",
    "stain_range": "range of the stains",
    "targets": "names of the stains",
    "target_dtype": "kind of numbers of the stains",
}


def _retrained_card(
    run: Fitting, recipe: Recipe, fitted: Fit, own: Dataset, made: Retrained, progress: Progress
) -> Card:
    """Write down what the new model is; `made.bundle` is still the old one."""
    task, old = run.task, made.bundle.card
    card = card_of(
        run, recipe, fitted, made.data, own.samples, made.comparison or made.examples,
        run.settings.name or f"{old.name}, retrained on {how_many(len(own), 'image')}",
        old.licence, progress=progress,
    )  # fmt: skip
    if not made.comparison:
        return card
    before = task.summarize([e.old_scores for e in made.comparison])[task.primary]
    scores = {**card.scores, f"old_{task.primary}": before, "verdict": made.verdict}
    return dataclasses.replace(card, scores=scores)


def _passed_on(start: Bundle, task: Task, recipe: Recipe, notes: list[str]) -> Bundle:
    """Return the old model as it was compared: told of these images what `_ADAPTED` names.

    Where that changes it, `notes` say so, for it is another model then.
    """
    old = recipe_of(start.card)
    adapted = task.adapted(old, recipe).for_channel(recipe.channel)
    if adapted == old:
        return start
    changed = [k for k, v in adapted.preparation.items() if v != old.preparation.get(k)]
    told = dict.fromkeys(_ADAPTED[k] for k in changed)
    notes.append(
        f"The old model is passed on with the {' and '.join(told)} of these "
        "images, as it was compared, and so with an id of its own; its weights are unchanged."
    )
    card = dataclasses.replace(
        start.card,
        preparation=adapted.preparation,
        targets=tuple(adapted.preparation.get("targets", ())),
        lineage=descent(start.card),
    )
    return Bundle.make(card, start.weights)


# ------------------------------------------------------------------------------------- score


def score(
    task_name: str, predictions: Sequence[Any], data: Dataset, **options: Any
) -> tuple[list[dict[str, Any]], Scores]:
    """Compare predictions with the truth: one row per image, and all together.

    ``features=True``, for stains, adds ``feature_score``, see `feature_scores`.
    """
    task, features = task_named(task_name), options.pop("features", False)
    rows = [
        {"name": s.name, **task.score(p, s, **options)}
        for p, s in zip(predictions, data, strict=True)
    ]
    more = {"feature_score": feature_scores(predictions, data).score()} if features else {}
    return rows, {**task.summarize(rows), **more} if rows else {}
