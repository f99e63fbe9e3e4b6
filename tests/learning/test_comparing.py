"""Points of a learning curve: what was learned, whatever images were scored."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microshot.learning.comparing import curve_points, subsets
from microshot.learning.verdict import more_images
from microshot.tasks import task_named

SEGMENT, COUNT = task_named("segment"), task_named("count")


def found(right: int, of: int = 20) -> dict[str, Any]:
    """Return scores of an image with so many of its objects found, and as many wrong ones."""
    missed = of - right
    return {
        "true_positives": right, "false_positives": missed, "false_negatives": missed,
        "iou_sum": 0.8 * right, "f1": right / of, "panoptic_quality": 0.0, "average_precision": 0.0,
    }  # fmt: skip


def points_of(task: Any, old: list[Any], reached: list[Any], less: Any, seed: int = 0) -> Any:
    """Return the curve of models that had fewer images and scored ``less(n, i)`` on image i."""
    n = len(reached)
    examples: Any = [
        SimpleNamespace(old_scores=a, scores=b) for a, b in zip(old, reached, strict=True)
    ]
    fewer = [
        (len(chosen), {i: less(len(chosen), i) for i in range(n) if i not in chosen})
        for chosen in subsets(n, n - 1, seed)
    ]
    return curve_points(task, examples, fewer, n - 1, n)


@given(st.lists(st.integers(6, 20), min_size=4, max_size=8), st.integers(0, 9))
def test_where_nothing_is_learned_the_curve_is_flat_and_no_image_is_asked_for(right, seed) -> None:
    scores = [found(n) for n in right]
    made = points_of(SEGMENT, scores, scores, lambda _, i: scores[i], seed)
    whole = SEGMENT.summarize(scores)["f1"]
    assert [p.score for p in made] == pytest.approx([whole] * len(made))
    assert made[-1].score == whole
    assert "not likely to help" in more_images(SEGMENT, made)


def test_what_is_learned_shows_whatever_images_were_scored() -> None:
    right = [20, 6, 15, 9, 18]
    old, last = [found(n - 6) for n in right], [found(n) for n in right]
    made = points_of(SEGMENT, old, last, lambda n, i: found(right[i] - 4 + n))
    assert [p.n_images for p in made] == [0, 1, 2, 3, 4]
    last_score = made[-1].score
    assert [last_score - p.score for p in made] == pytest.approx([0.3, 0.15, 0.1, 0.05, 0])


def counted(by: float) -> dict[str, Any]:
    """Return scores of an image of 20 objects whose count is wrong by so many."""
    return {"true_count": 20.0, "count": 20.0 + by, "mae": by}


def test_no_point_is_better_than_the_best_score_there_is() -> None:
    easy, hard = [found(20), found(4)], [counted(0), counted(9)]
    for task, (good, bad) in ((SEGMENT, easy), (COUNT, hard)):
        made = points_of(task, [bad] * 5, [bad, good, good, bad, bad], lambda _, i, g=good: g)
        scores = [p.score for p in made]
        assert max(scores) <= 1 if task is SEGMENT else min(scores) >= 0
        best = 1 if task is SEGMENT else 0
        assert best in scores
