"""The node *Score Microscopy Predictions*."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import knime.extension as knext

from microshot.nodes import columns, origins
from microshot.nodes.category import CATEGORY
from microshot.nodes.context import Notes, reporter
from microshot.nodes.image_names import ImageNames
from microshot.nodes.parameters import settings_of, with_settings
from microshot.nodes.samples import unreadable_parameter
from microshot.nodes.score_counts import Counts
from microshot.nodes.score_objects import Objects
from microshot.nodes.score_stains import AUTO, Compared, Stains
from microshot.nodes.scoring import Desk
from microshot.nodes.tables import schema_of, table_of
from microshot.settings import ScoreSettings

if TYPE_CHECKING:
    from microshot.nodes.scoring import Comparison


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

    **Label images.** A predicted object counts as **found** if it overlaps a true one enough: their
    overlap divided by their union (IoU) reaches the threshold. What is predicted without a true partner
    is **false**, what is true without a predicted partner is **missed**.

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

    **Where scores come from.** *Model* names the model that made a prediction, and those it was
    retrained from, where the table still has the columns that *Predict* or *Translate* put behind it;
    *Device* and *Seconds* are those of the scoring. The view has versions and memory, too. It calls
    images by the column *File*, where that has a name of its own for each; the tables keep the RowIDs
    to join by.

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
        AUTO,
        Compared,
        is_advanced=True,
    )
    unreadable = unreadable_parameter()

    def _comparison(self, schema: knext.Schema) -> Comparison:
        """Return what is compared; columns that were not chosen are guessed."""
        truth = columns.chosen(self.truth_column)
        chosen = list(dict.fromkeys(self.prediction_columns))
        return (
            Stains.of(schema, truth, chosen, self.compared)
            or Counts.of(schema, truth, chosen)
            or Objects.of(schema, truth, chosen, self.image_column)
        )

    def configure(
        self, context: knext.ConfigurationContext, table: knext.Schema
    ) -> tuple[knext.Schema, knext.Schema]:
        settings_of(self, ScoreSettings)
        compared = self._comparison(table)
        self.truth_column = compared.truth or self.truth_column
        self.prediction_columns = list(compared.predictions)
        per_image, summary = _columns(compared)
        return schema_of(per_image), schema_of(summary)

    def execute(self, context: knext.ExecutionContext, table: knext.Table) -> tuple[Any, Any, Any]:
        from microshot.pages import score_page

        s, notes = settings_of(self, ScoreSettings), Notes()
        compared = self._comparison(table.schema)
        if compared.truth in compared.predictions:
            notes.add(
                f'The column "{compared.truth}" is compared with itself, so that its scores are perfect; '
                "choose another one as truth or as prediction."
            )
        desk = Desk(context, s, self.unreadable, self.image_column, notes, reporter(context))
        origin = origins.Origins(table, compared.predictions, compared.measured)
        found = compared.compare(table, desk)
        notes.show(context)
        record = origin.record()
        names = ImageNames(table, [compared.truth, *compared.predictions])
        page = score_page(
            found.summary, names.rows(found.per_image, "Image"), names.rows(found.examples, "name"),
            notes.lines, s, found.features, record, origin.models(),
        )  # fmt: skip
        origin.complete(found.per_image, found.summary, record)
        per_image, summary = _columns(compared)
        return (
            table_of(per_image, found.per_image, _row_ids(found.per_image)),
            table_of(summary, found.summary, list(compared.predictions)),
            knext.view_html(page),
        )


def _columns(compared: Comparison) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return names and types of the columns of both tables."""
    return compared.PER_IMAGE | origins.PER_IMAGE, compared.SUMMARY | origins.SUMMARY


def _row_ids(rows: list[dict[str, Any]]) -> list[str]:
    """Return names made of image and prediction, or numbers where two would be the same."""
    ids = [f"{row['Image']}_{row['Prediction']}" for row in rows]
    return ids if len(set(ids)) == len(ids) else [f"Row{i}" for i in range(len(ids))]
