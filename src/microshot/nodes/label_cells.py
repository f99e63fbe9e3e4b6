"""What label cells of a table say: PNG images, or paths of label files of any kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microshot.nodes.context import resolve_cell
from microshot.words import how_many

if TYPE_CHECKING:
    from pathlib import Path

    from microshot.data.label_reading import LabelReading
    from microshot.nodes.context import Notes


def annotation_of(
    cell: Any, folder: Path, where: str, shape: tuple[int, int] | None, name: str
) -> LabelReading | None:
    """Read what a cell, PNG or path of a label file, says of the image `name` of (Y, X) `shape`.

    None where the file is about other images; `where` names the cell in errors.
    """
    from microshot.data.codec import labels_from_pil
    from microshot.data.label_files import read_annotation

    if hasattr(cell, "getpixel"):
        return labels_from_pil(cell, where)
    return read_annotation(resolve_cell(cell, folder, where), where=where, shape=shape, image=name)


def labels_of(
    cell: Any, folder: Path, where: str, shape: tuple[int, int] | None = None, name: str = ""
) -> LabelReading:
    """Read a cell that must hold outlines of the image's objects; as `annotation_of`."""
    from microshot.data.codec import labels_from_pil
    from microshot.data.label_files import read_labels

    if hasattr(cell, "getpixel"):
        return labels_from_pil(cell, where)
    path = resolve_cell(cell, folder, where)
    return read_labels(path, where=where, shape=shape, image=name or None)


def name_of(cell: Any, row_id: str) -> str:
    """Return the name by which label files may know an image: its file's, else its RowID."""
    if hasattr(cell, "getpixel"):
        return row_id
    return str(getattr(cell, "path", cell))


def count_with_points(
    count: float | None, reading: Any, label: Path | None, notes: Notes, *, as_png: bool
) -> float | None:
    """Return the count of an image; that of its points where the table cannot hold these.

    Raises
    ------
    ValueError
        If the points leave out areas to be ignored, which a count cannot say.
    """
    if label is None or reading is None or reading.points is None or not as_png:
        return count
    if reading.labels.min() < 0:
        raise ValueError(
            f"{label.name}: a count cannot leave out the areas to be ignored; choose "
            '"Paths" under "Images as".'
        )
    notes.add(
        "Points were turned into counts, their places are not in the table; choose "
        '"Paths" under "Images as" to keep them.'
    )
    return float(reading.n_objects) if count is None else count


def png_cells(path: Path, image: Any, label: Path | None, reading: Any) -> tuple[Any, Any]:
    """Return image and labels as PNG cells.

    Raises
    ------
    ValueError
        Naming the file that a PNG cannot hold without loss.
    """
    from microshot.data.codec import image_to_pil, labels_to_pil

    pixels = image.pixels
    fits = pixels.dtype.kind == "u" and (
        len(pixels) == 1 or (len(pixels), pixels.itemsize) == (3, 1)
    )
    if not fits:
        raise ValueError(
            f"{path.name}: an image of {how_many(len(pixels), 'plane')}, {pixels.dtype}, does not fit into a "
            'PNG image; choose "Paths" under "Images as".'
        )
    if reading is None or label is None or reading.points is not None:
        return image_to_pil(pixels), None
    if reading.labels.min() < 0 or reading.n_objects > 65535:
        raise ValueError(
            f"{label.name}: a PNG image holds object numbers from 0 to 65535, found "
            f'{reading.labels.min()} to {reading.labels.max()}; choose "Paths" under "Images as".'
        )
    return image_to_pil(pixels), labels_to_pil(reading.labels)
