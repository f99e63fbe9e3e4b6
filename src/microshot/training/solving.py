"""Models that are found by a search or an equation instead of step by step."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from microshot.progress import Cancelled, Progress, silent, throttled
from microshot.training.trainer import Fit, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn

    from microshot.device import Device


@dataclass(frozen=True)
class Solution:
    """How the weights of a model are found."""

    name: str
    """What is done, for the progress bar and the history."""
    find: Callable[[nn.Module], Iterator[tuple[float, Row]]]
    """Yields the part that is over and what to log (nothing where a row is empty).

    Whenever it yields a row, the model holds the best weights so far.
    """


def solve(
    model: nn.Module,
    solution: Solution,
    device: Device,
    *,
    seconds: float = 0.0,
    progress: Progress = silent,
    clock: Callable[[], float] = time.monotonic,
) -> Fit:
    """Find the weights of `model`; a search stops at the time limit (0 = none) with its best.

    Whatever the limit, the first weights are found. A cancel request keeps the best so far.
    """
    told, start = throttled(progress), clock()
    model.to(device.torch).eval()
    fit = Fit({})
    with torch.no_grad():
        try:
            for fraction, row in solution.find(model):
                if row:
                    fit.steps += 1
                    elapsed = clock() - start
                    own = {"stage": solution.name, "step": fit.steps, "epoch": fit.steps}
                    fit.history.append({**own, "seconds": elapsed, **row})  # type: ignore[dict-item]
                told(fraction, solution.name)
                if fit.steps and 0 < seconds <= clock() - start:
                    break
        except Cancelled:
            fit.stopped = "cancelled"
    fit.state = {k: v.detach().to("cpu", copy=True) for k, v in model.state_dict().items()}
    fit.seconds = clock() - start
    return fit
