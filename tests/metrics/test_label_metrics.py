"""Scores of label images: laws, hand-computed cases, and agreement with stardist."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from microshot.metrics.labels import (
    Tally,
    average_precision,
    match,
    sum_tallies,
)
from microshot.metrics.overlap import foreground_overlap, intersection

SCORES = [
    "precision",
    "recall",
    "f1",
    "accuracy",
    "panoptic_quality",
]
few = settings(max_examples=60, deadline=None)


@st.composite
def label_pairs(draw: st.DrawFn, low: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Blocky label images that overlap in all kinds of ways."""
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    ids = st.integers(low, 6)
    blocks = [draw(hnp.arrays(np.int32, shape, elements=ids)) for _ in range(2)]
    truth = blocks[0].repeat(3, 0).repeat(3, 1)
    prediction = np.maximum(blocks[draw(st.integers(0, 1))], 0).repeat(3, 0).repeat(3, 1)
    return truth, np.roll(prediction, draw(st.integers(0, 2)), axis=draw(st.integers(0, 1)))


thresholds = st.sampled_from([0.05, 0.2, 0.3, 0.5, 0.55, 0.7, 0.9, 1.0])


@few
@given(label_pairs(), thresholds, st.randoms(use_true_random=False))
def test_ids_do_not_matter(pair, threshold, random) -> None:
    truth, prediction = pair
    new_ids = random.sample(range(1, 2**31 - 1), 7)
    table = np.array([0, *new_ids[:6]], np.int64)
    renamed = match(table[truth], table[::1][prediction], threshold)
    same = match(truth, prediction, threshold)
    assert (renamed.tp, renamed.fp, renamed.fn) == (same.tp, same.fp, same.fn)
    assert renamed.score_sum == pytest.approx(same.score_sum)


@few
@given(label_pairs(), thresholds)
def test_swapping_truth_and_prediction_swaps_precision_and_recall(pair, threshold) -> None:
    forth, back = match(*pair, threshold), match(*pair[::-1], threshold)
    assert (forth.tp, forth.fp, forth.fn) == (back.tp, back.fn, back.fp)
    assert forth.score_sum == pytest.approx(back.score_sum)
    assert (forth.precision, forth.recall) == (back.recall, back.precision)
    assert foreground_overlap(*pair).dice == foreground_overlap(*pair[::-1]).dice


@few
@given(label_pairs(), thresholds)
def test_a_perfect_prediction_scores_1(pair, threshold) -> None:
    truth = pair[0]
    found = match(truth, truth, threshold)
    assert all(getattr(found, name) == 1 for name in SCORES)
    assert found.fp == found.fn == 0
    assert average_precision(truth, truth) == 1
    assert foreground_overlap(truth, truth).iou == 1


@few
@given(label_pairs())
def test_scores_fall_as_the_threshold_rises(pair) -> None:
    found = [match(*pair, threshold).tp for threshold in (0.05, 0.2, 0.5, 0.8, 1.0)]
    assert all(a >= b for a, b in pairwise(found))


@few
@given(label_pairs(), thresholds)
def test_counts_equal_stardist(pair, threshold) -> None:
    from stardist.matching import matching

    truth, prediction = pair
    ours = match(truth, prediction, threshold)
    theirs = matching(truth, prediction, threshold)
    assert (ours.tp, ours.fp, ours.fn) == (theirs.tp, theirs.fp, theirs.fn)
    assert len(ours.pairs) == len(set(dict(ours.pairs).values())) == ours.tp
    assert all(score >= threshold for score in ours.scores)
    if threshold > 0.5 and (ours.n_true or ours.n_predicted):
        for name in SCORES:
            assert getattr(ours, name) == pytest.approx(getattr(theirs, name), abs=1e-6)


def test_accumulated_scores_equal_stardist_on_many_objects() -> None:
    from stardist.matching import matching_dataset

    rng = np.random.default_rng(3)
    pairs = []
    for _ in range(4):
        truth = np.zeros((90, 90), np.int32)
        for i, (y, x) in enumerate(rng.integers(0, 78, (40, 2))):
            truth[y : y + 9, x : x + 9] = i + 1
        prediction = np.roll(truth, rng.integers(-2, 3, 2), (0, 1))
        prediction[rng.random(truth.shape) < 0.05] = 0
        pairs.append((truth, prediction))
    for threshold in (0.3, 0.5, 0.75):
        theirs = matching_dataset(*zip(*pairs, strict=True), thresh=threshold, show_progress=False)
        ours = sum_tallies(match(*pair, threshold) for pair in pairs)
        assert (ours.tp, ours.fp, ours.fn) == (theirs.tp, theirs.fp, theirs.fn)
        for name in SCORES:
            assert getattr(ours, name) == pytest.approx(getattr(theirs, name), abs=1e-4)


def row(*runs: tuple[int, int]) -> np.ndarray:
    """Return a one-row label image from (id, length) runs."""
    return np.concatenate([np.full(n, i, np.int32) for i, n in runs])[None]


def test_hand_computed_case() -> None:
    truth = row((1, 10), (0, 2), (2, 10), (0, 2), (3, 10))
    prediction = row((5, 8), (0, 4), (6, 12), (0, 6), (7, 2), (0, 2))
    # IoU 8/10, 10/12, 2/10
    found = match(truth, prediction, 0.5)
    assert (found.tp, found.fp, found.fn) == (2, 1, 1)
    assert found.pairs == ((1, 5), (2, 6))
    assert found.scores == pytest.approx((0.8, 10 / 12))
    assert found.precision == found.recall == found.f1 == pytest.approx(2 / 3)
    assert found.accuracy == pytest.approx(2 / 4)
    assert found.panoptic_quality == pytest.approx((0.8 + 10 / 12) / 3)
    uneven = Tally(2, 1, 3, 1.5)  # five true objects, three predicted ones
    assert uneven.panoptic_quality == pytest.approx(1.5 / 4)
    # above 0.80: one pair less; above 0.83: none
    expected = (6 * 2 / 4 + 1 / 5) / 10
    assert average_precision(truth, prediction) == pytest.approx(expected)
    overlap = foreground_overlap(truth, prediction)
    assert overlap.dice == pytest.approx(2 * 20 / 52)
    assert overlap.iou == pytest.approx(20 / 32)


def test_reaching_the_threshold_counts_for_stardist_but_not_for_the_bowl() -> None:
    truth, prediction = row((1, 10)), row((1, 5), (0, 5))
    assert match(truth, prediction, 0.5).tp == 1
    assert match(truth, prediction, 0.5, strict=True).tp == 0
    assert average_precision(truth, prediction) == 0


def test_low_thresholds_pair_as_many_objects_as_possible() -> None:
    # the prediction 1 fits truth 1 best, but only it can serve truth 2
    truth = row((1, 6), (2, 4), (0, 2))
    prediction = row((2, 2), (1, 8), (0, 2))
    assert set(match(truth, prediction, 0.2).pairs) == {(1, 2), (2, 1)}


def test_two_halves_cannot_both_match_one_object() -> None:
    found = match(row((1, 10)), row((1, 5), (2, 5)), 0.5)
    assert (found.tp, found.fp, found.fn) == (1, 1, 0)


def test_empty_images() -> None:
    nothing, something = row((0, 10)), row((0, 5), (1, 5))
    both = match(nothing, nothing)
    assert all(getattr(both, name) == 1 for name in SCORES)
    assert average_precision(nothing, nothing) == 1
    assert foreground_overlap(nothing, nothing).dice == 1
    assert foreground_overlap(nothing, nothing).iou == 1
    for pair in ((nothing, something), (something, nothing)):
        one = match(*pair)
        assert all(getattr(one, name) == 0 for name in SCORES)
        assert average_precision(*pair) == 0
        assert foreground_overlap(*pair).dice == 0


def test_ignored_pixels_count_for_nothing() -> None:
    truth = row((1, 10), (-1, 10))
    # prediction 1 runs on into the ignored part, 2 lies mostly there, 3 wholly
    prediction = row((1, 8), (2, 2), (2, 3), (0, 1), (3, 6))
    found = match(truth, prediction, 0.5)
    assert (found.tp, found.fp, found.fn) == (1, 0, 0)
    reaching = match(truth, row((1, 12), (0, 8)), 0.5)
    assert reaching.scores == (1.0,)
    assert foreground_overlap(truth, prediction).prediction_px == 10
    half = match(row((0, 4), (-1, 4)), row((0, 2), (1, 4), (0, 2)))
    assert half.fp == 1  # half of it lies on judged background
    assert average_precision(truth, row((1, 10), (0, 2), (2, 8))) == 1


def test_objects_in_the_border_alone_are_not_judged() -> None:
    truth = np.zeros((20, 20), np.int32)
    truth[8:12, 8:12] = 1
    prediction = truth.copy()
    prediction[0:3, 0:3] = 2  # in the border only
    prediction[0:5, 10:13] = 3  # reaches one pixel row inside
    truth[17:20, 17:20] = 5
    truth[8:12, 17:20] = 6  # beside the right edge
    truth[17:20, 8:12] = 7  # above the lower one
    found = match(truth, prediction, border_px=4)
    assert (found.tp, found.fp, found.fn) == (1, 1, 0)
    assert average_precision(truth, prediction, border_px=4) == 1 / 2
    whole = match(truth, prediction)
    assert (whole.tp, whole.fp, whole.fn) == (1, 2, 3)


def test_intersection_counts_shared_pixels() -> None:
    table = intersection(row((4, 3), (9, 3), (0, 4)), row((0, 1), (7, 4), (0, 5)))
    assert table.truth_ids.tolist() == [4, 9]
    assert table.prediction_ids.tolist() == [7]
    assert table.truth_px.tolist() == [3, 3]
    assert table.prediction_px.tolist() == [4]
    assert list(zip(table.rows, table.columns, table.shared_px, strict=True)) == [
        (0, 0, 2),
        (1, 0, 2),
    ]


@pytest.mark.parametrize(
    ("truth", "prediction", "options", "said"),
    [
        (np.zeros((2, 2), int), np.zeros((2, 3), int), {}, "one size"),
        (np.zeros((1, 2, 2), int), np.zeros((1, 2, 2), int), {}, "one size"),
        (np.zeros((2, 2)), np.zeros((2, 2), int), {}, "truth must hold whole numbers"),
        (np.zeros((2, 2), int), np.zeros((2, 2)), {}, "prediction must hold whole numbers"),
        (np.zeros((8, 9), int), np.zeros((8, 9), int), {"border_px": 4}, "border must leave"),
        (np.zeros((8, 9), int), np.zeros((8, 9), int), {"border_px": -1}, "border must leave"),
        (np.zeros((2, 2), int), np.zeros((2, 2), int), {"threshold": 0}, "threshold must lie"),
    ],
)
def test_wrong_input_is_refused(truth, prediction, options, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        match(truth, prediction, **options)
