"""The node *Predict Microscopy Images*."""

from __future__ import annotations

import math
from typing import Any

import knime.extension as knext

from microshot.data.disk import made_folder
from microshot.nodes import columns, inputs, times
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
    "The input with the label image, the number of objects or the count with its interval, the "
    "confidence and the device behind its columns.",
)
@knext.output_table(
    "Objects",
    "One row per object: where it is and, for outlines, how sure, how big, which shape.",
)
@knext.output_view("Predictions", "Images with the outlines or places found.")
@with_settings(PredictSettings)
class PredictNode(knext.PythonNode):
    """Applies a model to images: outlines, counts and measurements of every object.

    What comes out depends on the task that the model was trained for.

    **Output of a model that segments.** The first table is the input with four new columns: *Labels* (an image of the same
    size in which object 1, 2, 3 … has that number, 0 is background), *Objects* (how many),
    *Confidence* (mean probability of the objects, 0 to 1), and *Device* (where it was computed and
    why there). Columns of the input are passed through. The second table has a row per object
    with its centre, area (also in µm² where the pixel size is known), shape and mean grey value
    of the first channel. The number of the object is the one in the label image.

    **Output of a model that counts.** The new columns are *Count* (a whole number), *Count (not
    rounded)*, *Count from* and *Count to* (the interval that holds the true count in 90 of 100
    images, or as often as chosen), *Confidence* (how clearly objects were told apart, 0 to 1,
    where the model knows it) and *Device*. The interval holds for images like those the model was
    checked on, not for another technique or cell type. It is missing, and a warning says why,
    where too few counted images were there to make it when the model was trained. The second
    table has the place of every object, if the model knows places (density map); their number can
    differ a little from the count, which also has parts of objects. If you know the true count,
    *Score Microscopy Predictions* compares.

    **Images of any size** work; large ones are worked through in tiles with enough overlap that
    the result is the same. Images need the same channels as those the model was trained on.

    **If objects have another size** than in the training images (another magnification), give their
    typical diameter in the settings.

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
        for one, kind in {"Confidence": knext.double(), "Device": knext.string()}.items():
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
        predictor = api.Predictor(model.bundle, settings_of(self, PredictSettings))
        reader = inputs.reader(self, images.schema, context, notes)
        made = self._columns(images.schema, predictor.card.task)
        out, objects, shown = Output(), Output(1000), []
        if predictor.card.task == "count":
            writer: _Writer = _CountWriter(predictor, made, notes)
        else:
            writer = _LabelWriter(predictor, made, notes, self._folder(context), self.overwrite)
        total, seen = max(images.num_rows, 1), 0
        for batch in batches_of(images):
            frame, rows = reader.frame(batch), []
            moments = times.moments(self, batch)
            for row_id, row in rows_of(frame):
                here = span(progress, seen / total, (seen + 1) / total)
                seen += 1
                here(0.0, f"image {seen} of {total}")
                sample = reader.sample(row_id, row)
                rows.append(writer.row(sample, here, objects, shown))
                if sample is not None:
                    writer.rows[-1] |= moments.get(row_id, {})
            out.append(appended(batch, made, rows))
        if not writer.any_objects:
            objects.append(table_of(OBJECTS, [], []).to_pyarrow())
        reader.finish()
        notes.show(context)
        view = knext.view_html(prediction_page(predictor.card, shown, writer.rows, notes.lines))
        return out.finish(), objects.finish(), view


class _Writer:
    """Turns one sample into an output row and the rows of its objects."""

    def __init__(self, predictor: Any, made: dict[str, Any], notes: Notes) -> None:
        self.predictor, self.names, self.notes = predictor, list(made), notes
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
        ids, rows = self.objects(sample, found)
        if rows:
            self.any_objects = True
            objects.append(table_of(OBJECTS, rows, ids).to_pyarrow())
        known = {"name": sample.name, "n_objects": found.n_objects, "confidence": found.confidence}
        self.rows.append(known | self.more(found))
        values = [*self.values(sample, found), found.confidence, self.predictor.device.line]
        return dict(zip(self.names, values, strict=True))

    def values(self, sample: Any, found: Any) -> list[Any]:
        """Return the cells before confidence and device."""
        raise NotImplementedError

    def objects(self, sample: Any, found: Any) -> tuple[list[str], list[dict[str, Any]]]:
        """Return RowIDs and rows of the image's objects."""
        raise NotImplementedError

    def more(self, found: Any) -> dict[str, Any]:
        """Return what the view says of an image beside the number of its objects."""
        return {}


class _CountWriter(_Writer):
    """Writes counts with their intervals, and the places of objects where they are known."""

    def values(self, sample: Any, found: Any) -> list[Any]:
        bounded = math.isfinite(found.high)
        if not bounded:
            self.notes.add(f"No interval around the counts: {found.note}")
        bounds = [int(found.low), int(found.high)] if bounded else [None, None]
        return [found.n_objects, found.count, *bounds]

    def objects(self, sample: Any, found: Any) -> tuple[list[str], list[dict[str, Any]]]:
        points: Any = () if found.points is None else found.points
        rows = [
            {"Image": sample.name, "Object": i, "Y (px)": float(y), "X (px)": float(x)}
            for i, (y, x) in enumerate(points, 1)
        ]
        return [f"{sample.name}_{row['Object']}" for row in rows], rows

    def more(self, found: Any) -> dict[str, Any]:
        return {"count": found.count, "low": found.low, "high": found.high}


class _LabelWriter(_Writer):
    """Writes label images and measures their objects."""

    def __init__(
        self, predictor: Any, made: dict[str, Any], notes: Notes, folder: Any, overwrite: Any
    ) -> None:
        super().__init__(predictor, made, notes)
        self.folder, self.overwrite = folder, bool(overwrite)
        self.written: set[str] = set()

    def values(self, sample: Any, found: Any) -> list[Any]:
        return [self._labels(sample, found), found.n_objects]

    def _labels(self, sample: Any, found: Any) -> Any:
        if self.folder is None:
            from microshot.data.codec import labels_to_pil

            return labels_to_pil(found.labels)
        from microshot.data.write import write_labels

        made_folder(self.folder)
        name = columns.unique_file(sample.name, self.written)
        path = self.folder / f"{name}.tif"
        size = sample.image.pixel_size_um
        write_labels(path, found.labels, pixel_size_um=size, overwrite=self.overwrite)
        return str(path)

    def objects(self, sample: Any, found: Any) -> tuple[list[str], list[dict[str, Any]]]:
        from microshot.tasks.measure import COLUMNS, measure

        table = measure(found.labels, sample.image, found.probability)
        rows = [
            dict(zip(OBJECTS, (sample.name, *(row[k] for k in COLUMNS)), strict=True))
            for row in table
        ]
        return [f"{sample.name}_{row['id']}" for row in table], rows
