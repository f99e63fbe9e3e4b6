"""The node *Predict Microscopy Images*."""

from __future__ import annotations

from typing import Any

import knime.extension as knext

from microshot.nodes import columns, inputs
from microshot.nodes.category import CATEGORY
from microshot.nodes.cells import (
    Output,
    appended,
    batches_of,
    png_type,
    rows_of,
    schema_of,
    table_of,
    unreadable_parameter,
)
from microshot.nodes.context import Notes, data_area, reporter, resolve
from microshot.nodes.parameters import settings_of, with_settings
from microshot.nodes.ports import MODEL, ModelObject, ModelSpec
from microshot.progress import span
from microshot.settings import PredictSettings

#: Images shown in the view.
MAX_SHOWN = 12
#: Names of the members of `LabelForm`, as KNIME stores them.
PNG, TIFF = "PNG", "TIFF"


class LabelForm(knext.EnumParameterOptions):
    """How label images leave the node."""

    PNG = ("PNG image", "In the table; up to 65 535 objects per image.")
    TIFF = ("TIFF file", "In a folder, the table holds the path; any number of objects.")


OBJECTS = {
    "Image": knext.string(),
    "Object": knext.int32(),
    "Probability": knext.double(),
    "Y (px)": knext.double(),
    "X (px)": knext.double(),
    "Area (px)": knext.double(),
    "Area (µm²)": knext.double(),
    "Perimeter (px)": knext.double(),
    "Major axis (px)": knext.double(),
    "Minor axis (px)": knext.double(),
    "Eccentricity": knext.double(),
    "Solidity": knext.double(),
    "Mean intensity": knext.double(),
}


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
    "The input with label image, number of objects, confidence and device behind its columns.",
)
@knext.output_table("Objects", "One row per object: where it is, how sure, how big, which shape.")
@knext.output_view("Predictions", "Images with the outlines found.")
@with_settings(PredictSettings)
class PredictNode(knext.PythonNode):
    """Applies a model to images: outlines, counts and measurements of every object.

    **Output.** The first table is the input with four new columns: *Labels* (an image of the same
    size in which object 1, 2, 3 … has that number, 0 is background), *Objects* (how many),
    *Confidence* (mean probability of the objects, 0 to 1), and *Device* (where it was computed and
    why there). Columns of the input are passed through. The second table has a row per object
    with its centre, area (also in µm² where the pixel size is known), shape and mean grey value
    of the first channel. The number of the object is the one in the label image.

    **Images of any size** work; large ones are worked through in tiles with enough overlap that
    the result is the same. Images need the same channels as those the model was trained on.

    **If objects have another size** than in the training images (another magnification), give their
    typical diameter in the settings.

    **If too little is found,** lower the probability threshold; if too much, raise it. 0 uses the
    threshold that was best in training.
    """

    image_column = inputs.image_parameter(1)
    more_channels = inputs.channels_parameter(1)
    unreadable = unreadable_parameter()
    prefix = knext.StringParameter(
        "Name of the label column",
        "Name of the new column with the label images; the other new columns are named after it "
        "when it is changed, so that several models can be applied one after the other.",
        "Labels",
    )
    label_form = knext.EnumParameter(
        "Label images as",
        "How label images leave the node.",
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

    def _columns(self, schema: knext.Schema) -> dict[str, Any]:
        """Return names and types of the new columns."""
        name = self.prefix.strip() or "Labels"
        names = [name, "Objects", "Confidence", "Device"]
        if name != "Labels":
            names[1:] = [f"{n} ({name})" for n in names[1:]]
        label = png_type() if self.label_form == PNG else knext.string()
        kinds = [label, knext.int32(), knext.double(), knext.string()]
        taken = list(schema.column_names)
        made: dict[str, Any] = {}
        for one, kind in zip(names, kinds, strict=True):
            made[columns.unique(one, [*taken, *made])] = kind
        return made

    def configure(
        self, context: knext.ConfigurationContext, model: ModelSpec, images: knext.Schema
    ) -> tuple[knext.Schema, knext.Schema]:
        model.require("segment")
        inputs.choose(self, images)
        inputs.check_channels(self, images, model.n_channels)
        settings_of(self, PredictSettings)
        made = images
        for name, kind in self._columns(images).items():
            made = made.append(knext.Column(kind, name))
        return made.get() if hasattr(made, "get") else made, schema_of(OBJECTS)

    def execute(
        self, context: knext.ExecutionContext, model: ModelObject, images: knext.Table
    ) -> tuple[Any, Any, Any]:
        from microshot import api
        from microshot.pages import prediction_page

        notes, progress = Notes(), reporter(context)
        predictor = api.Predictor(model.bundle, settings_of(self, PredictSettings))
        reader = inputs.reader(self, images.schema, context, notes)
        made = self._columns(images.schema)
        folder = None
        if self.label_form == TIFF:
            folder = resolve(self.label_folder, data_area(context))
        out, objects, shown = Output(), Output(1000), []
        writer = _Writer(predictor, made, folder, overwrite=self.overwrite)
        total, seen = max(images.num_rows, 1), 0
        for batch in batches_of(images):
            frame, rows = reader.frame(batch), []
            for row_id, row in rows_of(frame):
                here = span(progress, seen / total, (seen + 1) / total)
                seen += 1
                here(0.0, f"image {seen} of {total}")
                rows.append(writer.row(reader.sample(row_id, row), here, objects, shown))
            out.append(appended(batch, made, rows))
        if not writer.any_objects:
            objects.append(table_of(OBJECTS, [], []).to_pyarrow())
        reader.finish()
        notes.show(context)
        view = knext.view_html(prediction_page(predictor.card, shown, writer.rows, notes.lines))
        return out.finish(), objects.finish(), view


class _Writer:
    """Turns one sample into an output row and the rows of its objects."""

    def __init__(
        self, predictor: Any, made: dict[str, Any], folder: Any, *, overwrite: bool
    ) -> None:
        self.predictor, self.names, self.folder = predictor, list(made), folder
        self.overwrite = overwrite
        self.written: set[str] = set()
        self.any_objects = False
        self.rows: list[dict[str, Any]] = []
        """What the view says of each image."""

    def row(self, sample: Any, progress: Any, objects: Output, shown: list[Any]) -> dict[str, Any]:
        """Predict one sample; a missing one gives missing values."""
        if sample is None:
            return {}
        found = self.predictor(sample, progress)
        if len(shown) < MAX_SHOWN:
            shown.append((sample, found))
        self._objects(sample, found, objects)
        self.rows.append(
            {"name": sample.name, "n_objects": found.n_objects, "confidence": found.confidence}
        )
        values = [self._labels(sample, found), found.n_objects, found.confidence]
        return dict(zip(self.names, [*values, self.predictor.device.line], strict=True))

    def _labels(self, sample: Any, found: Any) -> Any:
        if self.folder is None:
            from microshot.data.codec import labels_to_pil

            return labels_to_pil(found.labels)
        from microshot.data.write import write_labels

        self.folder.mkdir(parents=True, exist_ok=True)
        name = columns.unique(safe_name(sample.name), self.written)
        self.written.add(name)
        path = self.folder / f"{name}.tif"
        size = sample.image.pixel_size_um
        write_labels(path, found.labels, pixel_size_um=size, overwrite=self.overwrite)
        return str(path)

    def _objects(self, sample: Any, found: Any, objects: Output) -> None:
        from microshot.tasks.measure import COLUMNS, measure

        table = measure(found.labels, sample.image, found.probability)
        rows = [
            dict(zip(OBJECTS, (sample.name, *(row[k] for k in COLUMNS)), strict=True))
            for row in table
        ]
        if rows:
            self.any_objects = True
            row_ids = [f"{sample.name}_{row['id']}" for row in table]
            objects.append(table_of(OBJECTS, rows, row_ids).to_pyarrow())


def safe_name(text: str) -> str:
    """Return `text` as a file name that every operating system takes."""
    kept = "".join(c if c.isalnum() or c in "-_.() " else "_" for c in text).strip(" .")
    return kept or "image"
