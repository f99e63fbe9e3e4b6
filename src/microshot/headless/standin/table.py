"""Tables as nodes see them: `Table`, its views and `BatchOutputTable`."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from microshot.headless.standin.arrow import (
    ArrowData,
    accept,
    check_chunks,
    numbered,
    schema_of,
    with_row_ids,
)
from microshot.headless.standin.failure import missing
from microshot.headless.standin.runtime import writing
from microshot.headless.standin.schema import ROW_ID, Columnar, ColumnarView, Schema, positions
from microshot.headless.standin.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import pandas as pd


def _no_sentinel(sentinel: object) -> None:
    if sentinel is not None:
        raise missing("sentinel values for missing cells; use a nullable column such as Int64")


class Tabular(Columnar):
    """What tables and views of tables share."""

    @property
    @abstractmethod
    def num_rows(self) -> int: ...

    @property
    @abstractmethod
    def schema(self) -> Schema: ...

    @property
    def shape(self) -> tuple[int, int]:
        """(columns, rows), in this order in KNIME."""
        return self.num_columns, self.num_rows

    def _view(self, operation: Callable[[Any], Any]) -> TabularView:
        return TabularView(self, operation)

    def __getitem__(self, slicing: Any) -> Any:
        if isinstance(slicing, tuple):
            columns, rows = slicing
            return super().__getitem__(columns)._view(lambda data: data._select_rows(rows))
        return super().__getitem__(slicing)


class TabularView(Tabular, ColumnarView):
    """A selection of a table that is carried out when its data are needed."""

    @property
    def num_rows(self) -> int:
        return self.get().num_rows

    @property
    def schema(self) -> Schema:
        return self.get().schema

    def to_pandas(self, sentinel: Any = None) -> pd.DataFrame:
        return self.get().to_pandas(sentinel)

    def to_pyarrow(self, sentinel: Any = None) -> ArrowData:
        return self.get().to_pyarrow(sentinel)


class Table(Tabular):
    """A table; made with `from_pandas` or `from_pyarrow`, or handed to `execute`."""

    def __init__(self) -> None:
        raise RuntimeError("Use Table.from_pandas or Table.from_pyarrow to make a table.")

    @staticmethod
    def from_pandas(data: pd.DataFrame, sentinel: Any = None, row_ids: str = "auto") -> Table:
        writing("Table.from_pandas")
        _no_sentinel(sentinel)
        return ArrowTable(_arrow_from_pandas(data, row_ids, 0, ("auto", "keep", "generate")))

    @staticmethod
    def from_pyarrow(data: pa.Table, sentinel: Any = None, row_ids: str = "auto") -> Table:
        writing("Table.from_pyarrow")
        _no_sentinel(sentinel)
        return ArrowTable(_arrow_from_arrow(data, row_ids, 0, ("auto", "keep", "generate")))

    def to_batches(self) -> Iterator[Table]:
        return self.batches()

    def batches(self) -> Iterator[Table]:
        raise RuntimeError(
            "Only tables as they are passed to execute have batches, not slices or new tables."
        )

    def to_pandas(self, sentinel: Any = None) -> pd.DataFrame:
        raise NotImplementedError

    def to_pyarrow(self, sentinel: Any = None) -> ArrowData:
        raise NotImplementedError


class ArrowTable(Table):
    """A table in memory; one batch of an input is a record batch."""

    def __init__(self, data: ArrowData) -> None:
        self._data = data

    def _arrow(self) -> ArrowData:
        return self._data

    def to_pandas(self, sentinel: Any = None) -> pd.DataFrame:
        from microshot.headless.standin.frames import to_frame

        _no_sentinel(sentinel)
        return to_frame(self._arrow())

    def to_pyarrow(self, sentinel: Any = None) -> ArrowData:
        _no_sentinel(sentinel)
        return self._arrow()

    @property
    def num_rows(self) -> int:
        return self._arrow().num_rows

    @property
    def num_columns(self) -> int:
        return self._arrow().num_columns - 1

    @property
    def column_names(self) -> list[str]:
        return self._arrow().schema.names[1:]

    @property
    def schema(self) -> Schema:
        return schema_of(self._arrow().schema)

    def _select_rows(self, rows: Any) -> ArrowTable:
        if not isinstance(rows, slice):
            raise IndexError(f"Rows are selected with a slice such as :100, found {rows!r}.")
        start, stop, step = rows.indices(self.num_rows)
        if step == 1:
            return ArrowTable(self._arrow().slice(start, max(0, stop - start)))
        return ArrowTable(self._arrow().take(pa.array(range(start, stop, step), pa.int64())))

    def _select_columns(self, selection: Any) -> ArrowTable:
        chosen = [selection] if isinstance(selection, int | str) else selection
        kept = [0, *(i + 1 for i in positions(self.column_names, chosen))]
        return ArrowTable(self._arrow().select(kept))

    def _append(self, other: Any) -> ArrowTable:
        raise NotImplementedError(
            "KNIME cannot append columns to a table; use to_pyarrow() or to_pandas() and build one."
        )

    def __str__(self) -> str:
        return f"Table[{self.num_columns} columns, {self.num_rows} rows]"


class SourceTable(ArrowTable):
    """A table as it arrives in `execute`, read batch by batch from its file."""

    def __init__(self, path: Path, schema: Schema) -> None:
        self._reader = pa.ipc.open_file(pa.memory_map(str(path)))
        self._schema = schema

    def _arrow(self) -> pa.Table:
        return self._reader.read_all()

    @property
    def num_rows(self) -> int:
        return sum(size for size in batch_sizes(self._reader))

    @property
    def num_columns(self) -> int:
        return len(self._reader.schema) - 1

    @property
    def column_names(self) -> list[str]:
        return self._reader.schema.names[1:]

    @property
    def schema(self) -> Schema:
        return self._schema

    @property
    def num_batches(self) -> int:
        return self._reader.num_record_batches

    def batches(self) -> Iterator[Table]:
        for i in range(self._reader.num_record_batches):
            yield ArrowTable(self._reader.get_batch(i))


def batch_sizes(reader: pa.RecordBatchFileReader) -> list[int]:
    """Return the number of rows of every batch of a table file."""
    return [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)]


def _arrow_from_arrow(
    data: ArrowData, row_ids: str, start: int, allowed: tuple[str, ...]
) -> ArrowData:
    if row_ids not in allowed:
        raise ValueError(f"row_ids must be one of {', '.join(allowed)}, found {row_ids!r}.")
    if not isinstance(data, pa.Table | pa.RecordBatch):
        raise TypeError(f"Expected a pyarrow table, found {type(data).__name__}.")
    if data.num_columns == 0:
        raise ValueError("KNIME cannot take an Arrow table without columns.")
    check_chunks(data)
    first = data.schema[0]
    if row_ids == "auto" and first.name == ROW_ID:
        if pa.types.is_integer(first.type):
            ids = [f"Row{value}" for value in data.column(0).to_pylist()]
            return accept(with_row_ids(data, ids, 1))
        if pa.types.is_string(first.type):
            return accept(data)
    if row_ids == "keep":
        return accept(data)
    return accept(with_row_ids(data, numbered(start, len(data)), 0))


def _arrow_from_pandas(data: Any, row_ids: str, start: int, allowed: tuple[str, ...]) -> ArrowData:
    import pandas as pd

    from microshot.headless.standin.frames import from_frame

    if row_ids not in allowed:
        raise ValueError(f"row_ids must be one of {', '.join(allowed)}, found {row_ids!r}.")
    if not isinstance(data, pd.DataFrame):
        raise ValueError(f"Expected a pandas DataFrame, found {type(data).__name__}.")
    if data.shape == (0, 0) and row_ids == "keep":
        raise ValueError("KNIME cannot append a data frame without columns; give it its columns.")
    if row_ids == "generate":
        frame = from_frame(data, "none")
        return accept(with_row_ids(frame, numbered(start, len(data)), 0))
    return accept(from_frame(data, row_ids))


class BatchOutputTable:
    """A table written batch by batch, to be returned from `execute`."""

    def __init__(self) -> None:
        raise RuntimeError("Use BatchOutputTable.create or from_batches to make an output table.")

    @staticmethod
    def create(row_ids: str = "keep") -> BatchOutputTable:
        return ArrowBatchOutputTable(row_ids)

    @staticmethod
    def from_batches(generator: Iterable[Any], row_ids: str = "generate") -> BatchOutputTable:
        out = ArrowBatchOutputTable(row_ids)
        for batch in generator:
            out.append(batch)
        return out

    @abstractmethod
    def append(self, batch: Any) -> None: ...

    @property
    @abstractmethod
    def num_batches(self) -> int: ...


class ArrowBatchOutputTable(BatchOutputTable):
    def __init__(self, row_ids: str) -> None:
        if row_ids not in ("keep", "generate"):
            raise ValueError(f"row_ids must be keep or generate, found {row_ids!r}.")
        self._row_ids = row_ids
        self._n_rows = 0
        self._n_batches = 0
        self.sink = Sink("BatchOutputTable")

    def append(self, batch: Any) -> None:
        allowed = ("keep", "generate")
        if isinstance(batch, TabularView):
            raise TypeError("KNIME cannot append a sliced table; append `slice.get()`.")
        if isinstance(batch, pa.Table | pa.RecordBatch):
            data = _arrow_from_arrow(batch, self._row_ids, self._n_rows, allowed)
        elif isinstance(batch, ArrowTable):
            data = batch._arrow()
            if self._row_ids == "generate":
                data = accept(with_row_ids(data, numbered(self._n_rows, len(data)), 1))
        else:
            import pandas as pd

            if not isinstance(batch, pd.DataFrame):
                raise TypeError(
                    "A batch must be a Table, a pandas DataFrame or a pyarrow table, "
                    f"found {type(batch).__name__}."
                )
            data = _arrow_from_pandas(batch, self._row_ids, self._n_rows, allowed)
        self._n_rows += len(data)
        self._n_batches += 1
        self.sink.write(data)

    @property
    def num_batches(self) -> int:
        return self._n_batches
