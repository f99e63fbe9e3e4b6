"""Counts from a CSV table that a person or a spreadsheet wrote."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from microshot.data.folders import natural_key, stem_of
from microshot.data.text_tables import (
    FILE_COLUMNS,
    TABLE_SUFFIXES,
    column_of,
    number_in,
    table_rows,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Table of counts that is read with the images it lies with; `generate` and `predict` write it.
COUNTS = "counts.csv"

#: Column names that hold the count, best first.
# fmt: off
COUNT_COLUMNS = (
    "count", "counts", "n", "ncells", "cells", "cellcount", "cellcounts", "numberofcells",
    "numcells", "nobjects", "objects", "objectcount", "nnuclei", "nuclei", "number",
    "total", "truecount", "manualcount", "anzahl", "zellen", "zellzahl",
)
# fmt: on
#: In Fiji's table *Summary* the column *Slice* holds the names of the images.
_SLICE = "slice"
_MEND = (
    "name the columns in the first line, with one line per image, as in the table Summary of Fiji"
)
#: A number that is another one where comma or point separates thousands.
_AMBIGUOUS = re.compile(r"\+?[1-9]\d{0,2}[.,]\d{3}")
_MISSING = ("", "?", "na", "n/a", "nan", "none", "null", "missing", "-")
#: Tables that are looked into whether they hold counts, and their greatest size in bytes.
_MOST_TABLES, _MOST_BYTES = 20, 1 << 20


def read_counts(path: Path | str) -> dict[str, float | None]:
    """Read counts by file stem as it is first written; None where the table leaves the count open.

    Columns may be separated by comma, semicolon or tab and are found by their names
    (`FILE_COLUMNS`, `COUNT_COLUMNS`), also those of Fiji's table *Summary*. ``12``, ``12.0`` and
    ``12,0`` are the same count; ``1,000`` and ``1.000``, which may be one or a thousand, are none.

    Raises
    ------
    FileNotFoundError : if there is no such file.
    ValueError : names file, line and column of a count that is negative, fractional, ambiguous or
        text, of a file listed twice with different counts (upper and lower case are alike), or says
        which columns were looked for.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'"{path}": there is no such table of counts; check the path.')
    rows = table_rows(path)
    if not rows:
        raise ValueError(
            f'"{path}": the table is empty; give one line per image with a file name and a count.'
        )
    header = rows[0][1]
    file_column = column_of(path, header, (*FILE_COLUMNS, _SLICE), "the file name", _MEND)
    count_column = column_of(path, header, COUNT_COLUMNS, "the count", _MEND)
    counts: dict[str, float | None] = {}
    names: dict[str, str] = {}
    lines: dict[str, int] = {}
    for line, row in rows[1:]:
        if any(row[len(header) :]):
            raise ValueError(
                f'"{path}", line {line}: expected {len(header)} columns as in the first line, '
                f"found {len(row)}; quote text that contains the separator."
            )
        row = row + [""] * (len(header) - len(row))
        place = f'"{path}", line {line}, column "{header[count_column]}"'
        stem = stem_of(row[file_column].strip())
        if not stem:
            raise ValueError(
                f'"{path}", line {line}, column "{header[file_column]}": expected a file name, '
                "found nothing; name the image or delete the line."
            )
        stem = names.setdefault(stem.casefold(), stem)
        count = _count(row[count_column], place)
        if stem in counts and counts[stem] != count:
            raise ValueError(
                f'{place}: "{stem}" has the count {_said(count)} here and '
                f"{_said(counts[stem])} in line {lines[stem]}; keep one of them."
            )
        counts[stem], lines[stem] = count, line
    return counts


def overlooked(images: Sequence[Path], folder: Path) -> str:
    """Return a sentence about a table in `folder` that holds counts of `images` under another name.

    Empty where there is none, or where the table `COUNTS` is there, which is read.
    """
    if not folder.is_dir() or (folder / COUNTS).is_file():
        return ""
    stems = {stem_of(path).casefold() for path in images}
    tables = [p for p in folder.iterdir() if p.suffix.lower() in TABLE_SUFFIXES and p.is_file()]
    for table in sorted(tables, key=natural_key)[:_MOST_TABLES]:
        with suppress(ValueError, OSError):
            if table.stat().st_size <= _MOST_BYTES and stems & {
                stem.casefold() for stem in read_counts(table)
            }:
                return (
                    f"{table.name} seems to hold counts of these images and is not read: call it {COUNTS}, "
                    "if they are true ones."
                )
    return ""


def _said(count: float | None) -> str:
    return "nothing" if count is None else f"{count:g}"


def _count(text: str, place: str) -> float | None:
    if text.casefold() in _MISSING:
        return None
    if _AMBIGUOUS.fullmatch(text):
        raise ValueError(
            f'{place}: expected a whole number of objects, found "{text}", which has a separator of '
            "thousands or decimals; write the number without it."
        )
    count = number_in(text)
    if not (0 <= count < 1e15 and count.is_integer()):
        raise ValueError(
            f'{place}: expected a whole number of objects from 0 on, found "{text}"; '
            "correct it, or leave it empty if the image was not counted."
        )
    return count
