"""Tables as text (CSV) that a person, a spreadsheet or another program wrote."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING

from microshot.data.json_text import contents

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: Endings of tables, lower case.
TABLE_SUFFIXES = (".csv", ".tsv", ".txt")
#: Column names that hold the file, best first; compared by letters and digits only.
# fmt: off
FILE_COLUMNS = (
    "file", "filename", "image", "imagename", "imagefile", "img", "name", "path",
    "filepath", "imagepath", "stem", "rowid", "sample", "id", "bild", "datei", "dateiname",
)
# fmt: on


def table_rows(path: Path) -> list[tuple[int, list[str]]]:
    """Return (line number, cells) of every line that is not blank.

    Columns may be separated by comma, semicolon or tab; the text may be UTF-8, UTF-16 or Windows-1252.

    Raises
    ------
    ValueError : if the file is no text or no CSV.
    """
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
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise ValueError(
            f'"{path}", line {reader.line_num}: the line cannot be read as CSV ({error}); '
            "export the table again."
        ) from error
    rows = [(line, row) for line, row in rows if any(row)]
    return rows[1:] if first.lower().startswith("sep=") else rows


def column_of(
    path: Path,
    header: list[str],
    wanted: Sequence[str],
    what: str,
    mend: str = "name the columns in the first line",
) -> int:
    """Return the first of the `wanted` columns; names are compared by letters and digits only.

    Parameters
    ----------
    mend : what to do where there is none, as the end of a sentence.

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
        f"found {', '.join(repr(name) for name in header)}; {mend}."
    )


def records(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return (line number, cells by column) of every line after the first; names in lower case.

    Raises
    ------
    ValueError : as `table_rows` does.
    """
    rows = table_rows(path)
    header = [name.casefold() for name in rows[0][1]] if rows else []
    return [(line, dict(zip(header, row, strict=False))) for line, row in rows[1:]]


def number_in(text: str) -> float:
    """Return a number with decimal point or comma; not a number where `text` is none."""
    try:
        return math.nan if "_" in text else float(text.replace(",", "."))
    except ValueError:
        return math.nan
