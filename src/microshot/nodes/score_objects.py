"""Scores of predicted label images in a table, for the node *Score Microscopy Predictions*."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import knime.extension as knext

from microshot.nodes import columns
from microshot.nodes.label_cells import labels_of, name_of
from microshot.nodes.samples import Columns, Reader
from microshot.nodes.scoring import Scored, worst
from microshot.nodes.tables import Walk, is_missing, rows_of
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from microshot.metrics.object_scoring import ObjectScores
    from microshot.nodes.scoring import Desk

_SCORES = {
    "F1": knext.double(),
    "Precision": knext.double(),
    "Recall": knext.double(),
    "Average precision (0.50-0.95)": knext.double(),
    "Panoptic quality": knext.double(),
    "Foreground Dice": knext.double(),
    "Found": knext.int32(),
    "False": knext.int32(),
    "Missed": knext.int32(),
}


@dataclass(frozen=True)
class Objects:
    """Label images compared with those of one column."""

    truth: str
    predictions: tuple[str, ...]
    PER_IMAGE: ClassVar = {"Image": knext.string(), "Prediction": knext.string(), **_SCORES}
    SUMMARY: ClassVar = {"Prediction": knext.string(), "Images": knext.int32(), **_SCORES}

    @property
    def measured(self) -> dict[str, str]:
        """All predictions share one truth."""
        return {}

    @classmethod
    def of(
        cls, schema: knext.Schema, truth: str | None, chosen: Sequence[str], image: str | None
    ) -> Objects:
        """Find the columns that were not chosen, and check all.

        Raises
        ------
        knext.InvalidParametersError
            Naming the column, and those that would fit.
        """
        truth = truth or _guessed(schema, chosen)
        if truth is None:
            raise knext.InvalidParametersError(
                "The input table has no column with true labels or counts; choose it in the dialog."
            )
        columns.require(schema, truth, "true label", columns.is_image)
        guess = columns.guess_prediction(schema, [truth, image])
        found = list(chosen) or ([guess] if guess else [])
        if not found:
            raise knext.InvalidParametersError(
                "The input table has no column with predicted labels; choose it in the dialog."
            )
        for name in found:
            columns.require(schema, name, "predicted label", columns.is_image)
        return cls(truth, tuple(found))

    def compare(self, table: knext.Table, desk: Desk) -> Scored:
        """Score every row whose label images are all there."""
        from microshot.metrics.object_scoring import ObjectScores

        s = desk.settings
        scores = {name: ObjectScores(s.threshold, s.border_px) for name in self.predictions}
        left_out, shown = 0, desk.shown(table.schema, [self.truth, *scores])
        names = list(dict.fromkeys([self.truth, *scores, *([shown] if shown else [])]))
        reader = Reader(Columns(shown or self.truth), desk.folder, desk.unreadable, desk.notes)
        walk = Walk(table, desk.progress)
        for batch in table.batches():
            for row_id, row, _ in walk(batch[names].to_pandas()):
                if any(is_missing(row[n]) for n in (self.truth, *scores)):
                    left_out += 1
                    continue
                read = self._read(row_id, row, reader)
                if read is not None:
                    truth, found = read
                    for name, labels in found.items():
                        scores[name].add(row_id, truth, labels)
        if left_out:
            desk.notes.add(
                f"{how_many(left_out, 'row')} left out because a label image is missing."
            )
        wanted, examples = worst(_deciding(scores)), []
        for batch in table.batches() if wanted else ():
            for row_id, row in rows_of(batch[names].to_pandas(), wanted):
                desk.progress(1.0, "making the view")
                examples += self._example(row_id, row, reader, shown)
        return Scored.of(scores, examples)

    def _read(
        self, row_id: str, row: Any, reader: Reader
    ) -> tuple[np.ndarray, dict[str, np.ndarray]] | None:
        """Return true and predicted labels of one row; None where one is unreadable and skipped."""
        cells = [row[name] for name in (self.truth, *self.predictions)]
        sizes = [cell.size for cell in cells if hasattr(cell, "getpixel")]
        shape = (sizes[0][1], sizes[0][0]) if sizes else None
        try:
            truth = _labels(row_id, row, self.truth, reader, shape)
            return truth, {
                name: _like(truth, _labels(row_id, row, name, reader, truth.shape), row_id, name)
                for name in self.predictions
            }
        except (ValueError, OSError) as error:
            if not reader.skip:
                raise
            reader.notes.add(f"Left out: {error}")
            return None

    def _example(
        self, row_id: str, row: Any, reader: Reader, shown: str | None
    ) -> list[dict[str, Any]]:
        """Read one row again and return what the view shows of it."""
        read = self._read(row_id, row, reader)
        if read is None:
            return []
        truth, found = read
        pixels = _pixels(row_id, row, truth, reader, shown)
        return [{"name": row_id, "truth": truth, "predictions": found, "pixels": pixels}]


def _guessed(schema: knext.Schema, chosen: Sequence[str]) -> str | None:
    """Return the column that most likely holds true labels, none of the `chosen` predictions."""
    return columns.guess_label(schema, None, lambda c: columns.is_image(c) and c.name not in chosen)


def _deciding(scores: Mapping[str, ObjectScores]) -> dict[str, float]:
    """Return the F1 of every image by the prediction that is best on all of them."""
    best = max(scores.values(), key=lambda own: own.summary()["F1"] or 0.0)
    return {image: values["F1"] for image, values in best.rows}


def _pixels(
    row_id: str, row: Any, truth: np.ndarray, reader: Reader, shown: str | None
) -> np.ndarray:
    """Return the image to show under the outlines; the true objects where there is none."""
    sample = None
    if shown:
        try:
            sample = reader.sample(row_id, row)
        except ValueError as error:
            reader.notes.add(f"Not shown: {error}")
    if sample is None or sample.image.shape != truth.shape:
        return (truth > 0)[None].astype("uint8")
    return sample.image.pixels


def _labels(
    row_id: str, row: Any, column: str, reader: Reader, shape: tuple[int, int] | None
) -> np.ndarray:
    """Return the labels in a cell; outlines are drawn at the size `shape`."""
    image = reader.columns.image
    known_as = name_of(row[image], row_id) if image in row else row_id
    where = f'Row "{row_id}", column "{column}"'
    return labels_of(row[column], reader.folder, where, shape, known_as).labels


def _like(truth: np.ndarray, labels: np.ndarray, row_id: str, column: str) -> np.ndarray:
    """Return the labels, unless they have another size than the true ones."""
    if labels.shape != truth.shape:
        raise ValueError(
            f'Row "{row_id}", column "{column}": expected the size of the true label image, '
            f"{truth.shape[0]} x {truth.shape[1]} px, found {labels.shape[0]} x "
            f"{labels.shape[1]} px; compare label images of one and the same image."
        )
    return labels
