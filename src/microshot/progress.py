"""How long-running work reports and how it is stopped: one callback, nothing else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


T = TypeVar("T")


class Cancelled(Exception):
    """Raised by a progress callback when the user has asked the work to stop."""


class Progress(Protocol):
    """Report `fraction` (0 to 1) of the work done; raise `Cancelled` to stop it."""

    def __call__(self, fraction: float, message: str = "") -> None: ...


def silent(fraction: float, message: str = "") -> None:
    """Ignore every report."""


def span(progress: Progress, start: float, stop: float, prefix: str = "") -> Progress:
    """Return a callback that maps its own 0 to 1 onto `start` to `stop` of `progress`.

    `prefix` is put before every message, for example ``"fold 2 of 4: "``.
    """

    def report(fraction: float, message: str = "") -> None:
        part = min(max(float(fraction), 0.0), 1.0)
        progress(start + (stop - start) * part, prefix + message if message else "")

    return report


def each(items: Iterable[T], n: int, progress: Progress, what: str) -> Iterator[T]:
    """Yield `items`, reporting ``"<what> i of n"`` before each."""
    for index, item in enumerate(items):
        progress(index / max(n, 1), f"{what} {index + 1} of {n}")
        yield item


def throttled(progress: Progress, seconds: float = 0.25) -> Progress:
    """Return a callback that passes on at most one report per `seconds`.

    A cancel request is therefore noticed within `seconds` plus the time between two
    reports. Reports of 0 and 1 always pass.
    """
    last = [-float("inf")]

    def report(fraction: float, message: str = "") -> None:
        now = time.monotonic()
        if now - last[0] >= seconds or fraction <= 0 or fraction >= 1:
            last[0] = now
            progress(fraction, message)

    return report


def remaining(seconds: float) -> str:
    """Say a duration as a user reads it: ``"45 s left"``, ``"3 min left"``, ``"2.5 h left"``."""
    if seconds < 90:
        return f"{max(seconds, 0):.0f} s left"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min left"
    return f"{seconds / 3600:.1f} h left"
