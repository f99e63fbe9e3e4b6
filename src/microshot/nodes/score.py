"""The node *Score Microscopy Predictions*."""

from __future__ import annotations

from typing import Any

import knime.extension as knext

from microshot.nodes import columns, origins, score_counts, score_stains
from microshot.nodes.category import CATEGORY
from microshot.nodes.context import Notes, data_area, reporter
from microshot.nodes.label_cells import labels_of, name_of
from microshot.nodes.parameters import settings_of, with_settings
from microshot.nodes.samples import Columns, Reader, unreadable_parameter
from microshot.nodes.tables import Walk, is_missing, schema_of, table_of
from microshot.settings import ScoreSettings

#: Images shown in the view.
MAX_SHOWN = 12

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
PER_IMAGE = {"Image": knext.string(), "Prediction": knext.string(), **_SCORES}
SUMMARY = {"Prediction": knext.string(), "Images": knext.int32(), **_SCORES}


@knext.node(
    name="Score Microscopy Predictions",
    node_type=knext.NodeType.OTHER,
    icon_path="icons/score.png",
    category=CATEGORY,
    id="score",
    keywords=[
        "evaluate",
        "quality",
        "F1",
        "average precision",
        "compare",
        "IoU",
        "count",
        "MAE",
        "stain",
        "Pearson",
        "SSIM",
    ],
)
@knext.input_table(
    "Predictions", "One row per image with true and predicted label images, counts or stains."
)
@knext.output_table("Scores per image", "One row per image and prediction column.")
@knext.output_table("Summary", "One row per prediction column, all images together.")
@knext.output_view("Scores", "Comparison, and images with what was found, missed and invented.")
@with_settings(ScoreSettings)
class ScoreNode(knext.PythonNode):
    """Compares predicted label images, counts or stains with true ones, also several at once.

    What is compared follows from the columns: label images with label images, numbers with
    numbers, predicted with measured stains.

    **Label images.** A predicted object counts as **found** if it overlaps a true one enough: their overlap divided
    by their union (IoU) reaches the threshold. What is predicted without a true partner is
    **false**, what is true without a predicted partner is **missed**.

    - *Precision* = found / (found + false), *Recall* = found / (found + missed), *F1* = their
      harmonic mean: 1 is perfect.
    - *Average precision* = found / (found + false + missed), averaged over IoU thresholds from 0.50
      to 0.95 (2018 Data Science Bowl): it also asks for exact outlines.
    - *Panoptic quality* = F1 times the mean IoU of the found objects.
    - *Foreground Dice* compares object pixels with background pixels, whichever object they are of.

    In the summary, found, false and missed objects of all images are added up first; average
    precision is averaged over images. An image without true and predicted objects is perfect (1).

    **Counts.** Choose the column of your own counts as truth and the *Count* columns of *Predict
    Microscopy Images* as predictions.

    - *MAE* (mean absolute error): by how many objects a rounded count is wrong on average; 0 is
      perfect.
    - *MRE* (mean relative error): the same as a part of the true count, over images that hold any
      object; 0.1 is ten percent.
    - *Accuracy*: part of the images with exactly the true count.
    - *RMSE*: like the MAE before rounding, but large errors weigh more.
    - *Bias*: mean of predicted less true count before rounding; negative where too few are
      counted. Choose the column *Count (not rounded)* to see the last two exactly.
    - *Interval coverage*: part of the true counts inside their intervals, where the table has the
      columns *Count from* and *Count to* and both are filled; *Intervals* is how many images that
      are. Intervals of 90 percent should come out near 0.9 if there are 30 images or more.

    **Stains.** Columns that *Translate Bright-Field to Fluorescence* made, as *DAPI (predicted)*, are
    compared pixel by pixel with the column of the measured stain, *DAPI*. Scores are those of each
    image; the summary has their means, one row per predicted stain.

    - *Pearson r*: correlation of the pixels, whatever the exposure; 1 is perfect.
    - *SSIM*: similarity of structure in small windows; 1 is perfect.
    - *PSNR*: signal over error in dB; more is better.
    - *medMAE*: mean error, divided by the median of the measured stain; 0 is perfect.
    - *Feature score* (summary): how far off are the measurements that an analysis would take from
      the predicted stains: numbers, shapes and light of nuclei, cells and lipid droplets, defective
      droplets, granularity, as far as the stains allow. Mean over all of them of the error divided
      by the median on the measured stains; 0 is perfect, about 1 means that nothing was found. What
      a stain shows is taken from its name (such as DAPI, BODIPY, CellTracker); stains with the same
      ending are measured together. The view has a row for every measurement.

    **Where scores come from.** *Model* names the model that made a prediction, where the table still has
    the columns that *Predict* or *Translate* put behind it; *Device* and *Seconds* are those of the
    scoring. The view has versions and memory, too.

    Pixels are not all that counts: to see what a virtual stain is worth for finding nuclei, apply
    one and the same model with *Predict Microscopy Images* to the measured and to the virtual
    stain, and compare the two label images here.
    """

    truth_column = knext.ColumnParameter(
        "Truth",
        "Column with the true label images, with the true counts (Integer or Double) or with the "
        "measured stain. If none is chosen, the first column with a name like label, mask or truth "
        "is, the first with a name like count where the table has predicted counts, or for every "
        "predicted stain the measured one with whose name its own begins.",
        port_index=0,
        column_filter=columns.is_image_or_number,
    )
    prediction_columns = knext.MultiColumnParameter(
        "Predictions",
        "Columns with predicted label images, counts or stains; each is compared with the truth. "
        "If none is chosen, the last PNG column is, or the last predicted count, or all predicted "
        "stains.",
        port_index=0,
        column_filter=columns.is_image_or_number,
    )
    image_column = knext.ColumnParameter(
        "Image column",
        "Column with the images: shown under the outlines in the view, or beside their counts where "
        "these are farthest off. Not for stains.",
        port_index=0,
        column_filter=columns.is_image,
        include_none_column=True,
    )
    compared = knext.EnumParameter(
        "What is compared",
        "Set this where the names of the columns do not tell.",
        score_stains.AUTO,
        score_stains.Compared,
        is_advanced=True,
    )
    unreadable = unreadable_parameter()

    def _stains(self, table: knext.Schema) -> dict[str, str]:
        """Return measured by predicted stain; empty where objects are compared."""
        truth = columns.chosen(self.truth_column)
        return score_stains.pairs(table, truth, self.prediction_columns, self.compared)

    def configure(
        self, context: knext.ConfigurationContext, table: knext.Schema
    ) -> tuple[knext.Schema, knext.Schema]:
        settings_of(self, ScoreSettings)
        if stains := self._stains(table):
            self.prediction_columns = list(stains)
            return _schemas(score_stains)
        count, predicted = score_counts.guess(
            table, columns.chosen(self.truth_column), self.prediction_columns
        )
        if count or predicted:
            score_counts.check(table, count, predicted)
            self.truth_column, self.prediction_columns = count, predicted
            return _schemas(score_counts)
        self._choose_labels(table)
        return _schemas(None)

    def _choose_labels(self, table: knext.Schema) -> None:
        """Fill in the columns of label images that were not chosen, and check all."""
        truth = columns.chosen(self.truth_column) or columns.guess_label(table, None)
        if truth is None:
            raise knext.InvalidParametersError(
                "The input table has no column with true labels or counts; choose it in the dialog."
            )
        columns.require(table, truth, "true label", columns.is_image)
        self.truth_column = truth
        if not self.prediction_columns:
            guess = columns.guess_prediction(table, [truth, self.image_column])
            if guess is None:
                raise knext.InvalidParametersError(
                    "The input table has no column with predicted labels; choose it in the dialog."
                )
            self.prediction_columns = [guess]
        for name in self.prediction_columns:
            columns.require(table, name, "predicted label", columns.is_image)

    def execute(self, context: knext.ExecutionContext, table: knext.Table) -> tuple[Any, Any, Any]:
        from microshot.metrics.count_scoring import CountScores
        from microshot.metrics.scoring import ObjectScores
        from microshot.metrics.stain_scoring import StainScores
        from microshot.pages import score_page

        notes, progress = Notes(), reporter(context)
        s = settings_of(self, ScoreSettings)
        names, stains, examples = self.prediction_columns, self._stains(table.schema), []
        origin = origins.Origins(table, list(stains) or names, stains)
        scores: dict[str, Any]
        features = score_stains.measuring(stains) if s.features else {}
        if stains:
            like: Any = score_stains
            scores = {name: StainScores() for name in stains}
            examples = score_stains.compare(
                self, table, stains, scores, features, MAX_SHOWN, context, notes, progress
            )
        elif any(columns.is_number(c) for c in table.schema if c.name == self.truth_column):
            like, scores = score_counts, {name: CountScores() for name in names}
            score_counts.compare(table, self.truth_column, scores, notes, progress)
            examples = score_counts.photographs(self, table, scores, MAX_SHOWN, context, notes)
        else:
            like, scores = None, {name: ObjectScores(s.threshold, s.border_px) for name in names}
            examples = _compare(self, table, scores, context, notes, progress)
        per_image, summary = _rows(scores, stains)
        tables = score_stains.with_features(summary, features)
        notes.show(context)
        ids = [f"{row['Image']}_{row['Prediction']}" for row in per_image]
        if len(set(ids)) < len(ids):
            ids = [f"Row{i}" for i in range(len(ids))]
        record = origin.record()
        page = score_page(summary, per_image, examples, notes.lines, s, tables, record)
        origin.complete(per_image, summary, record)
        kinds = _kinds(like)
        return (
            table_of(kinds[0], per_image, ids),
            table_of(kinds[1], summary, list(scores)),
            knext.view_html(page),
        )


def _kinds(like: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return names and types of the columns of both tables: of stains, of counts or, None, objects."""
    per_image, summary = (like.PER_IMAGE, like.SUMMARY) if like else (PER_IMAGE, SUMMARY)
    return per_image | origins.PER_IMAGE, summary | origins.SUMMARY


def _schemas(like: Any) -> tuple[knext.Schema, knext.Schema]:
    per_image, summary = _kinds(like)
    return schema_of(per_image), schema_of(summary)


def _rows(
    scores: dict[str, Any], stains: dict[str, str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of both tables, those of stains with the measured one."""
    per_image, summary = [], []
    for name, one in scores.items():
        who = {"Stain": stains[name]} if name in stains else {}
        who["Prediction"] = name
        per_image += [{"Image": image, **who, **values} for image, values in one.rows]
        summary.append({**who, "Images": len(one.rows), **one.summary()})
    return per_image, summary


def _compare(
    node: Any,
    table: knext.Table,
    scores: dict[str, Any],
    context: knext.ExecutionContext,
    notes: Notes,
    progress: Any,
) -> list[dict[str, Any]]:
    """Score every row whose label images are all there; return what the view shows.

    A row without one of them is left out for all predictions, so that they are
    compared on the same images.
    """
    folder, examples, left_out = data_area(context), [], 0
    shown = columns.chosen(node.image_column) or columns.guess_image(table.schema)
    names = list(dict.fromkeys([node.truth_column, *scores, *([shown] if shown else [])]))
    walk = Walk(table, progress)
    for batch in table.batches():
        for row_id, row, _ in walk(batch[names].to_pandas()):
            if any(is_missing(row[n]) for n in (node.truth_column, *scores)):
                left_out += 1
                continue
            reader = Reader(Columns(shown or node.truth_column), folder, node.unreadable, notes)
            example = _score_row(row_id, row, node.truth_column, scores, reader)
            if example is not None and len(examples) < MAX_SHOWN:
                examples.append(example | {"pixels": _pixels(row_id, row, example, reader, shown)})
    if left_out:
        notes.add(f"{left_out} row(s) left out because a label image is missing.")
    return examples


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
