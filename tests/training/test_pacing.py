"""As many threads compute as make steps shortest, and what else the user asked for stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toys import CPU, TinyNet, stage

from microshot.training import pacing
from microshot.training.pacing import HOLD, MOST_HOLD, TRIAL, Pace
from microshot.training.trainer import Plan, fit

IDLE = {1: 0.08, 2: 0.05, 4: 0.03, 8: 0.02}
BUSY = {1: 0.08, 2: 0.06, 4: 0.20, 8: 0.90}


class Computer:
    """Takes as long for a step as a table says for the threads in use."""

    def __init__(self, costs: dict[int, float], most: int = 8) -> None:
        self.costs, self.threads = costs, most
        self.tried: list[int] = [most]
        self.pace = Pace(most, self.use)

    def use(self, threads: int) -> None:
        self.threads = threads
        self.tried.append(threads)

    def run(self, steps: int) -> float:
        """Take steps; return the seconds they took."""
        total = 0.0
        for _ in range(steps):
            cost = self.costs[self.threads]
            total += cost
            self.pace.took(cost)
        return total


SEARCH = 4 * TRIAL


@pytest.mark.parametrize(("costs", "best"), [(IDLE, 8), (BUSY, 2)])
def test_the_fastest_number_is_found_and_kept(costs, best) -> None:
    computer = Computer(costs)
    computer.run(SEARCH)
    assert set(computer.tried) == {8, 4, 2, 1}
    assert computer.threads == computer.pace.chosen == best


def test_it_follows_when_another_program_begins_or_ends() -> None:
    computer = Computer(IDLE)
    computer.run(SEARCH)
    computer.costs = BUSY
    computer.run(2 * HOLD + 10 * SEARCH + 6 * HOLD)
    assert computer.pace.chosen == 2
    computer.costs = IDLE
    computer.run(4 * MOST_HOLD)
    assert computer.pace.chosen == 8


def test_looking_again_costs_little_where_nothing_changes() -> None:
    for costs in (IDLE, BUSY):
        computer = Computer(costs)
        found = computer.run(10_000) / 10_000
        assert found < 1.15 * min(costs.values())


def test_a_small_gain_changes_nothing_and_a_slow_first_step_is_not_held_against_a_number() -> None:
    computer = Computer({1: 0.97, 2: 1.0}, most=2)
    computer.run(SEARCH)
    assert computer.pace.chosen == 2
    pace = Pace(2, lambda _threads: None)
    for cost in [9.0, 9.0, *[0.5] * (TRIAL - 2), *[1.0] * TRIAL]:
        pace.took(cost)
    assert pace.chosen == 2


@given(
    st.integers(2, 64),
    st.lists(st.integers(0, 20), min_size=7, max_size=7, unique=True),
    st.integers(0, 3000),
)
def test_only_allowed_numbers_are_used_and_the_least_cost_wins(most, ranks, steps) -> None:
    halves = [most >> i for i in range(most.bit_length())]
    computer = Computer({n: 1.2**rank for n, rank in zip(halves, ranks, strict=False)}, most)
    computer.run(TRIAL * len(halves))
    cheapest = min(halves, key=lambda n: computer.costs[n])
    assert computer.pace.chosen == cheapest
    computer.costs = {n: computer.costs.get(n, 100.0) for n in range(1, most + 1)}
    computer.run(steps)
    assert all(1 <= n <= most for n in computer.tried)
    assert computer.pace.chosen == cheapest


@pytest.fixture
def used(monkeypatch) -> list[int]:
    found: list[int] = []
    monkeypatch.setattr(pacing.torch, "set_num_threads", found.append)
    return found


def trained(device=CPU, **plan) -> None:
    model = TinyNet()
    fit(model, [stage(model)], Plan(steps=20, ema=0.0, **plan), device)


def test_a_training_tries_threads_out_and_leaves_all_of_them_behind(used) -> None:
    trained(replace(CPU, threads=4), paced=True)
    assert used[0] == 2
    assert set(used) >= {1, 2, 4}
    assert used[-1] == 4


@pytest.mark.parametrize(
    ("threads", "name", "paced"), [(4, "cpu", False), (1, "cpu", True), (4, "card", True)]
)
def test_threads_stay_where_a_training_is_to_be_repeatable_or_has_no_choice(
    used, threads, name, paced
) -> None:
    class Elsewhere(type(CPU)):
        @property
        def torch(self) -> torch.device:
            return torch.device("cpu")

    device = Elsewhere("mps" if name == "card" else name, "test", threads)
    trained(device, paced=paced)
    assert used == []
