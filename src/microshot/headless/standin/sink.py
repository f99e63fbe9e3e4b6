"""The file in which a table ends: batches of equal size and equal columns."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pyarrow as pa

from microshot.headless.standin.runtime import writing
from microshot.headless.standin.schema import ROW_ID

if TYPE_CHECKING:
    from microshot.headless.standin.arrow import ArrowData

_BATCH_BYTES = 1 << 26  # KNIME's target size of a batch, 64 MiB


class Sink:
    """A table file being written; every batch but the last must have the same number of rows."""

    def __init__(self, what: str) -> None:
        session = writing(what)
        assert session.tables is not None
        self.path = session.tables / f"{uuid.uuid4().hex}.arrow"
        self._writer: pa.RecordBatchFileWriter | None = None
        self._schema: pa.Schema | None = None
        self._size = 0
        self._last_seen = False
        self._closed = False
        session.closing.append(self.close)

    def write_table(self, data: ArrowData) -> None:
        """Write a whole table, split as KNIME splits it (64 MiB per batch)."""
        n_batches = data.nbytes / _BATCH_BYTES
        if isinstance(data, pa.RecordBatch) or len(data) == 0 or n_batches < 1:
            self.write(data)
            return
        rows = int(len(data) // n_batches)
        if rows == 0:
            raise ValueError(
                "A row of the table is larger than 64 MiB, which KNIME cannot split; "
                "write it with BatchOutputTable, one row per batch."
            )
        for batch in data.to_batches(max_chunksize=rows):
            self.write(batch)

    def write(self, data: ArrowData) -> None:
        """Append a batch, or every chunk of a table."""
        if isinstance(data, pa.Table):
            empty = pa.RecordBatch.from_pylist([], schema=data.schema) if len(data) == 0 else None
            for batch in data.to_batches() if empty is None else [empty]:
                self._write_batch(batch)
        else:
            self._write_batch(data)

    def _write_batch(self, batch: pa.RecordBatch) -> None:
        if self._schema is None or self._writer is None:
            self._schema = batch.schema
            self._size = len(batch)
            self._writer = pa.ipc.new_file(str(self.path), batch.schema)
        elif batch.schema != self._schema:
            raise ValueError(
                "All batches of a table must have the same columns and types; the first has "
                f"{_described(self._schema)}, a later one {_described(batch.schema)}."
            )
        elif self._last_seen or len(batch) > self._size:
            raise ValueError(
                "All batches of a table must have the same number of rows, only the last may have "
                f"fewer; the first has {self._size} rows, a later one {len(batch)}."
            )
        self._last_seen = len(batch) < self._size
        self._writer.write_batch(batch)

    def close(self) -> None:
        """Finish the file; a table into which nothing was written has no columns."""
        if self._closed:
            return
        self._closed = True
        if self._writer is None:
            self._writer = pa.ipc.new_file(str(self.path), pa.schema([(ROW_ID, pa.string())]))
        self._writer.close()


def _described(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)
