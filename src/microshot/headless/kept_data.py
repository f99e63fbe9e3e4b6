"""What nodes write into the data area of a packed workflow, kept when that is deleted."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from microshot.data.jobs import stamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    Stamps = Mapping[Path, list[int] | None]
    """Size and time of files by their paths within a folder."""


def stamps(folder: Path) -> Stamps:
    """Return by what changes of the files in `folder` are known; the folder need not exist."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {file.relative_to(folder): stamp(file) for file in files}


def keep(folder: Path, before: Stamps, wished: Path) -> Path | None:
    """Copy the files in `folder` that are new or changed since `before` into a new folder.

    Returns
    -------
    `wished`, with a number behind it where something is there already; None if there is no such
    file.
    """
    found = [file for file, stamp in stamps(folder).items() if before.get(file) != stamp]
    if not found:
        return None
    place = _free(wished)
    for file in found:
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(folder / file, place / file)
    return place


def _free(wished: Path) -> Path:
    place, number = wished, 1
    while place.exists():
        number += 1
        place = wished.with_name(f"{wished.name} {number}")
    return place
