"""The scored images of a result: what is drawn of them, and the rows of their scores."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from microshot.pages import counting, segmenting, translating

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from microshot.api import Example, Retrained, Trained

#: Images shown in a report of a training.
MAX_SHOWN = 8


def parts_of(task: str) -> ModuleType:
    """Return the module with what pages of this task alone show."""
    return {"segment": segmenting, "count": counting, "translate": translating}[task]


def worst_first(examples: Sequence[Example], task: str) -> list[int]:
    """Return the places of scored images, the worst first by the task's own score.

    Those that have no such score, as a stain of one grey value, come last.
    """
    from microshot.tasks import task_named

    judge = task_named(task)
    values = [judge.improvement(e.scores.get(judge.primary, math.nan)) for e in examples]
    return sorted(range(len(values)), key=lambda i: (math.isnan(values[i]), values[i]))


def example_pictures(examples: Sequence[Example], task: str = "segment") -> list[Any]:
    """Return what the report draws of scored images, the worst first."""
    return [parts_of(task).picture(examples[i]) for i in worst_first(examples, task)[:MAX_SHOWN]]


def score_rows(result: Trained) -> list[dict[str, Any]]:
    """Return name, use and scores of every image that was scored."""
    task, examples = result.bundle.card.task, result.examples
    rows = [{"name": e.sample.name, "held_out": e.held_out, **e.scores} for e in examples]
    if task == "count":
        pairs = zip(rows, examples, strict=True)
        return [row | {"interval": counting.counted(e).interval} for row, e in pairs]
    return [translating.overall(r, result) for r in rows] if task == "translate" else rows


def comparison_rows(result: Retrained) -> list[dict[str, Any]]:
    """Return name and the scores of both models for every image that they were compared on."""

    def told(scores: Any) -> dict[str, Any]:
        stains = result.bundle.card.task == "translate"
        return translating.overall(scores, result) if stains else scores

    return [
        {"name": e.sample.name, "old": told(e.old_scores), "new": told(e.scores)}
        for e in result.comparison
    ]
