"""What a retrained model takes over: copied, adapted, renewed, frozen and thawed."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from toys import CPU, PARTS, TinyNet, stage

from microshot.nn.channels import adapt_input_channels
from microshot.training.trainer import Plan, fit
from microshot.training.transfer import (
    FROZEN,
    THAW,
    apply_strategy,
    freeze,
    in_parts,
    take_over,
    training_mode,
)


class ThreeParts(nn.Module):
    """Stem, encoder, decoder and head, each with a batch normalisation."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("stem", "encoder", "decoder", "head"):
            n_in = 1 if name == "stem" else 2
            setattr(self, name, nn.Sequential(nn.Conv2d(n_in, 2, 1), nn.BatchNorm2d(2)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for name in ("stem", "encoder", "decoder", "head"):
            x = getattr(self, name)(torch.tanh(x))  # without it no weight but the last ones counts
        return x[:, :1]


FOUR = {name: (f"{name}.",) for name in ("stem", "encoder", "decoder", "head")}


def plan(steps: int = 10) -> Plan:
    return Plan(steps=steps, steps_per_epoch=4, ema=0.5, warmup_steps=0)


def learning(model: nn.Module) -> set[str]:
    return {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad}


# --------------------------------------------------------------------------------- take over


def test_weights_are_copied_by_name_and_shape() -> None:
    old, new = TinyNet(1), TinyNet(2)
    report = take_over(new, old.state_dict(), prefixes=PARTS)
    assert all(torch.equal(v, old.state_dict()[k]) for k, v in new.state_dict().items())
    assert sorted(report.copied) == sorted(old.state_dict())
    assert not report.new
    assert not report.adapted


def test_a_renewed_part_keeps_its_fresh_start() -> None:
    old, new = TinyNet(1), TinyNet(2)
    fresh = copy.deepcopy(new.state_dict())
    report = take_over(new, old.state_dict(), renew=("head",), prefixes=PARTS)
    assert torch.equal(new.head.weight, fresh["head.weight"])
    assert torch.equal(new.first[0].weight, old.first[0].weight)
    assert sorted(report.new) == ["head.bias", "head.weight"]


def test_tensors_of_another_shape_or_name_stay_fresh() -> None:
    old, new = TinyNet(1), TinyNet(2)
    weights = dict(old.state_dict())
    weights["head.weight"] = torch.zeros(7, 4, 1, 1)
    weights["unheard.of"] = weights.pop("head.bias")
    fresh = copy.deepcopy(new.state_dict())
    report = take_over(new, weights, prefixes=PARTS)
    assert sorted(report.new) == ["head.bias", "head.weight"]
    assert torch.equal(new.head.bias, fresh["head.bias"])


def test_the_first_convolution_takes_other_channels() -> None:
    old, new = TinyNet(1), TinyNet(2)
    new.first[0] = nn.Conv2d(3, 4, 3, padding=1)
    report = take_over(new, old.state_dict(), prefixes=PARTS)
    assert report.adapted == ["first.0.weight"]
    image = torch.randn(2, 1, 9, 9)
    assert torch.allclose(old.eval()(image), new.eval()(image.repeat(1, 3, 1, 1)), atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000))
def test_an_image_repeated_in_all_channels_gives_the_same_response(n_old, n_new, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(5, n_old, 3, 3, generator=generator)
    image = torch.randn(1, 1, 6, 6, generator=generator)
    before = nn.functional.conv2d(image.repeat(1, n_old, 1, 1), weight)
    adapted = adapt_input_channels(weight, n_new)
    assert adapted.shape == (5, n_new, 3, 3)
    after = nn.functional.conv2d(image.repeat(1, n_new, 1, 1), adapted)
    assert torch.allclose(before, after, atol=1e-4)


def test_of_two_convolutions_that_take_other_channels_the_first_one_is_adapted() -> None:
    old = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 2, 1))
    new = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Conv2d(4, 2, 1))
    fresh = new[1].weight.detach().clone()
    report = take_over(new, old.state_dict(), prefixes={})
    assert (report.adapted, report.new) == (["0.weight"], ["1.weight"])
    assert torch.equal(new[1].weight, fresh)


def test_unknown_parts_are_named_with_those_there_are() -> None:
    with pytest.raises(
        ValueError, match='Unknown part "neck" of the network; it has encoder, head'
    ):
        in_parts("head.weight", ["neck"], PARTS)


# ------------------------------------------------------------------------ freeze and strategies


def test_freezing_one_part_frees_all_others() -> None:
    model = TinyNet()
    names = freeze(model, ["encoder"], PARTS)
    assert sorted(names) == ["first.0.bias", "first.0.weight", "first.1.bias", "first.1.weight"]
    assert learning(model) == {"head"}
    freeze(model, [], PARTS)
    assert learning(model) == {"first", "head"}


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "radam"])
def test_frozen_weights_and_statistics_stay_bit_identical(optimizer) -> None:
    model = TinyNet()
    model(torch.randn(4, 1, 8, 8))  # statistics that are not those of a fresh layer
    before = copy.deepcopy(model.state_dict())
    freeze(model, ["encoder"], PARTS)
    p = Plan(steps=8, steps_per_epoch=3, ema=0.5, optimizer=optimizer, weight_decay=0.1)
    check = lambda m: {"loss": 1.0}  # noqa: E731 - evaluation must not wake frozen layers
    done = fit(model, [stage(model, validate=check)], p, CPU)
    model.train()
    training_mode(model)
    for state in (done.state, model.state_dict()):
        for name, value in state.items():
            same = torch.equal(value, before[name])
            assert same == name.startswith("first."), name


def test_normalisation_of_which_one_parameter_learns_also_measures() -> None:
    model = TinyNet()
    freeze(model, ["encoder"], PARTS, anew=["first.1.bias"])
    training_mode(model)
    assert model.first[1].training
    assert not model.first[0].training


def test_normalisation_that_learns_also_measures() -> None:
    model = TinyNet()
    freeze(model, ["head"], PARTS)
    before = copy.deepcopy(model.state_dict())
    done = fit(model, [stage(model)], plan(), CPU)
    assert not torch.equal(done.state["first.1.running_mean"], before["first.1.running_mean"])
    assert torch.equal(done.state["head.weight"], before["head.weight"])


@pytest.mark.parametrize(
    ("strategy", "learns"),
    [
        ("all", {"stem", "encoder", "decoder", "head"}),
        ("freeze-encoder", {"decoder", "head"}),
        ("head", {"head"}),
    ],
)
def test_strategies_freeze_what_they_say(strategy, learns) -> None:
    model = ThreeParts()
    assert apply_strategy(model, strategy, FOUR) is None
    assert learning(model) == learns
    assert strategy in FROZEN


def test_what_could_not_be_taken_over_learns_in_frozen_parts_too() -> None:
    for strategy in ("head", "thaw"):
        model = ThreeParts()
        apply_strategy(model, strategy, FOUR, anew={"stem.0.weight"})
        learns = {name for name, p in model.named_parameters() if p.requires_grad}
        assert {name for name in learns if not name.startswith("head.")} == {"stem.0.weight"}


def test_parts_that_a_network_lacks_are_left_out() -> None:
    model = TinyNet()
    apply_strategy(model, "head", PARTS)
    assert learning(model) == {"head"}
    thaw = apply_strategy(model, "thaw", PARTS)
    assert thaw is not None
    assert learning(model) == {"head"}
    thaw(0.4)
    assert learning(model) == {"first", "head"}


def test_an_unknown_strategy_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        ValueError,
        match='"melt", which this network does not know; expected one of all, freeze-encoder, head, thaw',
    ):
        apply_strategy(ThreeParts(), "melt", FOUR)


def test_thawing_frees_parts_at_the_stated_fractions_of_the_training() -> None:
    model = ThreeParts()
    thaw = apply_strategy(model, "thaw", FOUR)
    assert thaw is not None
    assert learning(model) == {"head"}
    seen: list[tuple[float, set[str], bool]] = []

    def follow(fraction: float) -> None:
        thaw(fraction)
        seen.append((fraction, learning(model), model.encoder[1].training))

    before = copy.deepcopy(model.state_dict())
    fit(model, [stage(model, on_fraction=follow)], plan(steps=20), CPU)
    expected = {0.0: {"head"}, 0.2: {"head", "decoder"}, 0.4: {"head", "decoder", "encoder"}}
    expected[0.6] = {"head", "decoder", "encoder", "stem"}
    assert [begin for begin, _ in THAW] == sorted(expected)
    for fraction, free, measures in seen:
        begin = max(b for b in expected if fraction >= b)
        assert free == expected[begin]
        assert measures == ("encoder" in free)
    assert len(seen) == 20
    moved = model.state_dict()
    assert not any(torch.equal(moved[k], before[k]) for k in before if k.endswith("0.weight"))


def test_thawing_goes_on_in_the_second_stage_where_the_first_one_ended() -> None:
    model = ThreeParts()
    thaw = apply_strategy(model, "thaw", FOUR)
    assert thaw is not None
    seen: list[tuple[float, int]] = []

    def follow(fraction: float) -> None:
        thaw(fraction)
        seen.append((fraction, len(learning(model))))

    stages = [stage(model, on_fraction=follow, share=share) for share in (1.0, 3.0)]
    fit(model, stages, plan(steps=20), CPU)
    assert [fraction for fraction, _ in seen] == pytest.approx([k / 20 for k in range(20)])
    assert [n for _, n in seen] == sorted(n for _, n in seen)
    assert [n for _, n in seen if n == len(FOUR)] == [len(FOUR)] * 8


def test_a_part_does_not_move_before_it_is_thawed() -> None:
    model = ThreeParts()
    thaw = apply_strategy(model, "thaw", FOUR)
    assert thaw is not None
    before = copy.deepcopy(model.state_dict())
    states: dict[float, dict[str, Any]] = {}

    def follow(fraction: float) -> None:
        states[fraction] = copy.deepcopy(model.state_dict())
        thaw(fraction)

    fit(model, [stage(model, on_fraction=follow)], plan(steps=10), CPU)
    for part, begin in (("decoder", 0.2), ("encoder", 0.4), ("stem", 0.6)):
        names = [n for n in before if n.startswith(part)]
        for fraction, state in states.items():
            still = all(torch.equal(state[n], before[n]) for n in names)
            assert still == (fraction <= begin), (part, fraction)


def test_a_network_with_parts_of_its_own_freezes_by_its_own_tables() -> None:
    model, frozen = ThreeParts(), {"outer": ("stem", "head")}
    apply_strategy(model, "outer", FOUR, frozen=frozen)
    assert learning(model) == {"encoder", "decoder"}
    with pytest.raises(ValueError, match="expected one of outer, thaw"):
        apply_strategy(model, "head", FOUR, frozen=frozen)
