"""A training whose node ended half-way goes on where it was when the node is executed again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from node_tables import Tables, card_of, set_tiny

from microshot.headless import standin
from microshot.headless.standin import NodeFailure
from microshot.training import stage_run, unfinished

if TYPE_CHECKING:
    from microshot.headless.standin import CanvasNode

ROOT = Path(__file__).parents[2]


@pytest.fixture
def own(tmp_path) -> tuple[standin.Host, Tables, Path]:
    """A host of its own, tables for it, and the folder where trainings wait."""
    if not standin.install():
        pytest.skip("KNIME's own API is installed, so the stand-in is not used")
    host = standin.Host(ROOT, tmp_path / "host")
    return host, Tables(host), host.work_dir / "home" / "microshot" / "unfinished"


class Killed(BaseException):
    """What nobody catches."""


class Steps(list[int]):
    """The steps of training that are taken, up to one at which the process is killed."""

    end_at = -1


@pytest.fixture
def steps(monkeypatch) -> Steps:
    """The steps of training; the state is kept after each."""
    taken, step = Steps(), stage_run.step

    def noted(run, stage, optimizers, number, rate):
        if number == taken.end_at:
            raise Killed
        taken.append(number)
        return step(run, stage, optimizers, number, rate)

    monkeypatch.setattr(stage_run, "step", noted)
    monkeypatch.setattr(unfinished, "EVERY_SECONDS", 0.0)
    return taken


def train(host: standin.Host, **values: object) -> CanvasNode:
    node = set_tiny(host.node("train"), steps=5)
    for name, value in values.items():
        node.set(name, value)
    return node


def test_a_node_that_was_killed_goes_on_and_learns_what_it_would_have_learned(own, steps) -> None:
    host, tables, folder = own
    inputs = [tables.images(3), None]
    whole = train(host)
    expected, _ = whole.execute(inputs)
    assert not any("Went on" in text for text in whole.warnings)
    assert list(folder.iterdir()) == []
    steps.clear()
    steps.end_at = 3
    with pytest.raises((Killed, NodeFailure)):
        train(host).execute(inputs)
    assert steps == [0, 1, 2]
    assert sorted(p.suffix for p in folder.iterdir()) == ["", ".lock"]
    steps.clear()
    steps.end_at = -1
    other = train(host, name="Another")  # is another training and finds nothing
    other.execute(inputs)
    assert steps == [0, 1, 2, 3, 4]
    assert not any("Went on" in text for text in other.warnings)
    steps.clear()
    node = train(host)
    found, _ = node.execute(inputs)
    assert steps == [3, 4]
    assert "Went on with the training that was interrupted: the present one at" in node.warnings[0]
    assert card_of(found)["id"] == card_of(expected)["id"]
    assert list(folder.iterdir()) == []


def test_a_retraining_that_was_killed_keeps_what_its_check_has_finished(
    own, steps, monkeypatch
) -> None:
    host, tables, folder = own
    inputs = [tables.images(2), None]
    model, _ = train(host).execute(inputs)
    steps.clear()
    node = set_tiny(host.node("retrain"), steps=3)
    finish = unfinished.Place.finish

    def killing(place, fit):
        finish(place, fit)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(unfinished.Place, "finish", killing)
        with pytest.raises((Killed, NodeFailure)):
            node.execute([model, *inputs])
    assert steps == [0, 1, 2]
    steps.clear()
    node.execute([model, *inputs])
    assert steps == [0, 1, 2] * 2  # of three trainings, two of the check
    assert "1 training of the check finished" in node.warnings[0]
    assert list(folder.iterdir()) == []
