"""What a row of a table tells of a result beside the result: trust, model, device, time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.api import Predictor
    from microshot.trust import Trust


def told(sure: Trust, predictors: Sequence[Predictor], started: float) -> dict[str, Any]:
    """Return how far to trust a result and where it comes from, for a row of a table."""
    return {
        "unlike_training": None if sure.unlike is None else round(sure.unlike, 4),
        "warning": None if sure.unlike is None else sure.warning,
        "model": "; ".join(f"{one.card.name} ({one.card.id})" for one in predictors),
        "device": predictors[0].device.line,
        "seconds": round(time.perf_counter() - started, 3),
    }
