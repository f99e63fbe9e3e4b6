"""Path cells of *Predict* whose images are too large for memory."""

from __future__ import annotations

import time
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

from microshot.nodes import trust_columns
from microshot.nodes.context import resolve_cell
from microshot.nodes.object_rows import object_rows
from microshot.nodes.tables import is_missing

if TYPE_CHECKING:
    from contextlib import ExitStack
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
        file = resolve_cell(cell, reader.folder)
        return file if is_zarr(file) or is_large(file, large_mpx) else None
    except (ValueError, OSError):
        return None


def row(
    writer: Any, name: str, file: Path, progress: Progress, objects: RowOutput, stack: ExitStack
) -> dict[str, Any]:
    """Segment a large image, write its label file and the rows of its objects; return its cells.

    Temporary files are deleted when `stack` is left without error.
    """
    from microshot.data.windows import opened
    from microshot.large.segmenting import segmented
    from microshot.trust import Trust

    started = time.perf_counter()
    source = stack.enter_context(closing(opened(file)))
    found = stack.enter_context(
        segmented(
            writer.predictor, source, writer.path(name), overwrite=writer.overwrite,
            progress=progress,
        )
    )  # fmt: skip
    measured = found.rows()
    while table := list(islice(measured, ROWS)):
        objects.add(*object_rows(name, table))
    writer.notes.add(*(f"{name}: {note}" for note in found.notes))
    known = {"name": name, "n_objects": found.n_objects, "confidence": found.confidence}
    writer.rows.append(known | trust_columns.shown(Trust()))
    p, seconds = writer.predictor, time.perf_counter() - started
    values = [str(found.labels), found.n_objects, found.confidence]
    values += trust_columns.cells(Trust(), [p.card], p.device.line, seconds)
    return dict(zip(writer.names, values, strict=True))
