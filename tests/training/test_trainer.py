"""The training loop: repeatable, budgeted, stoppable, and never losing the best weights."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn
from toys import CPU, Clock, TinyNet, draw, scores, squared_error, stage

from microshot.progress import Cancelled
from microshot.training.average import Average
from microshot.training.stage_run import OPTIMIZERS
from microshot.training.trainer import Fit, Plan, Player, Stage, fit


def plan(**changes: Any) -> Plan:
    quiet = {"steps": 12, "steps_per_epoch": 4, "schedule": "constant", "warmup_steps": 0}
    return Plan(**{**quiet, "ema": 0.0, "clip": 0.0, **changes})


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


# --------------------------------------------------------------------------- repeatability


class Dropping(TinyNet):
    """A network that draws random numbers while it trains."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.dropout(x, 0.3, self.training))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_same_seed_repeats_a_training_bit_by_bit(optimizer) -> None:
    p = plan(optimizer=optimizer, ema=0.9, clip=1.0, schedule="cosine", warmup_steps=3, seed=7)
    first, second = (fit(m, [stage(m)], p, CPU) for m in (Dropping(), Dropping()))
    assert equal(first.state, second.state)
    drop_time = [{k: v for k, v in row.items() if k != "seconds"} for row in first.history]
    assert drop_time == [{k: v for k, v in row.items() if k != "seconds"} for row in second.history]


def test_another_seed_gives_another_training() -> None:
    a, b = Dropping(), Dropping()
    first = fit(a, [stage(a)], plan(seed=1), CPU)
    assert not equal(first.state, fit(b, [stage(b)], plan(seed=2), CPU).state)


def test_layers_learn_in_bfloat16_where_told_to_and_weights_stay_as_they_are() -> None:
    seen: dict[str, set[torch.dtype]] = {"learning": set(), "validation": set()}

    def learned(*, half: bool) -> Fit:
        model = TinyNet()

        def loss(batch):
            seen["learning"].add(model(batch["image"]).dtype)
            return squared_error(model, batch)

        def validate(model):
            seen["validation"].add(model(draw(0)["image"]).dtype)
            return {"loss": float(squared_error(model, draw(0))["loss"])}

        one = stage(model, loss=loss, validate=validate)
        return fit(model, [one], plan(), replace(CPU, half=half))

    whole = learned(half=False)
    assert seen == {"learning": {torch.float32}, "validation": {torch.float32}}
    half = learned(half=True)
    assert seen == {"learning": {torch.float32, torch.bfloat16}, "validation": {torch.float32}}
    assert equal(half.state, learned(half=True).state)
    assert not equal(half.state, whole.state)
    assert {k: v.dtype for k, v in half.state.items()} == {
        k: v.dtype for k, v in whole.state.items()
    }
    last, wanted = (fitted.history[-1]["validation_loss"] for fitted in (half, whole))
    assert last == pytest.approx(wanted, rel=0.1)


def test_the_global_random_state_is_left_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    model = Dropping()
    fit(model, [stage(model)], plan(), CPU)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_clock_has_no_say_where_steps_are_the_only_budget() -> None:
    fits = []
    for tick in (0.0, 3.7):
        model = TinyNet()
        fits.append(fit(model, [stage(model)], plan(clock=Clock(tick)), CPU))
    assert equal(fits[0].state, fits[1].state)
    assert len(fits[0].history) == len(fits[1].history) == 3


# --------------------------------------------------------------------------------- budgets


def test_training_without_a_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="set the minutes or the number of epochs above 0"):
        fit(TinyNet(), [], plan(steps=0), CPU)


@pytest.mark.parametrize("steps", [1, 4, 11])
def test_a_budget_of_steps_is_kept_exactly(steps) -> None:
    model = TinyNet()
    done = fit(model, [stage(model)], plan(steps=steps), CPU)
    assert done.steps == steps
    assert done.history[-1]["step"] == steps
    assert done.stopped == "finished"


def test_a_budget_of_time_is_kept_by_the_clock() -> None:
    clock, model, seen = Clock(), TinyNet(), []

    def slow(step: int) -> Any:
        clock.now += 1.0
        seen.append(step)
        return draw(step)

    done = fit(model, [stage(model, draw=slow)], plan(seconds=20, steps=0, clock=clock), CPU)
    assert len(seen) == done.steps == 20
    assert done.seconds == pytest.approx(20)
    assert 15 <= len(done.history) <= 20  # at most about 40 rows


def test_the_first_limit_that_is_reached_ends_training() -> None:
    for seconds, steps, expected in ((5, 100, 5), (100, 5, 5)):
        clock, model = Clock(), TinyNet()

        def slow(step: int, clock: Clock = clock) -> Any:
            clock.now += 1.0
            return draw(step)

        p = plan(seconds=seconds, steps=steps, clock=clock)
        assert fit(model, [stage(model, draw=slow)], p, CPU).steps == expected


def test_one_step_is_taken_at_least() -> None:
    model = TinyNet()
    before = copy.deepcopy(model.state_dict())
    done = fit(model, [stage(model)], plan(seconds=1e-9, steps=0, clock=Clock(1.0)), CPU)
    assert done.steps == 1
    assert not equal(done.state, before)


def test_validation_takes_no_more_than_a_sixth_of_the_time() -> None:
    clock, model = Clock(), TinyNet()

    def slow(step: int) -> Any:
        clock.now += 1.0
        return draw(step)

    def validate(model: nn.Module) -> dict[str, float]:
        clock.now += 10.0
        return {"loss": 1.0}

    p = plan(seconds=400, steps=0, clock=clock)
    done = fit(model, [stage(model, draw=slow, validate=validate)], p, CPU)
    spent = 10 * len(done.history)
    assert spent <= 400 / 6 + 20  # the first and the last are not asked
    assert len(done.history) >= 5


def test_stages_share_the_steps_and_use_all_of_them() -> None:
    model = TinyNet()
    stages = [
        stage(model, name=name, share=share) for name, share in (("a", 1), ("b", 2), ("c", 4))
    ]
    done = fit(model, stages, plan(steps=101, steps_per_epoch=1000), CPU)
    assert done.steps == 101
    ends = {row["stage"]: row["step"] for row in done.history}
    assert ends == {"a": 14, "b": 43, "c": 101}


def test_every_stage_takes_a_step_however_small_its_share() -> None:
    model = TinyNet()
    stages = [stage(model, name="a", share=1), stage(model, name="b", share=1e-6)]
    done = fit(model, stages, plan(steps=5), CPU)
    assert [row["stage"] for row in done.history] == ["a", "a", "b"]
    assert done.history[-1]["step"] == 6


def test_stages_share_the_time() -> None:
    clock, model = Clock(), TinyNet()
    taken = {"a": 0, "b": 0}

    def slow(name: str) -> Any:
        def drawn(step: int) -> Any:
            clock.now += 1.0
            taken[name] += 1
            return draw(step)

        return drawn

    stages = [stage(model, name=n, share=s, draw=slow(n)) for n, s in (("a", 1), ("b", 3))]
    fit(model, stages, plan(seconds=40, steps=0, clock=clock), CPU)
    assert taken == {"a": 10, "b": 30}


# ----------------------------------------------------------------------- averaging and best


def test_the_average_follows_its_formula() -> None:
    model = nn.Linear(1, 1)
    average = Average(model, decay=0.3)
    expected = model.weight.item()
    for step in range(1, 30):
        with torch.no_grad():
            model.weight.fill_(float(step * step))
        average.update(model)
        decay = min(0.3, step / (10 + step))
        expected = decay * expected + (1 - decay) * step * step
        assert average.state["weight"].item() == pytest.approx(expected, rel=1e-5)


def test_the_average_holds_statistics_and_counters_too() -> None:
    model = TinyNet()
    average = Average(model, decay=0.5)
    model.train()
    for _ in range(3):
        model(torch.randn(2, 1, 8, 8))
        average.update(model)
    assert average.state["first.1.num_batches_tracked"] == 3
    assert average.state["first.1.running_mean"].any()
    assert average.state.keys() == model.state_dict().keys()


def test_the_result_is_the_average_and_the_model_keeps_its_own_weights() -> None:
    model = TinyNet()
    expected = Average(copy.deepcopy(model), 0.9)

    def follow(fraction: float) -> None:
        if fraction > 0:  # the weights after the step before
            expected.update(model)

    done = fit(model, [stage(model, on_fraction=follow)], plan(ema=0.9), CPU)
    expected.update(model)
    assert equal(done.state, expected.state)
    assert not equal(done.state, model.state_dict())


def test_training_goes_on_from_its_own_weights_after_the_average_was_scored() -> None:
    plain, scored = TinyNet(), TinyNet()
    fit(plain, [stage(plain)], plan(ema=0.9), CPU)
    fit(scored, [stage(scored, validate=scores(3.0, 2.0, 1.0))], plan(ema=0.9), CPU)
    assert equal(plain.state_dict(), scored.state_dict())


def test_a_network_in_evaluation_mode_learns_as_any_other() -> None:
    model = TinyNet().eval()
    done = fit(model, [stage(model)], plan(steps=3), CPU)
    assert done.state["first.1.num_batches_tracked"] == 3


def test_the_best_state_by_validation_is_kept() -> None:
    model = TinyNet()
    seen: list[dict[str, torch.Tensor]] = []
    losses = iter([3.0, 1.0, 2.0, math.nan, 1.0])

    def validate(model: nn.Module) -> dict[str, float]:
        assert not model.training
        seen.append(copy.deepcopy(model.state_dict()))
        return {"loss": next(losses), "extra": 5.0}

    done = fit(model, [stage(model, validate=validate)], plan(steps=20, ema=0.9), CPU)
    assert equal(done.state, seen[1])
    assert [row["validation_loss"] for row in done.history][:3] == [3.0, 1.0, 2.0]
    assert all(row["validation_extra"] == 5.0 for row in done.history)


def test_without_validation_the_last_state_is_kept() -> None:
    model = TinyNet()
    done = fit(model, [stage(model)], plan(steps=6), CPU)
    assert equal(done.state, model.state_dict())


def test_the_last_stage_decides_though_an_earlier_one_had_a_lower_loss() -> None:
    model = TinyNet()
    stages = [
        stage(model, name="a", validate=scores(0.1)),
        stage(model, name="b", validate=scores(5.0)),
    ]
    done = fit(model, stages, plan(steps=8), CPU)
    assert equal(done.state, model.state_dict())


def test_validation_trains_nothing_and_keeps_no_gradient() -> None:
    model = TinyNet()

    def validate(model: nn.Module) -> dict[str, float]:
        loss = squared_error(model, draw(0))["loss"]
        assert not loss.requires_grad
        return {"loss": float(loss)}

    other = TinyNet()
    with_check = fit(model, [stage(model, validate=validate)], plan(), CPU)
    without = fit(other, [stage(other)], plan(), CPU)
    assert equal(model.state_dict(), other.state_dict())
    assert with_check.steps == without.steps


# --------------------------------------------------------------------------------- stopping


def test_patience_stops_so_many_epochs_after_the_best() -> None:
    model = TinyNet()
    check = scores(5.0, 4.0, 3.0, 3.5, 3.4, 3.3, 3.2)
    done = fit(model, [stage(model, validate=check)], plan(steps=400, patience=3), CPU)
    assert done.stopped == "no longer improving"
    assert [row["epoch"] for row in done.history] == [1, 2, 3, 4, 5, 6]


def test_a_loss_that_never_changes_is_no_improvement() -> None:
    model = TinyNet()
    p = plan(steps=400, patience=2)
    done = fit(model, [stage(model, validate=scores(1.0))], p, CPU)
    assert done.stopped == "no longer improving"
    assert len(done.history) == 3


def test_patience_counts_epochs_also_where_time_is_the_budget() -> None:
    clock, model = Clock(), TinyNet()

    def slow(step: int) -> Any:
        clock.now += 1.0
        return draw(step)

    p = plan(seconds=1000, steps=0, patience=20, steps_per_epoch=5, clock=clock)
    done = fit(model, [stage(model, draw=slow, validate=scores(1.0))], p, CPU)
    assert done.stopped == "no longer improving"
    first, last = done.history[0]["step"], done.history[-1]["step"]
    assert 100 <= last - first <= 125  # 20 epochs of 5 steps, seen at the next row


def test_training_goes_on_after_a_stage_that_stopped_improving() -> None:
    model = TinyNet()
    stages = [stage(model, name="a", validate=scores(1.0)), stage(model, name="b")]
    done = fit(model, stages, plan(steps=80, patience=2), CPU)
    assert [row["stage"] for row in done.history[:4]] == ["a", "a", "a", "b"]
    assert done.stopped == "finished"


def test_patience_needs_a_validation() -> None:
    model = TinyNet()
    flat = stage(model, loss=lambda batch: {"loss": 0 * squared_error(model, batch)["loss"]})
    assert fit(model, [flat], plan(steps=40, patience=1), CPU).steps == 40


def cancel_after(n: int) -> Any:
    """Return a progress callback that asks to stop at its n-th call and ever after."""
    calls = [0]

    def progress(fraction: float, message: str = "") -> None:
        calls[0] += 1
        if calls[0] >= n:
            raise Cancelled

    return progress


@pytest.fixture
def unthrottled(monkeypatch) -> None:
    """Let every report through; how reports are thinned is tested in test_progress."""
    monkeypatch.setattr("microshot.training.trainer.throttled", lambda progress: progress)


@pytest.mark.usefixtures("unthrottled")
def test_a_cancel_request_keeps_the_best_state_so_far() -> None:
    model = TinyNet()
    kept: list[dict[str, torch.Tensor]] = []

    def validate(model: nn.Module) -> dict[str, float]:
        kept.append(copy.deepcopy(model.state_dict()))
        return {"loss": float(len(kept))}  # the first is the best

    stages = [stage(model, validate=validate), stage(model, name="never")]
    done = fit(model, stages, plan(steps=100), CPU, cancel_after(7))
    assert done.stopped == "cancelled"
    assert done.steps == 6
    assert equal(done.state, kept[0])
    assert [row["step"] for row in done.history] == [4, 6]


@pytest.mark.usefixtures("unthrottled")
def test_a_cancel_request_before_the_first_step_returns_the_start() -> None:
    model = TinyNet()
    before = copy.deepcopy(model.state_dict())
    done = fit(model, [stage(model)], plan(), CPU, cancel_after(1))
    assert (done.stopped, done.steps) == ("cancelled", 0)
    assert equal(done.state, before)
    assert len(done.history) == 1


@pytest.mark.usefixtures("unthrottled")
def test_the_row_of_a_cancelled_training_says_the_learning_rate_it_had() -> None:
    model = TinyNet()
    p = plan(steps=100, schedule="cosine")
    done = fit(model, [stage(model)], p, CPU, cancel_after(3))
    assert done.history[-1]["learning_rate"] > 0.0099


def broken_after(model: nn.Module, n: int, value: float = math.nan) -> Any:
    calls = [0]

    def loss(batch: Any) -> dict[str, torch.Tensor]:
        calls[0] += 1
        return {"loss": squared_error(model, batch)["loss"] * (value if calls[0] > n else 1.0)}

    return loss


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_loss_that_is_not_finite_ends_training_with_the_last_good_state(value, ema) -> None:
    model, other = TinyNet(), TinyNet()
    done = fit(model, [stage(model, loss=broken_after(model, 9, value))], plan(ema=ema), CPU)
    assert done.stopped == "diverged"
    assert done.steps == 10
    assert equal(done.state, fit(other, [stage(other)], plan(steps=8, ema=ema), CPU).state)


def test_a_loss_that_is_not_finite_at_the_start_is_an_error_that_says_what_to_do() -> None:
    model = TinyNet()
    with pytest.raises(FloatingPointError, match=r"at step 1: .* lower the learning rate"):
        fit(model, [stage(model, loss=broken_after(model, 0))], plan(), CPU)


def test_a_gradient_that_is_not_finite_never_reaches_the_weights() -> None:
    model = TinyNet()
    calls = [0]

    def loss(batch: Any) -> dict[str, torch.Tensor]:
        calls[0] += 1
        value = squared_error(model, batch)["loss"]
        return {"loss": value + (0 * value).sqrt() if calls[0] > 5 else value}  # slope 0 * inf

    done = fit(model, [stage(model, loss=loss)], plan(), CPU)
    assert done.stopped == "diverged"
    assert all(torch.isfinite(v).all() for v in done.state.values())
    assert all(torch.isfinite(v).all() for v in model.state_dict().values())


def test_weights_that_are_not_finite_are_never_the_result() -> None:
    model = TinyNet()

    def spoil(fraction: float) -> None:
        if 0.5 <= fraction < 0.55:
            with torch.no_grad():
                model.head.weight.fill_(math.nan)

    p = plan(steps=8, steps_per_epoch=1)
    done = fit(model, [stage(model, on_fraction=spoil)], p, CPU)
    assert done.stopped == "diverged"
    assert all(torch.isfinite(v).all() for v in done.state.values())


def test_weights_that_overflow_in_a_finite_step_are_never_the_result() -> None:
    weight = nn.Parameter(torch.tensor(3.39e38))
    module = nn.Module()
    module.register_parameter("weight", weight)
    far = stage(module, loss=lambda batch: {"loss": -weight}, learning_rate=3e37)
    done = fit(module, [far], plan(steps=8, steps_per_epoch=1), CPU)
    assert done.stopped == "diverged"
    assert len(done.history) == 1  # a row was written of weights that are infinite
    assert done.state["weight"] == torch.tensor(3.39e38)


# ------------------------------------------------------------------- gradients and schedules


def test_weights_decay_as_the_plan_says() -> None:
    weight = nn.Parameter(torch.ones(()))
    module = nn.Module()
    module.register_parameter("weight", weight)
    flat = stage(module, loss=lambda batch: {"loss": 0 * weight}, learning_rate=0.1)
    fit(module, [flat], plan(steps=3, optimizer="adamw", weight_decay=0.5), CPU)
    assert float(weight.detach()) == pytest.approx((1 - 0.1 * 0.5) ** 3)


def test_a_stage_is_told_which_part_of_the_whole_training_is_over() -> None:
    model, told = TinyNet(), list[float]()
    stages = [
        stage(model, name=n, share=s, on_fraction=told.append) for n, s in (("a", 1), ("b", 3))
    ]
    fit(model, stages, plan(steps=8), CPU)
    assert told == pytest.approx([i / 8 for i in range(8)])


def test_a_ramp_falls_by_epochs() -> None:
    model = TinyNet()
    p = plan(steps=200, steps_per_epoch=10, schedule="ramp")
    done = fit(model, [stage(model, learning_rate=1e-4)], p, CPU)
    # the rate of the last step of an epoch; the ramp's first tenth is 2 epochs
    expected = [1e-4 * 0.999 ** max(0.0, n - 0.1 - 2) for n in range(3, 21)]
    assert [row["learning_rate"] for row in done.history[2:]] == pytest.approx(expected)


def test_the_gradient_is_clipped_to_its_greatest_norm() -> None:
    for clip, expected in ((0.0, 6.0), (1.0, 1.0), (100.0, 6.0)):
        weight = nn.Parameter(torch.zeros(()))
        module = nn.Module()
        module.register_parameter("weight", weight)
        slope: list[float] = []

        def see(fraction: float, weight: nn.Parameter = weight, slope: Any = slope) -> None:
            if weight.grad is not None:
                slope.append(float(weight.grad))

        one = stage(module, loss=lambda b, w=weight: {"loss": 6 * w}, on_fraction=see)
        fit(module, [one], plan(steps=3, clip=clip), CPU)
        assert slope == pytest.approx([expected] * 2, rel=1e-4)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("constant", [1.0, 1.0, 1.0, 1.0]),
        (
            "cosine",
            [1.0, 0.5 * 0.98 * (1 + 0.5**0.5) + 0.02, 0.51, 0.5 * 0.98 * (1 - 0.5**0.5) + 0.02],
        ),
        ("late-cosine", [1.0, 1.0, 1.0, 0.51]),
        ("plateau", [1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_the_learning_rate_follows_its_schedule(schedule, rates) -> None:
    model = TinyNet()
    p = plan(steps=4, steps_per_epoch=1, schedule=schedule)
    done = fit(model, [stage(model, learning_rate=0.5)], p, CPU)
    expected = [0.5 * rate for rate in rates]
    assert [row["learning_rate"] for row in done.history] == pytest.approx(expected)


def test_weights_move_at_the_rate_of_the_schedule() -> None:
    weight = nn.Parameter(torch.zeros(()))
    module = nn.Module()
    module.register_parameter("weight", weight)
    steady = stage(module, loss=lambda batch: {"loss": -weight}, learning_rate=0.5)
    fit(module, [steady], plan(steps=4, schedule="cosine", warmup_steps=2), CPU)
    # under a gradient that never changes, Adam moves by the rate itself
    cosine = [0.02 + 0.49 * (1 + math.cos(math.pi * i / 4)) for i in range(4)]
    assert float(weight.detach()) == pytest.approx(0.5 * (0.5 * cosine[0] + sum(cosine[1:])))


def test_a_plateau_halves_the_rate_after_40_epochs_without_a_better_loss() -> None:
    model = TinyNet()
    p = plan(steps=130, steps_per_epoch=1, schedule="plateau")
    check = scores(*([2.0] * 20), 1.0)  # best at epoch 21
    done = fit(model, [stage(model, validate=check, learning_rate=0.01)], p, CPU)
    halvings = {row["epoch"]: row["learning_rate"] for row in done.history}
    assert halvings[61] == 0.01
    assert halvings[62] == 0.005
    assert halvings[101] == 0.005
    assert halvings[102] == 0.0025


def test_a_plateau_is_seen_in_the_training_loss_where_nothing_is_held_out() -> None:
    model = TinyNet()
    flat = stage(model, loss=lambda batch: {"loss": 0 * squared_error(model, batch)["loss"]})
    p = plan(steps=50, steps_per_epoch=1, schedule="plateau")
    done = fit(model, [flat], p, CPU)
    assert done.history[40]["learning_rate"] == 0.01
    assert done.history[41]["learning_rate"] == 0.005


def test_every_stage_warms_up() -> None:
    model = TinyNet()
    stages = [
        stage(model, name="a", learning_rate=1e-4),
        stage(model, name="b", learning_rate=1e-4),
    ]
    done = fit(model, stages, plan(steps=8, steps_per_epoch=1, warmup_steps=4), CPU)
    ramp = [1e-4 * k / 4 for k in (1, 2, 3, 4)]
    assert [row["learning_rate"] for row in done.history] == pytest.approx(ramp * 2)


# ------------------------------------------------------------------------------ two players


class Game(nn.Module):
    """A generator that pushes a number up and a judge that follows it."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Linear(1, 1, bias=False)
        self.judge = nn.Linear(1, 1, bias=False)


def game_stage(game: Game, generator_rate: float, judge_rate: float) -> Stage:
    def make(batch: Any) -> dict[str, torch.Tensor]:
        made = game.judge(game.generator(batch["x"]))
        return {"loss": -made.mean(), "made": made.mean()}

    def judge(batch: Any) -> dict[str, torch.Tensor]:
        made = game.generator(batch["x"]).detach()
        return {"loss": (game.judge(made) - 1).square().mean()}

    players = [
        Player("generator", list(game.generator.parameters()), make, generator_rate),
        Player("judge", list(game.judge.parameters()), judge, judge_rate),
    ]
    return Stage("adversarial", players, lambda step: {"x": torch.ones(4, 1)})


def test_each_of_two_players_moves_only_its_own_weights() -> None:
    for rates, moved in (((0.1, 0.0), "generator"), ((0.0, 0.1), "judge")):
        game = Game()
        before = copy.deepcopy(game.state_dict())
        done = fit(game, [game_stage(game, *rates)], plan(), CPU)
        changed = {k for k, v in done.state.items() if not torch.equal(v, before[k])}
        assert changed == {f"{moved}.weight"}


def test_losses_of_two_players_are_logged_by_their_names() -> None:
    game = Game()
    done = fit(game, [game_stage(game, 0.01, 0.01)], plan(), CPU)
    assert {"generator_loss", "generator_made", "judge_loss"} <= set(done.history[0])
    assert "loss" not in done.history[0]


def test_two_players_train_in_turns_as_by_hand() -> None:
    game, by_hand = Game(), Game()
    by_hand.load_state_dict(game.state_dict())
    done = fit(game, [game_stage(game, 0.05, 0.02)], plan(steps=5), CPU)
    hand_stage = game_stage(by_hand, 0.05, 0.02)
    optimizers = [torch.optim.Adam(p.parameters, lr=p.learning_rate) for p in hand_stage.players]
    for step in range(5):
        for player, optimizer in zip(hand_stage.players, optimizers, strict=True):
            optimizer.zero_grad()
            player.loss(hand_stage.draw(step))["loss"].backward()
            optimizer.step()
    for name, value in by_hand.state_dict().items():
        assert torch.allclose(done.state[name], value, rtol=1e-6)


# ------------------------------------------------------------------------ history, progress


def test_history_rows_hold_what_reports_read() -> None:
    model = TinyNet()
    clock = Clock(0.01)
    done = fit(model, [stage(model, validate=scores(2.0))], plan(clock=clock), CPU)
    for index, row in enumerate(done.history):
        assert set(row) == {
            "stage", "step", "epoch", "seconds", "learning_rate", "loss", "validation_loss",
        }  # fmt: skip
        assert row["stage"] == "training"
        assert row["step"] == 4 * (index + 1)
        assert row["epoch"] == index + 1
    assert all(a["seconds"] < b["seconds"] for a, b in pairwise(done.history))


def test_a_row_holds_the_mean_loss_of_its_steps() -> None:
    model = TinyNet()
    losses: list[float] = []

    def loss(batch: Any) -> dict[str, torch.Tensor]:
        made = squared_error(model, batch)
        losses.append(float(made["loss"].detach()))
        return made

    done = fit(model, [stage(model, loss=loss)], plan(steps=8), CPU)
    assert done.history[1]["loss"] == pytest.approx(sum(losses[4:]) / 4)


@pytest.mark.usefixtures("unthrottled")
@pytest.mark.parametrize("budget", [{"steps": 30}, {"seconds": 30.0, "steps": 0}])
def test_progress_rises_and_names_stage_step_loss_and_time_left(budget) -> None:
    clock, model, told = Clock(), TinyNet(), []

    def slow(step: int) -> Any:
        clock.now += 1.0
        return draw(step)

    stages = [stage(model, name=name, draw=slow) for name in ("warming", "refining")]
    p = plan(**budget, clock=clock)
    fit(model, stages, p, CPU, lambda fraction, message="": told.append((fraction, message)))
    fractions = [fraction for fraction, _ in told]
    assert all(a <= b for a, b in pairwise(fractions))
    assert fractions[0] == 0.0
    assert 0.9 < fractions[-1] < 1.0
    assert told[0][1].startswith("warming, step 1")
    assert told[5][1].startswith("warming, step 6, loss ")
    assert told[5][1].endswith("25 s left")
    assert told[-1][1].startswith("refining, step 30, loss ")
    assert told[-1][1].endswith("1 s left")


@pytest.mark.usefixtures("unthrottled")
def test_progress_names_a_loss_also_with_two_players() -> None:
    game, told = Game(), []
    fit(game, [game_stage(game, 0.1, 0.1)], plan(steps=3), CPU, lambda f, m="": told.append(m))
    assert told[-1].startswith("adversarial, step 3, loss ")


def test_a_result_says_how_long_it_took() -> None:
    model = TinyNet()
    done = fit(model, [stage(model)], plan(clock=Clock(0.5)), CPU)
    assert isinstance(done, Fit)
    assert done.seconds > 5
