"""What ends a training before its time: told from errors, noted for the user; and a steady clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from microshot.device import device_lost, first_line, out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable


class Steady:
    """A clock that never runs backwards: where `clock` jumps back, it stands still."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock, self.last, self.lost = clock, clock(), 0.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        now = self.clock()
        self.lost += max(0.0, self.last - now)
        self.last = now
        return now + self.lost


def breakdown_of(error: BaseException) -> str | None:
    """Return which known breakdown an error means; None for any other error."""
    if out_of_memory(error):
        return "out of memory"
    return "device lost" if device_lost(error) else None


_WHAT = {
    "diverged": "the loss is not a finite number",
    "out of memory": "there is not enough memory",
    "device lost": "the graphics card failed",
}
_MEND = {
    "diverged": "lower the learning rate or check the images for extreme values",
    "out of memory": "choose smaller patches or a smaller network, or close other programs",
    "device lost": "restart the computer, or choose the CPU as device",
}
_ERRORS: dict[str, type[Exception]] = {
    "diverged": FloatingPointError,
    "out of memory": MemoryError,
    "device lost": RuntimeError,
}


@dataclass(frozen=True)
class Breakdown:
    """Why and where a training could not go on."""

    reason: str
    """``diverged``, ``out of memory`` or ``device lost``."""
    step: int
    error: BaseException | None = None

    def _what(self) -> str:
        told = self.reason == "device lost" or isinstance(self.error, MemoryError)
        why = first_line(self.error) if told and self.error and str(self.error) else ""
        detail = f" ({why})" if why else ""
        return f"Training stopped at step {self.step}: {_WHAT[self.reason]}{detail}"

    def failure(self) -> Exception:
        """Return the error where nothing can be kept."""
        return _ERRORS[self.reason](f"{self._what()}; {_MEND[self.reason]}.")

    def note(self) -> str:
        """Say that the best model so far is kept, and how to get further."""
        return (
            f"{self._what()}. The best model so far was kept; to go further, {_MEND[self.reason]}."
        )
