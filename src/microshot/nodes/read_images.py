"""The node *Microscopy Image Reader*."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import knime.extension as knext

from microshot.data.addresses import resolve
from microshot.nodes import columns, read_stains
from microshot.nodes.category import CATEGORY
from microshot.nodes.context import Notes, data_area, reporter
from microshot.nodes.images_to_read import in_folder, in_table
from microshot.nodes.label_cells import count_with_points, png_cells
from microshot.nodes.samples import PIXEL_SIZE, unreadable_parameter
from microshot.nodes.tables import Output, png_type, schema_of, table_of

if TYPE_CHECKING:
    from pathlib import Path

    from microshot.nodes.images_to_read import Job

CHUNK, MAX_SHOWN = 32, 24
#: Columns before those of stains.
N_OWN = 5
#: Name of a member of `Form`, as KNIME stores it.
PNG = "PNG"


class Form(knext.EnumParameterOptions):
    """How images get into the table."""

    PNG = (
        "Images in the table",
        "As PNG images, 8 or 16 bit without loss. For images of one plane or in colour.",
    )
    PATH = (
        "Paths",
        "The table holds the files' paths. For stacks, floating-point and very large images.",
    )


@knext.node(
    name="Microscopy Image Reader",
    node_type=knext.NodeType.SOURCE,
    icon_path="icons/read_images.png",
    category=CATEGORY,
    id="read_images",
    keywords=[
        "TIFF",
        "OME",
        "PNG",
        "CZI",
        "LIF",
        "ND2",
        "import",
        "load",
        "folder",
        "label",
        "mask",
        "count",
        "ROI",
        "GeoJSON",
        "COCO",
        "labelme",
        "VIA",
        "QuPath",
        "points",
    ],
)
@knext.input_table(
    "Paths",
    "A table with paths of images (and of label images, and counts) instead of a folder.",
    optional=True,
)
@knext.output_table(
    "Images", "One row per field of view: image, label image, count, file name, pixel size, stains."
)
@knext.output_view("Images", "Small pictures of the images, with what each was taken for.")
class ReadImagesNode(knext.PythonNode):
    """Reads microscopy images and their label images from a folder.

    Reads PNG, JPEG, BMP and TIFF (also OME-TIFF and ImageJ TIFF, 8 and 16 bit) as they are: 16-bit
    images stay 16-bit. Zeiss CZI, Leica LIF and Nikon ND2 files are read, too: every image in such a file (a
    scene, a series, a position of the stage) becomes a row, called by its number, such as *exp.lif#3*; its label
    image is then *exp 3.tif*. A path of a table names one of several in the same way. Moments, planes and
    channels become channels in the order in which Fiji saves them; choose *Paths* for these.

    **Which label belongs to which image** is found by name: *cell_1.tif* belongs to *cell_1.tif* in
    a subfolder *labels* or *masks*, or to *cell_1_mask.tif*, *cell_1_label.png* and the like beside
    it. If the folder has subfolders *images* and *labels* (or *masks*), those are taken. A table
    *counts.csv* with a column for the file name (*file*) and one for the number of objects
    (*count*) gives counts, and so does Fiji's table *Summary*, saved under that name; leave the count
    empty for images that nobody counted, 0 means counted and nothing found. The view shows what was
    matched with what.

    **Label images** hold a number per object, 0 is background. Black-and-white masks and coloured
    label pictures are converted; the view says what each was taken for.

    **Outlines and points from other programs** are read too: ImageJ regions (*cell_1.roi*,
    *cell_1_RoiSet.zip*), QuPath's GeoJSON (*cell_1.geojson*), labelme's JSON (*cell_1.json*), JSON of COCO and
    VIA, and tables of points (*cell_1_points.csv* with the columns *y* and *x* in pixels), beside the
    images or in a folder *labels*. One file of COCO or VIA, or one table with a column *file*, may hold
    all images. Regions called *ignore* mark what nobody looked at; choose *Paths* to keep them, and to
    keep points.

    **Measured stains** to translate bright field to lie in a subfolder *targets* (or *stains*), one
    file per stain, called like the image with the stain's name behind: *field_1_nuclei.tif* for
    *field_1.tif*. Name them under *Measured stains*; every one gets a column of its own, which is
    empty for images that are only to be translated. Stacks are multi-page TIFF files, for which
    *Paths* is to be chosen.

    **Where the folder is.** A relative path is taken from the workflow's data area, which travels
    with the workflow; a full path works on this computer only.
    """

    folder = knext.StringParameter(
        "Folder",
        "Folder with the images: relative to the workflow's data area, an address that begins with "
        "knime://knime.workflow/data/, or a full path. Not used when a table of paths is connected.",
        "images",
    )
    pattern = knext.StringParameter(
        "File name pattern",
        "Which files are images, such as *\\*.tif* or *field\\*_ch0.png*; `*` stands for any text.",
        "*",
    )
    path_column = knext.ColumnParameter(
        "Path column",
        "Column with the images' paths, if a table is connected.",
        port_index=0,
        column_filter=columns.is_text,
        include_none_column=True,
    )
    label_path_column = knext.ColumnParameter(
        "Label path column",
        "Column with the label images' paths, if a table is connected and holds any. ImageJ regions, "
        "GeoJSON, JSON of COCO, labelme and VIA, and tables of points are read too. If none is chosen, the first column of "
        "paths with a name like label or mask is.",
        port_index=0,
        column_filter=columns.is_text,
        include_none_column=True,
    )
    count_column = knext.ColumnParameter(
        "Count column",
        "Column (Integer or Double) with the number of objects in each image, if a table is "
        "connected and holds any. Missing means not counted. If none is chosen, the first column "
        "with a name like count, cells or number is.",
        port_index=0,
        column_filter=columns.is_number,
        include_none_column=True,
    )
    form = knext.EnumParameter(
        "Images as",
        "How images and label images get into the table.",
        PNG,
        Form,
        style=knext.EnumParameter.Style.VALUE_SWITCH,
    )
    stains = knext.StringParameter(
        "Measured stains",
        "Names of the stains that lie beside the images, divided by commas, such as nuclei, lipids; "
        "empty = none. Not used when a table of paths is connected.",
        "",
    )
    unreadable = unreadable_parameter()

    def _columns(self, *, from_table: bool) -> dict[str, Any]:
        """Return names and types of the columns; a table of paths names no stains."""
        image = png_type() if self.form == PNG else knext.string()
        made = {
            "Image": image,
            "Label": image,
            "Count": knext.double(),
            "File": knext.string(),
            PIXEL_SIZE: knext.double(),
        }
        stains = () if from_table else read_stains.names_of(self.stains, made)
        return made | dict.fromkeys(stains, image)

    def configure(
        self, context: knext.ConfigurationContext, paths: knext.Schema | None
    ) -> knext.Schema:
        if paths is None:
            if not self.folder.strip():
                raise knext.InvalidParametersError("Give the folder with the images in the dialog.")
            return schema_of(self._columns(from_table=False))
        path = columns.chosen(self.path_column) or columns.guess_image(paths, (), columns.is_text)
        if path is None:
            raise knext.InvalidParametersError(
                "The input table has no column with paths; expected a String or Path column."
            )
        columns.require(paths, path, "path", columns.is_text)
        self.path_column = path
        label = columns.chosen(self.label_path_column)
        if label is None and not columns.declined(self.label_path_column):
            label = columns.guess_label(paths, path, columns.is_text)
        if label is not None:
            columns.require(paths, label, "label path", columns.is_text)
            self.label_path_column = label
        count = columns.chosen(self.count_column)
        if count is None and not columns.declined(self.count_column):
            count = columns.guess_count(paths)
        if count is not None:
            columns.require(paths, count, "count", columns.is_number)
            self.count_column = count
        return schema_of(self._columns(from_table=True))

    def execute(
        self, context: knext.ExecutionContext, paths: knext.Table | None
    ) -> tuple[Any, Any]:
        from microshot.pages import images_page

        notes, progress = Notes(), reporter(context)
        area, made = data_area(context), self._columns(from_table=paths is not None)
        if paths is None:
            folder, stains = resolve(self.folder, area), list(made)[N_OWN:]
            jobs = list(in_folder(folder, self.pattern, stains, notes))
        else:
            label, count = map(columns.chosen, (self.label_path_column, self.count_column))
            if count is None and not columns.declined(self.count_column):
                notes.add(columns.counts_as_text(paths.schema) or "")
            jobs = list(in_table(paths, self.path_column, label, count, notes))
        out, rows, ids, shown = Output(CHUNK), [], [], []
        for index, job in enumerate(jobs):
            progress(index / len(jobs), f"reading image {index + 1} of {len(jobs)}")
            row = _read(job, area, as_png=self.form == PNG, node=self, notes=notes, shown=shown)
            if row is not None:
                rows.append(dict(zip(made, row, strict=True)))
                ids.append(job.row_id)
        for start in range(0, max(len(rows), 1), CHUNK):
            part = slice(start, start + CHUNK)
            out.append(table_of(made, rows[part], ids[part]).to_pyarrow())
        notes.show(context)
        return out.finish(), knext.view_html(images_page(shown, notes.lines, len(ids)))


def _read(
    job: Job,
    area: Path,
    *,
    as_png: bool,
    node: Any,
    notes: Notes,
    shown: list[dict[str, Any]],
) -> tuple[Any, ...] | None:
    """Read one image and its label; None where it is unreadable and to be skipped."""
    from microshot.data.label_files import of_others, read_annotation
    from microshot.data.read import read_image

    try:
        path, label = job.files(area)
        image = read_image(path, where=job.image_where)
        reading = None
        if label is not None:
            reading = read_annotation(
                label, where=job.label_where, shape=image.shape, image=path.name
            )
            if reading is None:
                notes.add(of_others(label.name, path.name))
        if label is not None and reading is not None and reading.labels.shape != image.shape:
            raise ValueError(
                f"{label.name}: the label image must have the size of {path.name}, expected "
                f"{image.shape[0]} x {image.shape[1]} px, found {reading.labels.shape[0]} x "
                f"{reading.labels.shape[1]} px."
            )
        cells = (str(path), str(label) if reading is not None else None)
        if as_png:
            cells = png_cells(path, image, label, reading)
        count = count_with_points(job.count, reading, label, notes, as_png=as_png)
        stains = read_stains.read(job.stains, image, as_png=as_png)
    except (ValueError, OSError) as error:
        if node.unreadable != "SKIP":
            raise ValueError(str(error)) from error
        notes.add(f"Skipped: {error}")
        return None
    if len(shown) < MAX_SHOWN:
        shown.append({"name": path.name, "image": image, "reading": reading, "count": count})
    return (*cells, count, path.name, image.pixel_size_um, *stains)
