"""Which of two models to use, by their scores on left-out images, and whether more images help."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microshot.learning.fitting import Example
from microshot.learning.verdict import Point, is_better, judge, more_images, standard_error
from microshot.tasks import task_named
from tiny_models import field

if TYPE_CHECKING:
    from collections.abc import Sequence

SEGMENT, COUNT = task_named("segment"), task_named("count")
Objects = tuple[int, int, int]


def found(objects: Objects) -> dict[str, float]:
    """Return the scores of an image with so many found, invented and missed objects."""
    tp, fp, fn = objects
    names = ("true_positives", "false_positives", "false_negatives")
    f1 = 2 * tp / max(2 * tp + fp + fn, 1)
    more = {"iou_sum": 0.8 * tp, "f1": f1, "average_precision": 0.5}
    return {**dict(zip(names, objects, strict=True)), **more}


def counted(true: float, count: float) -> dict[str, float]:
    """Return the scores of an image with this count."""
    return {"true_count": true, "count": count, "mae": abs(round(count) - true)}


def pairs(old: Sequence[Any], new: Sequence[Any]) -> list[Example]:
    """Return what was compared."""
    image = field(0)
    return [Example(image, None, n, None, o) for o, n in zip(old, new, strict=True)]


def objects(old: Sequence[Objects], new: Sequence[Objects]) -> list[Example]:
    """Return what was compared, from objects."""
    return pairs([found(o) for o in old], [found(n) for n in new])


def test_a_clear_gain_is_used_and_both_scores_are_told() -> None:
    old = [(5, 0, 5), (4, 0, 6), (6, 0, 4), (5, 0, 5)]
    new = [(9, 0, 1), (9, 1, 1), (9, 0, 1), (8, 0, 2)]
    assert judge(SEGMENT, objects(old, new)) == (
        "Retrained model F1 0.92 against 0.67 on images it had not seen (4 of 4 better): use it.",
        True,
    )


def test_a_loss_keeps_the_old_model() -> None:
    assert judge(SEGMENT, objects([(8, 0, 2)], [(5, 0, 5)])) == (
        "Retrained model F1 0.67 against 0.89 on images it had not seen (0 of 1 better): no better, "
        "keep the old model.",
        False,
    )


def test_a_tie_goes_to_the_old_model() -> None:
    sentence, better = judge(SEGMENT, objects([(5, 1, 1)] * 4, [(5, 1, 1)] * 4))
    assert not better
    assert "F1 0.83 against 0.83" in sentence
    assert "(0 of 4 better): no better, keep the old model." in sentence


def test_a_gain_that_does_not_matter_keeps_the_old_model() -> None:
    sentence, better = judge(SEGMENT, objects([(80, 0, 20)] * 4, [(82, 0, 18)] * 4))
    assert not better
    assert "(4 of 4 better): not clearly better, keep the old model." in sentence


def test_a_gain_that_one_image_makes_keeps_the_old_model() -> None:
    old, new = [(6, 0, 4)] * 4, [(10, 0, 0), (5, 0, 5), (6, 0, 4), (5, 0, 5)]
    sentence, better = judge(SEGMENT, objects(old, new))
    assert not better
    assert "(1 of 4 better): not clearly better, keep the old model." in sentence


def test_one_image_may_get_worse_but_not_two() -> None:
    old = [(60, 0, 40)] * 4
    assert judge(SEGMENT, objects(old, [(75, 0, 25), (70, 0, 30), (72, 0, 28), (55, 0, 45)]))[1]
    assert not judge(SEGMENT, objects(old, [(80, 0, 20), (85, 0, 15), (56, 0, 44), (58, 0, 42)]))[1]


def test_where_most_images_stay_the_same_the_gain_has_to_be_surer() -> None:
    """2 of 8 better are 1.5 standard errors above nothing, 3 of 8 are 2.05."""
    old, same, better = [counted(5, 9)] * 8, [counted(5, 9)], [counted(5, 5)]
    assert not is_better(COUNT, old, 2 * better + 6 * same)
    assert is_better(COUNT, old, 3 * better + 5 * same)
    assert is_better(COUNT, old, 4 * better + 4 * same)


def test_of_many_images_many_may_get_worse_where_the_gain_is_certain() -> None:
    old, new = [(60, 0, 40)] * 100, [(90, 0, 10)] * 60 + [(55, 0, 45)] * 40
    sentence, better = judge(SEGMENT, objects(old, new))
    assert better
    assert "(60 of 100 better): use it." in sentence


def test_rounding_alone_makes_no_count_better() -> None:
    """2.51 objects are three and 2.49 are two, but neither model is better."""
    assert not is_better(COUNT, [counted(2, 2.51)] * 4, [counted(2, 2.49)] * 4)


def test_objects_are_pooled_over_images_before_they_are_compared() -> None:
    """Many objects in one image weigh more than one object in another."""
    old = [(50, 0, 50), (55, 0, 45), (1, 0, 0)]
    new = [(90, 0, 10), (92, 0, 8), (0, 0, 1)]
    sentence, better = judge(SEGMENT, objects(old, new))
    assert better
    assert "(2 of 3 better)" in sentence


def test_where_less_is_better_the_sign_turns() -> None:
    old, new = [counted(5, 8)] * 4, [counted(5, 6)] * 4
    assert judge(COUNT, pairs(old, new)) == (
        "Retrained model MAE 1.00 against 3.00 on images it had not seen (4 of 4 better): use it.",
        True,
    )
    assert not judge(COUNT, pairs(new, old))[1]


def test_of_an_error_a_twentieth_is_what_matters() -> None:
    old = [counted(200, 300)] * 4
    assert not is_better(COUNT, old, [counted(200, 295)] * 4)
    assert is_better(COUNT, old, [counted(200, 294)] * 4)


def test_where_images_agree_half_a_standard_error_is_enough() -> None:
    """Errors fall by 0.25 ± 0.75 and by 0.75 ± 0.95; 3 of 4 images get better either time."""
    old = [counted(5, 9)] * 4
    assert not is_better(COUNT, old, [counted(5, 9 - less) for less in (1, 1, 1, -2)])
    assert is_better(COUNT, old, [counted(5, 9 - less) for less in (2, 1, 2, -2)])


def test_nothing_compared_is_for_the_new_model() -> None:
    assert judge(SEGMENT, []) == ("The retrained model was not compared with the old one.", True)


def test_the_standard_error_of_means_is_the_usual_one() -> None:
    old = [counted(0, c) for c in (1, 3, 6, 2)]
    new = [counted(0, 0)] * 4  # gains 1, 3, 6, 2: standard deviation 2.16
    assert standard_error(COUNT, old, new) == pytest.approx(2.1602 / 2, abs=1e-4)
    assert standard_error(COUNT, old[:2], new[:2]) == pytest.approx(1)  # gains 1 and 3
    assert standard_error(COUNT, old[:1], new[:1]) == 0


counts = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(1, 30)),
                  min_size=1, max_size=6)  # fmt: skip


@given(counts, st.randoms())
def test_never_both_ways_and_whatever_the_order(made, random) -> None:
    old = [found(o) for o in made]
    new = [found(random.choice(made)) for _ in made]
    both = list(zip(old, new, strict=True))
    random.shuffle(both)
    better = is_better(SEGMENT, old, new)
    assert not (better and is_better(SEGMENT, new, old))
    assert better == is_better(SEGMENT, [a for a, _ in both], [b for _, b in both])


# ---------------------------------------------------------------------------- another image


def curve(*scores: float) -> list[Point]:
    return [Point(n, score, 2, 4, 0.04) for n, score in enumerate(scores)]


def test_a_step_that_matters_speaks_for_another_image() -> None:
    assert more_images(SEGMENT, curve(0.2, 0.5, 0.7, 0.75)) == (
        "Another labelled image is likely to help: F1 on images not seen rose by 0.05 from 2 to 3 "
        "labelled images."
    )
    assert more_images(COUNT, curve(9, 4, 3, 2)) == (
        "Another labelled image is likely to help: MAE on images not seen fell by 1.00 from 2 to 3 "
        "labelled images."
    )


def test_a_small_step_or_one_back_does_not() -> None:
    for last, said in ((0.71, "rose by 0.01"), (0.6, "fell by 0.10"), (0.7, "stayed the same")):
        sentence = more_images(SEGMENT, curve(0.2, 0.5, 0.7, last))
        assert sentence.startswith("Another labelled image is not likely to help: ")
        assert said in sentence


def test_a_step_that_may_be_chance_may_help() -> None:
    assert more_images(SEGMENT, curve(0.2, 0.5, 0.7, 0.73)) == (
        "Another labelled image may help: F1 on images not seen rose by 0.03 from 2 to 3 labelled "
        "images, which may be chance."
    )
    unknown = [dataclasses.replace(p, step_error=float("nan")) for p in curve(0.2, 0.5, 0.7)]
    assert "may help" in more_images(SEGMENT, unknown)


def test_what_matters_of_a_step_is_a_twentieth_of_the_error() -> None:
    for last, said in ((19.1, "is not likely to"), (18.9, "is likely to")):
        assert f"image {said} help" in more_images(COUNT, curve(30, 25, 20, last))


def test_a_point_without_a_score_is_passed_over() -> None:
    sentence = more_images(SEGMENT, curve(0.2, 0.5, float("nan"), 0.7))
    assert "rose by 0.20 from 1 to 3 labelled images" in sentence


def test_one_step_takes_three_images() -> None:
    assert more_images(SEGMENT, curve(0.2, 0.5)) == ""
    assert more_images(SEGMENT, []) == ""
