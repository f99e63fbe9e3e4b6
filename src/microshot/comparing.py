"""Is the retrained model better than the one it started from? Both on images it has not seen."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from microshot.data.dataset import Dataset, folds_of_groups
from microshot.fitting import TRAINING_SHARE, Example, Fitting
from microshot.progress import Cancelled, Progress, span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.tasks.base import Network, Recipe, Task

#: Up to so many labelled images, the check leaves out one at a time; above, five groups.
MOST_LEAVE_ONE_OUT, N_FOLDS = 8, 5
#: Least difference of the primary score that counts as better.
LEAST_GAIN = 0.0
#: Part of the check's progress for the trainings; the rest is setting the final thresholds.
_FOLDS_SHARE = 0.95


def hindrance(old: Recipe, new: Recipe, own: Dataset) -> str:
    """Say why an old and a new model cannot be compared on `own`; empty where they can."""
    if len(own) < 2:
        return "With one labelled image nothing can be left out: the models are not compared."
    groups = {sample.group for sample in own}
    if len(groups) == 1 and groups != {""}:
        return (
            f'All images belong to the group "{groups.pop()}", so none can be left out: the models '
            "are not compared."
        )
    before, now = old.architecture["in_channels"], new.architecture["in_channels"]
    if before != now:
        return (
            f"The old model takes {before} channel(s) and these images have {now}: "
            "the models are not compared."
        )
    stains = [len(r.preparation.get("targets", ())) for r in (old, new)]
    if stains[0] != stains[1]:
        return (
            f"The old model predicts {stains[0]} stain(s) and these images have {stains[1]}: "
            "the models are not compared."
        )
    return ""


def leave_out(
    run: Fitting,
    old: Recipe,
    old_network: Network,
    own: Dataset,
    extra: Dataset,
    seconds: float,
    progress: Progress,
) -> tuple[list[Example], Mapping[str, float]]:
    """Compare old and new model on images left out of the new one's training.

    Parameters
    ----------
    run : trains the new model.
    old, old_network : the old model as a careful user would use it on these images.
    own : labelled images, at least two; every one is left out once.
    extra : synthetic images, always trained on.
    seconds : for all trainings together; 0 = no limit.

    Returns
    -------
    One example per image of `own`, in order, and the thresholds that suit all the new
    models' outputs on left-out images best. Intervals around counts are those of these thresholds.

    Raises
    ------
    Cancelled
        If cancelled.
    """
    n_folds = len(own) if len(own) <= MOST_LEAVE_ONE_OUT else N_FOLDS
    parts = folds_of_groups([sample.group for sample in own], n_folds, run.seed)
    task = run.task
    examples: dict[int, Example] = {}
    raws: dict[int, Any] = {}
    for index, out in enumerate(parts):
        kept = own.take([i for i in range(len(own)) if i not in out])
        start, stop = (_FOLDS_SHARE * i / len(parts) for i in (index, index + 1))
        here = span(progress, start, stop, f"{index + 1} of {len(parts)}, ")
        network, recipe = _trained(run, kept, extra, seconds / len(parts), here)
        for i in out:
            here(1.0, "scoring")
            raws[i] = task.raw_for_calibration(network, run.recipe, own[i])
            new = task.decode(raws[i], recipe)
            before = task.decode(task.raw(old_network, old, own[i]), old)
            examples[i] = Example(
                own[i], new, task.score(new, own[i]), before, task.score(before, own[i]),
                held_out=True,
            )  # fmt: skip
    order = range(len(own))
    last = span(progress, _FOLDS_SHARE, 1.0)
    thresholds = task.calibrate([raws[i] for i in order], own.samples, run.recipe, last)
    final = dataclasses.replace(run.recipe, thresholds=thresholds)
    made = [
        dataclasses.replace(examples[i], prediction=task.completed(examples[i].prediction, final))
        for i in order
    ]
    return made, thresholds


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


def judge(task: Task, comparison: Sequence[Example]) -> tuple[str, bool]:
    """Say in one sentence which of two models to use, and whether it is the new one.

    The new one where nothing was compared; the old one where both are equally good.
    """
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
