"""Old and retrained model on images left out of training, also with fewer labelled images."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.dataset import Dataset, folds, spaced
from microshot.learning.fitting import TRAINING_SHARE, Example, Fitting
from microshot.learning.verdict import Point
from microshot.metrics.stain_features import places_of
from microshot.opening import network_of, recipe_of
from microshot.progress import Cancelled, Progress, span
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.data.dataset import Sample
    from microshot.inference.predictor import Network
    from microshot.tasks.base import Recipe, Scores, Task

#: Up to so many labelled images, the check leaves out one at a time; above, five groups.
MOST_LEAVE_ONE_OUT, N_FOLDS = 8, 5
#: Points of a learning curve below the last, trainings for each, and images each is scored on.
MOST_SIZES, REPEATS, MOST_SCORED = 4, 2, 16
#: Part of the check's progress for the trainings; the rest is setting the final thresholds.
_FOLDS_SHARE = 0.95


@dataclass(frozen=True)
class Check:
    """What is known of old and new model from images left out."""

    examples: list[Example] = field(default_factory=list)
    """One per labelled image, in order."""
    thresholds: Mapping[str, float] | None = None
    """Those that suit all the new models' outputs on left-out images best."""
    curve: list[Point] = field(default_factory=list)
    """Scores by number of labelled images, if asked for; the first is the old model's."""


def hindrance(old: Recipe, new: Recipe, own: Dataset) -> str:
    """Say why an old and a new model cannot be compared on `own`; empty where they can."""
    if len(own) < 2:
        return "With one labelled image nothing can be left out: the models are not compared."
    groups = set(own.groups)
    if len(groups) == 1 and groups != {""}:
        return f"All images {own.bond}, so none can be left out: the models are not compared."
    before, now = old.architecture["in_channels"], new.architecture["in_channels"]
    if before != now:
        return (
            f"The old model takes {how_many(before, 'channel')} and these images have {now}: "
            "the models are not compared."
        )
    known, stains = (r.preparation.get("targets", ()) for r in (old, new))
    if len(known) != len(stains):
        return (
            f"The old model predicts {how_many(len(known), 'stain')} and these images have {len(stains)}: "
            "the models are not compared."
        )
    if places_of(known, stains) is None:
        return (
            f"The old model predicts {', '.join(known)} and these images have {', '.join(stains)}, "
            "whose names do not tell which is which: the models are not compared."
        )
    return ""


def leave_out(
    run: Fitting,
    own: Dataset,
    extra: Dataset,
    seconds: float,
    progress: Progress,
) -> Check:
    """Compare old and new model on images left out of the new one's training.

    Parameters
    ----------
    run : trains the new model from the old; its settings say whether a learning curve is wanted.
    own : labelled images, at least two; every one is left out once.
    extra : synthetic images, always trained on.
    seconds : for all trainings together; 0 = no limit.

    Returns
    -------
    Intervals around counts are those of the check's thresholds.

    Raises
    ------
    Cancelled
        If cancelled.
    """
    n_folds = len(own) if len(own) <= MOST_LEAVE_ONE_OUT else N_FOLDS
    parts = folds(own.groups, n_folds, run.seed)
    largest, old = len(own) - max(map(len, parts)), _old(run)
    wanted = run.settings.learning_curve
    fewer = subsets(len(own), largest, run.seed) if wanted else []
    fewer = [chosen for chosen in fewer if _apart(own, chosen)]
    n = len(parts) + len(fewer)
    spans = [span(progress, _FOLDS_SHARE * i / n, _FOLDS_SHARE * (i + 1) / n) for i in range(n)]
    found: dict[int, tuple[Any, Example]] = {}
    for index, out in enumerate(parts):
        kept = own.take([i for i in range(len(own)) if i not in out])
        here = span(spans[index], 0.0, 1.0, f"{index + 1} of {len(parts)}, ")
        trained = _trained(run, kept, extra, seconds / n, here)
        here(1.0, "scoring")
        found |= {i: _compared(run, trained, old, own[i]) for i in out}
    less = []
    for index, chosen in enumerate(fewer):
        here = span(
            spans[len(parts) + index], 0.0, 1.0, f"fewer images, {index + 1} of {len(fewer)}, "
        )
        less.append((len(chosen), _with_fewer(run, own, chosen, extra, seconds / n, here)))
    raws, examples = zip(*(found[i] for i in range(len(own))), strict=True)
    last = span(progress, _FOLDS_SHARE, 1.0)
    thresholds = run.task.calibrate(raws, own.samples, run.recipe, last)
    final = dataclasses.replace(run.recipe, thresholds=thresholds)
    made = [
        dataclasses.replace(e, prediction=run.task.completed(e.prediction, final)) for e in examples
    ]
    curve = curve_points(run.task, made, less, largest, len(parts)) if wanted else []
    return Check(made, thresholds, curve)


def _old(run: Fitting) -> tuple[Network, Recipe]:
    """Return the old model as a careful user would use it on the new images."""
    assert run.start is not None
    recipe = run.task.adapted(recipe_of(run.start.card), run.recipe)
    return network_of(run.start, run.device), recipe


def _compared(
    run: Fitting,
    new: tuple[Network, Recipe],
    old: tuple[Network, Recipe],
    sample: Sample,
) -> tuple[Any, Example]:
    """Return the new model's raw output on an image it has not seen, and both models' scores."""
    task = run.task
    raw = task.raw_for_calibration(new[0], run.recipe, sample)
    after = task.decode(raw, new[1])
    before = task.decode(task.raw(*old, sample), old[1])
    scores = task.score(after, sample), task.score(before, sample)
    return raw, Example(sample, after, scores[0], before, scores[1], held_out=True)


def subsets(n: int, largest: int, seed: int) -> list[list[int]]:
    """Choose which of n images to train on for the points of a learning curve below `largest`.

    Returns
    -------
    Ascending indices, `REPEATS` times each of the sizes: all from 1 to `largest` - 1, or 1, 2, 4, 8
    … where those would be more than `MOST_SIZES`. Larger ones hold smaller ones, and different
    repeats are spread over all images.
    """
    sizes = list(range(1, largest))
    if len(sizes) > MOST_SIZES:
        sizes = [2**k for k in range(largest.bit_length()) if 2**k < largest]
    order = np.random.default_rng(seed).permutation(n).tolist()
    starts = [r * n // REPEATS for r in range(REPEATS)]
    return [
        sorted(order[(start + j) % n] for j in range(size)) for size in sizes for start in starts
    ]


def _apart(own: Dataset, chosen: Sequence[int]) -> list[int]:
    """Return the images that are neither chosen nor bound to a chosen one by group or pixels."""
    groups = own.groups
    taken = {groups[i] for i in chosen} - {""}
    return [i for i in range(len(own)) if i not in chosen and groups[i] not in taken]


def _with_fewer(
    run: Fitting, own: Dataset, chosen: Sequence[int], extra: Dataset, seconds: float,
    progress: Progress,
) -> dict[int, Scores]:  # fmt: skip
    """Train on the chosen images and score others, by their index."""
    network, recipe = _trained(run, own.take(chosen), extra, seconds, progress)
    out = spaced(_apart(own, chosen), MOST_SCORED)
    task = run.task
    progress(1.0, "scoring")
    return {
        i: task.score(task.decode(task.raw(network, recipe, own[i]), recipe), own[i]) for i in out
    }


def curve_points(
    task: Task, examples: Sequence[Example], fewer: Sequence[tuple[int, dict[int, Scores]]],
    largest: int, n_models: int,
) -> list[Point]:  # fmt: skip
    """Return the points from the old model to the models of the check, which had `largest`.

    Models that had fewer images are scored on some of the images only, which may be easy or
    difficult ones. So the score S of a point becomes S + A - B, with A the last models' score on all
    images and B theirs on those that S is of: what differs between points is then what
    was learned, not what was scored.

    Parameters
    ----------
    examples : scores of the old and of the last models on every image.
    fewer : of each model that had fewer images, their number and its scores by index of the image.
    """
    steps = [(0, 1, [(i, e.old_scores) for i, e in enumerate(examples)])]
    for size in dict.fromkeys(size for size, _ in fewer):
        models = [scores for n, scores in fewer if n == size]
        steps.append((size, len(models), [pair for one in models for pair in one.items()]))
    steps.append((largest, n_models, [(i, e.scores) for i, e in enumerate(examples)]))
    made, before, reached = [], [], [e.scores for e in examples]
    for n_images, n_trained, pairs in steps:
        shift = _pooled(task, reached) - _pooled(task, [reached[i] for i, _ in pairs])
        score = _pooled(task, [scores for _, scores in pairs]) + shift
        score = min(score, 1.0) if task.larger_is_better else max(score, 0.0)
        error = _step_error(task.primary, before, pairs)
        made.append(Point(n_images, score, n_trained, len(pairs), error))
        before = pairs
    return made


def _pooled(task: Task, scores: Sequence[Scores]) -> float:
    return float(task.summarize(scores)[task.primary])


def _step_error(
    key: str, before: Sequence[tuple[int, Scores]], after: Sequence[tuple[int, Scores]]
) -> float:
    """Return the standard error of the mean step of the images scored in both; NaN below two."""
    sides = [{i: [s[key] for j, s in side if j == i] for i, _ in side} for side in (before, after)]
    both = sorted(sides[0].keys() & sides[1].keys())
    steps = [float(np.mean(sides[1][i]) - np.mean(sides[0][i])) for i in both]
    return float(np.std(steps, ddof=1) / np.sqrt(len(steps))) if len(steps) > 1 else float("nan")


def _trained(
    run: Fitting, kept: Dataset, extra: Dataset, seconds: float, progress: Progress
) -> tuple[Network, Recipe]:
    """Train on `kept` and set the thresholds there, as the user's own model is made."""
    fitted = run.fit(kept, extra, Dataset(), seconds, span(progress, 0.0, TRAINING_SHARE))
    if fitted.stopped == "cancelled":
        raise Cancelled
    network = run.network(fitted.state)
    middle = (1 + TRAINING_SHARE) / 2
    raw = run.raw(network, kept, span(progress, TRAINING_SHARE, middle))
    last = span(progress, middle, 1.0)
    return network, run.with_thresholds(raw, kept, last, held_out=False)
