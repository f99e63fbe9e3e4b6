"""How the learning rate moves while training."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: The cosine schedule ends at this part of the learning rate.
COSINE_END = 0.02
#: Warm restarts: cosine cycles, each twice as long as the one before, up to a part of the whole; then
#: a low rate. 5 cycles from 2 epochs on are 62 epochs, the last part 10 more: HASTE report.
CYCLES, CYCLES_PART, LAST_RATE = 5, 6 / 7, 0.01
#: The ramp rises over this part of the epochs, then falls by this factor per epoch: released code
#: of Kenneweg, Stallmann & Hammer 2022 (an option there; the paper's own rate is fixed).
RAMP_PART, RAMP_FALL = 0.1, 0.999


def learning_rate_factor(
    schedule: str, fraction: float, step: int, warmup_steps: int, epoch: float = 0.0
) -> float:
    """Return what to multiply the learning rate with.

    A linear warm-up over `warmup_steps` steps, then by `fraction` of the training over:
    ``cosine`` falls from 1 to 0.02, ``late-cosine`` does so in the second half,
    ``constant`` and ``plateau`` stay at 1 (a plateau is lowered by `PlateauRate`), and
    ``warm-restarts`` falls from 1 to 0 five times, each time twice as slowly, and ends with a
    seventh of the training at 0.01. ``ramp`` rises from 0 to 1 over the first tenth, then falls
    by a thousandth per `epoch`, of which `fraction` of the training took as many.

    References
    ----------
    .. [1] Loshchilov & Hutter 2017, arXiv:1608.03983, Eq. 5 (cosine, warm restarts).
    """
    warm = min(1.0, (step + 1) / warmup_steps) if warmup_steps > 0 else 1.0
    part = min(max(fraction, 0.0), 1.0)
    if schedule == "warm-restarts":
        return warm * _restarted(part)
    if schedule == "ramp":
        since = epoch * (1 - RAMP_PART / part) if part > RAMP_PART else 0.0
        return warm * min(part / RAMP_PART, 1.0) * RAMP_FALL**since
    if schedule == "late-cosine":
        part = max(0.0, 2 * part - 1)
    elif schedule != "cosine":
        return warm
    return warm * (COSINE_END + (1 - COSINE_END) * 0.5 * (1 + math.cos(math.pi * part)))


def _restarted(part: float) -> float:
    if part >= CYCLES_PART:
        return LAST_RATE
    done = part / CYCLES_PART * (2**CYCLES - 1)  # in lengths of the first cycle
    inside = 2 * math.frexp(done + 1)[0] - 1  # cycles end at powers of 2; exact, unlike a logarithm
    return 0.5 * (1 + math.cos(math.pi * inside))


@dataclass
class PlateauRate:
    """Halve the rate whenever the loss has not improved for `patience` epochs in a row."""

    patience: float = 40
    factor: float = 1.0
    _halved_at: float = 0.0

    def update(self, stale_epochs: float) -> None:
        """Take note of how many epochs ago the best loss was; never more often than it is known."""
        self._halved_at = min(self._halved_at, stale_epochs)  # 0 again after an improvement
        if stale_epochs - self._halved_at >= self.patience:
            self.factor *= 0.5
            self._halved_at = stale_epochs
