"""One process alone holds a file, until it lets go of it or ends."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys

import pytest

from microshot.data import locks
from microshot.data.locks import held

HOLDING = """
import sys, time
from pathlib import Path
sys.path[:0] = {paths!r}
from microshot.data.locks import held
with held(Path({path!r})) as alone:
    print(alone, flush=True)
    time.sleep(60)
"""


def test_only_one_at_a_time_holds_a_file_which_is_deleted_then(tmp_path) -> None:
    path = tmp_path / "a.lock"
    with held(path) as first, held(path) as second:
        assert (first, second) == (True, False)
        with held(tmp_path / "b.lock") as other:
            assert other
    assert list(tmp_path.iterdir()) == []
    with held(path) as later:
        assert later


def test_what_a_killed_process_held_is_free(tmp_path) -> None:
    path = tmp_path / "a.lock"
    code = HOLDING.format(paths=sys.path, path=str(path))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with held(path) as alone:
            assert not alone
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert path.exists()
    with held(path) as alone:
        assert alone
    assert not path.exists()


@pytest.mark.parametrize(
    ("number", "free"),
    [(errno.ENOLCK, True), (errno.ENOSYS, True), (errno.EAGAIN, False), (errno.EACCES, False)],
)
def test_a_file_system_without_locks_keeps_nobody_off(number, free, tmp_path, monkeypatch) -> None:
    def refused(_file) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr(locks, "_lock", refused)
    with held(tmp_path / "a.lock") as alone:
        assert alone == free


def test_a_file_that_is_deleted_while_it_is_opened_is_not_held(tmp_path, monkeypatch) -> None:
    path = tmp_path / "a.lock"
    monkeypatch.setattr(locks, "_lock", lambda _file: path.unlink())
    with held(path) as alone:
        assert not alone
