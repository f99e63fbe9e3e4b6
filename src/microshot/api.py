"""The verbs: train, retrain, predict, translate, score.

Everything a node or the command line does with a model goes through here. How a training is
prepared lies in `learning.preparing`, how it is carried out in `fitting`, how two models are compared
in `comparing`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from microshot import knobs, starters
from microshot.bundle import Bundle, Card
from microshot.data.dataset import Dataset, Sample, first_of_parts
from microshot.learning.comparing import Check, hindrance, leave_out
from microshot.learning.fitting import TRAINING_SHARE, Example, Fitting, arrays, hurried
from microshot.learning.preparing import prepare
from microshot.learning.selecting import held_back, hold_out, to_judge_by
from microshot.learning.verdict import Point, judge
from microshot.libraries import load
from microshot.opening import ready, recipe_of
from microshot.progress import Progress, silent, span
from microshot.provenance import descent
from microshot.settings import PredictSettings, RetrainSettings, TrainSettings, TranslateSettings
from microshot.tasks import task_named
from microshot.tasks.object_scale import assumed_size
from microshot.tasks.segmenting.size_search import size_note, size_taken
from microshot.tasks.translating.features import feature_scores
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from microshot.device import Device
    from microshot.tasks.base import Recipe, Scores, Task
    from microshot.tasks.common_size import Sizes
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
#: To look for the size of an image's objects takes about as long as to find objects in so many.
LOOK_COSTS = 8
Item = TypeVar("Item")


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
    card = run.card(
        recipe, fitted, prepared.everything, own.samples, examples,
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
    card = run.card(
        recipe, fitted, made.data, own.samples, made.comparison or made.examples,
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


# ----------------------------------------------------------------------------------- predict


class Predictor:
    """A model ready to be applied to one image after another.

    ONNX Runtime computes on a processor, PyTorch on other devices, in bfloat16 and where the network
    is `inspected` (see `inference.encoder_features`).
    """

    def __init__(
        self,
        bundle: Bundle,
        settings: PredictSettings | TranslateSettings | None = None,
        *,
        inspected: bool = False,
        progress: Progress = silent,
    ) -> None:
        self.settings = knobs.check(settings or PredictSettings())
        self.card = bundle.card
        self.task = task_named(bundle.card.task)
        self.recipe = recipe_of(bundle.card)
        if not self.task.takes_stacks:
            self.recipe = self.recipe.for_channel(getattr(self.settings, "channel", ""))
        half = self.task.bears_half and getattr(self.settings, "precision", "") == "auto"
        network = ready(
            bundle, self.settings.device, inspected=inspected, half=half, progress=progress
        )
        self.network = self.task.looking(network, self.recipe, self.settings)
        self.options = self.task.options(self.settings)
        self._starter = self.task.size_finder(self.recipe, self.options)
        self.sizes: Sizes | None = None
        """What `look` has found."""

    @cached_property
    def finder(self) -> Predictor:
        """The model that finds the size of the objects, loaded where that is to be found."""
        return _size_finder(self._starter, self.settings) if self._starter else self

    @property
    def device(self) -> Device:
        """Where it computes, which changes when a graphics card fails."""
        return self.network.device

    def seen(self, sample: Sample) -> Sample:
        """Return `sample` with the channels that the model looks at, to judge, measure and show it.

        Raises
        ------
        ValueError
            If its image has other channels than the model's training images.
        """
        return dataclasses.replace(sample, image=self.task.image(sample, self.recipe))

    def look(
        self, items: Iterable[Item], n_items: int, take: Callable[[Item], Sample | None],
        progress: Progress = silent,
    ) -> Progress:  # fmt: skip
        """Find in some images, spread over all, how large the objects of all are.

        Without it, that is looked for in each image. Returns what it leaves of `progress`.

        Parameters
        ----------
        items : what images are made of, `n_items` in all.
        take : makes an image of an item, with a name of its own; None where it cannot be used.
        """
        f = self.finder
        n = f.task.n_looked_at(f.recipe, f.options, n_items)
        if not n:
            return progress
        share = n / (n + n_items / LOOK_COSTS)
        samples = first_of_parts(items, n_items, n, take)
        looking = span(progress, 0.0, share)
        self.sizes = f.task.in_common(f.network, f.recipe, samples, f.options, looking)
        return span(progress, share, 1.0)

    def options_for(self, sample: Sample, progress: Progress = silent) -> tuple[Any, Progress]:
        """Return the task's options with what is first to be found in this very image.

        And what it leaves of `progress`: half where anything was to be found, else all.
        """
        known = None if self.sizes is None else self.sizes.of(sample.name)
        if known is not None:
            return dataclasses.replace(self.options, diameter_px=known), progress
        looking, f = span(progress, 0.0, 0.5), self.finder
        found = f.task.options_for(f.network, f.recipe, sample, f.options, looking)
        if found is f.options:
            return self.options, progress
        made = dataclasses.replace(self.options, diameter_px=found.diameter_px)
        return made, span(progress, 0.5, 1.0)

    def size_taken(self, found: Any) -> dict[str, float | None]:
        """Return the ``diameter_px`` of a prediction's row: what objects were taken to measure, to 0.1 px.

        None where it was looked for in vain; no such entry where the model's own size holds.
        """
        return {} if self._sizeless else size_taken(found, self.recipe, self.options)

    def size_note(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """Say in one sentence how large objects were taken to be, unless the user has told it.

        Parameters
        ----------
        rows : one per image, with what `size_taken` says of it.
        """
        if not rows or getattr(self.options, "diameter_px", 0.0):
            return ""
        if self._sizeless:
            return assumed_size(self.recipe, 0.0)
        return size_note(rows, self.recipe, self.sizes)

    @property
    def _sizeless(self) -> bool:
        """Whether nothing finds the size of the objects for a model that counts them."""
        return self.task.name == "count" and not self._starter

    def __call__(self, sample: Sample, progress: Progress = silent) -> Any:
        """Return the task's prediction for one sample."""
        options, rest = self.options_for(sample, progress)
        raw = self.task.raw(self.network, self.recipe, sample, options, rest)
        return self.task.decode(raw, self.recipe, options)


def _size_finder(starter: str, settings: Any) -> Predictor:
    """Return a starter model that finds what objects measure for a model that cannot."""
    same = ("channel", "size_found", "tile_px", "device")
    wish = PredictSettings(**{name: getattr(settings, name) for name in same})
    made = Predictor(Bundle.load(starters.path_of(starter)), wish)
    made.options = dataclasses.replace(made.options, measured=True)
    return made


def translate(
    predictors: Sequence[Predictor], sample: Sample, progress: Progress = silent
) -> list[Any]:
    """Return one translation per model, all of the same image; its tiles are cut only once."""
    from microshot.tasks.translating.translation import translate_together

    models = [(p.network, p.recipe) for p in predictors]
    raws = translate_together(models, sample, predictors[0].options, progress)
    return [p.task.decode(r, p.recipe, p.options) for p, r in zip(predictors, raws, strict=True)]


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
