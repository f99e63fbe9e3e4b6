"""The node *Predict Microscopy Images*."""

from __future__ import annotations

from typing import Any

import knime.extension as knext

from microshot.data.addresses import resolve
from microshot.nodes import columns, inputs, large_images, readers, times, trust_columns
from microshot.nodes.category import CATEGORY
from microshot.nodes.context import Notes, data_area, reporter
from microshot.nodes.image_names import ImageNames
from microshot.nodes.object_rows import OBJECTS
from microshot.nodes.parameters import of_model, settings_of, with_settings
from microshot.nodes.ports import MODEL, ModelObject, ModelSpec
from microshot.nodes.prediction_rows import CountWriter, LabelWriter, Writer
from microshot.nodes.samples import unreadable_parameter
from microshot.nodes.tables import (
    Output,
    RowOutput,
    Walk,
    appended,
    batches_of,
    png_type,
    schema_of,
)
from microshot.settings import PredictSettings

#: Names of the members of `LabelForm`, as KNIME stores them.
PNG, TIFF = "PNG", "TIFF"
#: Settings for models that count, and for those that segment.
OF_COUNTS = ("count_name", "interval")
OF_LABELS = (
    "prefix", "label_form", "probability", "overlap", "least_area_px", "mirrored", "large_mpx",
    "precision",
)  # fmt: skip


class LabelForm(knext.EnumParameterOptions):
    """How label images leave the node."""

    PNG = ("PNG image", "In the table; up to 65 535 objects per image.")
    TIFF = ("TIFF file", "In a folder, the table holds the path; any number of objects.")


@knext.node(
    name="Predict Microscopy Images",
    node_type=knext.NodeType.PREDICTOR,
    icon_path="icons/predict.png",
    category=CATEGORY,
    id="predict",
    keywords=["segment", "count", "apply", "StarDist", "cell", "nucleus", "measure"],
)
@knext.input_port("Model", "The model to apply.", MODEL)
@knext.input_table("Images", "Images to work on, one row per field of view.")
@knext.output_table(
    "Predictions",
    "The input with the label image, the number of objects or the count with its interval, the "
    "confidence, how unlike the training images each image is, model and device behind its columns.",
)
@knext.output_table(
    "Objects",
    "One row per object: where it is and, for outlines, how sure, how big, which shape.",
)
@knext.output_view("Predictions", "Images with the outlines or places found.")
@with_settings(
    PredictSettings,
    shown={name: of_model(0, "count") for name in OF_COUNTS}
    | {name: of_model(0, "segment") for name in OF_LABELS},
)
class PredictNode(knext.PythonNode):
    """Applies a model to images: outlines, counts and measurements of every object.

    What comes out depends on the task that the model was trained for.

    **Output of a model that segments.** The first table is the input with new columns: *Labels* (an
    image of the same size in which object 1, 2, 3 … has that number, 0 is background), *Objects* (how
    many), *Confidence* (mean over the objects, 0 to 1), and those named below. Columns of the input are
    passed through. The second table has a row per object with its centre, area (also in µm² where the
    pixel size is known), shape and mean grey value of the (first) channel that the model looks at. The
    number of the object is the one in the label image. *Probability* is what the network says.
    *Confidence* is how often such objects were right in images that the model had not seen when it was
    made: of 100 objects with confidence 0.9, about 90 are. It is missing where the model was checked on
    too few objects; the mean in the first table is then that of the probability.

    **Output of a model that counts.** The new columns are *Count* (a whole number), *Count (not
    rounded)*, *Count from* and *Count to* (the interval that holds the true count in 90 of 100
    images, or as often as chosen), *Confidence* (how clearly objects were told apart, 0 to 1,
    where the model knows it) and those named below. The interval holds for images like those the model was
    checked on, not for another technique or cell type. It is missing, and a warning says why,
    where too few counted images were there to make it when the model was trained. The second
    table has the place of every object, if the model knows places (density map); their number can
    differ a little from the count, which also has parts of objects. If you know the true count,
    *Score Microscopy Predictions* compares.

    **Unlike the training images.** *Unlike training* is 0 or more for every image; above 1 it is unlike
    the images the model was made with, and *Warning* says in plain words what is different: *inverted
    contrast*, *darker background*, *out of focus*, *objects twice as large*, *other kind of image*,
    *nothing but noise* (an empty field), or *one grey value everywhere*, of which no number can be
    told. Check the result there, or label such an image and retrain. No warning is no promise: a model
    made with very varied images (generated phase contrast, *Mixed*) finds little unlike them, and one
    made with fewer than 3 images or by an older version tells nothing but the one grey value. *Model*
    (name, id and what it was retrained from), *Device* (where it was computed and why there) and
    *Seconds* say where a result comes from; the view has the rest.

    **Images of any size** work; large ones are worked through in tiles with enough overlap that
    the result is the same. Images need the channels that the model was trained on; of several,
    *Channel* takes one.

    **Images too large for memory:** paths of TIFF, CZI, LIF and ND2 files above a size (64 million pixels unless
    set otherwise), with the label images as TIFF files, are worked through block by block; an execution
    that was cancelled or killed goes on where it stopped. So are OME-Zarr folders; a model that counts,
    and label images as PNG, take them whole. Whether an image worked through block by block is unlike the
    training images is told from the part with most contrast, which the view shows.

    **If objects have another size** than in the training images (another magnification), give their
    typical diameter in the settings. With a model that was made for objects of any size (trained on
    generated images alone, or a starter model of cells) it is looked for where you give none, which can go
    wrong, and then counts are wrong; a warning says what was found. Eight images spread over the table are
    looked at and, where they agree, one size is taken for all; where they do not, it is looked for in each
    image, which takes many times as long. *Where no object diameter is given* chooses. For a model that
    counts, the starter *cells-generalist-fast* looks.

    **Names.** The view calls images by the column *File*, where it has a name of its own for each; the
    tables keep the RowIDs to join by.

    **Growth.** With a time column, the view shows the counts over time with an exponential curve and
    the time in which they double, with its 95 percent interval.

    **If too little is found,** lower the probability threshold; if too much, raise it. 0 uses the
    threshold that was best in training. A model that counts has no such threshold; retrain it on
    some images of the kind that is counted wrongly.
    """

    image_column = inputs.image_parameter(1)
    more_channels = inputs.channels_parameter(1)
    unreadable = unreadable_parameter()
    prefix = knext.StringParameter(
        "Name of the label column",
        "Name of the new column with the label images; the other new columns are named after it "
        "when it is changed, so that several models can be applied one after the other. Not used by "
        "models that count.",
        "Labels",
    )
    count_name = knext.StringParameter(
        "Name of the count column",
        "Name of the new column with the counts; the other new columns are named after it, so that "
        "several models can be applied one after the other. Only for models that count.",
        "Count",
    )
    label_form = knext.EnumParameter(
        "Label images as",
        "How label images leave the node. Not used by models that count.",
        PNG,
        LabelForm,
        style=knext.EnumParameter.Style.VALUE_SWITCH,
    )
    label_folder = knext.StringParameter(
        "Folder for label files",
        "Where label files are written: a folder in the workflow's data area, or a full path.",
        "labels",
    ).rule(knext.OneOf(label_form, [TIFF]), knext.Effect.SHOW)
    overwrite = knext.BoolParameter(
        "Replace existing label files",
        "Whether files of the same name in that folder are replaced; else they are an error.",
        False,
    ).rule(knext.OneOf(label_form, [TIFF]), knext.Effect.SHOW)

    time_column = times.time_parameter(1)
    group_column = times.group_parameter(1)

    def _columns(self, schema: knext.Schema, task: str) -> dict[str, Any]:
        """Return names and types of the new columns."""
        if task == "count":
            return self._count_columns(list(schema.column_names))
        name = self.prefix.strip() or "Labels"
        names = [name, "Objects", "Confidence", *trust_columns.COLUMNS]
        if name != "Labels":
            names[1:] = [f"{n} ({name})" for n in names[1:]]
        label = png_type() if self.label_form == PNG else knext.string()
        kinds = [label, knext.int32(), knext.double(), *trust_columns.COLUMNS.values()]
        taken = list(schema.column_names)
        made: dict[str, Any] = {}
        for one, kind in zip(names, kinds, strict=True):
            made[columns.unique(one, [*taken, *made])] = kind
        return made

    def _count_columns(self, taken: list[str]) -> dict[str, Any]:
        """Return names and types of the new columns of a model that counts."""
        wish = self.count_name.strip() or "Count"
        name, number = wish, 1
        parts = {
            "": knext.int32(),
            columns.NOT_ROUNDED: knext.double(),
            columns.LOW: knext.int32(),
            columns.HIGH: knext.int32(),
        }
        while any(name + part in taken for part in parts):
            name, number = f"{wish} (#{number})", number + 1
        made: dict[str, Any] = {name + part: kind for part, kind in parts.items()}
        for one, kind in ({"Confidence": knext.double()} | trust_columns.COLUMNS).items():
            own = one if wish == "Count" else f"{one} ({wish})"
            made[columns.unique(own, [*taken, *made])] = kind
        return made

    def configure(
        self, context: knext.ConfigurationContext, model: ModelSpec, images: knext.Schema
    ) -> tuple[knext.Schema, knext.Schema]:
        model.require("segment", "count")
        inputs.choose(self, images)
        inputs.check_channels(self, images, model.n_channels)
        settings_of(self, PredictSettings)
        times.check(self, images)
        made = images
        for name, kind in self._columns(images, model.task).items():
            made = made.append(knext.Column(kind, name))
        return made.get() if hasattr(made, "get") else made, schema_of(OBJECTS)

    def _folder(self, context: knext.ExecutionContext) -> Any:
        """Return the folder for label files; None where they go into the table."""
        return resolve(self.label_folder, data_area(context)) if self.label_form == TIFF else None

    def execute(
        self, context: knext.ExecutionContext, model: ModelObject, images: knext.Table
    ) -> tuple[Any, Any, Any]:
        from microshot import api
        from microshot.pages import prediction_page

        notes, progress = Notes(), reporter(context)
        predictor = api.Predictor(
            model.bundle, settings_of(self, PredictSettings), progress=progress
        )
        reader = readers.reader(self, images.schema, context, notes)
        reader.seen = predictor.seen
        made = self._columns(images.schema, predictor.card.task)
        out, objects = Output(), RowOutput(OBJECTS)
        if predictor.card.task == "count":
            writer: Writer = CountWriter(predictor, made, notes)
        else:
            writer = LabelWriter(predictor, made, notes, self._folder(context), self.overwrite)
        with writer.stack:
            walk = Walk(images, writer.looked(reader, images, progress))
            for batch in batches_of(images):
                rows, moments = [], times.moments(self, batch)
                frame = reader.frame(batch)
                writer.spare(reader, frame)
                for row_id, row, here in walk(frame):
                    if (file := writer.large(reader, row)) is None:
                        sample = reader.sample(row_id, row)
                        cells = writer.row(sample, here, objects)
                    else:
                        cells = large_images.row(writer, reader, row_id, row, file, here, objects)
                    if cells:
                        writer.rows[-1] |= moments.get(row_id, {})
                    rows.append(cells)
                out.append(appended(batch, made, rows))
            reader.finish()
            notes.add(writer.size_note())
            lines = list(notes.lines)
            notes.add(writer.warning())
            notes.show(context)
            names = ImageNames(images, [self.image_column])
            page = prediction_page(
                predictor.card, [(names.named(sample), found) for sample, found, _ in writer.shown],
                names.rows(writer.rows, "name"), lines, writer.record(),
                columns.chosen(self.time_column) or "time",
            )  # fmt: skip
            return out.finish(), objects.finish(), knext.view_html(page)
