"""Growth curves on the command line: times from a table, curve and doubling times to files."""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING, Any

from microshot.cli.tables import write_csv, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from microshot.cli.console import Console

GROWTH, CURVE = "growth.csv", "growth.svg"


def read_times(path: Path, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return time and group by the name of the image, from columns ``file``, ``time``, ``group``.

    Raises
    ------
    FileNotFoundError
        If there is no such table.
    ValueError
        Naming the column that is missing, the line whose time is no number, or that no image of
        `names` is in the table.
    """
    from microshot.data.folders import stem_of

    if not path.is_file():
        raise FileNotFoundError(f'"{path}": there is no such table of times; check the path.')
    made: dict[str, dict[str, Any]] = {}
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.DictReader(file)
        missing = [n for n in ("file", "time") if n not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(
                f'"{path}": expected the columns file and time (and perhaps group), found no column '
                f'"{missing[0]}"; name it so in the first line.'
            )
        for row in reader:
            if not (row["time"] or "").strip():
                continue
            made[stem_of(row["file"])] = {
                "time": _time(row["time"], f'"{path}", line {reader.line_num}'),
                "group": (row.get("group") or "").strip(),
            }
    if not set(made) & set(names):
        raise ValueError(f'"{path}": no image has the name of a file listed there; check names.')
    return made


def _time(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        found = " ".join(text.split())[:40]
        raise ValueError(f'{place}: expected a number as time, found "{found}"; correct it.')
    return value


def write(
    out: Path,
    moments: Mapping[str, Mapping[str, Any]],
    names: Sequence[str],
    counts: Sequence[Mapping[str, Any]],
    console: Console,
) -> list[dict[str, Any]]:
    """Write growth.csv and growth.svg, say how fast each group grows, and return the rows."""
    from microshot.report import growth_views as views

    rows = [
        {"count": row.get("count_raw", row["count"]), **moments[name]}
        for name, row in zip(names, counts, strict=True)
        if name in moments
    ]
    groups = views.grouped(rows)
    found, notes = views.fits(groups)
    console.say(*(f"Note: {note}" for note in notes))
    console.say(*(f"{n}: {g.sentence()}" if n else g.sentence() for n, g in found.items()))
    made = views.fit_rows(found)
    write_csv(out / GROWTH, made, tuple(views.COLUMNS))
    write_text(out / CURVE, views.growth_curve(groups, found, "time"))
    return made
