"""How many threads compute a step, found by the clock while a network is trained.

More threads are not always faster. Layers of small patches take less than a millisecond each, and
all threads wait for the last one after each of them: where another program keeps one core busy,
two threads take up to twice as long as one (`benchmarks/threads.py`). So a training with a
limit in time, of which no two are the same anyway, tries it out, at first and again now and then.
"""

from __future__ import annotations

from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from microshot.training.trainer import Run

#: Steps of a trial; the first ones of them do not count, as layers are prepared for new numbers.
TRIAL, WARM_UP = 6, 2
#: Steps between the searches; doubled, up to the most, whenever one confirms what was in use.
HOLD, MOST_HOLD = 100, 3200
#: Part of the time in use that another number must save to be taken.
GAIN = 0.08


class Pace:
    """Chooses a number of threads by how long steps take.

    Parameters
    ----------
    most : threads that may compute; the first search tries halves of it down to 1, later ones the
        half and the double of what is in use.
    use : lets so many threads compute from now on.
    """

    def __init__(self, most: int, use: Callable[[int], None]) -> None:
        self.most, self.chosen, self._use = most, most, use
        self._hold, self._left = HOLD, 0
        self._waiting = [most >> i for i in range(1, most.bit_length())]
        self._trial, self._steps = most, list[float]()
        self._found: dict[int, float] = {}

    def took(self, seconds: float) -> None:
        """Take in how long a step took, and decide about the next one."""
        if self._left > 0:
            self._left -= 1
            if self._left == 0:
                near = {self.chosen // 2, min(2 * self.chosen, self.most)} - {0, self.chosen}
                self._begin(self.chosen, sorted(near))
            return
        self._steps.append(seconds)
        if len(self._steps) < TRIAL:
            return
        self._found[self._trial] = median(self._steps[WARM_UP:])
        if self._waiting:
            self._begin(self._waiting.pop(0), self._waiting)
        else:
            self._choose()

    def _begin(self, threads: int, waiting: list[int]) -> None:
        self._trial, self._steps, self._waiting = threads, [], waiting
        self._use(threads)

    def _choose(self) -> None:
        best = min(self._found, key=lambda threads: self._found[threads])
        better = self._found[best] < (1 - GAIN) * self._found[self.chosen]
        self._hold = HOLD if better else min(2 * self._hold, MOST_HOLD)
        self.chosen = best if better else self.chosen
        self._left, self._found = self._hold, {}
        self._use(self.chosen)


@contextmanager
def paced(run: Run) -> Iterator[Pace | None]:
    """Return what chooses the threads of a training that asks for it; None where all compute."""
    threads = run.device.threads
    alone = run.team.size == 1 and run.device.name == "cpu"
    if not run.plan.paced or not alone or threads < 2:
        yield None
        return
    try:
        yield Pace(threads, torch.set_num_threads)
    finally:
        torch.set_num_threads(threads)
