"""Scores of counts: hand examples, empty cases, laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microshot.metrics.counts import count_scores, coverage, rounded

counts = st.lists(st.tuples(st.integers(0, 50), st.floats(0, 60)), min_size=1, max_size=30)


def test_halves_are_rounded_to_the_even_count() -> None:
    np.testing.assert_array_equal(rounded([0.5, 1.5, 2.5, 2.51]), [0, 2, 2, 3])


def test_scores_of_a_hand_example() -> None:
    found = count_scores([2, 4, 10], [2.5, 5.5, 9.0])  # rounded 2, 6, 9
    assert found["n"] == 3
    assert found["mae"] == pytest.approx((0 + 2 + 1) / 3)
    assert found["mae_unrounded"] == pytest.approx((0.5 + 1.5 + 1) / 3)
    assert found["mre"] == pytest.approx((0 + 0.5 + 0.1) / 3)
    assert found["accuracy"] == pytest.approx(1 / 3)
    assert found["bias"] == pytest.approx(1 / 3)
    assert found["rmse"] == pytest.approx(math.sqrt((0.25 + 2.25 + 1) / 3))


def test_the_relative_error_leaves_out_images_without_objects() -> None:
    assert count_scores([0, 4], [3, 5])["mre"] == pytest.approx(0.25)
    alone = count_scores([0], [1])
    assert math.isnan(alone["mre"])
    assert alone["mae"] == 1
    assert alone["accuracy"] == 0


def test_no_image_has_no_score() -> None:
    empty = count_scores([], [])
    assert empty["n"] == 0
    assert all(math.isnan(v) for k, v in empty.items() if k != "n")
    assert math.isnan(coverage([], [], []))


@given(counts)
def test_scores_are_ordered_and_perfect_only_for_the_truth(pairs) -> None:
    truth, predicted = zip(*pairs, strict=True)
    found = count_scores(truth, predicted)
    assert abs(found["bias"]) <= found["mae_unrounded"] + 1e-9 <= found["rmse"] + 2e-9
    assert (found["mae"] == 0) == (found["accuracy"] == 1)
    assert count_scores(truth, truth)["rmse"] == 0


def test_coverage_counts_the_ends_as_inside() -> None:
    assert coverage([1, 5, 9], [1, 0, 0], [2, 5, 8]) == pytest.approx(2 / 3)


def test_what_is_no_count_is_refused() -> None:
    with pytest.raises(ValueError, match="as many predictions as true counts, found 1 and 2"):
        count_scores([1, 2], [1])
    with pytest.raises(ValueError, match="from 0 on as true counts, found -1"):
        count_scores([-1], [1])
    with pytest.raises(ValueError, match="as predicted counts, found nan"):
        count_scores([1], [math.nan])
