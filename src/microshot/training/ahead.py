"""Batches drawn one step ahead, while a graphics card works on the step before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from microshot.device import Device
    from microshot.training.trainer import Batch, Stage


class _Ahead:
    """Draws as `draw` does; the step after the one that is asked for is drawn meanwhile."""

    def __init__(self, draw: Callable[[int], Batch], pool: ThreadPoolExecutor) -> None:
        self.draw, self.pool = draw, pool
        self.coming: dict[int, Future[Batch]] = {}

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step, or raise what drawing it raised."""
        found = self.coming.pop(step, None) or self.pool.submit(self.draw, step)
        batch = found.result()
        self.coming = {step + 1: self.pool.submit(self.draw, step + 1)}
        return batch


@contextmanager
def drawn_ahead(stage: Stage, device: Device) -> Iterator[Callable[[int], Batch]]:
    """Return how to draw the batches of a stage, one after the other.

    One thread draws them, never two at once. A processor has no core to spare for it.
    """
    if device.name == "cpu" or not stage.by_step_alone:
        yield stage.draw
        return
    pool = ThreadPoolExecutor(1, "batches")
    try:
        yield _Ahead(stage.draw, pool)
    finally:
        pool.shutdown(cancel_futures=True)
