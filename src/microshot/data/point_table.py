"""Points from a CSV table: of one image, or of many with a column for the file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from microshot.data.folders import stem_of
from microshot.data.regions import Marks
from microshot.data.text_tables import FILE_COLUMNS, column_of, number_in

if TYPE_CHECKING:
    from pathlib import Path

NAME = "table of points"
#: Column names of the position downwards and to the right, best first; by letters and digits only.
Y_COLUMNS = (
    "y",
    "ypx",
    "ypixel",
    "ypixels",
    "row",
    "axis0",
    "centroid0",
    "centroidy",
    "cy",
    "ypos",
)
X_COLUMNS = (
    "x", "xpx", "xpixel", "xpixels", "column", "col", "axis1", "centroid1", "centroidx", "cx", "xpos",
)  # fmt: skip
#: Names of columns that hold the position along axis 0, 1, …; the last two axes are y and x.
_AXES = ("axis", "centroid")
#: Names that mean the image in a table of counts, but the object in a table of points.
_OBJECT_COLUMNS = ("id", "name", "sample", "rowid")


def is_point_table(rows: list[tuple[int, list[str]]]) -> bool:
    """Say whether the first of the rows names columns for y and x."""
    names = _names(rows)
    return bool(names & set(Y_COLUMNS)) and bool(names & set(X_COLUMNS))


def covers_many(rows: list[tuple[int, list[str]]]) -> bool:
    """Say whether a table of points has a column for the file."""
    return is_point_table(rows) and bool(_names(rows) & _file_columns())


def _names(rows: list[tuple[int, list[str]]]) -> set[str]:
    header = rows[0][1] if rows else []
    return {_plain(name) for name in header}


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def _file_columns() -> set[str]:
    return {name for name in FILE_COLUMNS if name not in _OBJECT_COLUMNS}


def marks_by_image(path: Path, rows: list[tuple[int, list[str]]]) -> dict[str, Marks]:
    """Return the points of each image by case-folded file stem; by ``""`` where the table names no file.

    Positions are px from the middle of the first pixel, as in napari; those in stacks are taken
    without their planes, with a note, and one tells that Fiji's results may be in another unit. A line that names a file but no position says that the image
    was looked at; more lines add points.

    Raises
    ------
    ValueError : names file, line and column of what is no number.
    """
    header = rows[0][1]
    further = _further_axes(rows)
    y_names = [further.get(name, name) for name in Y_COLUMNS]
    x_names = [further.get(name, name) for name in X_COLUMNS]
    y_column = column_of(path, header, y_names, "the position downwards")
    x_column = column_of(path, header, x_names, "the position to the right")
    file_column = None
    if covers_many(rows):
        names = [name for name in FILE_COLUMNS if name in _file_columns()]
        file_column = column_of(path, header, names, "the file name")
    found: dict[str, list[tuple[float, float]]] = {} if file_column is not None else {"": []}
    for line, cells in rows[1:]:
        row = cells + [""] * (len(header) - len(cells))
        stem = "" if file_column is None else stem_of(row[file_column].strip()).casefold()
        if file_column is not None and not stem:
            raise ValueError(
                f'"{path}", line {line}, column "{header[file_column]}": expected a file name, '
                "found nothing; name the image or delete the line."
            )
        places = found.setdefault(stem, [])
        if row[y_column] or row[x_column]:
            y, x = (
                _number(row[c], f'"{path}", line {line}, column "{header[c]}"')
                for c in (y_column, x_column)
            )
            places.append((y, x))
    notes: tuple[str, ...] = ()
    if _plain(header[y_column]) in further.values():
        used = f"{header[y_column]} and {header[x_column]}"
        notes = (f"positions are those in {used}, planes are not told apart",)
    if not header[0] and (header[x_column], header[y_column]) == ("X", "Y"):
        notes += (
            "X and Y were taken for pixels, which Fiji writes of images without a scale alone",
        )
    return {
        stem: Marks(NAME, points=np.asarray(p, float).reshape(-1, 2), notes=notes)
        for stem, p in (found or {"": []}).items()
    }


def _further_axes(rows: list[tuple[int, list[str]]]) -> dict[str, str]:
    """Return which names of columns stand for y and x in a stack, by those in a plane."""
    names, found = _names(rows), {}
    for axis in _AXES:
        last = max((i for i in range(len(names)) if f"{axis}{i}" in names), default=0)
        if last > 1:
            found |= {f"{axis}0": f"{axis}{last - 1}", f"{axis}1": f"{axis}{last}"}
    return found


def _number(text: str, place: str) -> float:
    value = number_in(text)
    if not math.isfinite(value):
        raise ValueError(f'{place}: expected a position in pixels, found "{text:.40}"; correct it.')
    return value
