"""What the user reads while a network is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microshot.progress import remaining

if TYPE_CHECKING:
    from collections.abc import Mapping

    from microshot.training.trainer import Fit, Plan


def message(stage: str, fit: Fit, plan: Plan, elapsed: float, losses: Mapping[str, float]) -> str:
    """Say which step, which loss, and how long still.

    Parameters
    ----------
    elapsed : seconds since the training began.
    losses : means since the last row of the history; empty right after it.
    """
    parts = [f"{stage}, step {fit.steps + 1}"]
    now = losses or (fit.history[-1] if fit.history else {})
    key = next((k for k in ("loss", *now) if k in now and k.endswith("loss")), None)
    if key is not None:
        parts.append(f"loss {now[key]:.3f}")
    if fit.at_once:
        parts.append(f"memory is short: {fit.at_once} at a time")
    left = [plan.seconds - elapsed] if plan.seconds > 0 else []
    if plan.steps > 0 and fit.steps > 0:
        left.append(elapsed / fit.steps * (plan.steps - fit.steps))
    if left:
        parts.append(remaining(min(left)))
    return ", ".join(parts)
