"""The node *Translate Bright-Field to Fluorescence*."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import knime.extension as knext

from microshot.data.addresses import resolve
from microshot.data.disk import made_folder
from microshot.data.new_files import new_files
from microshot.nodes import columns, inputs, readers, trust_columns
from microshot.nodes.category import CATEGORY
from microshot.nodes.context import Notes, data_area, reporter
from microshot.nodes.image_names import ImageNames
from microshot.nodes.parameters import settings_of, with_settings
from microshot.nodes.ports import MODEL, ModelObject, ModelSpec
from microshot.nodes.samples import unreadable_parameter
from microshot.nodes.tables import Output, Walk, appended, batches_of, png_type
from microshot.settings import TranslateSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from microshot.data.new_files import NewFiles

#: Images shown in the view.
MAX_SHOWN = 12
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
@knext.input_port_group(
    "Further models",
    "More models for the same planes, each with stains of its own. All share one pass over an "
    "image.",
    MODEL,
)
@knext.output_table(
    "Stains",
    "The input with one image per predicted stain and how far to trust it behind its columns.",
)
@knext.output_view("Stains", "An input plane beside the predicted stains.")
@with_settings(TranslateSettings)
class TranslateNode(knext.PythonNode):
    """Predicts fluorescence stains from bright-field images, in the numbers of the camera.

    The cells need no stain any more: the model has learned from stacks with measured stains (see
    *Train Microscopy Model*, task *Translate bright field to fluorescence*) how they would look. What
    comes out is an estimate. Structures that bright field does not show, the model can only guess;
    check on stained images of your own how far to trust it, for which *Retrain Microscopy Model*
    compares models on images they have not seen.

    **Input.** The same planes in the same order as in training: one PNG column per plane (*Image
    column* and *Further channels*, in the table's order), or one column with paths of multi-page TIFF
    files (or CZI, LIF or ND2). If no column is chosen, columns that are called like *z0*, *z1*, *z2* are taken for the planes.

    **Output.** The input with one column per stain, called like the target columns of the training
    with an ending. The grey values are those of the camera that measured the stains of the
    training images, rounded and kept within 0 to 65 535. All columns of the input are passed
    through. The images can be segmented with *Predict Microscopy Images* and a model for fluorescent
    nuclei.

    **Several models** are applied at once: add ports *Further models* with the three dots of the
    node, one per model. Reading, cutting and joining the tiles of an image is then done only once. All
    models must take the same planes; their stains follow each other in the order of the ports.

    **Mask.** Models that were taught by label images (preset *Nuclei*) also know where nuclei are.
    Switch on *Mask of nuclei* to get it as black-and-white image, with how sure the model is (0 to
    1). Other models leave these columns missing. With several models, the first that knows is asked.

    **Confidence.** Where such a model was checked on labelled images it had not seen (8 labelled
    images or more in training, or the check in retraining), it knows how often it errs.
    *Confidence and seeds* adds four columns: *Confidence map* (255 = surely not the other class),
    *Certain* (part of the pixels at which only one class is possible at the allowed rate of errors),
    *Seeds* (label image of the regions that are surely nuclei) and *Nuclei from seeds* (the seeds grown
    over the mask by watershed). In images unlike those of the check, nothing is promised.

    **Unlike the training images.** *Unlike training* above 1 says that a stack is unlike those the model was
    made with, and *Warning* says what is different (*out of focus*, *inverted contrast*, *other kind of
    image*, or *one grey value everywhere*, without a number). A model made with fewer than 3 stacks or by
    an older version tells nothing but the one grey value. *Model*, *Device* and *Seconds* say where a
    result comes from; the view has the rest.

    **Warnings** are given for stacks whose planes seem to be in the opposite order, for saturated
    planes, images in colour, grey values far from those of the training, and another pixel size
    (*Another pixel size* says whether such images are rescaled or refused).

    Method of the confidence: Vovk et al. 2005, doi:10.1007/b106715.
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
        "Whether to add the mask that models taught by label images predict, and how sure they are "
        "of it on average.",
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

    def _columns(self, schema: knext.Schema, targets: Sequence[str]) -> dict[str, Any]:
        """Return names and types of the new columns: stains, mask and confidence, device."""
        kind = png_type() if self.form == PNG else knext.string()
        parts: list[tuple[str, Any]] = [(name, kind) for name in targets]
        if self.mask:
            parts.append(("Mask", png_type()))
        if self.mask or self.confidence:
            parts.append(("Confidence", knext.double()))
        if self.confidence:
            parts += [("Confidence map", png_type()), ("Certain", knext.double())]
            parts += [("Seeds", png_type()), ("Nuclei from seeds", png_type())]
        made: dict[str, Any] = {}
        for name, own in parts:
            taken = [*schema.column_names, *made]
            made[columns.unique(name + self.ending, taken)] = own
        for name, own in trust_columns.COLUMNS.items():
            made[columns.unique(name, [*schema.column_names, *made])] = own
        return made

    def configure(
        self,
        context: knext.ConfigurationContext,
        model: ModelSpec,
        stacks: knext.Schema,
        further: list[ModelSpec],
    ) -> knext.Schema:
        models = [model, *further]
        for one in models:
            one.require("translate")
        targets = [name for one in models for name in one.targets]
        inputs.choose_planes(self, stacks, targets)
        inputs.choose(self, stacks)
        for one in models:
            inputs.check_channels(self, stacks, one.n_channels)
            _check_form(self.form, one.card.get("preparation", {}))
        settings_of(self, TranslateSettings)
        made = stacks
        for name, kind in self._columns(stacks, targets).items():
            made = made.append(knext.Column(kind, name))
        return made.get() if hasattr(made, "get") else made

    def execute(
        self,
        context: knext.ExecutionContext,
        model: ModelObject,
        stacks: knext.Table,
        further: list[ModelObject],
    ) -> tuple[Any, Any]:
        from microshot import api
        from microshot.pages import translation_page
        from microshot.tasks.translating.stacks import told
        from microshot.tasks.translating.translation import NO_CONFIDENCE

        notes, progress = Notes(), reporter(context)
        settings = settings_of(self, TranslateSettings)
        predictors = [
            api.Predictor(one.bundle, settings, progress=progress) for one in (model, *further)
        ]
        for one in predictors:
            _check_form(self.form, one.recipe.preparation)
        reader = readers.reader(self, stacks.schema, context, notes)
        made = self._columns(stacks.schema, [t for one in predictors for t in one.card.targets])
        work = trust_columns.Translator(predictors)
        reader.seen = work.seen
        out, shown, odd, walk = Output(), [], [], Walk(stacks, progress)
        folder = None if self.form == PNG else resolve(self.folder, data_area(context))
        with new_files(folder, overwrite=bool(self.overwrite)) as new:
            write = self._writer(made, folder, new)
            for batch in batches_of(stacks):
                rows = []
                for row_id, row, here in walk(reader.frame(batch)):
                    sample = reader.sample(row_id, row)
                    if sample is None:
                        rows.append({})
                        continue
                    found, cells = work(sample, here)
                    rows.append(write(row_id, found, cells))
                    odd += [one for model in found for one in model.notes]
                    shown += [(sample, found)] * (len(shown) < MAX_SHOWN)
                out.append(appended(batch, made, rows))
            reader.finish()
        notes.extend(told(odd))
        if self.confidence and not any("confidence" in one.recipe.thresholds for one in predictors):
            notes.add(NO_CONFIDENCE)
        lines = list(notes.lines)
        notes.add(work.warning())
        if any(mark.get("unlike_training") for mark in work.marks[len(shown) :]):
            lines = list(notes.lines)  # what the page shows does not tell it
        notes.show(context)
        names = ImageNames(stacks, [self.image_column])
        page = translation_page(
            predictors[0].card, [(names.named(sample), found) for sample, found in shown],
            stacks.num_rows, lines, work.marks,
            confidence=self.confidence, record=work.record(),
        )  # fmt: skip
        return out.finish(), knext.view_html(page)

    def _writer(self, made: Mapping[str, Any], folder: Path | None, new: NewFiles) -> Any:
        """Return what turns a RowID and its translations into the cells of an output row.

        It notes the files that it writes in `new`.
        """
        from microshot.data.codec import image_to_pil

        written: set[str] = set()

        def write(row_id: str, found: Sequence[Any], last: Sequence[Any]) -> dict[str, Any]:
            name = columns.unique_file(row_id, written)
            cells: list[Any] = []
            files: set[str] = set()
            for one in found:
                pixels = one.stains.pixels if self.form == FLOAT else one.as_camera()
                for plane, stain in zip(pixels, one.stains.channels, strict=True):
                    if folder is None:
                        cells.append(image_to_pil(plane))
                        continue
                    file = columns.unique_file(stain, files)
                    path = folder / f"{name}_{file}.tif"
                    cells.append(self._file(path, plane, one))
                    new.add(path)
            cells += self._sure(found)
            return dict(zip(made, [*cells, *last], strict=True))

        return write

    def _sure(self, found: Sequence[Any]) -> list[Any]:
        """Return the cells of mask and confidence, by the first model that knows them."""
        from microshot.data.codec import image_to_pil, labels_to_pil

        masked = next((one for one in found if one.mask is not None), None)
        sure = next((one for one in found if one.maps is not None), None)
        cells: list[Any] = []
        if self.mask:
            cells.append(
                None if masked is None else image_to_pil(masked.mask.astype("uint8") * 255)
            )
        if self.mask or self.confidence:
            cells.append(None if sure is None else sure.confidence)
        if self.confidence and sure is None:
            cells += [None] * 4
        elif self.confidence and sure is not None:
            map_ = (sure.maps.confidence * 255).round().astype("uint8")
            cells += [image_to_pil(map_), sure.certain]
            cells += [labels_to_pil(sure.seeds), labels_to_pil(sure.nuclei)]
        return cells

    def _file(self, path: Path, pixels: np.ndarray, found: Any) -> str:
        """Write one stain as TIFF and return its path."""
        from microshot.data.image import Image
        from microshot.data.write import write_image

        made_folder(path.parent)
        image = Image(pixels[None], found.stains.pixel_size_um)
        write_image(path, image, overwrite=bool(self.overwrite))
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
