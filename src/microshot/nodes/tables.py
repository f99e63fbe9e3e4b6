"""Input tables row by row, and output tables from rows, batch by batch."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import knime.extension as knext

from microshot.progress import span

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    import pandas as pd
    import pyarrow as pa

    from microshot.progress import Progress


def is_missing(value: Any) -> bool:
    """Say whether a cell is missing, in any of pandas' ways."""
    if value is None:
        return True
    if isinstance(value, float):
        return value != value
    return type(value).__name__ in ("NAType", "NaTType") or (
        isinstance(value, str) and not value.strip()
    )


def rows_of(
    frame: pd.DataFrame, only: Container[str] | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield RowID and cells of each row, or of `only` some; an image is decoded when it is reached.

    (`DataFrame.iterrows` would try to make one array of all images.)
    """
    for index, row_id in enumerate(map(str, frame.index)):
        if only is None or row_id in only:
            yield row_id, {name: frame[name].iloc[index] for name in frame.columns}


def places(
    table: knext.Table, frame: Callable[[knext.Table], pd.DataFrame]
) -> Iterator[Callable[[], tuple[str, dict[str, Any]]]]:
    """Yield what gives RowID and cells of each row; a batch none of whose rows is asked for is not read."""
    for batch in table.batches():
        known = functools.cache(functools.partial(frame, batch))
        for index in range(batch.num_rows):
            yield functools.partial(_row, known, index)


def _row(frame: Callable[[], pd.DataFrame], index: int) -> tuple[str, dict[str, Any]]:
    return next(rows_of(frame().iloc[index : index + 1]))


class Walk:
    """Goes through the rows of a table, each with its own part of the progress bar."""

    def __init__(self, table: knext.Table, progress: Progress, what: str = "image") -> None:
        self.total, self.seen = max(table.num_rows, 1), 0
        self.progress, self.what = progress, what

    def __call__(self, frame: pd.DataFrame) -> Iterator[tuple[str, dict[str, Any], Progress]]:
        """Yield RowID, cells and progress of each row of one batch, announced as it is reached."""
        for row_id, row in rows_of(frame):
            here = span(self.progress, self.seen / self.total, (self.seen + 1) / self.total)
            self.seen += 1
            here(0.0, f"{self.what} {self.seen} of {self.total}")
            yield row_id, row, here


def batches_of(table: knext.Table) -> Iterator[knext.Table]:
    """Yield the batches of an input table that hold rows, or one empty one."""
    any_rows = False
    for batch in table.batches():
        if batch.num_rows:
            any_rows = True
            yield batch
    if not any_rows:
        yield from table.batches()


def png_type() -> Any:
    """Return KNIME's column type of PNG images."""
    import PIL.Image

    return knext.logical(PIL.Image.Image)


def schema_of(columns: dict[str, Any]) -> knext.Schema:
    """Return a schema from names and column types."""
    return knext.Schema.from_columns([knext.Column(t, n) for n, t in columns.items()])


def frame_of(columns: dict[str, Any], rows: list[dict[str, Any]], row_ids: list[str]) -> Any:
    """Return a data frame whose columns have exactly the KNIME types given, also when empty."""
    import pandas as pd

    simple = {
        knext.int32(): "Int32",
        knext.int64(): "Int64",
        knext.double(): "Float64",
        knext.string(): "string",
        knext.bool_(): "boolean",
    }
    made = {}
    for name, kind in columns.items():
        values = [row.get(name) for row in rows]
        series = pd.Series(values, index=row_ids, dtype=object)
        dtype = next((d for k, d in simple.items() if k == kind), None)
        if dtype is None:
            made[name] = series.astype(kind.to_pandas())
        else:
            made[name] = series.astype(dtype)
    return pd.DataFrame(made, index=pd.Index(row_ids, dtype=object))


def table_of(columns: dict[str, Any], rows: list[dict[str, Any]], row_ids: list[str]) -> Any:
    """Return a KNIME table from rows with exactly the column types given."""
    return knext.Table.from_pandas(frame_of(columns, rows, row_ids), row_ids="keep")


def arrow_of(table: knext.Table) -> pa.Table:
    """Return a table or a batch as one piece of Arrow, RowIDs first."""
    import pyarrow as pa

    rows = table.to_pyarrow()
    rows = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
    return rows.combine_chunks()


def appended(batch: knext.Table, columns: dict[str, Any], rows: list[dict[str, Any]]) -> pa.Table:
    """Return the rows of an input batch with new columns behind their own.

    The batch's own columns are passed through as they are, never decoded.
    """
    import pyarrow as pa

    own = arrow_of(batch)
    new = arrow_of(table_of(columns, rows, own.column(0).to_pylist()))
    names = [*own.schema.names, *new.schema.names[1:]]
    return pa.table([*own.columns, *new.columns[1:]], names=names)


class Output:
    """An output table written in chunks of equal length, as KNIME wants them."""

    def __init__(self, rows_per_chunk: int = 0) -> None:
        self._table = knext.BatchOutputTable.create(row_ids="keep")
        self._size = rows_per_chunk
        self._waiting: pa.Table | None = None
        self._written = 0

    def append(self, rows: pa.Table) -> None:
        """Add rows; the first chunk's length is that of all, unless one was given."""
        import pyarrow as pa

        waiting = rows if self._waiting is None else pa.concat_tables([self._waiting, rows])
        self._size = self._size or len(rows)
        while self._size and len(waiting) >= self._size:
            self._write(waiting.slice(0, self._size))
            waiting = waiting.slice(self._size)
        self._waiting = waiting

    def _write(self, rows: pa.Table) -> None:
        self._table.append(rows.combine_chunks())
        self._written += len(rows)

    def finish(self) -> Any:
        """Write what is left, also an empty chunk where nothing was written."""
        if self._waiting is not None and (len(self._waiting) or not self._written):
            self._write(self._waiting)
        return self._table


class RowOutput(Output):
    """An output table of given columns to which rows are added a few at a time.

    A data frame of few rows takes as long to make as one of many, so rows wait until there are many.
    """

    def __init__(self, columns: dict[str, Any], rows_per_chunk: int = 1000) -> None:
        super().__init__(rows_per_chunk)
        self._columns = columns
        self._ids: list[str] = []
        self._rows: list[dict[str, Any]] = []

    def add(self, ids: list[str], rows: list[dict[str, Any]]) -> None:
        """Add rows, which may be none, with their RowIDs."""
        self._ids += ids
        self._rows += rows
        if len(self._rows) >= self._size:
            self._flush()

    def _flush(self) -> None:
        self.append(table_of(self._columns, self._rows, self._ids).to_pyarrow())
        self._ids, self._rows = [], []

    def finish(self) -> Any:
        """Write what is left, also an empty chunk where no row was added."""
        self._flush()
        return super().finish()
