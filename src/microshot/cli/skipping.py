"""Images that cannot be used: they end the work, or are passed by where the user asks for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microshot.words import how_many

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping


def add_option(verb: argparse.ArgumentParser) -> None:
    """Let the user ask for it."""
    verb.add_argument(
        "--skip-unreadable", action="store_true",
        help="pass by images that cannot be read or are not what the model takes, and name them, "
        "instead of ending there",
    )  # fmt: skip


def reason(error: Exception, *, skip: bool) -> str:
    """Return why an image is passed by.

    Raises
    ------
    Exception
        `error`, if none is to be passed by.
    """
    if not skip:
        raise error
    return str(error)


def check(skipped: Mapping[str, str], n: int) -> None:
    """Refuse to pass by all of `n` images; `skipped` are reasons by file.

    Raises
    ------
    ValueError
        If nothing is left.
    """
    if len(skipped) == n > 1:
        raise ValueError(f"None of {n} images can be used, the first: {_first(skipped)}")
    if len(skipped) == n:
        raise ValueError(_first(skipped))


def notes(skipped: Mapping[str, str], n: int) -> list[str]:
    """Say in at most one sentence how many of `n` images were passed by."""
    if not skipped:
        return []
    were = "was" if len(skipped) == 1 else "were"
    return [
        f"{len(skipped)} of {how_many(n, 'image')} {were} skipped, the first: {_first(skipped)}"
    ]


def progress(n_done: int, skipped: Mapping[str, str], n: int) -> str:
    """Say of how many of `n` images work that ended early has results, and how many were passed by."""
    told = f", {len(skipped)} skipped" if skipped else ""
    return f"{n_done} of {how_many(n, 'image')}{told}"


def _first(skipped: Mapping[str, str]) -> str:
    return next(iter(skipped.values()))
