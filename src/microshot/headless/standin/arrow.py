"""What KNIME does to Arrow data on the way into a table: RowIDs, types it takes, equal batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa

from microshot.headless.standin.cells import CellType
from microshot.headless.standin.failure import missing
from microshot.headless.standin.schema import ROW_ID, Schema, check_names
from microshot.headless.standin.types import (
    KnimeType,
    bool_,
    decode_type,
    double,
    int32,
    int64,
    list_,
    null,
    string,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

ArrowData: TypeAlias = pa.Table | pa.RecordBatch
_PLAIN: dict[pa.DataType, KnimeType] = {
    pa.int32(): int32(),
    pa.int64(): int64(),
    pa.string(): string(),
    pa.bool_(): bool_(),
    pa.float64(): double(),
    pa.null(): null(),
}


def knime_type(dtype: pa.DataType) -> KnimeType:
    """Return the KNIME type of an accepted Arrow type."""
    if isinstance(dtype, CellType):
        return decode_type(dtype.logical_type)
    if pa.types.is_list(dtype):
        return list_(_PLAIN[dtype.value_type])
    return _PLAIN[dtype]


def schema_of(schema: pa.Schema) -> Schema:
    """Return the node's view of a table file: every column but the RowID."""
    fields = list(schema)[1:]
    return Schema([knime_type(f.type) for f in fields], [f.name for f in fields])


def _accepted_type(name: str, dtype: pa.DataType) -> pa.DataType:
    """Return the type in which KNIME stores a column of `dtype`, or raise."""
    if isinstance(dtype, CellType) or dtype in _PLAIN:
        return dtype
    if pa.types.is_float32(dtype):
        return pa.float64()
    if pa.types.is_dictionary(dtype) and dtype.value_type in _PLAIN:
        return dtype.value_type
    if pa.types.is_list(dtype):
        if dtype.value_type in _PLAIN:
            return dtype
        if pa.types.is_float32(dtype.value_type):
            return pa.list_(pa.float64())
    if pa.types.is_temporal(dtype):
        raise missing(f"date and time columns (column '{name}' is {dtype})")
    raise ValueError(
        f"Column '{name}' has the Arrow type {dtype}, which KNIME does not take; "
        "use int32, int64, float64, bool, string, a list of these, an image or a byte vector."
    )


def accept(data: ArrowData) -> ArrowData:
    """Return `data` with the types KNIME stores.

    Raises
    ------
    TypeError : if the first column is not the RowID as text.
    ValueError : for types and names that KNIME refuses.
    """
    if data.num_columns == 0 or not pa.types.is_string(data.schema[0].type):
        found = data.schema[0] if data.num_columns else "no column"
        raise TypeError(f"The first column must hold unique RowIDs as text, found {found}.")
    names = data.schema.names[1:]
    check_names(names)
    types = [_accepted_type(f.name, f.type) for f in data.schema]
    columns = [
        column if column.type == dtype else column.cast(dtype)
        for column, dtype in zip(data.columns, types, strict=True)
    ]
    if isinstance(data, pa.RecordBatch):
        return pa.RecordBatch.from_arrays(columns, names=[ROW_ID, *names])
    return pa.Table.from_arrays(columns, names=[ROW_ID, *names])


def with_row_ids(data: ArrowData, ids: Iterable[str], columns_from: int) -> ArrowData:
    """Put a RowID column before the columns of `data` from position `columns_from`."""
    arrays = [pa.array(ids, type=pa.string()), *data.columns[columns_from:]]
    names = [ROW_ID, *data.schema.names[columns_from:]]
    if isinstance(data, pa.RecordBatch):
        return pa.RecordBatch.from_arrays(arrays, names=names)
    return pa.Table.from_arrays(arrays, names=names)


def numbered(start: int, n: int) -> list[str]:
    """Return the RowIDs that KNIME generates: ``Row0``, ``Row1`` …"""
    return [f"Row{i}" for i in range(start, start + n)]


def check_chunks(data: ArrowData) -> None:
    """Refuse tables whose chunks differ in size, except for a smaller last one.

    Raises
    ------
    ValueError : as KNIME does; `combine_chunks` mends it.
    """
    if isinstance(data, pa.Table) and len(data) > 0:
        sizes = [batch.num_rows for batch in data.to_batches()]
        if any(size != sizes[0] for size in sizes[:-1]) or sizes[-1] > sizes[0]:
            raise ValueError(
                f"All batches of a table must have the same number of rows, only the last may have "
                f"fewer, found {sizes}; call combine_chunks() before Table.from_pyarrow."
            )
