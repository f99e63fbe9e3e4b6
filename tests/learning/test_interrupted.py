"""Where trainings wait that were killed: one process works at each, and none stays for ever."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest

from microshot.learning.interrupted import MOST, MOST_DAYS, waiting
from microshot.training import unfinished

if TYPE_CHECKING:
    from pathlib import Path


class Killed(BaseException):
    """What nobody catches."""


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


@pytest.mark.skipif(os.name == "nt", reason="deletes an open file")
def test_a_lock_that_another_process_deletes_meanwhile_locks_nothing(tmp_path, monkeypatch) -> None:
    """It was opened, then its owner ended: whoever comes next would not see it."""
    import fcntl

    def deleted_first(file: object, how: int) -> None:
        next(tmp_path.glob("*.lock")).unlink()

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", deleted_first)
        with waiting(tmp_path, JOB) as late:
            assert late is None
    with waiting(tmp_path, JOB) as found:
        assert found is not None
