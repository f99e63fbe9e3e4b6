"""Tables and texts that the verbs write, whole or not at all."""

from __future__ import annotations

import csv
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from microshot.data.disk import explained, made_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: Table of the stains that `translate` writes: their files, and which models made them.
STAINS = "stains.csv"


@contextmanager
def csv_table(
    path: Path, columns: Sequence[str], *, overwrite: bool = True
) -> Iterator[csv.DictWriter[str]]:
    """Write UTF-8 CSV row by row, whole or not at all; `overwrite` replaces a table that is there."""
    from microshot.data.disk import replacing

    with (
        replacing(path, overwrite=overwrite) as part,
        part.open("w", newline="", encoding="utf-8") as f,
    ):
        writer = csv.DictWriter(f, columns, extrasaction="ignore")
        writer.writeheader()
        yield writer


def write_csv(
    path: Path,
    rows: Sequence[dict[str, Any]],
    columns: Sequence[str] = (),
    *,
    overwrite: bool = True,
) -> None:
    """Write rows as UTF-8 CSV, whole or not at all; `overwrite` replaces a table that is there."""
    with csv_table(path, list(columns) or list(rows[0]), overwrite=overwrite) as table:
        table.writerows(rows)


def take_away(*tables: Path) -> None:
    """Delete tables that would be taken to tell of files that have replaced their own."""
    for table in tables:
        with explained(table):
            table.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all; one that is there is replaced."""
    from microshot.data.disk import replacing

    made_folder(path.parent)
    with replacing(path, overwrite=True) as part:
        part.write_text(text, encoding="utf-8")
