"""The node *Export Labels*."""

from __future__ import annotations

from typing import Any

import knime.extension as knext

from microshot.data.addresses import resolve
from microshot.data.disk import made_folder
from microshot.nodes import columns
from microshot.nodes.category import CATEGORY
from microshot.nodes.context import Notes, data_area, reporter
from microshot.nodes.label_cells import labels_of, name_of
from microshot.nodes.numbers import size_of
from microshot.nodes.samples import PIXEL_SIZE, unreadable_parameter
from microshot.nodes.tables import is_missing, rows_of
from microshot.progress import span

#: Name of a member of `Kind`, as KNIME stores it.
TIFF = "TIFF"


class Kind(knext.EnumParameterOptions):
    """Which kind of file is written."""

    TIFF = (
        "Label image (TIFF)",
        "One number per object, 16 bit (32 bit above 65 535 objects); opens in Fiji, napari, Cellpose.",
    )
    ROI = ("ImageJ ROI set (ZIP)", "One region per object, for the ROI Manager of ImageJ and Fiji.")
    GEOJSON = (
        "QuPath GeoJSON",
        "One detection per object; drag the file onto the image in QuPath.",
    )
    CSV = ("Table (CSV)", "One line per object: centre, area and box. Outlines are not in it.")


@knext.node(
    name="Export Labels",
    node_type=knext.NodeType.SINK,
    icon_path="icons/write_labels.png",
    category=CATEGORY,
    id="write_labels",
    keywords=["save", "ImageJ", "Fiji", "ROI", "QuPath", "GeoJSON", "TIFF", "CSV", "outline"],
)
@knext.input_table("Labels", "Label images, one row per field of view.")
class WriteLabelsNode(knext.PythonNode):
    """Writes label images into files for ImageJ, QuPath and other programs.

    One file per row. **Outlines are exact:** they follow the edges of the pixels, with holes and
    separate pieces, so that reading them again (with *Microscopy Image Reader*, ImageJ or QuPath)
    gives the same pixels.

    **Areas to be ignored** (negative numbers in a label image) become a region called *ignore*, in
    QuPath an annotation of the class *Ignore\\**. They are read back as such.

    **File names** come from the RowIDs, or from a column of your choice; folders and endings in it
    are left out. Two rows for one file are an error, and so is a file that exists already, before
    anything is written.

    **Places in the table** are pixels from the middle of the first pixel, as in napari; ImageJ and
    QuPath count from its corner, half a pixel more.
    """

    label_column = knext.ColumnParameter(
        "Label column",
        "Column with the label images: PNG images, or paths of label files. If none is chosen, the "
        "last column is that *Predict Microscopy Images* made, else the first with a name like "
        "label or mask.",
        port_index=0,
        column_filter=columns.is_image,
    )
    kind = knext.EnumParameter("File format", "Which program the files are for.", TIFF, Kind)
    folder = knext.StringParameter(
        "Folder",
        "Where the files are written: a folder in the workflow's data area, or a full path. It is "
        "made if it is missing.",
        "labels",
    )
    name_column = knext.ColumnParameter(
        "File name column",
        "Column with the names of the files, such as *File*. If none is chosen, RowIDs are taken.",
        port_index=0,
        column_filter=columns.is_text,
        include_none_column=True,
    )
    overwrite = knext.BoolParameter(
        "Replace existing files",
        "Whether files of the same name in that folder are replaced; else they are an error.",
        False,
    )
    unreadable = unreadable_parameter()

    def configure(self, context: knext.ConfigurationContext, labels: knext.Schema) -> None:
        column = (
            columns.chosen(self.label_column)
            or next(reversed(columns.predicted_labels(labels)), None)
            or columns.guess_label(labels, None)
            or columns.guess_prediction(labels, ())
        )
        if column is None:
            raise knext.InvalidParametersError(
                "The input table has no column with label images; choose it in the dialog."
            )
        columns.require(labels, column, "label", columns.is_image)
        self.label_column = column
        name = columns.chosen(self.name_column)
        if name is not None:
            columns.require(labels, name, "file name", columns.is_text)
        if not self.folder.strip():
            raise knext.InvalidParametersError("Give the folder for the files in the dialog.")

    def execute(self, context: knext.ExecutionContext, labels: knext.Table) -> None:
        from microshot.export.labels import Names, export

        notes, progress, area = Notes(), reporter(context), data_area(context)
        kind, folder = self.kind.lower(), resolve(self.folder, area)
        names = _names(labels, self.label_column, columns.chosen(self.name_column), notes)
        known = Names.of(names.values(), folder, kind, overwrite=self.overwrite)
        made_folder(folder)
        size = PIXEL_SIZE if PIXEL_SIZE in labels.column_names else None
        wanted = [self.label_column, *([size] if size else [])]
        seen = 0
        for batch in labels.batches():
            for row_id, row in rows_of(batch[wanted].to_pandas()):
                if row_id not in names:
                    continue
                told = f"writing label image {seen + 1} of {len(names)}"
                here = span(progress, seen / len(names), (seen + 1) / len(names), f"{told}, ")
                progress(seen / len(names), told)
                seen += 1
                found = _read(row[self.label_column], row_id, self, area, notes)
                if found is None:
                    continue
                name = names[row_id]
                um = size_of(row[size], f'Row "{row_id}", column "{size}"') if size else None
                export(
                    known.files[name], found, kind, image=name, pixel_size_um=um,
                    overwrite=self.overwrite, progress=here,
                )  # fmt: skip
        notes.show(context)


def _names(
    table: knext.Table, label_column: str, name_column: str | None, notes: Notes
) -> dict[str, str]:
    """Return the names of the files by RowID, for rows that have a label image.

    Raises
    ------
    ValueError
        Naming the row whose file name is missing.
    """
    from microshot.data.folders import stem_of

    names: dict[str, str] = {}
    missing = 0
    wanted = [label_column, *([name_column] if name_column else [])]
    for batch in table.batches():
        for row_id, row in rows_of(batch[wanted].to_pandas()):
            if is_missing(row[label_column]):
                missing += 1
                continue
            text = row[name_column] if name_column else row_id
            if is_missing(text):
                raise ValueError(
                    f'Row "{row_id}", column "{name_column}": expected a file name, found nothing; '
                    "fill it in, or take the RowIDs as file names."
                )
            names[row_id] = stem_of(name_of(text, row_id)) if name_column else row_id
    if missing:
        notes.add(f"Rows left out because the label image is missing: {missing}.")
    return names


def _read(cell: Any, row_id: str, node: Any, folder: Any, notes: Notes) -> Any:
    """Return the labels in a cell; None where they are unreadable and to be skipped."""
    where = f'Row "{row_id}", column "{node.label_column}"'
    try:
        reading = labels_of(cell, folder, where)  # refuses photographs, too
        known = _numbered(cell)
        return reading.numbered() if known is None else known
    except (ValueError, OSError) as error:
        if node.unreadable != "SKIP":
            raise
        notes.add(f"Left out: {error}")
        return None


def _numbered(cell: Any) -> Any:
    """Return the numbers of a 16-bit PNG as they are; None for masks, colours and paths.

    (A number in several pieces stays one object, also where it is the only one.)
    """
    import numpy as np

    if not str(getattr(cell, "mode", "")).startswith("I"):
        return None
    pixels = np.asarray(cell).astype(np.int32)
    greatest = int(pixels.max(initial=0))
    is_mask = greatest in (255, 65535) and not np.any((pixels > 0) & (pixels < greatest))
    return None if is_mask else pixels
