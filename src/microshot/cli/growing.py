"""Growth curves on the command line: times from a table, curve and doubling times to files."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from microshot.cli.tables import write_csv, write_text
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from microshot.cli.console import Console

GROWTH, CURVE = "growth.csv", "growth.svg"


def read_times(path: Path, names: Sequence[str]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return time and group by the name of the image, from columns ``file``, ``time``, ``group``.

    Names are compared without regard to case. Also return what to tell of images without a time
    and of times without an image.

    Raises
    ------
    FileNotFoundError
        If there is no such table.
    ValueError
        Naming the column that is missing, the line whose time is no number or another one than the
        image has in a line before, or that no image of `names` is in the table.
    """
    from microshot.data.folders import listed, stem_of
    from microshot.data.text_tables import records

    if not path.is_file():
        raise FileNotFoundError(f'"{path}": there is no such table of times; check the path.')
    known, made, alone = {name.casefold(): name for name in names}, {}, []
    lines: dict[str, int] = {}
    for line, row in records(path):
        missing = [column for column in ("file", "time") if column not in row]
        if missing:
            raise ValueError(
                f'"{path}", line {line}: expected the columns file and time (and perhaps group), found '
                f'nothing in a column "{missing[0]}"; name the columns so in the first line.'
            )
        if not row["time"]:
            continue
        moment = {
            "time": _time(row["time"], f'"{path}", line {line}'),
            "group": row.get("group", ""),
        }
        name = known.get(stem_of(row["file"]).casefold())
        if name is None:
            alone.append(row["file"])
            continue
        if made.setdefault(name, moment) != moment:
            raise ValueError(
                f'"{path}", line {line}: "{name}" has the {_said(moment)} here and the '
                f"{_said(made[name])} in line {lines[name]}; keep one of them."
            )
        lines.setdefault(name, line)
    if not made:
        raise ValueError(f'"{path}": no image has the name of a file listed there; check names.')
    told = []
    if alone or len(made) < len(names):
        told.append(f"{len(made)} of {how_many(len(names), 'image')} have a time.")
    if alone:
        told.append(f"{how_many(len(alone), 'time')} without image: {listed(alone)}.")
    return made, told


def _said(moment: Mapping[str, Any]) -> str:
    group = f' and the group "{moment["group"]}"' if moment["group"] else ""
    return f"time {moment['time']:.15g}{group}"


def _time(text: str, place: str) -> float:
    from microshot.data.text_tables import number_in

    value = number_in(text)
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
