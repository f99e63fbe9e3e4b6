"""Path cells of *Predict* whose images are too large for memory."""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from microshot.nodes import trust_columns
from microshot.nodes.context import named, resolve_cell
from microshot.nodes.object_rows import object_rows
from microshot.nodes.tables import is_missing

if TYPE_CHECKING:
    from pathlib import Path

    from microshot.nodes.samples import Reader
    from microshot.nodes.tables import RowOutput
    from microshot.progress import Progress

#: Rows of the table of objects that are held at a time.
ROWS = 1000


def large_file(reader: Reader, row: dict[str, Any], large_mpx: float) -> Path | None:
    """Return the file of a row whose image is to be read in parts, else None.

    Also None for files that cannot be opened: reading them whole says why, or skips the row.
    """
    from microshot.data.windows import is_large, is_zarr

    cell = row[reader.columns.image]
    if reader.columns.more or is_missing(cell) or hasattr(cell, "getpixel"):
        return None
    try:
        file = resolve_cell(cell, reader.folder, reader.columns.image)
        return file if is_zarr(file) or is_large(file, large_mpx) else None
    except (ValueError, OSError):
        return None


def row(
    writer: Any,
    reader: Reader,
    name: str,
    cells: dict[str, Any],
    file: Path,
    progress: Progress,
    objects: RowOutput,
) -> dict[str, Any]:
    """Segment a large image, write its label file and the rows of its objects; return its cells.

    Missing values where it cannot be read and is to be skipped. Temporary files are deleted when
    the writer's `stack` is left without error.

    Raises
    ------
    ValueError
        If the image cannot be read and is not to be skipped; names row, column, reason.
    """
    from microshot.large.segmenting import unfinished

    out = writer.path(name)
    begun_before = unfinished(out).exists()
    try:
        size = reader.pixel_size(name, cells)
        with named(f'Row "{name}", column "{reader.columns.image}"'):
            return _row(writer, name, file, size, out, progress, objects)
    except ValueError as error:
        reader.give_up(error)
        if not begun_before:
            shutil.rmtree(unfinished(out), ignore_errors=True)
        return {}


def _row(
    writer: Any,
    name: str,
    file: Path,
    pixel_size_um: float | None,
    out: Path,
    progress: Progress,
    objects: RowOutput,
) -> dict[str, Any]:
    """Return the cells of a row, see `row`; a given pixel size is taken before that of the file."""
    from microshot.data.windows import opened
    from microshot.large.segmenting import segmented

    started, p = time.perf_counter(), writer.predictor
    with closing(opened(file)) as source:
        if pixel_size_um is not None:
            source.facts = replace(source.facts, pixel_size_um=pixel_size_um)
        job = segmented(p, source, out, overwrite=writer.overwrite, progress=progress)
        found = writer.stack.enter_context(job)
    measured = found.rows()
    while table := list(islice(measured, ROWS)):
        objects.add(*object_rows(name, table))
    writer.notes.add(*(f"{name}: {note}" for note in found.notes))
    writer.warnings.append(found.trust.warning)
    sample = replace(found.part.sample, name=name)
    writer.show(sample, found.of_part(), unlike=bool(found.trust.warning))
    known = {"name": name, "n_objects": found.n_objects, "confidence": found.confidence}
    writer.rows.append(known | writer.more(found) | trust_columns.shown(found.trust))
    values = [str(found.labels), found.n_objects, found.confidence]
    seconds = time.perf_counter() - started
    values += trust_columns.cells(found.trust, [p.card], p.device.line, seconds)
    return dict(zip(writer.names, values, strict=True))
