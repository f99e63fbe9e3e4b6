"""Which job a folder of unfinished work belongs to: ``job.json``, and whether it is gone on with."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from microshot.data.disk import made_folder, replacing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def goes_on(folder: Path, job: Mapping[str, Any], what: str, *, restart: bool) -> bool:
    """Say whether `folder` holds an unfinished `job`; one of another job is deleted or refused.

    Parameters
    ----------
    job : what is computed, plain JSON.
    what : the work in a word, for the sentence: "training".
    restart : delete a folder of another job.

    Raises
    ------
    ValueError
        If the folder is that of another job, naming what differs, or if its ``job.json`` is damaged.
    """
    path = folder / "job.json"
    if not path.is_file():
        return False
    known, wanted = read_note(path), _plain(job)
    if known == wanted:
        return True
    if not restart:
        keys = [k for k in wanted if known.get(k) != wanted[k]] or ["version"]
        raise ValueError(
            f'"{folder}": an unfinished {what} that differs in {" and ".join(keys)} lies there; '
            "repeat it as it was to go on with it, allow overwriting, or delete that folder."
        )
    shutil.rmtree(folder)
    return False


def begin(folder: Path, job: Mapping[str, Any]) -> None:
    """Note in `folder`, which is made where it is missing, what is computed there."""
    made_folder(folder)
    write_note(folder / "job.json", _plain(job))


def write_note(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON object in place of the one before, whole or not at all."""
    with replacing(path, overwrite=True) as part:
        part.write_text(json.dumps(values), encoding="utf-8")


def read_note(path: Path) -> dict[str, Any]:
    """Return what `write_note` wrote.

    Raises
    ------
    ValueError : if it is damaged.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise ValueError(damaged(path))
    return values


def stamp(path: Path) -> list[int] | None:
    """Return size and time of change of a file, by which one in its place is told; None without one."""
    try:
        stat = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [stat.st_size, stat.st_mtime_ns]


def damaged(path: Path) -> str:
    """Return the sentence about a file of such a folder that cannot be read."""
    return f'"{path}" is damaged; delete its folder to begin anew.'


def _plain(job: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(job))
