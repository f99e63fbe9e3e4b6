"""The node *Translate Bright-Field to Fluorescence*."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import knime.extension as knext

from microshot.nodes import columns, inputs
from microshot.nodes.category import CATEGORY
from microshot.nodes.cells import (
    Output,
    appended,
    batches_of,
    png_type,
    rows_of,
    unreadable_parameter,
)
from microshot.nodes.context import Notes, data_area, reporter, resolve
from microshot.nodes.parameters import settings_of, with_settings
from microshot.nodes.ports import MODEL, ModelObject, ModelSpec
from microshot.nodes.predict import safe_name
from microshot.progress import span
from microshot.settings import PredictSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

#: Images shown in the view.
MAX_SHOWN = 12
#: Settings of *Predict Microscopy Images* that say nothing about stains.
_OF_OBJECTS = ("probability", "overlap", "diameter_px", "least_area_px", "interval")
#: Names of the members of `StainForm`, as KNIME stores them.
PNG, TIFF, FLOAT = "PNG", "TIFF", "FLOAT"


class StainForm(knext.EnumParameterOptions):
    """How predicted stains leave the node."""

    PNG = ("PNG image", "In the table, 16 bits: whole numbers as the camera would have measured.")
    TIFF = ("TIFF file, 16 bits", "The same in a folder; the table holds the path.")
    FLOAT = ("TIFF file, 32 bits", "Not rounded and not cut off at 0 and 65 535, in a folder.")


@knext.node(
    name="Translate Bright-Field to Fluorescence",
    node_type=knext.NodeType.PREDICTOR,
    icon_path="icons/translate.png",
    category=CATEGORY,
    id="translate",
    keywords=["virtual staining", "in silico labelling", "label-free", "lipid", "nucleus", "stack"],
)
@knext.input_port("Model", "A model trained for the task Translate.", MODEL)
@knext.input_table("Stacks", "Bright-field stacks, one row per field of view.")
@knext.output_table(
    "Stains", "The input with one image per predicted stain and the device behind its columns."
)
@knext.output_view("Stains", "An input plane beside the predicted stains.")
@with_settings(PredictSettings, skip=_OF_OBJECTS)
class TranslateNode(knext.PythonNode):
    """Predicts fluorescence stains from bright-field images, in the numbers of the camera.

    The cells need no stain any more: the model has learned from stacks with measured stains (see
    *Train Microscopy Model*, task *Translate bright field to fluorescence*) how they would look. What
    comes out is an estimate. Structures that bright field does not show, the model can only guess;
    check on stained images of your own how far to trust it, for which *Retrain Microscopy Model*
    compares models on images they have not seen.

    **Input.** The same planes in the same order as in training: one PNG column per plane (*Image
    column* and *Further channels*, in the table's order), or one column with paths of multi-page TIFF
    files. If no column is chosen, columns that are called like *z0*, *z1*, *z2* are taken for the planes.

    **Output.** The input with one column per stain, called like the target columns of the training
    with an ending. The grey values are those of the camera that measured the stains of the
    training images, rounded and kept within 0 to 65 535. All columns of the input are passed
    through. The images can be segmented with *Predict Microscopy Images* and a model for fluorescent
    nuclei.

    **Mask.** Models that were taught by label images (preset *Nuclei*) also know where nuclei are.
    Switch on *Mask of nuclei* to get it as black-and-white image, with how sure the model is (0 to
    1). Other models leave these columns missing.

    **Another magnification** than in the training images gives poor stains; where the pixel sizes are
    known and differ, a warning says so.
    """

    image_column = inputs.image_parameter(1, "the first plane of the stacks, or with whole stacks")
    more_channels = inputs.channels_parameter(1)
    unreadable = unreadable_parameter()
    ending = knext.StringParameter(
        "Ending of the new columns",
        "Put behind the name of each stain, so that several models can be applied one after the "
        "other and measured stains keep their names.",
        " (predicted)",
    )
    mask = knext.BoolParameter(
        "Mask of nuclei",
        "Whether to add the mask that models taught by label images predict, and their confidence.",
        False,
    )
    form = knext.EnumParameter("Stains as", "How stains leave the node.", PNG, StainForm)
    folder = knext.StringParameter(
        "Folder for stains",
        "Where TIFF files are written: a folder in the workflow's data area, or a full path.",
        "stains",
    ).rule(knext.OneOf(form, [TIFF, FLOAT]), knext.Effect.SHOW)
    overwrite = knext.BoolParameter(
        "Replace existing files",
        "Whether files of the same name in that folder are replaced; else they are an error.",
        False,
    ).rule(knext.OneOf(form, [TIFF, FLOAT]), knext.Effect.SHOW)

    def _columns(self, schema: knext.Schema, targets: tuple[str, ...]) -> dict[str, Any]:
        """Return names and types of the new columns: stains, mask and confidence, device."""
        kind = png_type() if self.form == PNG else knext.string()
        parts = dict.fromkeys(targets, kind)
        if self.mask:
            parts |= {"Mask": png_type(), "Confidence": knext.double()}
        made: dict[str, Any] = {}
        for name, own in parts.items():
            taken = [*schema.column_names, *made]
            made[columns.unique(name + self.ending, taken)] = own
        made[columns.unique("Device", [*schema.column_names, *made])] = knext.string()
        return made

    def configure(
        self, context: knext.ConfigurationContext, model: ModelSpec, stacks: knext.Schema
    ) -> knext.Schema:
        model.require("translate")
        inputs.choose_planes(self, stacks, model.targets)
        inputs.choose(self, stacks)
        inputs.check_channels(self, stacks, model.n_channels)
        settings_of(self, PredictSettings, skip=_OF_OBJECTS)
        _check_form(self.form, model.card.get("preparation", {}))
        made = stacks
        for name, kind in self._columns(stacks, model.targets).items():
            made = made.append(knext.Column(kind, name))
        return made.get() if hasattr(made, "get") else made

    def execute(
        self, context: knext.ExecutionContext, model: ModelObject, stacks: knext.Table
    ) -> tuple[Any, Any]:
        from microshot import api
        from microshot.pages import translation_page

        notes, progress = Notes(), reporter(context)
        settings = settings_of(self, PredictSettings, skip=_OF_OBJECTS)
        predictor = api.Predictor(model.bundle, settings)
        _check_form(self.form, predictor.recipe.preparation)
        reader = inputs.reader(self, stacks.schema, context, notes)
        made = self._columns(stacks.schema, predictor.card.targets)
        write = self._writer(made, predictor.device.line, data_area(context))
        out, shown, total, seen = Output(), [], max(stacks.num_rows, 1), 0
        for batch in batches_of(stacks):
            frame, rows = reader.frame(batch), []
            for row_id, row in rows_of(frame):
                here = span(progress, seen / total, (seen + 1) / total)
                seen += 1
                here(0.0, f"image {seen} of {total}")
                sample = reader.sample(row_id, row)
                found = None if sample is None else predictor(sample, here)
                rows.append({} if found is None else write(row_id, found))
                if found is not None:
                    notes.extend(found.notes)
                    shown += [(sample, found)] * (len(shown) < MAX_SHOWN)
            out.append(appended(batch, made, rows))
        reader.finish()
        notes.show(context)
        page = translation_page(predictor.card, shown, stacks.num_rows, notes.lines)
        return out.finish(), knext.view_html(page)

    def _writer(self, made: Mapping[str, Any], device: str, area: Any) -> Any:
        """Return what turns a RowID and its translation into the cells of an output row."""
        from microshot.data.codec import image_to_pil

        folder = None if self.form == PNG else resolve(self.folder, area)
        written: set[str] = set()

        def write(row_id: str, found: Any) -> dict[str, Any]:
            name = columns.unique(safe_name(row_id), written)
            written.add(name)
            pixels = found.stains.pixels if self.form == FLOAT else found.as_camera()
            cells: list[Any] = [
                image_to_pil(plane)
                if folder is None
                else self._file(folder, name, stain, plane, found.stains.pixel_size_um)
                for plane, stain in zip(pixels, found.stains.channels, strict=True)
            ]
            if self.mask:
                mask = (
                    None if found.mask is None else image_to_pil(found.mask.astype("uint8") * 255)
                )
                cells += [mask, found.confidence]
            return dict(zip(made, [*cells, device], strict=True))

        return write

    def _file(
        self, folder: Any, name: str, stain: str, pixels: np.ndarray, pixel_size_um: float | None
    ) -> str:
        """Write one stain as TIFF and return its path."""
        from microshot.data.image import Image
        from microshot.data.write import write_image

        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}_{safe_name(stain)}.tif"
        write_image(path, Image(pixels[None], pixel_size_um), overwrite=bool(self.overwrite))
        return str(path)


def _check_form(form: str, preparation: Mapping[str, Any]) -> None:
    """Refuse to round stains that were measured in fractions.

    Raises
    ------
    knext.InvalidParametersError
        If whole numbers are wanted of a model of decimal numbers.
    """
    if form != FLOAT and preparation.get("target_dtype") == "float32":
        raise knext.InvalidParametersError(
            "The model was trained on stains in decimal numbers, which 16-bit images cannot hold; "
            'choose "TIFF file, 32 bits" under "Stains as".'
        )
