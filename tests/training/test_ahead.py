"""What a card waits for is drawn ahead, one batch at a time, and nothing else changes."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from toys import CPU, Clock, TinyNet, draw, stage

from microshot.device import Device
from microshot.progress import Cancelled
from microshot.training.trainer import Plan, fit

PLAN = Plan(steps=8, steps_per_epoch=4, schedule="constant", warmup_steps=0, ema=0.0)


class Card(Device):
    """A device that is no processor as far as this code can tell, but computes on one."""

    @property
    def torch(self) -> torch.device:
        return torch.device("cpu")


CARD = Card("mps", "a test", 1)


class Drawing:
    """Draws as `toys.draw` does and notes for which steps, in which threads, how many at once."""

    def __init__(self, fails_at: int = -1) -> None:
        self.steps: list[int] = []
        self.threads: set[int] = set()
        self.alone, self.fails_at = threading.Lock(), fails_at

    def __call__(self, step: int) -> Any:
        assert self.alone.acquire(blocking=False)
        self.steps.append(step)
        self.threads.add(threading.get_ident())
        made = draw(step)
        self.alone.release()
        if step == self.fails_at:
            raise ValueError("image 3 cannot be read")
        return made


def trained(device: Device, drawing: Drawing, plan: Plan = PLAN, **changes: Any) -> Any:
    model = TinyNet()
    return fit(model, [stage(model, draw=drawing, **changes)], plan, device)


def test_a_card_learns_from_the_same_batches_in_the_same_order() -> None:
    here, there = Drawing(), Drawing()
    expected, found = trained(CPU, here), trained(CARD, there)
    assert here.steps == list(range(8))
    assert here.threads == {threading.get_ident()}
    assert there.steps[:8] == list(range(8))
    assert len(there.steps) <= 9
    assert len(there.threads) == 1
    assert threading.get_ident() not in there.threads
    assert all(torch.equal(found.state[k], v) for k, v in expected.state.items())


def test_batches_that_depend_on_the_time_are_drawn_in_their_step() -> None:
    drawing = Drawing()
    trained(CARD, drawing, by_step_alone=False)
    assert drawing.steps == list(range(8))
    assert drawing.threads == {threading.get_ident()}


def test_what_cannot_be_drawn_is_told_in_its_own_step() -> None:
    drawing, taken = Drawing(fails_at=3), []
    with pytest.raises(ValueError, match="image 3"):
        trained(CARD, drawing, on_fraction=taken.append)
    assert drawing.steps[:4] == [0, 1, 2, 3]
    assert len(taken) == 4


def test_no_thread_is_left_however_training_ends() -> None:
    trained(CARD, Drawing())
    trained(CARD, Drawing(), Plan(seconds=5, ema=0.0, clock=Clock(1.0)))

    def cancelled(fraction: float, message: str) -> None:
        raise Cancelled

    model = TinyNet()
    fit(model, [stage(model, draw=Drawing())], PLAN, CARD, cancelled)
    assert not [one for one in threading.enumerate() if one.name.startswith("batches")]
