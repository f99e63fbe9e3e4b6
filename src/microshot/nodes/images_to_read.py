"""Which images *Microscopy Image Reader* is to read: those of a folder, or those a table names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from microshot.nodes import read_stains
from microshot.nodes.context import resolve_cell
from microshot.nodes.numbers import cells_of, count_of
from microshot.nodes.tables import is_missing, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import knime.extension as knext

    from microshot.nodes.context import Notes


@dataclass(frozen=True)
class Job:
    """An image to be read, and what belongs to it."""

    row_id: str
    image: Any
    """A file, or the cell of a table that names one."""
    label: Any = None
    """Likewise; None where there is none."""
    count: float | None = None
    stains: Sequence[Path | None] = ()
    image_where: str | None = None
    """Row and column of the cell; None for a file of a folder."""
    label_where: str | None = None

    def files(self, area: Path) -> tuple[Path, Path | None]:
        """Return the files of image and label; relative ones lie in the data area.

        Raises
        ------
        ValueError
            If a cell names no file that can be read; names row, column, reason.
        """
        label = None if self.label is None else _file(self.label, area, self.label_where)
        return _file(self.image, area, self.image_where), label


def _file(named: Any, area: Path, where: str | None) -> Path:
    return named if where is None else resolve_cell(named, area, where)


def in_folder(folder: Path, pattern: str, stains: Sequence[str], notes: Notes) -> Iterator[Job]:
    """Yield the images of a folder with their labels, counts and stains.

    Raises
    ------
    ValueError
        If there is none.
    """
    from microshot.data.count_table import overlooked
    from microshot.data.folders import listed, stem_of, unread, without_images
    from microshot.data.label_files import find_labels, labels_of_others

    matches = find_labels(folder, pattern)
    if not matches.images:
        advice = "check the folder and the file name pattern, in which no folders are named"
        raise ValueError(
            f'"{folder}": expected TIFF, PNG, JPEG, BMP, CZI, LIF or ND2 images whose names fit "{pattern}", found '
            f"none; {without_images(folder, advice)}."
        )
    others = unread(folder, labels=bool(matches.images_alone))
    notes.add(*matches.not_taken(), *(f"{said}." for said in others))
    every = matches.images if pattern == "*" else find_labels(folder).images
    counts = _counts(folder, every, notes)
    if matches.images_alone:
        others = "" if matches.pairs else labels_of_others(every, folder)
        notes.add(*filter(None, (overlooked(every, folder), others)))
    if matches.pairs and matches.images_alone:
        n = len(matches.images_alone)
        notes.add(f"Images without label image: {n} ({listed(matches.images_alone)}).")
    if matches.labels_alone:
        n = len(matches.labels_alone)
        notes.add(f"Label images without image: {n} ({listed(matches.labels_alone)}).")
    labels = dict(matches.pairs)
    measured = read_stains.files_of(folder, matches.images, stains, notes) if stains else {}
    for index, image in enumerate(matches.images):
        count = counts.get(stem_of(image).casefold())
        yield Job(f"Row{index}", image, labels.get(image), count, measured.get(image, ()))


def _counts(folder: Path, images: Sequence[Path], notes: Notes) -> dict[str, float | None]:
    """Return the counts in ``counts.csv`` of a folder by file stem; empty without that file.

    Raises
    ------
    ValueError
        If no count is that of one of all `images` in the folder.
    """
    from microshot.data.count_table import COUNTS
    from microshot.data.folders import listed
    from microshot.data.read import matched_counts

    table = folder / COUNTS
    if not table.is_file():
        return {}
    counts, alone = matched_counts(images, table)
    if alone:
        notes.add(f"Counts without image: {len(alone)} ({listed(alone)}).")
    return counts


def in_table(
    table: knext.Table,
    path_column: str,
    label_column: str | None,
    count_column: str | None,
    notes: Notes,
) -> Iterator[Job]:
    """Yield the images that a table names, under its RowIDs."""
    names = [path_column, *([label_column] if label_column else [])]
    missing = 0
    for batch in table.batches():
        frame = batch[names].to_pandas()
        counts = cells_of(batch, count_column) if count_column else [None] * len(frame)
        for count, (row_id, row) in zip(counts, rows_of(frame), strict=True):
            if is_missing(row[path_column]):
                missing += 1
                continue
            label = row[label_column] if label_column else None
            image_where, label_where, count_where = (
                f'Row "{row_id}", column "{name}"'
                for name in (path_column, label_column, count_column)
            )
            yield Job(
                row_id,
                row[path_column],
                None if is_missing(label) else label,
                count_of(count, count_where),
                image_where=image_where,
                label_where=label_where,
            )
    if missing:
        notes.add(f"Rows left out because the path is missing: {missing}.")
