"""Models that a training may start from: a starter of the extension, and others to compare it with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Sequence

    from measuring import Results

    from microshot.bundle import Bundle

#: What stands in place of a seed in rows of a start that is not retrained.
BEFORE = "before"


def add_option(parser: ArgumentParser) -> None:
    """Let the user name models to compare."""
    parser.add_argument(
        "--other", type=Path, action="append", default=[], help="a model to compare"
    )


def starts_of(starter: str, others: Sequence[Path], results: Results) -> dict[str, Bundle]:
    """Return starter and others by name; rows of another model that was the starter are forgotten."""
    from microshot.bundle import Bundle
    from microshot.starters import path_of

    starts = {starter: Bundle.load(path_of(starter))}
    now = starts[starter].card.id
    results.rows = [r for r in results.rows if r["start"] != starter or r["id"] == now]
    return starts | {f"{starter}, {path.stem}": Bundle.load(path) for path in others}
