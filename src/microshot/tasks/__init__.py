"""All that differs between tasks; the tasks by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from microshot.tasks.base import Task


def task_named(name: str) -> Task:
    """Return the task called `name`.

    Raises
    ------
    ValueError
        If there is none; the message lists those there are.
    """
    from microshot.tasks.counting.task import CountTask
    from microshot.tasks.segmenting.task import SegmentTask
    from microshot.tasks.translating.task import TranslateTask

    tasks: dict[str, Task] = {
        "segment": SegmentTask(),
        "count": CountTask(),
        "translate": TranslateTask(),
    }
    if name not in tasks:
        raise ValueError(
            f'Unknown task "{name}"; this version of Microshot has {", ".join(tasks)}.'
        )
    return tasks[name]
