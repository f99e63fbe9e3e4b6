"""Rows of the files in `results/`, and how the tables of `README.md` write them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from measuring import RESULTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Row = dict[str, Any]


def rows_of(name: str) -> list[Row]:
    """Return the rows of a result file; none where it was not measured."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else []


def values(rows: Sequence[Row], score: str, **wanted: Any) -> list[float]:
    """Return a score of the rows with these values."""
    return [r[score] for r in rows if wanted.items() <= r.items()]


def spread(values: Sequence[float]) -> str:
    """Write mean and range over seeds."""
    if not values:
        return "not measured"
    if len(values) == 1:
        return f"{values[0]:.3f} (1 seed)"
    return f"**{np.mean(values):.3f}** ({min(values):.3f} to {max(values):.3f})"


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    parts = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    parts += ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join(parts)
