"""What scores on left-out images say: which of two models to use, and whether more images help."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.fitting import Example
    from microshot.tasks.base import Scores, Task

#: Least difference that matters: of a score such as F1, and of an error as part of the error.
LEAST_GAIN, LEAST_PART = 0.02, 0.05
#: By so many standard errors over the images a gain must be above nothing.
CERTAINTY = 1.0


@dataclass(frozen=True)
class Point:
    """How good models retrained on so many labelled images are, on images left out."""

    n_images: int
    """0 = the old model."""
    score: float
    """The task's primary score of all predictions together."""
    n_models: int
    n_scored: int
    """Predictions on images that their model had not seen."""


def judge(task: Task, comparison: Sequence[Example]) -> tuple[str, bool]:
    """Say in one sentence which of two models to use, and whether it is the new one.

    The new one where nothing was compared, and where it is better by more than what matters and
    what may be chance; else the old one.
    """
    if not comparison:
        return "The retrained model was not compared with the old one.", True
    key, label = task.primary, task.primary_label
    old, new = ([_of(e, which) for e in comparison] for which in ("old", "new"))
    before, after = task.summarize(old)[key], task.summarize(new)[key]
    sign = 1 if task.larger_is_better else -1
    wins = sum(sign * (b[key] - a[key]) > 0 for a, b in zip(old, new, strict=True))
    n = len(comparison)
    facts = (
        f"{label} {after:.2f} against {before:.2f} on images it had not seen ({wins} of {n} better)"
    )
    if is_better(task, old, new):
        return f"Retrained model {facts}: use it.", True
    how = "not clearly better" if sign * (after - before) > 0 else "no better"
    return f"Retrained model {facts}: {how}, keep the old model.", False


def is_better(task: Task, old: Sequence[Scores], new: Sequence[Scores]) -> bool:
    """Say whether the new model is better on other images, too, judged by its scores on n images.

    Parameters
    ----------
    old, new : scores of the same n images by either model, n ≥ 1.

    Returns
    -------
    True if the gain of the pooled primary score is greater than what matters (`LEAST_GAIN`,
    for errors `LEAST_PART` of the old one), and greater than `CERTAINTY` standard errors. The
    standard error is the jackknife's: √((n - 1) / n · Σ (g₍₋ᵢ₎ - ḡ)²) with g₍₋ᵢ₎ the pooled gain
    without image i, so that it holds for scores that are no means, such as F1.

    References
    ----------
    .. [1] Efron & Stein 1981, "The jackknife estimate of variance", doi:10.1214/aos/1176345462.
    """
    gain = _gain(task, old, new)
    if not gain > _least(task, task.summarize(old)[task.primary]):
        return False
    return gain > CERTAINTY * standard_error(task, old, new)


def standard_error(task: Task, old: Sequence[Scores], new: Sequence[Scores]) -> float:
    """Return the jackknife's standard error of the pooled gain; 0 for a single image."""
    n = len(old)
    if n < 2:
        return 0.0
    without = [_gain(task, [*old[:i], *old[i + 1 :]], [*new[:i], *new[i + 1 :]]) for i in range(n)]
    mean = sum(without) / n
    return math.sqrt((n - 1) / n * sum((g - mean) ** 2 for g in without))


def more_images(task: Task, curve: Sequence[Point]) -> str:
    """Say in one sentence whether further labelled images are likely to help.

    That is, whether the last step of the learning curve brought what matters; empty where there
    is none, which takes three labelled images.
    """
    known = [p for p in curve if p.n_images and math.isfinite(p.score)]
    if len(known) < 2:
        return ""
    last, before = known[-1], known[-2]
    rise = last.score - before.score
    gain = rise if task.larger_is_better else -rise
    likely = "likely" if gain >= _least(task, before.score) else "not likely"
    moved = f"{'rose' if rise >= 0 else 'fell'} by {abs(rise):.2f}"
    if f"{abs(rise):.2f}" == "0.00":
        moved = "stayed the same"
    return (
        f"Another labelled image is {likely} to help: {task.primary_label} on images not seen "
        f"{moved} from {before.n_images} to {last.n_images} labelled images."
    )


def _of(example: Example, which: str) -> Scores:
    return example.old_scores if which == "old" else example.scores


def _gain(task: Task, old: Sequence[Scores], new: Sequence[Scores]) -> float:
    """Return by how much the new pooled score is better."""
    before, after = (task.summarize(scores)[task.primary] for scores in (old, new))
    return after - before if task.larger_is_better else before - after


def _least(task: Task, before: float) -> float:
    """Return the least gain that matters to someone who has the score `before`."""
    return LEAST_GAIN if task.larger_is_better else LEAST_PART * before
