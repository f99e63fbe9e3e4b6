"""Learning rates by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microshot.training.schedule import PlateauRate, learning_rate_factor

schedules = st.sampled_from(["cosine", "late-cosine", "constant", "plateau"])


@given(schedules, st.floats(-1, 3), st.integers(0, 10**6), st.integers(0, 100))
def test_factors_lie_between_zero_and_one(schedule, fraction, step, warmup) -> None:
    assert 0 < learning_rate_factor(schedule, fraction, step, warmup) <= 1


@given(schedules, st.lists(st.floats(0, 1), min_size=2).map(sorted))
def test_after_the_warm_up_factors_never_rise(schedule, fractions) -> None:
    trace = [learning_rate_factor(schedule, f, 1000, 10) for f in fractions]
    assert all(a >= b for a, b in pairwise(trace))


def test_ends_of_the_schedules() -> None:
    for schedule in ("cosine", "late-cosine"):
        assert learning_rate_factor(schedule, 0.0, 9, 0) == 1.0
        assert learning_rate_factor(schedule, 1.0, 9, 0) == pytest.approx(0.02)
        assert learning_rate_factor(schedule, 1.4, 9, 0) == pytest.approx(0.02)
    assert learning_rate_factor("cosine", 0.5, 9, 0) == pytest.approx(0.51)
    assert learning_rate_factor("late-cosine", 0.5, 9, 0) == 1.0
    assert learning_rate_factor("late-cosine", 0.75, 9, 0) == pytest.approx(0.51)
    for schedule in ("constant", "plateau"):
        assert {learning_rate_factor(schedule, f, 9, 0) for f in (0.0, 0.5, 1.0)} == {1.0}


def test_warm_up_is_linear() -> None:
    trace = [learning_rate_factor("constant", 0.0, step, 4) for step in range(6)]
    assert trace == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_a_plateau_is_forty_epochs_without_progress() -> None:
    rate = PlateauRate()
    rate.update(39.9)
    assert rate.factor == 1
    rate.update(40.0)
    assert rate.factor == 0.5


def trace(stale: list[float], patience: float = 3) -> list[float]:
    rate = PlateauRate(patience)
    factors = []
    for value in stale:
        rate.update(value)
        factors.append(rate.factor)
    return factors


def test_plateau_halves_once_per_patience() -> None:
    assert trace([0, 1, 2, 3, 4, 5, 6, 7]) == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_plateau_counts_anew_after_an_improvement_and_never_raises_the_rate() -> None:
    assert trace([1, 2, 3, 0, 1, 2, 3]) == [1, 1, 0.5, 0.5, 0.5, 0.5, 0.25]


def test_plateau_works_with_parts_of_epochs() -> None:
    assert trace([1.7, 2.9, 3.2, 6.1, 6.3]) == [1, 1, 0.5, 0.5, 0.25]


def test_warm_restarts_fall_five_times_each_twice_as_slowly() -> None:
    """62 epochs in cycles of 2, 4, 8, 16 and 32, then a sixth of that at a hundredth."""
    epochs = [(i + 0.5) / 10 for i in range(620)]
    rates = [learning_rate_factor("warm-restarts", e / 62 * 6 / 7, 0, 0) for e in epochs]
    starts = [0, *(i for i, (a, b) in enumerate(pairwise(rates), 1) if b > a)]
    assert starts == [0, 20, 60, 140, 300]
    assert [rates[i] for i in starts] == pytest.approx([1.0] * 5, abs=2e-3)
    assert [(rates[i - 1] + rates[i]) / 2 for i in (10, 40, 100)] == pytest.approx([0.5] * 3)
    assert max(rates[i - 1] for i in starts[1:]) < 0.01
    assert {learning_rate_factor("warm-restarts", f, 0, 0) for f in (0.86, 0.9, 1.0)} == {0.01}


@pytest.mark.parametrize("n_steps", [70, 504, 7000])
def test_after_the_last_cycle_no_step_is_taken_at_the_full_rate(n_steps) -> None:
    """Of a number of steps that 7 divides, one falls on the very end of the cycles."""
    rates = [learning_rate_factor("warm-restarts", i / n_steps, i, 0) for i in range(n_steps)]
    end = n_steps * 6 // 7
    assert rates[end - 1] < 0.01
    assert set(rates[end:]) == {0.01}


@given(st.floats(-1, 3), st.integers(0, 100), st.integers(0, 100))
def test_warm_restarts_lie_between_zero_and_one(fraction, step, warmup) -> None:
    assert 0 <= learning_rate_factor("warm-restarts", fraction, step, warmup) <= 1


def test_the_ramp_rises_for_a_tenth_and_falls_by_a_thousandth_per_epoch() -> None:
    n_epochs, per_epoch = 200, 5
    total = n_epochs * per_epoch
    trace = [
        learning_rate_factor("ramp", step / total, step, 0, step / per_epoch)
        for step in range(total + 1)
    ]
    assert trace[0] == 0
    assert trace[10 * per_epoch] == pytest.approx(0.5)
    assert max(trace) == trace[20 * per_epoch] == 1
    for epoch in (21, 50, 200):
        assert trace[epoch * per_epoch] == pytest.approx(0.999 ** (epoch - 20))
    assert all(a >= b for a, b in pairwise(trace[20 * per_epoch :]))
