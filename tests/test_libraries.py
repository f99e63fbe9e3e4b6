"""Large libraries are imported whole and once, while the user is asked whether to go on."""

from __future__ import annotations

import builtins
import sys
import threading

import pytest

from microshot import libraries
from microshot.libraries import load
from microshot.progress import Cancelled

SLOW = """
import builtins, threading
seen = builtins.microshot_test
seen["imports"] = seen.get("imports", 0) + 1
seen["thread"] = threading.current_thread()
seen["begun"].set()
assert seen["allowed"].wait(60)
COMPLETE = True
"""


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """Return what the module ``slow_library`` tells, which is imported only when it is allowed to be."""
    seen = {"begun": threading.Event(), "allowed": threading.Event()}
    monkeypatch.setattr(builtins, "microshot_test", seen, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "slow_library.py").write_text(SLOW)
    yield seen
    seen["allowed"].set()
    for thread in threading.enumerate():
        if thread.name == "libraries":
            thread.join()
    sys.modules.pop("slow_library", None)


def test_a_library_is_complete_when_it_is_there_and_imported_in_another_thread(slow) -> None:
    asked = []

    def progress(fraction: float, message: str = "") -> None:
        asked.append((fraction, message))
        if slow["begun"].wait(60):
            slow["allowed"].set()

    load(progress, "json", "slow_library")
    assert sys.modules["slow_library"].COMPLETE
    assert slow["thread"] is not threading.current_thread()
    assert set(asked) == {(0.0, "loading libraries")}


def test_a_cancelled_import_goes_on_and_the_next_one_waits_for_it(slow) -> None:
    def cancelled(fraction: float, message: str = "") -> None:
        assert slow["begun"].wait(60)
        raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        load(cancelled, "slow_library")
    assert slow["thread"].is_alive()  # it is not finished, and was not asked to be
    with pytest.raises(Cancelled):
        load(cancelled, "slow_library")
    first = slow["thread"]

    def patient(fraction: float, message: str = "") -> None:
        slow["allowed"].set()

    load(patient, "slow_library")
    assert sys.modules["slow_library"].COMPLETE
    assert slow["imports"] == 1
    assert slow["thread"] is first


def test_nobody_is_asked_about_what_is_there() -> None:
    def never(fraction: float, message: str = "") -> None:
        raise AssertionError

    load(never, "json", "sys")
    load(never)


@pytest.mark.parametrize(
    ("content", "kind", "told"),
    [
        ("raise ImportError('libfoo.so is missing')", ImportError, "libfoo.so is missing"),
        ("import no_such_library", ModuleNotFoundError, "No module named 'no_such_library'"),
        ("raise OSError('bad file')", OSError, "bad file"),
    ],
)
def test_what_an_import_raises_is_raised_as_it_is(
    content, kind, told, tmp_path, monkeypatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken_library.py").write_text(content)
    for _ in range(2):  # and again, as nothing was learned
        with pytest.raises(kind, match=told) as caught:
            load(lambda *_: None, "broken_library", "json")
        assert type(caught.value) is kind
        assert "broken_library" not in sys.modules
    assert libraries._coming == set()


def test_a_process_that_ends_waits_for_an_import(slow) -> None:
    """A library that is torn down half-loaded may crash."""

    def cancelled(fraction: float, message: str = "") -> None:
        assert slow["begun"].wait(60)
        raise Cancelled

    with pytest.raises(Cancelled):
        load(cancelled, "slow_library")
    assert not slow["thread"].daemon
