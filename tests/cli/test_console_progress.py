"""The progress line: in place on a terminal, now and then elsewhere, never without its end."""

from __future__ import annotations

import io
import itertools
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microshot.cli import console
from microshot.cli.console import Console, Quiet

MESSAGE = "Train Microscopy Model (#2): training, step 198, loss 1.212, 45 s left"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch, stream: io.StringIO, seconds_between: float) -> str:
    clock = itertools.count(0, seconds_between)
    monkeypatch.setattr(console.sys, "stderr", stream)
    monkeypatch.setattr(console.time, "monotonic", lambda: float(next(clock)))
    one = Console()
    for i in range(20):
        one.progress(i / 20, MESSAGE)
    one.say()
    return stream.getvalue()


def test_a_terminal_has_one_line_that_is_rewritten_and_cleared(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = shown(monkeypatch, Terminal(), 1.0)
    assert "\n" not in text
    lines = text.split("\r\x1b[K")
    assert lines[0] == lines[-1] == ""
    assert lines[1:-1] == [f"{5 * i:3d} %  {MESSAGE}" for i in range(20)]


def test_elsewhere_a_line_is_written_every_five_seconds(monkeypatch) -> None:
    text = shown(monkeypatch, io.StringIO(), 1.0)
    assert text.splitlines() == [f"{5 * i:3d} %  {MESSAGE}" for i in (0, 5, 10, 15)]


@pytest.mark.parametrize("width", [40, 60])
def test_a_narrow_terminal_shows_node_and_time_left(monkeypatch, width) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for line in shown(monkeypatch, Terminal(), 1.0).split("\r\x1b[K")[1:-1]:
        assert len(line) == width - 1
        assert " %  Train" in line
        assert line.endswith("45 s left")


@given(st.text(max_size=60), st.integers(3, 80))
def test_a_cut_text_has_the_width_and_both_ends(text, width) -> None:
    cut = console._fitting(text, width)
    assert len(cut) <= width
    if cut != text:
        assert "…" in cut
        assert (cut[0], cut[-1]) == (text[0], text[-1])


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("kind", "told"), [(Console, 1), (Quiet, 0)])
def test_the_first_wish_to_stop_is_answered_at_once_and_the_second_stops(
    capfd, kind, told, stop
) -> None:
    made, before = kind(), signal.getsignal(stop)
    with made.listening():
        signal.raise_signal(stop)
        assert capfd.readouterr().err.count("Stopping at the next step") == told
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(stop)
    assert signal.getsignal(stop) is before
