"""Going on with trainings that were stopped or killed, when the same command is given again."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from microshot.device import rank_and_size
from microshot.progress import Cancelled

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from microshot.bundle import Bundle
    from microshot.cli.console import Console
    from microshot.data.dataset import Dataset
    from microshot.training.unfinished import Unfinished


def folder_of(model: Path) -> Path:
    """Return where what is not finished of a model file lies."""
    return model.with_name(f".{model.name}.unfinished")


@contextmanager
def keeping(path: Path, what: str, console: Console, anew: str = "") -> Iterator[None]:
    """Say, where the user stops the work, that `what` is kept in `path`, if there is anything.

    `anew` is how not to go on from there, from its comma on.
    """
    try:
        yield
    except Cancelled:
        if path.exists():
            console.say(f"Kept in {path}: {what}; the same command goes on from there{anew}.")
        raise


def unfinished_training(
    given: argparse.Namespace,
    console: Console,
    values: Any,
    data: Dataset,
    synthetic: Dataset | None,
    start: Bundle | None = None,
) -> Unfinished | None:
    """Return where a training keeps its state, and say so if it goes on from one.

    None where several processes train together: such a training begins anew.

    Raises
    ------
    ValueError
        If another training has left its state there and nothing may be overwritten.
    """
    from microshot.learning.interrupted import job_of
    from microshot.training.unfinished import Unfinished

    if rank_and_size()[1] > 1:
        return None
    job = job_of(values, data, synthetic, start)
    made = Unfinished.opened(folder_of(given.out), job, restart=given.overwrite)
    if made.told:
        console.say(f"Going on with the training that was interrupted: {made.told}.")
    return made
