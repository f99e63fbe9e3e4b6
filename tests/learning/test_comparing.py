"""Points of a learning curve: what was learned, whatever images were scored."""

from __future__ import annotations

import math
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


@pytest.mark.parametrize(
    ("largest", "sizes"),
    [(1, []), (3, [1, 2]), (5, [1, 2, 3, 4]), (6, [1, 2, 4]), (8, [1, 2, 4]), (9, [1, 2, 4, 8])],
)
def test_a_curve_has_points_at_few_sizes_with_two_trainings_each(largest, sizes) -> None:
    assert [len(chosen) for chosen in subsets(10, largest, 0)] == [n for n in sizes for _ in "ab"]


@given(st.integers(2, 40), st.integers(0, 99))
def test_larger_sets_of_images_hold_smaller_ones_and_the_two_of_a_size_share_few(n, seed) -> None:
    made = subsets(n, n, seed)
    for chosen in made:
        assert chosen == sorted(set(chosen))
        assert set(chosen) <= set(range(n))
    for first, second in zip(made[0::2], made[1::2], strict=True):
        assert len({*first, *second}) == min(n, 2 * len(first))
    for smaller, larger in zip(made, made[2:], strict=False):
        assert set(smaller) <= set(larger)


def test_steps_of_the_curve_have_the_standard_error_of_images_scored_at_both_ends() -> None:
    """Steps of three images by hand: 0, -1 and -3, then -3, -1 and 2; an image scored twice counts once."""
    examples: Any = [SimpleNamespace(old_scores=counted(4), scores=counted(by)) for by in (1, 2, 3)]
    fewer = [(1, {0: counted(5), 1: counted(3)}), (1, {0: counted(3), 2: counted(1)})]
    made = curve_points(COUNT, examples, fewer, 2, 3)
    assert [(p.n_images, p.n_models, p.n_scored) for p in made] == [(0, 1, 3), (1, 2, 4), (2, 3, 3)]
    assert math.isnan(made[0].step_error)
    assert [p.step_error for p in made[1:]] == pytest.approx([0.8819, 1.4530], abs=1e-4)
    assert [p.score for p in made] == pytest.approx([4, 3.25, 2])
    alone = curve_points(COUNT, examples[:1], [], 2, 3)
    assert math.isnan(alone[1].step_error)
