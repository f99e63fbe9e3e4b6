"""Images are kept on a card with memory to spare, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from toys import CPU, TinyNet, draw, stage

from microshot.device import Device
from microshot.training.keeping import SHARE, kept_on_card
from microshot.training.trainer import Plan, fit

if TYPE_CHECKING:
    from microshot.training.trainer import Drawing, Stage


class Keeping:
    """Keeps 1000 bytes and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[torch.device, int]] = []

    def __call__(self, device: torch.device, most_bytes: int) -> Drawing | None:
        self.asked.append((device, most_bytes))
        return (draw, self.make) if most_bytes >= 1000 else None

    def make(self, batch: Any) -> Any:
        return batch


def kept(device: Device, keeping: Keeping | None) -> tuple[Stage, Stage]:
    before = stage(TinyNet(), keep=keeping)
    return before, kept_on_card(before, device)


@pytest.mark.parametrize("name", ["cpu", "mps"])
def test_elsewhere_than_on_a_card_batches_are_drawn_as_ever(name) -> None:
    keeping = Keeping()
    before, after = kept(Device(name, "a test", 1), keeping)
    assert after is before
    assert not keeping.asked


def test_a_training_on_the_processor_keeps_nothing() -> None:
    model, keeping = TinyNet(), Keeping()
    fit(model, [stage(model, keep=keeping)], Plan(steps=2, ema=0.0), CPU)
    assert not keeping.asked


@pytest.mark.parametrize(("free", "fits"), [(1000 / SHARE, True), (999 / SHARE, False)])
def test_images_take_a_part_of_the_free_memory_of_a_card(monkeypatch, free, fits) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (int(free), 1 << 40))
    keeping = Keeping()
    before, after = kept(Device("cuda", "a test", 1), keeping)
    assert keeping.asked == [(torch.device("cuda"), int(SHARE * int(free)))]
    if fits:
        assert after.make == keeping.make
        assert after.players is before.players
    else:
        assert after is before


def test_a_stage_that_cannot_keep_its_images_is_left_as_it_is() -> None:
    before, after = kept(Device("cuda", "a test", 1), None)
    assert after is before
