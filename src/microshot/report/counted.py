"""What a report knows of the number of objects in one image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from microshot.report import wording
from microshot.report.wording import is_number, number

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Counted:
    """What is known and predicted about the number of objects in one image."""

    name: str = ""
    true: float | None = None
    count: float | None = None
    """Not rounded."""
    low: float = 0.0
    high: float = math.inf
    """Interval; inf = without bound."""
    level: float | None = None
    """How often such intervals hold the true count."""
    points: np.ndarray | None = None
    """(n, 2) y and x of what was counted."""
    true_points: np.ndarray | None = None
    """(n, 2) y and x of the true objects, where they are marked."""
    heat: np.ndarray | None = None
    """(Y, X) objects per px."""
    embedding: np.ndarray | None = None
    """(L,) latent mean."""
    domain: str = "natural"
    old: Counted | None = None
    """What the model before retraining counted."""

    @property
    def interval(self) -> str:
        """The interval in words: ``9 to 14``, ``3 or more``; empty where nothing is known."""
        return interval_text(self.low, self.high)

    @property
    def text(self) -> str:
        """The count in one phrase: ``counted 11.6 (9 to 14), true 12``."""
        said = "" if self.count is None else f"counted {_written(self.count)}"
        if said and self.interval and math.isfinite(self.high):
            said += f" ({self.interval})"
        known = "" if self.true is None else f"true {number(self.true)}"
        return ", ".join(part for part in (said, known) if part)


def _written(count: float) -> str:
    return number(count) if float(count).is_integer() else wording.score_text("count", count)


def interval_text(low: Any, high: Any) -> str:
    """Write an interval of counts; one that says nothing is said to be without bound."""
    if is_number(low) and is_number(high):
        return f"{number(low)} to {number(high)}"
    return f"{number(low)} or more" if is_number(low) and low > 0 else "without bound"
