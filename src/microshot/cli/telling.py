"""What is told of a result beside the result: trust, models, device, time."""

from __future__ import annotations

import csv
import time
from typing import TYPE_CHECKING, Any

from microshot.cli.tables import STAINS
from microshot.data.count_table import COUNTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from microshot.api import Predictor
    from microshot.trust import Trust

#: Columns of `told`.
ORIGIN = ("unlike_training", "warning", "model", "device", "seconds")


def told(sure: Trust, predictors: Sequence[Predictor], started: float) -> dict[str, Any]:
    """Return how far to trust a result and where it comes from, for a row of a table."""
    from microshot.provenance import models_told

    return {
        "unlike_training": None if sure.unlike is None else round(sure.unlike, 4),
        "warning": sure.warning,
        "model": models_told([one.card for one in predictors]),
        "device": predictors[0].device.line,
        "seconds": round(time.perf_counter() - started, 3),
    }


def scored_by(prediction: Path, seconds: float, where: str) -> dict[str, Any]:
    """Return where scores come from (see `provenance.record`).

    The models are those that the table of `predict` or `translate` names, which lies beside its
    images.

    Parameters
    ----------
    prediction : folder of label images or stains, or table of counts.
    where : who computed, if not this process.
    """
    from microshot import provenance
    from microshot.device import processor

    models: dict[str, None] = {}
    folder = prediction.is_dir()
    tables = [prediction / COUNTS, prediction / STAINS] if folder else [prediction]
    for table in (one for one in tables if one.is_file()):
        with table.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            models |= {row["model"]: None for row in csv.DictReader(file) if row.get("model")}
    return provenance.record(list(models), processor(), seconds, where=where)
