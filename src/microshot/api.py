"""The verbs: train, retrain, predict, score, generate.

Everything a node or the command line does goes through here; here the tasks meet the trainer,
and neither knows the other.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot import knobs, provenance
from microshot.bundle import Bundle, Card
from microshot.data.dataset import Dataset, Sample, folds, split
from microshot.data.normalize import Normalization
from microshot.device import Device, choose_device, prepare_process
from microshot.progress import Cancelled, Progress, each, silent, span
from microshot.settings import PredictSettings, RetrainSettings, TrainSettings
from microshot.tasks import task_named
from microshot.tasks.base import Hyper, Network, Recipe, Scores, Task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.training.trainer import Fit, Row

#: With fewer labelled images than this, none is held out for validation.
LEAST_FOR_VALIDATION = 8
#: Up to so many labelled images, the check leaves out one at a time; above, five groups.
MOST_LEAVE_ONE_OUT, N_FOLDS = 8, 5
#: Part of the time limit that the check takes.
CHECK_SHARE = 0.5
#: Part of the progress bar for training; the rest is setting thresholds and scoring.
TRAINING_SHARE = 0.9
#: Least difference of F1 that counts as better.
LEAST_GAIN = 0.0


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


@dataclass
class Retrained(Trained):
    """A retrained model, compared with the one it started from."""

    comparison: list[Example] = field(default_factory=list)
    """One entry per labelled image, predicted by models that had not seen it."""
    verdict: str = ""
    kept: str = "new"
    """Which model `bundle` is: ``new`` or ``old``."""


# ------------------------------------------------------------------------------------- train


def train(
    data: Dataset,
    settings: TrainSettings,
    *,
    synthetic: Dataset | None = None,
    progress: Progress = silent,
) -> Trained:
    """Train a model from scratch on the labelled samples of `data` (and `synthetic`).

    A cancel request ends training with the best model so far (``stopped == "cancelled"``).

    Raises
    ------
    ValueError
        If no sample is labelled, labels can teach nothing, or a setting is not allowed.
    """
    knobs.check(settings)
    prepare_process()
    task = task_named(settings.task)
    labelled = _labelled(task, data, synthetic)
    own = Dataset.of(s for s in labelled if s.domain == "natural") if synthetic else labelled
    extra = Dataset.of(s for s in synthetic or () if task.is_labelled(s))
    notes = task.check(labelled.samples)
    recipe = task.recipe((own if len(own) else extra).samples, settings, None)
    hyper = task.hyper(labelled.samples, settings, None)
    run = _Training(task, recipe, hyper, settings, choose_device(settings.training.device))
    keep, out = _hold_out(own, settings)
    fitted = run.fit(
        own.take(keep), extra, own.take(out), settings.minutes * 60, None,
        span(progress, 0.0, TRAINING_SHARE),
    )  # fmt: skip
    judged = own.take(out) if out else (own if len(own) else extra)
    recipe, examples = run.judged(
        fitted, judged, span(progress, TRAINING_SHARE, 1.0), held_out=bool(out)
    )
    card = run.card(
        recipe, fitted, own + extra, own.samples or extra.samples, examples, settings.name,
        settings.licence, (),
    )  # fmt: skip
    bundle = Bundle.make(card, _arrays(fitted.state))
    return Trained(bundle, fitted.history, notes, examples, fitted.stopped)


def _labelled(task: Task, data: Dataset, synthetic: Dataset | None) -> Dataset:
    """Return all samples that can teach; refuse mixed channel counts and unlabelled data."""
    usable = Dataset.of(s for s in (*data, *(synthetic or ())) if task.is_labelled(s))
    if not len(usable):
        raise ValueError(
            f"None of the {len(data)} images is labelled; the task {task.name} needs at least "
            "one image with its label image."
        )
    first = usable[0]
    for sample in usable:
        if sample.image.n_channels != first.image.n_channels:
            raise ValueError(
                f"{sample.name}: expected {first.image.n_channels} channel(s) as in "
                f"{first.name}, found {sample.image.n_channels}; all images must have the same."
            )
    return usable


def _hold_out(data: Dataset, settings: Any) -> tuple[list[int], list[int]]:
    """Choose which rows are kept aside for validation."""
    if len(data) < LEAST_FOR_VALIDATION:
        return list(range(len(data))), []
    return split(len(data), settings.images.validation_fraction, settings.training.seed)


def _arrays(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in state.items()}


class _Training:
    """A task with its settings resolved, ready to fit any selection of samples."""

    def __init__(
        self, task: Task, recipe: Recipe, hyper: Hyper, settings: Any, device: Device
    ) -> None:
        self.task, self.recipe, self.hyper = task, recipe, hyper
        self.settings, self.device = settings, device
        self.seed = settings.training.seed
        self._items: dict[int, Any] = {}
        self.started = time.monotonic()

    def items(self, data: Dataset) -> list[Any]:
        """Prepare samples for training, each only once."""
        for sample in data:
            if id(sample) not in self._items:
                self._items[id(sample)] = self.task.prepare(sample, self.recipe)
        return [self._items[id(sample)] for sample in data]

    def fit(
        self,
        natural: Dataset,
        synthetic: Dataset,
        validation: Dataset,
        seconds: float,
        start: Bundle | None,
        progress: Progress,
    ) -> Fit:
        """Train a network, from fresh weights or from those of `start`."""
        from microshot.training.trainer import Plan, fit

        model = self.task.build(self.recipe.architecture, self.seed)
        on_fraction = None
        if start is not None:
            on_fraction = self._take_over(model, start)
        stages = self.task.stages(
            model, self.recipe, self.hyper, self.items(natural), self.items(synthetic),
            self.items(validation), self.seed,
        )  # fmt: skip
        for stage in stages:
            stage.on_fraction = stage.on_fraction or on_fraction
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
        )
        return fit(model, stages, plan, self.device, progress)

    def _take_over(self, model: Any, start: Bundle) -> Any:
        """Copy the start's weights and freeze what the strategy says."""
        import torch

        from microshot.training import transfer

        s = self.settings
        renew = ("head",) if s.new_head else ()
        weights = {k: torch.from_numpy(np.array(v)) for k, v in start.weights.items()}
        transfer.take_over(model, weights, renew=renew, prefixes=self.task.parts)
        return transfer.apply_strategy(model, s.strategy, self.task.parts)

    def network(self, state: Mapping[str, Any]) -> Network:
        """Return the network with the given weights as a function of arrays."""
        from microshot.inference.predictor import TorchNetwork

        model = self.task.build(self.recipe.architecture, self.seed)
        model.load_state_dict(dict(state))
        return TorchNetwork(model, self.device)

    def judged(
        self, fitted: Fit, data: Dataset, progress: Progress, *, held_out: bool
    ) -> tuple[Recipe, list[Example]]:
        """Set the thresholds that suit `data` best, then score every image of it.

        Where training was cancelled, the user does not want to wait for either: the
        recipe's own thresholds stay and nothing is scored.
        """
        if fitted.stopped != "cancelled":
            try:
                return self._judged(fitted, data, progress, held_out=held_out)
            except Cancelled:
                fitted.stopped = "cancelled"
        return self.recipe, []

    def _judged(
        self, fitted: Fit, data: Dataset, progress: Progress, *, held_out: bool
    ) -> tuple[Recipe, list[Example]]:
        network = self.network(fitted.state)
        raw = self.raw(network, data, span(progress, 0.0, 0.5))
        recipe = self.with_thresholds(raw, data, span(progress, 0.5, 0.9))
        examples = []
        for sample, one in zip(data, raw, strict=True):
            progress(0.9 + 0.1 * len(examples) / len(data), "scoring")
            prediction = self.task.decode(one, recipe)
            scores = self.task.score(prediction, sample)
            examples.append(Example(sample, prediction, scores, held_out=held_out))
        return recipe, examples

    def raw(self, network: Network, data: Dataset, progress: Progress = silent) -> list[Any]:
        """Run the network over samples, keeping what any threshold could need."""
        return [
            self.task.raw_for_calibration(network, self.recipe, sample)
            for sample in each(data, len(data), progress, "scoring image")
        ]

    def with_thresholds(self, raw: Sequence[Any], data: Dataset, progress: Progress) -> Recipe:
        """Return the recipe with the thresholds that suit `data` best."""
        found = self.task.calibrate(raw, data.samples, self.recipe, progress)
        return dataclasses.replace(self.recipe, thresholds=found)

    def card(
        self,
        recipe: Recipe,
        fitted: Fit,
        data: Dataset,
        shown: Sequence[Sample],
        examples: Sequence[Example],
        name: str,
        licence: str,
        lineage: Sequence[Mapping[str, Any]],
    ) -> Card:
        """Write down what the model is and where it comes from."""
        created = provenance.now()
        sizes = [s.image.pixel_size_um for s in shown if s.image.pixel_size_um]
        first = shown[0].image
        channels = first.channels or tuple(f"channel {i + 1}" for i in range(first.n_channels))
        summary = self.task.summarize([e.scores for e in examples]) if examples else {}
        held_out = bool(examples) and examples[0].held_out
        return Card(
            task=self.task.name,
            name=name or f"{self.task.name} {created[:10]}",
            architecture=recipe.architecture,
            normalization=recipe.normalization.to_json(),
            channels=channels,
            pixel_size_um=float(np.median(sizes)) if sizes else None,
            preparation=recipe.preparation,
            tile=recipe.tile,
            thresholds=recipe.thresholds,
            scores={
                "images": "held out" if held_out else "training images",
                "n_images": len(examples),
                **summary,
            },
            training={
                "stopped": fitted.stopped,
                "steps": fitted.steps,
                "seconds": round(fitted.seconds, 1),
                "hyper": dataclasses.asdict(self.hyper),
                "history": fitted.history,
            },
            settings=knobs.to_json(self.settings),
            lineage=tuple(lineage),
            data=provenance.describe(data),
            licence=licence,
            versions=provenance.versions(),
            device=self.device.line,
            created=created,
            preview=provenance.preview(shown),
        )


# ----------------------------------------------------------------------------------- retrain


def retrain(
    start: Bundle,
    data: Dataset,
    settings: RetrainSettings,
    *,
    synthetic: Dataset | None = None,
    progress: Progress = silent,
) -> Retrained:
    """Adapt `start` to the labelled samples of `data` and compare old and new.

    The comparison trains once per image without that image (see `RetrainSettings.check`), so
    that every image is judged by a model that has not seen it; the final model is trained
    on all of them. A cancel request during the final training keeps its best state.

    Raises
    ------
    ValueError
        If no sample is labelled or a setting is not allowed.
    Cancelled
        If cancelled before the final training began.
    """
    knobs.check(settings)
    prepare_process()
    task = task_named(start.card.task)
    labelled = _labelled(task, data, synthetic)
    own = Dataset.of(s for s in data if task.is_labelled(s))
    if not len(own):
        raise ValueError(
            "None of the images to retrain on is labelled; expected at least one with its label "
            "image (the synthetic table alone is not enough)."
        )
    extra = Dataset.of(s for s in synthetic or () if task.is_labelled(s))
    notes = task.check(labelled.samples)
    old = recipe_of(start.card)
    recipe = task.recipe(own.samples, settings, old)
    device = choose_device(settings.training.device)
    run = _Training(task, recipe, task.hyper(own.samples, settings, old), settings, device)
    check = settings.check == "leave-one-out" and len(own) > 1
    if settings.check == "leave-one-out" and not check:
        notes.append(
            "With one labelled image nothing can be left out: the models are not compared."
        )
    share = CHECK_SHARE if check else 0.0
    total = settings.minutes * 60
    comparison: list[Example] = []
    thresholds: Mapping[str, float] | None = None
    if check:
        part = span(progress, 0.0, share, "check: ")
        comparison, thresholds = _leave_out(run, start, own, extra, total * share, part)
    last = span(progress, share, 1.0)
    fitted = run.fit(
        own, extra, Dataset(), total * (1 - share), start, span(last, 0.0, TRAINING_SHARE)
    )  # fmt: skip
    recipe, examples = run.judged(fitted, own, span(last, TRAINING_SHARE, 1.0), held_out=False)
    if thresholds:
        recipe = dataclasses.replace(recipe, thresholds=thresholds)
    verdict, better = judge(task, comparison)
    name = settings.name or f"{start.card.name}, retrained on {len(own)} images"
    card = run.card(
        recipe, fitted, own + extra, own.samples, comparison or examples, name,
        start.card.licence, (*start.card.lineage, _ancestor(start.card)),
    )  # fmt: skip
    if comparison:
        old = task.summarize([e.old_scores for e in comparison])[task.primary]
        scores = {**card.scores, f"old_{task.primary}": old, "verdict": verdict}
        card = dataclasses.replace(card, scores=scores)
    bundle = Bundle.make(card, _arrays(fitted.state))
    kept = "new"
    if comparison and not better and settings.keep_better:
        bundle, kept = start, "old"
    return Retrained(
        bundle, fitted.history, notes, examples, fitted.stopped, comparison, verdict, kept
    )


def _ancestor(card: Card) -> dict[str, Any]:
    """Return what a retrained model remembers of the model it came from."""
    return {
        "id": card.id,
        "name": card.name,
        "created": card.created,
        "data": card.data.get("fingerprint", ""),
        "licence": card.licence,
    }


def _leave_out(
    run: _Training,
    start: Bundle,
    own: Dataset,
    extra: Dataset,
    seconds: float,
    progress: Progress,
) -> tuple[list[Example], Mapping[str, float]]:
    """Compare old and new model on images left out; return examples and pooled thresholds.

    The old model is told the diameter of the objects, as a careful user would.
    """
    n_folds = len(own) if len(own) <= MOST_LEAVE_ONE_OUT else N_FOLDS
    parts = folds(len(own), n_folds, run.seed)
    task = run.task
    old_recipe = task.adapted(recipe_of(start.card), run.recipe)
    old_network = network_of(start, run.device)
    examples: dict[int, Example] = {}
    raws: dict[int, Any] = {}
    for index, out in enumerate(parts):
        kept = own.take([i for i in range(len(own)) if i not in out])
        label = f"{index + 1} of {len(parts)}, "
        here = span(progress, index / len(parts), (index + 1) / len(parts), label)
        fitted = run.fit(
            kept, extra, Dataset(), seconds / len(parts), start, span(here, 0, TRAINING_SHARE)
        )
        if fitted.stopped == "cancelled":
            raise Cancelled
        network = run.network(fitted.state)
        scoring = span(here, TRAINING_SHARE, 1.0)
        recipe = run.with_thresholds(run.raw(network, kept, scoring), kept, scoring)
        for i in out:
            scoring(1.0, "scoring")
            raws[i] = task.raw_for_calibration(network, run.recipe, own[i])
            new = task.decode(raws[i], recipe)
            old = task.decode(task.raw(old_network, old_recipe, own[i]), old_recipe)
            examples[i] = Example(
                own[i], new, task.score(new, own[i]), old, task.score(old, own[i]), held_out=True
            )
    order = sorted(examples)
    raw = [raws[i] for i in order]
    thresholds = task.calibrate(raw, own.take(order).samples, run.recipe, progress)
    return [examples[i] for i in order], thresholds


def judge(task: Task, comparison: Sequence[Example]) -> tuple[str, bool]:
    """Say in one sentence which of two models to use, and whether it is the new one."""
    if not comparison:
        return "The retrained model was not compared with the old one.", True
    key, label = task.primary, task.primary_label
    new = task.summarize([e.scores for e in comparison])[key]
    old = task.summarize([e.old_scores for e in comparison])[key]
    sign = 1 if task.larger_is_better else -1
    wins = sum(sign * (e.scores[key] - e.old_scores[key]) > 0 for e in comparison)
    better = sign * (new - old) > LEAST_GAIN
    n = len(comparison)
    facts = f"{label} {new:.2f} against {old:.2f} on images it had not seen ({wins} of {n} better)"
    if better:
        return f"Retrained model {facts}: use it.", True
    return f"Retrained model {facts}: no better, keep the old model.", False


# ----------------------------------------------------------------------------------- predict


def recipe_of(card: Card) -> Recipe:
    """Return the recipe a model file carries."""
    return Recipe(
        card.architecture,
        Normalization.from_json(card.normalization),
        card.preparation,
        card.tile,  # type: ignore[arg-type]
        card.thresholds,
    )


def network_of(bundle: Bundle, device: Device) -> Network:
    """Return the network of a model file as a function of arrays.

    Raises
    ------
    ValueError
        If the weights do not fit the architecture the file names.
    """
    import torch

    from microshot.inference.predictor import TorchNetwork

    model = task_named(bundle.card.task).build(bundle.card.architecture, 0)
    expected = {k: tuple(v.shape) for k, v in model.state_dict().items()}
    found = {k: tuple(v.shape) for k, v in bundle.weights.items()}
    if expected != found:
        wrong = sorted(k for k in expected.keys() | found.keys() if expected.get(k) != found.get(k))
        raise ValueError(
            f'Model "{bundle.card.name}": {len(wrong)} tensors do not fit its architecture (first: '
            f"{wrong[0]}, expected {expected.get(wrong[0])}, found {found.get(wrong[0])}); "
            "the file is damaged, copy it again."
        )
    state = {
        k: torch.from_numpy(np.array(v, np.float32 if v.dtype.kind == "f" else v.dtype))
        for k, v in bundle.weights.items()
    }
    model.load_state_dict(state)
    return TorchNetwork(model, device)


class Predictor:
    """A model ready to be applied to one image after another."""

    def __init__(self, bundle: Bundle, settings: PredictSettings | None = None) -> None:
        self.settings = knobs.check(settings or PredictSettings())
        prepare_process()
        self.card = bundle.card
        self.task = task_named(bundle.card.task)
        self.recipe = recipe_of(bundle.card)
        self.device = choose_device(self.settings.device)
        self.network = network_of(bundle, self.device)
        self.options = self.task.options(self.settings)

    def __call__(self, sample: Sample, progress: Progress = silent) -> Any:
        """Return the task's prediction for one sample."""
        raw = self.task.raw(self.network, self.recipe, sample, self.options, progress)
        return self.task.decode(raw, self.recipe, self.options)


# ------------------------------------------------------------------------------------- score


def score(
    task_name: str, predictions: Sequence[Any], data: Dataset, **options: Any
) -> tuple[list[dict[str, Any]], Scores]:
    """Compare predictions with the truth: one row per image, and all together."""
    task = task_named(task_name)
    rows = [
        {"name": s.name, **task.score(p, s, **options)}
        for p, s in zip(predictions, data, strict=True)
    ]
    return rows, task.summarize(rows) if rows else {}
