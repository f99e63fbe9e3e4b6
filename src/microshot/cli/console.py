"""Between the terminal and the core: a progress line, wishes to stop, results as JSON."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from microshot.progress import Cancelled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

#: Seconds between two progress lines where the output is no terminal.
_LINE_SECONDS = 5.0
#: What asks a process to stop: Ctrl-C, and what `kill` and the schedulers of clusters send.
_STOPS = (signal.SIGINT, signal.SIGTERM)


class Console:
    """Writes to the terminal: progress and remarks to stderr, results to stdout."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self._interrupted = False
        self._last = -float("inf")
        self._shown = ""
        self._terminal = sys.stderr.isatty()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Turn the first Ctrl-C or SIGTERM in the block into a cancel request; the second one kills."""

        def on_interrupt(_signal: int, _frame: FrameType | None) -> None:
            if self._interrupted:
                raise KeyboardInterrupt
            self._interrupted = True
            self._heard()

        before = {one: signal.signal(one, on_interrupt) for one in _STOPS}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def _heard(self) -> None:
        """Say that the work will stop: it may take seconds until a step is done and asks for it."""
        line = b"\nStopping at the next step; Ctrl-C again stops at once.\n"
        with suppress(OSError, ValueError):  # what is being written is left alone: no buffer
            os.write(sys.stderr.fileno(), line)

    def progress(self, fraction: float, message: str = "") -> None:
        """Show how far the work is; raise `Cancelled` where a stop was asked for."""
        if self._interrupted:
            self._interrupted = False
            raise Cancelled("Stopped by the user.")
        now = time.monotonic()
        wait = 0.2 if self._terminal else _LINE_SECONDS
        if now - self._last < wait:
            return
        self._last = now
        text = f"{100 * fraction:3.0f} %  {message}"
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write("\r\x1b[K" + _fitting(text, width))
        elif text != self._shown:
            sys.stderr.write(text + "\n")
        self._shown = text
        sys.stderr.flush()

    def say(self, *lines: str) -> None:
        """Write remarks for the user."""
        if self._terminal and self._shown:
            sys.stderr.write("\r\x1b[K")
            self._shown = ""
        for line in lines:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def result(self, values: dict[str, Any], lines: Sequence[str] = ()) -> None:
        """Write the result: one JSON object where asked for, else lines to read."""
        self.say()
        if self.as_json:
            text = json.dumps(_finite(values), ensure_ascii=False, default=str, allow_nan=False)
            sys.stdout.write(text + "\n")
        else:
            for line in lines:
                sys.stdout.write(line + "\n")
        sys.stdout.flush()


class Quiet(Console):
    """Says nothing: for what another process does, too, and tells."""

    def _heard(self) -> None:
        """Write nothing."""

    def progress(self, fraction: float, message: str = "") -> None:
        """Show nothing."""

    def say(self, *lines: str) -> None:
        """Write nothing."""


def _finite(value: Any) -> Any:
    """Return `value` with null for numbers that JSON does not know (not a number, infinite)."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _fitting(text: str, width: int) -> str:
    """Cut `text` to `width` letters before its end, which tells the time left."""
    if len(text) <= width or width < 3:
        return text[:width]
    tail = width // 2
    return f"{text[: width - tail - 1]}…{text[-tail:]}"
