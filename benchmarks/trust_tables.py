"""The tables of `benchmarks/README.md` on how far to trust a prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from result_rows import rows_of, spread, table

if TYPE_CHECKING:
    from collections.abc import Callable

COLUMNS = {
    "other": "other kinds",
    "worst_other": "worst of them",
    "blurred": "blurred",
    "inverted": "inverted",
    "enlarged": "enlarged twice",
    "flagged_other": "other kinds flagged",
    "false_alarms": "false alarms",
}


def unlike() -> str:
    """Areas under the ROC curve of all ways to tell unlike images, mean over training sets."""
    rows = rows_of("unlike")
    if not rows:
        return "Not measured yet."
    keys = dict.fromkeys((r["features"], r["distance"]) for r in rows)
    means = []
    for features, distance in keys:
        own = [r for r in rows if (r["features"], r["distance"]) == (features, distance)]
        name = f"**{features}**" if features == "likeness" else f"{features}, {distance}"
        means.append([name, *(f"{np.mean([r[c] for r in own]):.3f}" for c in COLUMNS)])
    each = [
        [f"{r['task']}: {r['trained_on']}, {r['n']}", *(f"{r[c]:.3f}" for c in COLUMNS)]
        for r in rows
        if r["features"] == "likeness"
    ]
    return "\n\n".join(
        [table(["", *COLUMNS.values()], means), table(["trained on", *COLUMNS.values()], each)]
    )


def confidence() -> str:
    """Expected calibration error before and after, mean and range over halves."""
    rows = rows_of("confidence")
    if not rows:
        return "Not measured yet."
    lines = [
        [name, spread([r[key] for r in rows])]
        for key, name in (
            ("raw", "raw probability"),
            ("logistic", "logistic curve (kept by models)"),
            ("isotonic", "isotonic"),
        )
    ]
    return table(["", "expected calibration error"], lines)


PARTS: dict[str, Callable[[], str]] = {"unlike": unlike, "confidence": confidence}
