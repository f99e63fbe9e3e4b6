"""Scores of predicted counts in a table, for the node *Score Microscopy Predictions*."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import knime.extension as knext

from microshot.nodes import columns
from microshot.nodes.numbers import cells_of, count_of
from microshot.nodes.samples import SKIP, Columns, Reader
from microshot.nodes.scoring import MAX_SHOWN, Scored
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.metrics.count_scoring import CountScores
    from microshot.nodes.scoring import Desk


@dataclass(frozen=True)
class Counts:
    """Predicted counts compared with those of one column."""

    truth: str
    predictions: tuple[str, ...]
    PER_IMAGE: ClassVar = {
        "Image": knext.string(),
        "Prediction": knext.string(),
        "True count": knext.double(),
        "Count": knext.double(),
        "Error": knext.double(),
        "Absolute error": knext.double(),
        "Inside interval": knext.bool_(),
    }
    SUMMARY: ClassVar = {
        "Prediction": knext.string(),
        "Images": knext.int32(),
        "MAE": knext.double(),
        "MRE": knext.double(),
        "Accuracy": knext.double(),
        "RMSE": knext.double(),
        "Bias": knext.double(),
        "Interval coverage": knext.double(),
        "Intervals": knext.int32(),
    }

    @property
    def measured(self) -> dict[str, str]:
        """All predictions share one truth."""
        return {}

    @classmethod
    def of(cls, schema: knext.Schema, truth: str | None, chosen: Sequence[str]) -> Counts | None:
        """Find the columns of true and of predicted counts; None where none are meant.

        Counts are meant where the true column holds numbers, or could, and a predicted one does,
        chosen or made by *Predict Microscopy Images*.

        Raises
        ------
        knext.InvalidParametersError
            If columns do not fit or are not there, naming those that would fit.
        """
        numbers = {c.name for c in schema if columns.is_number(c)}
        made = columns.predicted_counts(schema)
        found = truth or columns.guess_count(schema, chosen)
        asked = any(name in numbers for name in chosen) if chosen else bool(made)
        if truth not in numbers and not (asked and found in numbers):
            return None
        predictions = list(chosen) or [name for name in made if name != found][-1:]
        return cls(*_checked(schema, found, predictions))

    def compare(self, table: knext.Table, desk: Desk) -> Scored:
        """Score every row whose counts are all there."""
        from microshot.metrics.count_scoring import CountScores

        scores = {name: CountScores() for name in self.predictions}
        self._add(table, scores, desk)
        return Scored.of(scores, _photographs(table, scores, desk))

    def _add(self, table: knext.Table, scores: dict[str, CountScores], desk: Desk) -> None:
        truth = self.truth
        bounds = {name: _bounds(table.schema, name) for name in scores}
        names = list(dict.fromkeys([truth, *scores, *(b for bs in bounds.values() for b in bs)]))
        total, seen, left_out = max(table.num_rows, 1), 0, 0
        for batch in table.batches():
            cells = {name: cells_of(batch, name) for name in names}
            row_ids = batch[[truth]].to_pyarrow().column(0).to_pylist()
            for index, row_id in enumerate(row_ids):
                seen += 1
                desk.progress(seen / total, f"image {seen} of {total}")
                row = {name: values[index] for name, values in cells.items()}
                if any(row[name] is None for name in (truth, *scores)):
                    left_out += 1
                    continue
                count = count_of(row[truth], f'Row "{row_id}", column "{truth}"')
                assert count is not None
                for name, one in scores.items():
                    found = _predicted(row[name], f'Row "{row_id}", column "{name}"')
                    one.add(str(row_id), count, found, *(row[b] for b in bounds[name]))
        if left_out:
            desk.notes.add(f"{how_many(left_out, 'row')} left out because a count is missing.")


def _checked(
    schema: knext.Schema, truth: str | None, predictions: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    """Return the columns, unless they do not fit or are not there."""
    if not truth:
        raise knext.InvalidParametersError(
            "The input table has no column with true counts; choose it in the dialog."
        )
    columns.require(schema, truth, "true count", columns.is_number)
    if not predictions:
        raise knext.InvalidParametersError(
            "The input table has no column with predicted counts; choose it in the dialog."
        )
    for name in predictions:
        columns.require(schema, name, "predicted count", columns.is_number)
    return truth, tuple(predictions)


def _predicted(value: float, where: str) -> float:
    if not 0 <= value < math.inf:
        raise ValueError(
            f"{where}: expected a predicted count from 0 on, found {value:g}; choose a column of "
            "counts."
        )
    return float(value)


def _bounds(schema: knext.Schema, name: str) -> tuple[str, ...]:
    """Return the columns with the interval of a predicted count, where there are any."""
    stem = name.removesuffix(columns.NOT_ROUNDED)
    pair = (stem + columns.LOW, stem + columns.HIGH)
    numbers = {c.name for c in schema if columns.is_number(c)}
    return pair if numbers.issuperset(pair) else ()


def _photographs(
    table: knext.Table, scores: dict[str, CountScores], desk: Desk
) -> list[dict[str, Any]]:
    """Return the images that are counted worst, with their counts, for the view.

    Only these are decoded. One that cannot be read is not shown, and that is said.
    """
    from microshot.metrics.count_scoring import worst_counted

    column = desk.shown(table.schema)
    wanted = {one["name"]: one for one in worst_counted(scores, MAX_SHOWN)}
    if column is None or not wanted:
        return []
    reader = Reader(Columns(column), desk.folder, SKIP, desk.notes)
    for batch in table.batches():
        cells = batch[[column]].to_pandas()[column]
        for index, row_id in enumerate(map(str, cells.index)):
            if row_id in wanted:
                sample = reader.sample(row_id, {column: cells.iloc[index]})
                if sample is not None:
                    wanted[row_id]["pixels"] = sample.image.pixels
    for reason in reader.broken:
        desk.notes.add(f"Not shown: {reason}")
    return [one for one in wanted.values() if "pixels" in one]
