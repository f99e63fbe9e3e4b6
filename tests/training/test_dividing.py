"""A batch that is too large for memory is learned from in parts, with the same gradient."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from toys import CPU, stage
from two_processes import plain

from microshot.training.dividing import divided, halved, n_images
from microshot.training.trainer import Fit, Plan, Player, Stage, fit

if TYPE_CHECKING:
    from collections.abc import Callable

    from microshot.training.trainer import Batch

PLAN = Plan(steps=6, steps_per_epoch=2, schedule="constant", warmup_steps=0, ema=0.0, clip=1.0)


class Memory:
    """Suffices for `most` images at once, `most` by step; notes how many were asked for."""

    def __init__(self, most: Callable[[int], int]) -> None:
        self.most, self.step, self.asked = most, 0, []

    def take(self, batch: Batch) -> None:
        self.asked.append(len(batch["image"]))
        if len(batch["image"]) > self.most(self.step):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


class Kept:
    """Keeps the state after every step, and goes on from the one that it is told."""

    def __init__(self) -> None:
        self.states: list[Any] = []
        self.known: Any = None

    def due(self) -> bool:
        return True

    def keep(self, tensors: Any, values: Any) -> None:
        self.states.append((tensors, copy.deepcopy(values)))

    def kept(self) -> Any:
        return self.known


def trained(n: int, memory: Memory, place: Any = None, **changes: Any) -> Fit:
    """Train a network on batches of `n` images."""
    net = plain(0)

    def draw(step: int) -> dict[str, torch.Tensor]:
        memory.step = step
        image = torch.randn(n, 1, 6, 6, generator=torch.Generator().manual_seed(step))
        return {"image": image, "target": 2 * image - 1}

    def loss(batch: Batch) -> dict[str, torch.Tensor]:
        memory.take(batch)
        error = (net(batch["image"]) - batch["target"]).square().mean()
        return {"loss": error, "twice_loss": 2 * error}

    return fit(net, [stage(net, draw=draw, loss=loss, **changes)], PLAN, CPU, place=place)


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    at_once=st.integers(0, 45),
)
@example(sizes=[8, 1, 3], at_once=2)  # of one kind there are fewer images than parts
def test_parts_make_up_the_batch_and_hold_no_more_than_they_may(sizes, at_once) -> None:
    kinds = {f"kind{i}": torch.arange(n) for i, n in enumerate(sizes)}
    parts = divided({**kinds, "factor": torch.tensor(3.0)}, at_once)
    assert all(part["factor"] == 3 and part.keys() == {*kinds, "factor"} for part in parts)
    assert len(parts) == (-(-max(sizes) // at_once) if at_once else 1)
    for key, whole in kinds.items():
        pieces = [part[key] for part in parts]
        assert all(0 < len(piece) <= (at_once or 99) for piece in pieces)
        joined = torch.cat(pieces)
        assert torch.equal(joined.unique(), whole)
        assert len(joined) == max(len(whole), len(parts))
    smaller = halved(parts)
    largest = max(n_images(part) for part in parts)
    assert (smaller is None) == (largest == 1)
    assert smaller is None or largest / 2 <= smaller < largest


@pytest.mark.parametrize(("n", "most"), [(2, 1), (5, 3), (8, 3), (7, 1), (6, 5)])
def test_parts_teach_the_same_as_the_whole_batch(n, most) -> None:
    whole = trained(n, Memory(lambda step: n))
    memory = Memory(lambda step: most)
    parts = trained(n, memory)
    for key, value in whole.state.items():
        torch.testing.assert_close(parts.state[key], value, rtol=1e-4, atol=1e-6)
    for a, b in zip(whole.history, parts.history, strict=True):
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-4)
        assert b["twice_loss"] == pytest.approx(2 * a["loss"], rel=1e-4)
    assert whole.at_once == 0
    assert whole.notes == []
    assert 0 < parts.at_once <= most


def test_what_was_too_large_once_is_not_tried_again_and_it_is_said() -> None:
    memory, told = Memory(lambda step: 8 if step < 2 else 2), []
    found = trained(8, memory, on_fraction=told.append)
    assert memory.asked == [8, 8, 8, 4, *[2] * 4 * 4]
    assert [row.get("images_at_once") for row in found.history] == [None, 2, 2]
    assert found.at_once == 2
    (note,) = found.notes
    assert "not enough memory for all images of a training step at once" in note
    assert " 2 at a time " in note


def test_while_memory_is_short_the_progress_says_so(monkeypatch) -> None:
    net, told = plain(0), []
    monkeypatch.setattr("microshot.training.trainer.throttled", lambda progress: progress)

    def loss(batch: Batch) -> dict[str, torch.Tensor]:
        Memory(lambda step: 1).take(batch)
        return {"loss": net(batch["image"]).square().mean()}

    fit(net, [stage(net, loss=loss)], PLAN, CPU, lambda fraction, message: told.append(message))
    assert "memory is short" not in told[0]
    assert "memory is short: 1 at a time" in told[-1]


def test_without_memory_for_one_image_a_sentence_says_what_helps() -> None:
    words = (
        r"^Training stopped at step 0: there is not enough memory \(not even for one image of "
        r"6 x 6 px at a time\); choose smaller patches or a smaller network, or close other "
        r"programs\.$"
    )
    memory = Memory(lambda step: 0)
    with pytest.raises(MemoryError, match=words):
        trained(8, memory)
    assert memory.asked == [8, 4, 2, 1]


def test_where_memory_ends_later_the_best_model_so_far_is_kept() -> None:
    until = trained(4, Memory(lambda step: 4))
    found = trained(4, Memory(lambda step: 4 if step < 4 else 0))
    assert found.stopped == "out of memory"
    assert found.steps == 4
    assert [row["loss"] for row in found.history] == [row["loss"] for row in until.history[:2]]
    assert any("The best model so far was kept" in note for note in found.notes)
    kept = plain(0)
    before = copy.deepcopy(kept.state_dict())
    kept.load_state_dict(found.state)
    assert any(not torch.equal(before[k], v) for k, v in kept.state_dict().items())


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    def broken(batch: Batch) -> dict[str, torch.Tensor]:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    net = plain(0)
    with pytest.raises(RuntimeError, match="mat1"):
        fit(net, [stage(net, loss=broken)], PLAN, CPU)


def test_a_player_takes_one_step_of_its_own_whoever_runs_out_of_memory() -> None:
    """The second of two players fails after the first has changed its weights."""
    ends = []
    for most in (8, 2):
        first, second = plain(0), plain(1)
        memory = Memory(lambda step, most=most: most)

        def of(net: nn.Module, held: Memory | None) -> Callable[[Batch], dict[str, torch.Tensor]]:
            def loss(batch: Batch) -> dict[str, torch.Tensor]:
                if held:
                    held.take(batch)
                return {"loss": (net(batch["image"]) - batch["target"]).square().mean()}

            return loss

        def draw(step: int) -> dict[str, torch.Tensor]:
            image = torch.randn(8, 1, 6, 6, generator=torch.Generator().manual_seed(step))
            return {"image": image, "target": 1 - image}

        players = [
            Player(name, list(net.parameters()), of(net, held), 0.01)
            for name, net, held in (("a", first, None), ("b", second, memory))
        ]
        fit(first, [Stage("contest", players, draw)], PLAN, CPU)
        ends.append([*first.parameters(), *second.parameters()])
    for a, b in zip(*ends, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_training_that_is_gone_on_with_knows_what_memory_suffices_for() -> None:
    place = Kept()
    whole = trained(8, Memory(lambda step: 2), place=place)
    assert place.states[2][1]["fit"]["steps"] == 3
    place.known, memory = place.states[2], Memory(lambda step: 2)
    again = trained(8, memory, place=place)
    assert memory.asked == [2] * 4 * 3
    assert again.at_once == 2
    assert again.notes == whole.notes
    assert all(torch.equal(again.state[k], v) for k, v in whole.state.items())


def test_a_batch_is_made_on_the_device_before_it_is_cut() -> None:
    net, seen = plain(0), []

    def make(batch: Batch) -> Batch:
        seen.append(sorted(batch))
        return {"image": batch["seed"].expand(4, 1, 6, 6) * torch.arange(4.0).view(4, 1, 1, 1)}

    def loss(batch: Batch) -> dict[str, torch.Tensor]:
        Memory(lambda step: 2).take(batch)
        return {"loss": net(batch["image"]).square().mean()}

    found = fit(
        net,
        [stage(net, draw=lambda step: {"seed": torch.ones(1)}, make=make, loss=loss)],
        PLAN,
        CPU,
    )
    assert seen == [["seed"]] * 6
    assert found.at_once == 2
