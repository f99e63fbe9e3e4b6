"""The node *Train Microscopy Model*."""

from __future__ import annotations

from typing import Any

import knime.extension as knext

from microshot import starters
from microshot.bundle import read_card
from microshot.data.addresses import resolve
from microshot.knobs import with_files
from microshot.nodes import inputs, readers
from microshot.nodes.category import CATEGORY
from microshot.nodes.context import Notes, data_area, going_on, reporter
from microshot.nodes.parameters import settings_of, with_settings
from microshot.nodes.ports import MODEL, ModelObject, ModelSpec
from microshot.nodes.samples import READING_SHARE, unreadable_parameter
from microshot.nodes.tables import schema_of, table_of
from microshot.progress import span
from microshot.settings import TrainSettings

HISTORY = {
    "Stage": knext.string(),
    "Step": knext.int32(),
    "Epoch": knext.double(),
    "Seconds": knext.double(),
    "Learning rate": knext.double(),
    "Loss": knext.double(),
    "Validation loss": knext.double(),
}


def history_table(history: list[dict[str, Any]]) -> knext.Table:
    """Return the training history as a table."""
    keys = ["stage", "step", "epoch", "seconds", "learning_rate", "loss", "validation_loss"]
    rows = [dict(zip(HISTORY, (row.get(k) for k in keys), strict=True)) for row in history]
    return table_of(HISTORY, rows, [f"Row{i}" for i in range(len(rows))])


def keep_if_cancelled(result: Any, context: knext.ExecutionContext, stem: str) -> None:
    """Save the best model of a cancelled training in the workflow's data area and say where.

    KNIME throws away what a cancelled node returns.

    Raises
    ------
    RuntimeError
        If the training was cancelled.
    """
    if result.stopped != "cancelled":
        return
    folder = data_area(context) / "cancelled"
    number = 1
    while (folder / f"{stem}_{number}.microshot").exists():
        number += 1
    path = result.bundle.save(folder / f"{stem}_{number}.microshot")
    raise RuntimeError(
        f"Cancelled; the best model so far was saved as data/cancelled/{path.name} in the workflow's "
        "folder and can be read with the Microscopy Model Reader."
    )


@knext.node(
    name="Train Microscopy Model",
    node_type=knext.NodeType.LEARNER,
    icon_path="icons/train.png",
    category=CATEGORY,
    id="train",
    keywords=[
        "StarDist",
        "U-Net",
        "deep learning",
        "cell",
        "nucleus",
        "segmentation",
        "count",
        "density",
        "Twin-VAE",
        "pretrain",
        "virtual staining",
        "fluorescence",
    ],
)
@knext.input_table(
    "Images",
    "Images with their label images, counts or measured stains, one row per field of view. Rows "
    "without are not used, but for a Twin-VAE that also learns to draw images: it learns from images "
    "without a count, too.",
)
@knext.input_table(
    "Synthetic images",
    "More labelled or counted images to learn from, usually synthetic ones. Connect them here rather than to "
    "the first port so that only real images decide how good the model is.",
    optional=True,
)
@knext.output_port("Model", "The trained model.", MODEL)
@knext.output_table("Training history", "Loss and learning rate while training.")
@knext.output_view("Training report", "Curve, scores, example images, settings.")
@with_settings(
    TrainSettings,
    shown={"count_column": ("task", ("count",)), "target_columns": ("task", ("translate",))},
)
class TrainNode(knext.PythonNode):
    """Trains a model from scratch on labelled or synthetic microscopy images.

    The node learns one of three tasks: to find every cell or nucleus and its outline (*Segment
    objects*: StarDist polygons or a U-Net with another head), to say how many there are (*Count
    objects*), or to predict stains from bright field (*Translate*). It is the first step of the
    usual way: **generate or collect many labelled images → train here → retrain on four labelled
    images of your own**. With only a few labelled images, do not start here but with *Retrain
    Microscopy Model* and a model that somebody trained on similar objects; the imaging technique
    may differ.

    **Input.** A table with an image column (PNG images, or paths of PNG, JPEG, TIFF, CZI, LIF or ND2 files) and a
    label column: an image of the same size in which every object has a number of its own and
    background is 0. Black-and-white masks are accepted, each connected region counts as one
    object. 16-bit images are used as they are; do not convert them.

    **What happens.** Part of the labelled images (from 8 on) is held out. Images are scaled so that
    objects have a common size and normalised; random crops are changed at random and learned;
    the best state on the held-out images is kept; finally the thresholds are set so that the
    held-out images are segmented best. Progress shows the loss and the time left.

    **Cancel** keeps the best model so far as a file in the workflow's data area.

    **If KNIME ends** meanwhile, the node goes on where it was when it is executed again with the same
    settings and images; so it does after a cancel. Its state is kept every minute in KNIME's own
    folder on this computer, and deleted when the node is done, or after two weeks.

    **To count**, choose the task *Count objects*. Then a column with the number of objects in each
    image is enough; missing means not counted, 0 means that there is nothing in the image. Label images
    do as well, and are better: they also say where the objects are. If both are there, the counts are
    believed and the label images show the places. There are two counters that learn (section
    *Counting*). The *density map* takes images of any size and says where it sees objects. The
    *Twin-VAE* learns from counts and synthetic images, for small images of one size (32 px at least)
    with few objects. Larger images are reduced to its 128 px, or counted window by window and added up
    (*Larger images* in the section *Twin-VAE*). With *Reconstruct images* on it also learns from images
    without a count. Two more are there to compare with: a *watershed* whose numbers are tried out on
    the counted images, and a *frozen network* with published weights from a file, to whose features a
    line is fitted; neither uses synthetic images. From 8 counted images on some are held out; the
    errors on these give the interval around later counts. An interval of 90 percent needs 9 held-out
    images, one of 80 percent needs 4; with the usual 0.15 held out that takes 57 or 24 counted images.
    Raise the held-out fraction where you have fewer, or do without interval.

    **Typical mistakes.** Labels exported as JPEG (their numbers are destroyed); the label image of a
    different size than the image; only one cell type labelled although the others look the same;
    a count of the whole well for an image that shows a part of it.

    **To translate**, choose the task *Translate bright field to fluorescence*. Every row is a stack of
    bright-field planes (*Image column* and *Further channels*: one PNG column per plane in the
    table's order, or one path of a multi-page TIFF) with the measured stains beside it (*Target
    columns*: one per stain). A label column with the nuclei helps the preset *Nuclei*, which then
    also predicts where nuclei are; it is not needed. All stacks need the same planes in the same
    order. The presets *Nuclei*, *Lipids* and *Cytoplasm* are for this task only.

    Methods: Schmidt et al. 2018, doi:10.1007/978-3-030-00934-2_30; Kenneweg, Stallmann and Hammer
    2022, doi:10.1007/s00521-022-08115-2.
    """

    image_column = inputs.image_parameter(0)
    label_column = inputs.label_parameter(0)
    count_column = inputs.count_parameter(0)
    more_channels = inputs.channels_parameter(0)
    target_columns = inputs.targets_parameter(0)
    group_column = inputs.group_parameter(0)
    unreadable = unreadable_parameter()

    def configure(
        self,
        context: knext.ConfigurationContext,
        images: knext.Schema,
        synthetic: knext.Schema | None,
    ) -> tuple[ModelSpec, knext.Schema]:
        settings = settings_of(self, TrainSettings)
        inputs.choose(self, images, settings.task)
        if synthetic is not None:
            readers.synthetic_columns(self, synthetic, settings.task)
        stains = self.target_columns if settings.task == "translate" else ()
        if stains and settings.start != "fresh":
            known = read_card(starters.path_of(settings.start)).targets
            stains = readers.stains_like(known, stains)
        return ModelSpec.announced(settings.task, targets=stains), schema_of(HISTORY)

    def execute(
        self, context: knext.ExecutionContext, images: knext.Table, synthetic: knext.Table | None
    ) -> tuple[ModelObject, knext.Table, Any]:
        from microshot import api
        from microshot.learning.interrupted import job_of
        from microshot.learning.supplying import supplied
        from microshot.pages import training_page
        from microshot.pages.evidence import with_evidence

        notes, progress = Notes(), reporter(context)
        area = data_area(context)
        settings = with_files(
            settings_of(self, TrainSettings), lambda text: str(resolve(text, area))
        )
        data, extra = readers.learning_data(
            self, images, synthetic, context, notes, settings.task,
            span(progress, 0.0, READING_SHARE),
        )  # fmt: skip
        extra, told = supplied(
            data, extra, settings, progress=span(progress, READING_SHARE, READING_SHARE)
        )
        notes.extend(told)
        with going_on(context, progress, job_of(settings, data, extra)) as kept:
            result = api.train(
                data, settings, synthetic=extra, progress=span(progress, READING_SHARE, 1.0),
                unfinished=kept,
            )  # fmt: skip
            keep_if_cancelled(result, context, "train")
        result.bundle = with_evidence(result)
        notes.extend(result.notes)
        notes.show(context)
        return (
            ModelObject.of(result.bundle),
            history_table(result.history),
            knext.view_html(training_page(result, notes.lines)),
        )
