"""Count intervals: coverage, ranks, tiny calibration sets."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microshot import conformal

levels = st.sampled_from([0.5, 0.8, 0.9, 0.95])
errors = st.lists(st.floats(0, 100), max_size=40)


def test_ranks_of_hand_examples() -> None:
    assert conformal.rank(9, 0.9) == 9
    assert conformal.rank(10, 0.9) == 10
    assert conformal.rank(19, 0.9) == 18
    assert conformal.rank(4, 0.8) == 4
    assert [conformal.least_images(a) for a in (0.8, 0.9, 0.95)] == [4, 9, 19]
    assert conformal.quantile([5, 1, 4, 2], 0.8) == 5
    assert conformal.quantile([5, 1, 4, 2], 0.6) == 4


@given(errors, levels)
def test_the_quantile_is_finite_from_the_least_number_of_images_on(values, level) -> None:
    enough = len(values) >= conformal.least_images(level)
    assert math.isfinite(conformal.quantile(values, level)) == enough
    assert (conformal.too_few(len(values), level) == "") == enough


def interval(errors, count: float, level: float) -> tuple[float, float]:
    return conformal.around(count, conformal.quantile(errors, level))


def test_rounding_takes_no_whole_number_out_of_an_interval() -> None:
    assert conformal.whole(3.0, 1 + 1e-12, 5 - 1e-12) == (1, 5)
    assert conformal.whole(2.6, 2.5, 2.7) == (3, 3)  # none lies inside


@given(errors, st.floats(0, 500))
def test_a_higher_level_never_gives_a_narrower_interval(values, count) -> None:
    before = (math.inf, -math.inf)
    for level in (0.5, 0.8, 0.9, 0.95):
        low, high = interval(values, count, level)
        assert 0 <= low <= round(count) <= high
        assert low <= before[0]
        assert high >= before[1]
        before = low, high


@given(errors, st.floats(0, 500), levels)
def test_the_same_true_counts_lie_between_whole_numbers(values, count, level) -> None:
    reach = conformal.quantile(values, level) * max(count, 1) ** 0.5
    least, most = interval(values, count, level)
    assert least.is_integer()
    assert math.isinf(most) or most.is_integer()
    for truth in range(int(least) + 2 + int(min(most, 1000))):
        if truth != round(count):
            assert (abs(truth - count) <= reach + 1e-8) == (least <= truth <= most)


@pytest.mark.parametrize("level", [0.8, 0.9])
@pytest.mark.parametrize("n", [9, 40])
def test_split_intervals_hold_the_truth_as_often_as_they_say(n, level) -> None:
    rng = np.random.default_rng(0)
    repeats = 4000
    predicted = rng.uniform(0, 200, (repeats, n + 1))
    truth = rng.poisson(predicted)
    held = 0
    for p, t in zip(predicted, truth, strict=True):
        low, high = interval(conformal.errors_of(t[:-1], p[:-1]), p[-1], level)
        held += low <= t[-1] <= high
    exact = conformal.rank(n, level) / (n + 1)  # ties may only add to it
    assert exact - 0.02 < held / repeats < exact + 0.03
    assert exact >= level - 1e-12


def test_four_images_give_eighty_percent_and_say_what_ninety_needs() -> None:
    errors = conformal.errors_of([10, 12, 8, 20], [11, 12, 9, 16])  # 4 / √16 = 1 is the greatest
    assert interval(errors, 25, 0.8) == (20, 30)
    assert conformal.too_few(4, 0.8) == ""
    assert interval(errors, 25, 0.9) == (0.0, math.inf)
    assert "90% of the true counts needs at least 9 labelled images" in conformal.too_few(4, 0.9)
    assert conformal.too_few(4, 0.9).endswith("there were 4.")
    assert conformal.too_few(0, 0.9).endswith("there were none.")


def test_errors_are_measured_in_the_scatter_of_what_was_predicted() -> None:
    # off by 4 where 4 were counted, by 9 where 81 were, by 1 where next to nothing was
    assert conformal.errors_of([0, 90, 1.25], [4, 81, 0.25]) == pytest.approx([2, 1, 1])
    assert conformal.around(0.25, 2.0) == (0, 2)


def test_crowded_images_get_wider_intervals() -> None:
    errors = conformal.errors_of([100] * 9, [110] * 9)
    narrow, wide = interval(errors, 4, 0.9), interval(errors, 400, 0.9)
    assert wide[1] - wide[0] > 5 * (narrow[1] - narrow[0])


def test_senseless_levels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"a level between 0 and 1, found 1\.0"):
        conformal.quantile([1], 1.0)
