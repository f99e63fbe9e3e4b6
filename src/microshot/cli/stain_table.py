"""stains.csv: which models made which files of stains; it may tell of several runs."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from microshot.cli.tables import take_away, write_csv
from microshot.cli.telling import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path


def _rows(path: Path) -> list[dict[str, Any]]:
    """Return what a table of stains tells; nothing where there is none."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as table:
        return list(csv.DictReader(table))


def _write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    write_csv(path, rows, ("file", "stain", "image", *ORIGIN))


def withdrawn(path: Path, files: Collection[str]) -> list[dict[str, Any]]:
    """Take the rows of some files out of the table, and return them."""
    rows = _rows(path)
    taken = [row for row in rows if row.get("file") in files]
    if len(taken) == len(rows):
        take_away(path)
    elif taken:
        _write_rows(path, [row for row in rows if row not in taken])
    return taken


def remember(
    path: Path, earlier: Sequence[dict[str, Any]], written: Sequence[dict[str, Any]]
) -> None:
    """Write which models made which files, a row per stain; rows of other files stay."""
    made = [
        {**row, "file": file, "stain": stain, "image": row["file"]}
        for row in written
        for stain, file in row["stains"].items()
    ]
    new = {row["file"] for row in made}
    before = [row for row in (*_rows(path), *earlier) if row.get("file") not in new]
    _write_rows(path, [*before, *made])
