"""A training that is killed goes on from its last state, and ends as if nothing had happened."""

from __future__ import annotations

import functools
import json

import pytest
import torch
from torch import nn
from toys import CPU, Clock, TinyNet, draw, squared_error, stage

from microshot.training import stage_run, unfinished
from microshot.training.schedule import PlateauRate
from microshot.training.stage_run import OPTIMIZERS
from microshot.training.trainer import Fit, Plan, Player, Stage, fit
from microshot.training.unfinished import Unfinished

JOB = {"images": "a", "settings": {"seed": 1}}


class Killed(BaseException):
    """What nobody catches."""


class Dropping(TinyNet):
    """A network that draws random numbers while it trains."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.dropout(x, 0.3, self.training))


def plan(**changes) -> Plan:
    usual = {"steps": 18, "steps_per_epoch": 4, "warmup_steps": 3, "ema": 0.9, "seed": 7}
    return Plan(**{**usual, **changes})


def scored(model: nn.Module) -> dict[str, float]:
    return {"loss": float(squared_error(model, draw(500))["loss"])}


@pytest.fixture(autouse=True)
def every_step(monkeypatch):
    monkeypatch.setattr(unfinished, "EVERY_SECONDS", 0.0)


def killed_at(step: int):
    """Return a drawer of batches that kills the training before the batch of a step."""

    def drawn(number: int):
        if number == step:
            raise Killed
        return draw(number)

    return drawn


def opened(tmp_path, job=JOB, *, restart=False) -> Unfinished:
    return Unfinished.opened(tmp_path / ".m.unfinished", job, restart=restart)


def same(a: Fit, b: Fit) -> bool:
    """Whether two trainings ended alike but for the time they took."""
    without = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in f.history] for f in (a, b)
    ]
    states = a.state.keys() == b.state.keys()
    return (
        states
        and all(torch.equal(a.state[k], b.state[k]) for k in a.state)
        and without[0] == without[1]
        and (a.stopped, a.steps, a.notes) == (b.stopped, b.steps, b.notes)
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("changes", [{}, {"ema": 0.0, "schedule": "plateau", "patience": 3}])
@pytest.mark.parametrize("at", [1, 8, 13])
def test_a_killed_training_ends_bit_by_bit_as_one_that_was_not(
    optimizer, changes, at, tmp_path
) -> None:
    p = plan(optimizer=optimizer, **changes)
    whole = Dropping()
    expected = fit(whole, [stage(whole, validate=scored)], p, CPU)
    broken = Dropping()
    with pytest.raises(Killed):
        fit(broken, [stage(broken, validate=scored, draw=killed_at(at))], p, CPU,
            place=opened(tmp_path).next())  # fmt: skip
    fresh = Dropping(seed=99)
    steps = []

    def drawn(number: int):
        steps.append(number)
        return draw(number)

    found = fit(fresh, [stage(fresh, validate=scored, draw=drawn)], p, CPU,
                place=opened(tmp_path).next())  # fmt: skip
    assert same(found, expected)
    assert steps[0] == at


def worse(model: nn.Module) -> dict[str, float]:
    """Score a network the worse, the more it has learned: the first state is the best."""
    return {"loss": -scored(model)["loss"]}


def test_the_best_state_and_a_rate_that_was_halved_stay_so(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(stage_run, "PlateauRate", functools.partial(PlateauRate, patience=4))
    p = plan(
        steps=9, steps_per_epoch=1, warmup_steps=0, ema=0.0, schedule="plateau", patience=6
    )  # fmt: skip
    whole, broken, fresh = TinyNet(), TinyNet(), TinyNet(seed=99)
    expected = fit(whole, [stage(whole, validate=worse)], p, CPU)
    assert [row["learning_rate"] for row in expected.history] == [0.01] * 5 + [0.005] * 2
    with pytest.raises(Killed):
        fit(broken, [stage(broken, validate=worse, draw=killed_at(5))], p, CPU,
            place=opened(tmp_path).next())  # fmt: skip
    found = fit(fresh, [stage(fresh, validate=worse)], p, CPU, place=opened(tmp_path).next())
    assert same(found, expected)


def contest(model: nn.Module, adversary: nn.Module, draws) -> list[Stage]:
    """Return a stage alone and one in which a second network is trained as well."""
    alone = Player("network", list(model.parameters()), lambda b: squared_error(model, b), 0.01)
    other = Player(
        "other", list(adversary.parameters()), lambda b: squared_error(adversary, b), 0.1
    )

    def both(batch):
        own = squared_error(model, batch)["loss"]
        return {"loss": own + (model(batch["image"]) - adversary(batch["image"])).square().mean()}

    joint = Player("network", list(model.parameters()), both, 0.01)
    return [Stage("first", [alone], draws[0]), Stage("second", [other, joint], draws[1], share=2.0)]


@pytest.mark.parametrize("draws", [(killed_at(3), draw), (draw, killed_at(5))])
def test_all_stages_and_all_players_go_on(draws, tmp_path) -> None:
    model, adversary = TinyNet(), TinyNet(5)
    expected = fit(model, contest(model, adversary, (draw, draw)), plan(), CPU)
    first, second = TinyNet(), TinyNet(5)
    with pytest.raises(Killed):
        fit(first, contest(first, second, draws), plan(), CPU, place=opened(tmp_path).next())
    first, second = TinyNet(), TinyNet(5)
    stages = contest(first, second, (draw, draw))
    assert same(fit(first, stages, plan(), CPU, place=opened(tmp_path).next()), expected)


def test_the_time_that_was_used_counts(tmp_path) -> None:
    model, clock = TinyNet(), Clock(tick=1.0)
    limits = plan(steps=0, seconds=60.0, clock=clock)
    with pytest.raises(Killed):
        fit(model, [stage(model, draw=killed_at(6))], limits, CPU, place=opened(tmp_path).next())
    used = opened(tmp_path).next().kept()[1]["elapsed"]
    assert 0 < used < 60
    clock.now += 1e6  # the computer was off
    begun = clock.now
    fit(model, [stage(model)], limits, CPU, place=opened(tmp_path).next())
    assert clock.now - begun <= 60 - used + 8


def test_what_is_finished_is_not_done_again(tmp_path) -> None:
    model = TinyNet()
    made = fit(model, [stage(model)], plan(), CPU)
    place = opened(tmp_path).next()
    place.keep({"model/x": torch.zeros(1)}, {"elapsed": 1.0})
    place.finish(made)
    again = opened(tmp_path)
    known = again.next().finished()
    assert known is not None
    assert same(known, made)
    assert known.seconds == made.seconds
    assert again.next().finished() is None
    assert again.told == "1 training of the check finished"
    assert sorted(p.name for p in again.folder.iterdir()) == ["fit_0.safetensors", "job.json"]


def test_nothing_is_written_before_there_is_something_to_keep(tmp_path) -> None:
    opened(tmp_path).next()
    assert list(tmp_path.iterdir()) == []


def test_the_state_is_kept_now_and_then_only(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(unfinished, "EVERY_SECONDS", 3600.0)
    model, folder = TinyNet(), opened(tmp_path)
    fit(model, [stage(model)], plan(), CPU, place=folder.next())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_another_training_is_refused_by_name_or_begun_anew(tmp_path) -> None:
    opened(tmp_path).write("fit_0.safetensors", {"w": torch.ones(2)}, {})
    other = {"images": "a", "settings": {"seed": 2}}
    with pytest.raises(
        ValueError, match=r"an unfinished training that differs in settings lies there; .*\.$"
    ):
        opened(tmp_path, other)
    assert len(list((tmp_path / ".m.unfinished").iterdir())) == 2
    anew = opened(tmp_path, other, restart=True)
    assert anew.next().finished() is None
    assert not anew.folder.exists()


@pytest.mark.parametrize("content", [b"", b"{}", b"\x08\0\0\0\0\0\0\0{}      ", b"x" * 100])
def test_a_damaged_state_is_refused_in_one_sentence(content, tmp_path) -> None:
    folder = opened(tmp_path)
    folder.write("step_0.safetensors", {"w": torch.ones(2)}, {})
    (folder.folder / "step_0.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"is damaged; delete its folder to begin anew\.$"):
        opened(tmp_path).next().kept()
    for job in ("{", "[]", "null", "[" * 100_000):
        (folder.folder / "job.json").write_text(job)
        with pytest.raises(ValueError, match=r"is damaged; delete its folder to begin anew\.$"):
            opened(tmp_path)


def test_a_kept_file_holds_numbers_only(tmp_path) -> None:
    folder = opened(tmp_path)
    folder.write("step_0.safetensors", {"w": torch.ones(2)}, {"best": float("inf")})
    content = (folder.folder / "step_0.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert set(header) == {"w", "__metadata__"}
    assert folder.next().kept()[1] == {"best": float("inf")}
