"""What scores on left-out images say: which of two models to use, and whether more images help."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.learning.fitting import Example
    from microshot.tasks.base import Scores, Task

#: Least difference that matters: of a score such as F1, and of an error as part of the error.
LEAST_GAIN, LEAST_PART = 0.02, 0.05
#: By so many standard errors over the images a gain must be above nothing: if hardly an image got
#: worse, and whatever single images say.
LITTLE_ERROR, MUCH_ERROR = 0.5, 2.0
#: Least part of the images that must be better, and most that may be worse.
LEAST_WINS, MOST_LOSSES = 0.5, 0.25
#: The same score without rounding, which tells more of few images; it must not contradict.
_FINER = {"mae": "mae_unrounded"}


@dataclass(frozen=True)
class Point:
    """How good models retrained on so many labelled images are, on images left out."""

    n_images: int
    """0 = the old model."""
    score: float
    """The task's primary score of all predictions together, as it is on all labelled images (see
    `comparing.curve_points`)."""
    n_models: int
    n_scored: int
    """Predictions on images that their model had not seen."""
    step_error: float = math.nan
    """Standard error of the mean step from the point before, over the images scored at both."""


def judge(task: Task, comparison: Sequence[Example]) -> tuple[str, bool]:
    """Say in one sentence which of two models to use, and whether it is the new one.

    The new one where nothing was compared, and where it is better by more than what matters and
    what may be chance; else the old one.
    """
    if not comparison:
        return "The retrained model was not compared with the old one.", True
    key, label, n = task.primary, task.primary_label, len(comparison)
    old, new = [e.old_scores for e in comparison], [e.scores for e in comparison]
    before, after = task.summarize(old)[key], task.summarize(new)[key]
    wins = sum(task.improvement(b[key] - a[key]) > 0 for a, b in zip(old, new, strict=True))
    facts = (
        f"{label} {after:.2f} against {before:.2f} on images it had not seen ({wins} of {n} better)"
    )
    if is_better(task, old, new):
        return f"Retrained model {facts}: use it.", True
    how = "not clearly better" if task.improvement(after - before) > 0 else "no better"
    return f"Retrained model {facts}: {how}, keep the old model.", False


def is_better(task: Task, old: Sequence[Scores], new: Sequence[Scores]) -> bool:
    """Say whether the new model is better on other images, too, judged by its scores on n images.

    Parameters
    ----------
    old, new : scores of the same n images by either model, n ≥ 1.

    Returns
    -------
    True if the gain of the pooled primary score is greater than what matters (`LEAST_GAIN`, for
    errors `LEAST_PART` of the old one) and than what may be chance: greater than `MUCH_ERROR`
    standard errors, or than `LITTLE_ERROR` of them where at least half of the images got
    better and at most a quarter got worse. Counts must fulfil this before rounding, too.

    Notes
    -----
    `benchmarks/verdict_rules.py` compares rules on four images drawn from many: that the images
    vote costs fewer true gains than asking for more standard errors, for nearly as few worse models
    passed on.
    """
    summary = task.summarize(old)
    keys = [k for k in (task.primary, _FINER.get(task.primary, "")) if k in summary]
    changes = [
        task.improvement(b[task.primary] - a[task.primary]) for a, b in zip(old, new, strict=True)
    ]
    wins, losses = sum(c > 0 for c in changes), sum(c < 0 for c in changes)
    agreed = wins >= LEAST_WINS * len(old) and losses <= MOST_LOSSES * len(old)
    errors = LITTLE_ERROR if agreed else MUCH_ERROR
    return all(
        gain(task, old, new, key)
        > max(_least(task, summary[key]), errors * standard_error(task, old, new, key))
        for key in keys
    )


def gain(task: Task, old: Sequence[Scores], new: Sequence[Scores], key: str = "") -> float:
    """Return by how much the new pooled score is better; `key` is the primary one unless given."""
    before, after = (task.summarize(scores)[key or task.primary] for scores in (old, new))
    return task.improvement(after - before)


def standard_error(
    task: Task, old: Sequence[Scores], new: Sequence[Scores], key: str = ""
) -> float:
    """Return the jackknife's standard error of `gain`; 0 for a single image.

    With g₍₋ᵢ₎ the gain without image i and ḡ their mean it is √((n - 1) / n · Σ (g₍₋ᵢ₎ - ḡ)²), which
    holds for scores that are no means over images, such as F1 of all objects together.

    References
    ----------
    .. [1] Efron & Stein 1981, "The jackknife estimate of variance", doi:10.1214/aos/1176345462.
    """
    n = len(old)
    if n < 2:
        return 0.0
    without = [
        gain(task, [*old[:i], *old[i + 1 :]], [*new[:i], *new[i + 1 :]], key) for i in range(n)
    ]
    mean = sum(without) / n
    return math.sqrt((n - 1) / n * sum((g - mean) ** 2 for g in without))


def more_images(task: Task, curve: Sequence[Point]) -> str:
    """Say in one sentence whether further labelled images are likely to help.

    That is, whether the last step of the learning curve brought what matters, and more than what
    may be chance; empty where there is no step, which takes three labelled images.
    """
    known = [p for p in curve if p.n_images and math.isfinite(p.score)]
    if len(known) < 2:
        return ""
    last, before = known[-1], known[-2]
    rise = last.score - before.score
    better = task.improvement(rise)
    moved = f"{'rose' if rise >= 0 else 'fell'} by {abs(rise):.2f}"
    if f"{abs(rise):.2f}" == "0.00":
        moved = "stayed the same"
    facts = (
        f"{task.primary_label} on images not seen {moved} from {before.n_images} to "
        f"{last.n_images} labelled images"
    )
    if not better > _least(task, before.score):
        return f"Another labelled image is not likely to help: {facts}."
    if better > last.step_error:
        return f"Another labelled image is likely to help: {facts}."
    return f"Another labelled image may help: {facts}, which may be chance."


def _least(task: Task, before: float) -> float:
    """Return the least gain that matters to someone who has the score `before`."""
    return LEAST_GAIN if task.larger_is_better else LEAST_PART * before
