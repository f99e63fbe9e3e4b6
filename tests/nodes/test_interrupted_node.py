"""A training whose node ended half-way goes on where it was when the node is executed again."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from node_tables import Tables, card_of, set_tiny

from microshot.headless import standin
from microshot.headless.standin import NodeFailure
from microshot.learning.interrupted import MOST, MOST_DAYS, waiting
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


JOB = {"images": "a", "settings": {"seed": 1}}


def left(base: Path, number: int) -> Path:
    """Leave an unfinished training below `base` and return its folder."""
    before = set(base.glob("*"))
    with contextlib.suppress(Killed), waiting(base, {**JOB, "number": number}) as made:
        made.write("step_0.safetensors", {}, {"elapsed": 0.0, "fit": {"steps": number}})
        raise Killed
    (folder,) = (p for p in set(base.glob("*")) - before if p.is_dir())
    return folder


def test_two_processes_do_not_share_a_training(tmp_path) -> None:
    with waiting(tmp_path, JOB) as first, waiting(tmp_path, JOB) as second:
        assert first is not None
        assert second is None
        with waiting(tmp_path, {**JOB, "images": "b"}) as other:
            assert other is not None
    with waiting(tmp_path, JOB) as later:
        assert later is not None


def test_a_damaged_state_is_begun_anew(tmp_path) -> None:
    folder = left(tmp_path, 7)
    with contextlib.suppress(Killed), waiting(tmp_path, {**JOB, "number": 7}) as made:
        assert "at step 7" in made.told
        raise Killed
    assert folder.exists()
    (folder / "step_0.safetensors").write_bytes(b"half of it")
    with waiting(tmp_path, {**JOB, "number": 7}) as made:
        assert made.told == ""
        assert not folder.exists()


def test_a_training_needs_no_disk_to_keep_its_state(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("in the way")
    with waiting(tmp_path / "file", JOB) as made:
        assert made is None
    with waiting(tmp_path, JOB) as made:

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(unfinished, "begin", full)
        made.write("step_0.safetensors", {}, {})
        assert made.told == ""


def test_what_nobody_goes_on_with_does_not_stay(tmp_path) -> None:
    """Too many are too much, and so is one that is too old; one that is in use stays."""
    folders = [left(tmp_path, i) for i in range(MOST)]
    for age, folder in zip((4, 3, 2, 1), folders, strict=True):
        for path in (folder.with_suffix(".lock"), *folder.iterdir()):
            os.utime(path, times=(path.stat().st_mtime - age * 3600,) * 2)
    with waiting(tmp_path, JOB):
        assert [folder.exists() for folder in folders] == [False, True, True, True]
    for path in (folders[3].with_suffix(".lock"), *folders[3].iterdir()):
        os.utime(path, times=(path.stat().st_mtime - MOST_DAYS * 86_400,) * 2)
    with waiting(tmp_path, {**JOB, "number": 1}), waiting(tmp_path, JOB):
        assert [folder.exists() for folder in folders] == [False, True, True, False]
    assert [folder.exists() for folder in folders] == [False, False, True, False]
