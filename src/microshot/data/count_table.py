"""Counts from a CSV table that a person or a spreadsheet wrote."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING

from microshot.data.folders import stem_of
from microshot.data.json_text import contents

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Column names that hold the file, best first; compared by letters and digits only.
# fmt: off
FILE_COLUMNS = (
    "file", "filename", "image", "imagename", "imagefile", "img", "name", "path",
    "filepath", "imagepath", "stem", "rowid", "sample", "id", "bild", "datei", "dateiname",
)
# fmt: on
#: Column names that hold the count, best first.
# fmt: off
COUNT_COLUMNS = (
    "count", "counts", "n", "ncells", "cells", "cellcount", "cellcounts", "numberofcells",
    "numcells", "nobjects", "objects", "objectcount", "nnuclei", "nuclei", "number",
    "total", "truecount", "manualcount", "anzahl", "zellen", "zellzahl",
)
# fmt: on
#: A number that is another one where comma or point separates thousands.
_AMBIGUOUS = re.compile(r"\+?[1-9]\d{0,2}[.,]\d{3}")
_MISSING = ("", "?", "na", "n/a", "nan", "none", "null", "missing", "-")


def read_counts(path: Path | str) -> dict[str, float | None]:
    """Read counts by file stem; None where the table leaves the count open.

    Columns may be separated by comma, semicolon or tab and are found by their names
    (`FILE_COLUMNS`, `COUNT_COLUMNS`). ``12``, ``12.0`` and ``12,0`` are the same count; ``1,000`` and
    ``1.000``, which may be one or a thousand, are none.

    Raises
    ------
    FileNotFoundError : if there is no such file.
    ValueError : names file, line and column of a count that is negative, fractional, ambiguous or
        text, of a file listed twice with different counts, or says which columns were looked for.
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
    file_column = column_of(path, header, FILE_COLUMNS, "the file name")
    count_column = column_of(path, header, COUNT_COLUMNS, "the count")
    counts: dict[str, float | None] = {}
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
        count = _count(row[count_column], place)
        if stem in counts and counts[stem] != count:
            raise ValueError(
                f'{place}: "{stem}" has the count {_said(count)} here and '
                f"{_said(counts[stem])} in line {lines[stem]}; keep one of them."
            )
        counts[stem], lines[stem] = count, line
    return counts


def _said(count: float | None) -> str:
    return "nothing" if count is None else f"{count:g}"


def table_rows(path: Path) -> list[tuple[int, list[str]]]:
    """Return (line number, cells) of every line that is not blank."""
    data = contents(path, f'"{path}"')
    encodings = ["utf-16"] if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ["utf-8-sig", "cp1252"]
    text = None
    for encoding in encodings:
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    if text is None or "\0" in text:
        raise ValueError(
            f'"{path}": expected a table as text (CSV), found other data; export it as CSV.'
        )
    first = next((line for line in text.splitlines() if line.strip()), "")
    if first.lower().startswith("sep=") and len(first.strip()) == 5:  # written for Excel
        separator = first.strip()[4]
    else:
        separator = max(";\t,", key=first.count)
    reader = csv.reader(text.splitlines(), delimiter=separator)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise ValueError(
            f'"{path}", line {reader.line_num}: the line cannot be read as CSV ({error}); '
            "export the table again."
        ) from error
    rows = [(line, row) for line, row in rows if any(row)]
    return rows[1:] if first.lower().startswith("sep=") else rows


def column_of(path: Path, header: list[str], wanted: Sequence[str], what: str) -> int:
    """Return the first of the `wanted` columns; names are compared by letters and digits only.

    Raises
    ------
    ValueError : says which were looked for and which found.
    """
    names = ["".join(filter(str.isalnum, name.casefold())) for name in header]
    for name in wanted:
        if name in names:
            return names.index(name)
    raise ValueError(
        f'"{path}", line 1: expected a column with {what}, such as "{wanted[0]}" or "{wanted[1]}", '
        f"found {', '.join(repr(name) for name in header)}; name the columns in the first line."
    )


def _count(text: str, place: str) -> float | None:
    if text.casefold() in _MISSING:
        return None
    if _AMBIGUOUS.fullmatch(text):
        raise ValueError(
            f'{place}: expected a whole number of objects, found "{text}", which has a separator of '
            "thousands or decimals; write the number without it."
        )
    try:
        count = float(text.replace(",", ".") if text.count(",") == 1 else text)
    except ValueError:
        count = -1.0
    if not (0 <= count < 1e15 and count.is_integer()):
        raise ValueError(
            f'{place}: expected a whole number of objects from 0 on, found "{text}"; '
            "correct it, or leave it empty if the image was not counted."
        )
    return count
