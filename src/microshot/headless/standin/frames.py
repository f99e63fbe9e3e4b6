"""Between pandas and Arrow as KNIME does it: index = RowID, cell columns as extension arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.extensions import ExtensionArray, ExtensionDtype, register_extension_dtype

from microshot.headless.standin.cells import cell_type
from microshot.headless.standin.types import CELL_TYPES, logical

if TYPE_CHECKING:
    from microshot.headless.standin.arrow import ArrowData


@register_extension_dtype
class CellDtype(ExtensionDtype):
    """The pandas dtype of a logical column, from ``knext.logical(T).to_pandas()``."""

    type = object  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    na_value = None  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    _metadata = ("logical_type",)

    def __init__(self, logical_type: str) -> None:
        self.logical_type = logical_type

    @property
    def name(self) -> str:
        return f"KNIME {CELL_TYPES[self.logical_type].name}"

    @classmethod
    def construct_from_string(cls, string: str) -> CellDtype:
        for logical_type, cell in CELL_TYPES.items():
            if string == f"KNIME {cell.name}":
                return cls(logical_type)
        raise TypeError(f"Cannot make a KNIME cell type from {string!r}.")

    @classmethod
    def construct_array_type(cls) -> type[CellColumn]:
        return CellColumn

    def __from_arrow__(self, array: pa.Array | pa.ChunkedArray) -> CellColumn:
        chunks = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
        storage = [chunk.storage for chunk in chunks]
        return CellColumn(self, pa.chunked_array(storage, array.type.storage_type))


class CellColumn(ExtensionArray):
    """Cells of one pandas column, kept encoded and decoded one by one on access.

    A column made of several stays in their pieces, as in KNIME, which takes them for batches.
    """

    def __init__(self, dtype: CellDtype, storage: pa.ChunkedArray) -> None:
        self._dtype = dtype
        self._storage = storage

    @classmethod
    def _from_sequence(cls, scalars: Any, *, dtype: Any = None, copy: bool = False) -> CellColumn:
        if isinstance(scalars, CellColumn):
            if dtype is not None and dtype != scalars.dtype:
                raise TypeError(f"A column of {scalars.dtype} cannot become {dtype}.")
            return scalars.copy()
        if not isinstance(dtype, CellDtype):
            raise TypeError(f"The dtype of KNIME cells must be given, found {dtype!r}.")
        return cls(dtype, pa.chunked_array([cell_type(dtype.logical_type).array(scalars).storage]))

    @property
    def dtype(self) -> CellDtype:
        return self._dtype

    @property
    def nbytes(self) -> int:
        return self._storage.nbytes

    def __len__(self) -> int:
        return len(self._storage)

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, int | np.integer):
            cell = self._storage[int(item) if item >= 0 else len(self) + int(item)]
            return cell_type(self._dtype.logical_type).decode(cell.as_py())
        item = pd.api.indexers.check_array_indexer(self, item)
        return self.take(np.arange(len(self))[item])

    def __setitem__(self, key: Any, value: Any) -> None:
        key = pd.api.indexers.check_array_indexer(self, key)
        chosen = np.atleast_1d(np.arange(len(self))[key])
        many = isinstance(value, list | tuple | np.ndarray | pd.Series | CellColumn)
        values = list(value) if many else [value] * len(chosen)
        if len(values) != len(chosen):
            raise ValueError(f"{len(chosen)} cells cannot take {len(values)} values.")
        kind = cell_type(self._dtype.logical_type)
        cells = self._storage.to_pylist()
        for position, new in zip(chosen, values, strict=True):
            cells[position] = kind.encode(new)
        self._storage = pa.chunked_array([pa.array(cells, type=self._storage.type)])

    def isna(self) -> np.ndarray:
        return np.asarray(self._storage.is_null().to_numpy(), dtype=bool)

    def take(self, indices: Any, *, allow_fill: bool = False, fill_value: Any = None) -> CellColumn:
        wanted = np.asarray(indices, dtype=np.int64)
        if np.array_equal(wanted, np.arange(len(self))):
            return self.copy()
        if allow_fill:
            if (wanted < -1).any():
                raise ValueError("Only -1 marks a missing cell when allow_fill is set.")
            taken = self._storage.take(pa.array(wanted, mask=wanted == -1))
        else:
            taken = self._storage.take(pa.array(np.where(wanted < 0, wanted + len(self), wanted)))
        return CellColumn(self._dtype, taken)

    def copy(self) -> CellColumn:
        return CellColumn(self._dtype, self._storage)

    @classmethod
    def _concat_same_type(cls, to_concat: Any) -> CellColumn:
        chunks = [chunk for one in to_concat for chunk in one._storage.chunks]
        return cls(to_concat[0].dtype, pa.chunked_array(chunks, to_concat[0]._storage.type))

    def __arrow_array__(self, type: Any = None) -> pa.ChunkedArray:
        kind = cell_type(self._dtype.logical_type)
        chunks = [pa.ExtensionArray.from_storage(kind, chunk) for chunk in self._storage.chunks]
        return pa.chunked_array(chunks, kind)

    def __eq__(self, other: object) -> Any:
        same = isinstance(other, CellColumn) and self._storage.equals(other._storage)
        return np.full(len(self), fill_value=same)


def to_frame(data: ArrowData) -> pd.DataFrame:
    """Return the pandas form of a table: text as "string", the RowID as index."""

    def as_string(dtype: pa.DataType) -> Any:
        return pd.StringDtype() if dtype == pa.string() else None

    frame = data.to_pandas(types_mapper=as_string)
    return frame.set_index(frame.columns[0])


def from_frame(frame: pd.DataFrame, row_ids: str) -> pa.Table:
    """Return the Arrow form of a frame.

    With `row_ids` "auto" or "keep" the index comes first, as text. "auto" turns whole
    numbers n into ``Rown``, "keep" into ``n``.

    Raises
    ------
    TypeError, ValueError : if a column holds values that fit no column of KNIME.
    """
    frame = frame.copy(deep=False)
    frame.columns = [str(name) for name in frame.columns]
    arrays = [_column(name, frame.iloc[:, i]) for i, name in enumerate(frame.columns)]
    names = list(frame.columns)
    if row_ids != "none":
        arrays.insert(0, pa.array(_index_texts(frame.index, row_ids), type=pa.string()))
        names.insert(0, "<RowID>")
    return pa.Table.from_arrays(arrays, names=names)


def _index_texts(index: pd.Index, row_ids: str) -> list[str]:
    if row_ids == "auto" and index.dtype.kind in "iu":
        return [f"Row{value}" for value in index]
    return [str(value) for value in index]


def _column(name: str, column: pd.Series) -> pa.Array | pa.ChunkedArray:
    if pd.api.types.is_object_dtype(column.dtype):
        present = column.dropna()
        first = type(present.iloc[0]) if len(present) else None
        if first is not None:
            try:
                dtype = logical(first).to_pandas()
            except TypeError:
                dtype = None
            if dtype is not None:
                cells = column.astype(object).where(column.notna(), None)
                column = cells.astype(dtype)
    try:
        return pa.Array.from_pandas(column)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise ValueError(
            f"Column '{name}' holds values that KNIME has no column type for ({error}); "
            "give it one type, or cast it with astype(knext.logical(T).to_pandas())."
        ) from error
