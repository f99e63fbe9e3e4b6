"""Columns that say of scores which models made what is scored, and where and how fast that was."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import knime.extension as knext

from microshot.nodes import columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Behind the scores of an image, and behind those of all images together.
PER_IMAGE = {columns.MODEL: knext.string()}
SUMMARY = {columns.MODEL: knext.string(), "Device": knext.string(), "Seconds": knext.double()}


class Origins:
    """Remembers of every row which model made each prediction, and when the scoring began."""

    def __init__(
        self, table: knext.Table, predictions: Sequence[str], measured: Mapping[str, str]
    ) -> None:
        self._begun = time.perf_counter()
        self._models: dict[str, dict[str, str]] = {name: {} for name in predictions}
        found = {
            name: columns.model_column(table.schema, name, _ending(name, measured))
            for name in predictions
        }
        wanted = list(dict.fromkeys(column for column in found.values() if column))
        for batch in table.batches() if wanted else ():
            cells = batch[wanted].to_pyarrow()
            row_ids = cells.column(0).to_pylist()
            for name, column in found.items():
                if column:
                    values = cells.column(1 + wanted.index(column)).to_pylist()
                    known = zip(row_ids, values, strict=True)
                    self._models[name] |= {str(i): model for i, model in known if model}

    def complete(
        self,
        per_image: Sequence[dict[str, Any]],
        summary: Sequence[dict[str, Any]],
        record: Mapping[str, Any],
    ) -> None:
        """Write the cells of `PER_IMAGE` and `SUMMARY` into the rows of both tables."""
        scored: dict[str, dict[str, None]] = {}
        for row in per_image:
            row[columns.MODEL] = self._models[row["Prediction"]].get(row["Image"])
            if row[columns.MODEL]:
                scored.setdefault(row["Prediction"], {})[row[columns.MODEL]] = None
        for row in summary:
            row[columns.MODEL] = "; ".join(scored.get(row["Prediction"], ())) or None
            row |= {"Device": record["device"], "Seconds": record["seconds"]}

    def models(self) -> dict[str, str]:
        """Return which model made each prediction; empty where it is not known or not one."""
        found = {name: set(rows.values()) for name, rows in self._models.items()}
        return {name: one.pop() if len(one) == 1 else "" for name, one in found.items()}

    def record(self) -> dict[str, Any]:
        """Return where the scores come from (see `provenance.record`)."""
        from microshot import provenance
        from microshot.device import processor

        models = dict.fromkeys(m for rows in self._models.values() for m in rows.values())
        seconds = time.perf_counter() - self._begun
        return provenance.record(list(models), processor(), seconds)


def _ending(name: str, measured: Mapping[str, str]) -> str:
    """Return what the name of a predicted stain has behind that of the measured one."""
    of = measured.get(name)
    return (
        columns.NUMBERED.sub("", name.removeprefix(of)).strip()
        if of and name.startswith(of)
        else ""
    )
