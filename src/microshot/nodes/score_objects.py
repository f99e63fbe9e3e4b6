"""Scores of predicted label images in a table, for the node *Score Microscopy Predictions*."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import knime.extension as knext

from microshot.nodes import columns
from microshot.nodes.label_cells import labels_of, name_of
from microshot.nodes.samples import Columns, Reader
from microshot.nodes.scoring import MAX_SHOWN, Scored
from microshot.nodes.tables import Walk, is_missing
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        truth = truth or columns.guess_label(schema, None)
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
        from microshot.metrics.scoring import ObjectScores

        s = desk.settings
        scores = {name: ObjectScores(s.threshold, s.border_px) for name in self.predictions}
        examples, left_out = [], 0
        shown = desk.shown(table.schema)
        names = list(dict.fromkeys([self.truth, *scores, *([shown] if shown else [])]))
        reader = Reader(Columns(shown or self.truth), desk.folder, desk.unreadable, desk.notes)
        walk = Walk(table, desk.progress)
        for batch in table.batches():
            for row_id, row, _ in walk(batch[names].to_pandas()):
                if any(is_missing(row[n]) for n in (self.truth, *scores)):
                    left_out += 1
                    continue
                example = _score_row(row_id, row, self.truth, scores, reader)
                if example is not None and len(examples) < MAX_SHOWN:
                    pixels = _pixels(row_id, row, example, reader, shown)
                    examples.append(example | {"pixels": pixels})
        if left_out:
            desk.notes.add(
                f"{how_many(left_out, 'row')} left out because a label image is missing."
            )
        return Scored.of(scores, examples)


def _pixels(row_id: str, row: Any, example: Any, reader: Reader, shown: str | None) -> Any:
    """Return the image to show under the outlines; the true objects where there is none."""
    truth = example["truth"]
    sample = None
    if shown:
        try:
            sample = reader.sample(row_id, row)
        except ValueError as error:
            reader.notes.add(f"Not shown: {error}")
    if sample is None or sample.image.shape != truth.shape:
        return (truth > 0)[None].astype("uint8")
    return sample.image.pixels


def _score_row(
    row_id: str, row: Any, truth_column: str, scores: dict[str, Any], reader: Reader
) -> dict[str, Any] | None:
    """Score one row; None where an unreadable image is to be skipped."""

    sizes = [row[n].size for n in (truth_column, *scores) if hasattr(row[n], "getpixel")]
    shape = (sizes[0][1], sizes[0][0]) if sizes else None
    image = reader.columns.image
    known_as = name_of(row[image], row_id) if image in row else row_id

    def read(name: str, like: Any = None) -> Any:
        where = f'Row "{row_id}", column "{name}"'
        size = shape if like is None else like.shape
        labels = labels_of(row[name], reader.folder, where, size, known_as).labels
        if like is not None and labels.shape != like.shape:
            raise ValueError(
                f"{where}: expected the size of the true label image, {like.shape[0]} x "
                f"{like.shape[1]} px, found {labels.shape[0]} x {labels.shape[1]} px; compare label "
                "images of one and the same image."
            )
        return labels

    try:
        truth = read(truth_column)
        found = {name: read(name, truth) for name in scores}
    except (ValueError, OSError) as error:
        if not reader.skip:
            raise
        reader.notes.add(f"Left out: {error}")
        return None
    values = {name: scores[name].add(row_id, truth, labels) for name, labels in found.items()}
    return {"name": row_id, "truth": truth, "predictions": found, "scores": values}
