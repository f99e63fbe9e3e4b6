"""The node *Generate Synthetic Images*."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import knime.extension as knext

from microshot.nodes import columns, inputs
from microshot.nodes.category import CATEGORY
from microshot.nodes.context import Notes, data_area, reporter
from microshot.nodes.parameters import settings_of, with_settings
from microshot.nodes.samples import DOMAIN, Columns, Reader
from microshot.nodes.tables import Output, png_type, schema_of, table_of
from microshot.progress import span
from microshot.settings import SCENES, GenerateSettings

if TYPE_CHECKING:
    from microshot.data.dataset import Dataset, Sample

#: Rows per chunk of the output table, and images shown in the view.
CHUNK, MAX_SHOWN = 32, 24


def _columns(scene: str) -> dict[str, Any]:
    """Return names and types of the columns; stacks have one per plane and one per stain."""
    from microshot.synth.adipocytes import PLANES, STAINS
    from microshot.synth.presets import PRESETS

    pictures = (*PLANES, *STAINS) if PRESETS[scene].is_stack else ("Image",)
    return {
        **dict.fromkeys(pictures, png_type()),
        "Label": png_type(),
        "Count": knext.int32(),
        DOMAIN: knext.string(),
        "Kind": knext.string(),
        "Seed": knext.int32(),
        "Version": knext.string(),
    }


def _pictures(sample: Sample) -> list[Any]:
    """Return the image as one picture, or one per plane and stain."""
    from microshot.data.codec import image_to_pil

    if sample.target is None:
        return [image_to_pil(sample.image.pixels)]
    return [image_to_pil(plane) for plane in (*sample.image.pixels, *sample.target.pixels)]


def in_whole_numbers(data: Dataset, notes: Notes) -> Dataset:
    """Return images that PNG cells can resemble: those of decimal numbers stretched to 16 bits.

    All are stretched alike, from the least to the greatest value of any.
    """
    import numpy as np

    from microshot.data.dataset import Dataset

    every = [sample.image.pixels for sample in data]
    if all(pixels.dtype.kind == "u" for pixels in every):
        return data
    low = min(float(pixels.min()) for pixels in every)
    spread = max(max(float(pixels.max()) for pixels in every) - low, 1e-12)
    notes.add(
        "Reference images of decimal numbers were stretched to 16 bits, and so are the synthetic "
        f"images: {low:.4g} became 0, {low + spread:.4g} became 65535."
    )
    stretched = [np.rint((pixels - low) * (65_535 / spread)).astype(np.uint16) for pixels in every]
    return Dataset.of(
        replace(sample, image=replace(sample.image, pixels=pixels))
        for sample, pixels in zip(data, stretched, strict=True)
    )


#: Parts of the progress by whose end reference images are read, and followed.
_READ, _PREPARED = 0.05, 0.7


@knext.node(
    name="Generate Synthetic Images",
    node_type=knext.NodeType.SOURCE,
    icon_path="icons/generate_synthetic.png",
    category=CATEGORY,
    id="generate_synthetic",
    keywords=["simulate", "artificial", "training data", "cell", "nucleus", "pretrain"],
)
@knext.input_table(
    "Reference images",
    "Some of your own images. Background, object size, contrast and noise of the synthetic images "
    "then follow them; with a label column they do so better.",
    optional=True,
)
@knext.output_table(
    "Synthetic images",
    "Images with label images and counts, one row per image; stacks have a column per plane and "
    "per stain.",
)
@knext.output_view("Synthetic images", "A sheet of images with outlines, counts and sizes.")
@with_settings(GenerateSettings)
class GenerateSyntheticNode(knext.PythonNode):
    """Makes microscopy images of cells or nuclei together with their exact labels.

    Synthetic images cost nothing to label. A model trained on them knows what an object is, and
    needs only a few real labelled images to get used to yours (see *Retrain Microscopy Model*).

    Every image is drawn from random shapes, textures, optics and camera noise. The same random seed
    gives the same images, and image number *i* is the same however many are made; another version of
    Microshot may draw others, so the column *Version* says which did. The label image holds a number
    per object, 0 is background; the count equals the number of objects in it.

    **Kind of images.** *Mixed* shows all kinds, bright objects on a dark background and dark ones on a
    bright one. It is the best preparation when the model is retrained later on images of an unknown
    kind. The other kinds resemble one technique. *Adipocytes* are for the task *Translate bright field
    to fluorescence*: the columns *z0* to *z6* are seven bright-field planes through focus, *nuclei*,
    *lipids* and *cytoplasm* the stains of the same cells (16 bits), and the label image shows the
    nuclei. They cannot follow reference images.

    *Published* images are those on which the Twin-VAE for counting was pretrained, without camera noise;
    of reference images they follow the background and, where known, the numbers of objects.

    **Reference images** are optional and need no labels. Add the port with the three dots of the
    node and connect some of your images (20 or more are best). The node then measures background,
    object size, contrast, rims and noise, and searches for looks whose images resemble yours. The
    view shows both side by side and says how far apart they are before and after. With a count or
    label column the numbers of objects follow yours, too. The background is the mean of the
    images with fewer than 5 objects, or the median of all where none is known to hold so few; where
    these are fewer than 20, or differ in size, only its brightness is taken.
    """

    image_column = inputs.image_parameter(0, "the reference images")
    label_column = knext.ColumnParameter(
        "Label column",
        "Label images of the reference images, if there are any; used to measure object size and "
        "contrast. If none is chosen, the first column with a name like label or mask is.",
        port_index=0,
        column_filter=columns.is_image,
        include_none_column=True,
    )
    count_column = knext.ColumnParameter(
        "Count column",
        "Number of objects in each reference image, missing where not counted; used for the "
        "background and the numbers of objects. If none is chosen, the first column with a name like "
        "count, cells or number is.",
        port_index=0,
        column_filter=columns.is_number,
        include_none_column=True,
    )

    def configure(
        self, context: knext.ConfigurationContext, reference: knext.Schema | None
    ) -> knext.Schema:
        settings = settings_of(self, GenerateSettings)
        if reference is not None:
            if _columns(settings.scene).keys() != _columns("mixed").keys():
                raise knext.InvalidParametersError(
                    f'Images of the kind "{SCENES[settings.scene].label}" cannot follow reference '
                    "images; disconnect the reference images, or choose another kind."
                )
            image = columns.chosen(self.image_column) or columns.guess_image(reference)
            if image is None:
                raise knext.InvalidParametersError(
                    "The table with reference images has no image column; expected PNG images or "
                    "paths of image files."
                )
            columns.require(reference, image, "image", columns.is_image)
            self.image_column = image
            if label := columns.chosen(self.label_column):
                columns.require(reference, label, "label", columns.is_image)
            if count := columns.chosen(self.count_column):
                columns.require(reference, count, "count", columns.is_number)
        return schema_of(_columns(settings.scene))

    def execute(
        self, context: knext.ExecutionContext, reference: knext.Table | None
    ) -> tuple[Any, Any]:
        from microshot import __version__, provenance
        from microshot.data.codec import labels_to_pil
        from microshot.device import processor
        from microshot.pages import generated_page
        from microshot.synth.generator import generated, shortage
        from microshot.synth.prepare import prepare

        notes, progress, begun = Notes(), reporter(context), time.perf_counter()
        s = settings_of(self, GenerateSettings)
        given = self._reference(reference, context, notes, span(progress, 0.0, _READ))
        prepared = prepare(s, given, span(progress, _READ, _PREPARED))
        making = span(progress, 0.0 if given is None else _PREPARED, 1.0)
        out, shown, rows, made, short = Output(CHUNK), [], [], _columns(s.scene), []
        images = generated(s.scene, s.n, s.seed, prepared.options, making)
        for index, (sample, note) in enumerate(images):
            short += [f"Row{index}: {note}."] if note else []
            assert sample.labels is not None
            values = (
                *_pictures(sample),
                labels_to_pil(sample.labels),
                sample.count,
                sample.domain,
                s.scene,
                s.seed,
                f"Microshot {__version__}",
            )
            rows.append(dict(zip(made, values, strict=True)))
            if len(shown) < MAX_SHOWN:
                shown.append(replace(sample, name=f"Row{index}"))
            if len(rows) == CHUNK or index == s.n - 1:
                ids = [f"Row{i}" for i in range(index + 1 - len(rows), index + 1)]
                out.append(table_of(made, rows, ids).to_pyarrow())
                rows = []
        prepared = replace(prepared, warnings=(*prepared.warnings, *shortage(short, s.n)))
        notes.extend(prepared.warnings)
        notes.show(context)
        record = provenance.record([], processor(), time.perf_counter() - begun)
        return out.finish(), knext.view_html(generated_page(shown, given, s, prepared, record))

    def _reference(
        self,
        table: knext.Table | None,
        context: knext.ExecutionContext,
        notes: Notes,
        progress: Any,
    ) -> Any:
        """Read the reference images; None where the port is not connected."""
        if table is None:
            return None
        label = columns.chosen(self.label_column)
        if label is None and not columns.declined(self.label_column):
            label = columns.guess_label(table.schema, self.image_column)
        count = columns.chosen(self.count_column)
        if count is None and not columns.declined(self.count_column):
            count = columns.guess_count(table.schema)
        found = Columns(self.image_column, (), label, count=count)
        data = Reader(found, data_area(context), "SKIP", notes).dataset(table, progress)
        if not len(data):
            notes.add(
                "The table of reference images holds none that can be read: none is followed."
            )
        return in_whole_numbers(data, notes)
