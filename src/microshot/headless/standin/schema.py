"""Table schemas as nodes see them: columns, lazy selections, and their way through JSON."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from microshot.headless.standin.types import (
    KnimeType,
    decode_type,
    encode_type,
    java_names,
    logical,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROW_ID = "<RowID>"


class PortObjectSpec(ABC):
    """What a port announces before its data exist; travels as JSON between nodes."""

    @abstractmethod
    def serialize(self) -> dict: ...

    @classmethod
    @abstractmethod
    def deserialize(cls, data: dict, java_callback: Any = None) -> PortObjectSpec: ...


class Column:
    """A column of a schema: type, name and what KNIME adds as metadata."""

    def __init__(self, ktype: Any, name: str, metadata: dict | None = None) -> None:
        if not isinstance(name, str):
            raise TypeError(f"A column name must be text, found {name!r}.")
        if not name.strip():
            raise ValueError("A column name must not be empty.")
        self.ktype: KnimeType = ktype if isinstance(ktype, KnimeType) else logical(ktype)
        self.name = name
        self.metadata = metadata

    def __str__(self) -> str:
        extra = "" if self.metadata is None else f", {self.metadata}"
        return f"Column<'{self.name}', {self.ktype}{extra}>"

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Column):
            raise TypeError(f"A column can only be compared with a column, found {other!r}.")
        mine = (self.ktype, self.name, self.metadata)
        return mine == (other.ktype, other.name, other.metadata)

    __hash__ = None  # pyright: ignore[reportAssignmentType]


class Columnar(ABC):
    """What schemas and tables share: columns picked, removed, inserted and appended lazily."""

    @property
    @abstractmethod
    def num_columns(self) -> int: ...

    @property
    @abstractmethod
    def column_names(self) -> list[str]: ...

    def _view(self, operation: Callable[[Any], Any]) -> ColumnarView:
        return ColumnarView(self, operation)

    def __getitem__(self, slicing: Any) -> ColumnarView:
        if isinstance(slicing, int) and slicing >= self.num_columns:
            raise IndexError(f"Column {slicing} does not exist; there are {self.num_columns}.")
        return self._view(lambda data: data._select_columns(slicing))

    def append(self, other: Any) -> ColumnarView:
        return self._view(lambda data: data._append(_real(other)))

    def insert(self, other: Any, at: int) -> ColumnarView:
        n = self.num_columns
        order = list(range(n))
        order[at:at] = range(n, n + (1 if isinstance(other, Column) else other.num_columns))
        return self.append(other)[order]

    def remove(self, slicing: int | str | list[str]) -> ColumnarView:
        names = self.column_names
        if isinstance(slicing, bool) or not isinstance(slicing, int | str | list):
            raise TypeError(f"Columns are removed by position, name or names, found {slicing!r}.")
        if isinstance(slicing, int):
            if not 0 <= slicing < len(names):
                raise IndexError(f"Column {slicing} does not exist; there are {len(names)}.")
            kept = [name for i, name in enumerate(names) if i != slicing]
        else:
            gone = [slicing] if isinstance(slicing, str) else slicing
            for name in gone:
                if name not in names:
                    raise ValueError(f"Column {name!r} does not exist; the columns are {names}.")
            kept = [name for name in names if name not in gone]
        return self._view(lambda data: data._select_columns(kept))


class ColumnarView(Columnar):
    """A selection that is carried out when its result is needed (`get`)."""

    def __init__(self, delegate: Columnar, operation: Callable[[Any], Any]) -> None:
        self._delegate = delegate
        self._operation = operation
        self._result: Any = None

    def get(self) -> Any:
        """Return the column, schema or table that this view stands for."""
        if self._result is None:
            self._result = self._operation(_real(self._delegate))
        return self._result

    @property
    def num_columns(self) -> int:
        return self.get().num_columns

    @property
    def column_names(self) -> list[str]:
        return self.get().column_names

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.get(), name)

    def __eq__(self, other: object) -> bool:
        return self.get() == _real(other)

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __contains__(self, key: object) -> bool:
        raise TypeError(
            f"KNIME cannot look for {key!r} in a sliced or appended schema; "
            "use `in view.column_names` or `view.get()`."
        )

    def __str__(self) -> str:
        return f"View<{self.get()}>"


def _real(data: Any) -> Any:
    return data.get() if isinstance(data, ColumnarView) else data


def positions(names: Sequence[str], selection: Any) -> list[int]:
    """Return the positions that a slice, a list of names or of numbers selects.

    Raises
    ------
    IndexError : if a name or number does not exist.
    """
    if isinstance(selection, slice):
        return list(range(*selection.indices(len(names))))
    if not isinstance(selection, list):
        raise IndexError(f"Columns are selected by name, number, list or slice: {selection!r}.")
    chosen = []
    for one in selection:
        if isinstance(one, str) and one in names:
            chosen.append(names.index(one))
        elif isinstance(one, int) and 0 <= one < len(names):
            chosen.append(one)
        else:
            raise IndexError(f"Column {one!r} does not exist; the columns are {list(names)}.")
    return chosen


class Schema(Columnar, PortObjectSpec):
    """Names, types and metadata of the columns of a table, without its RowID."""

    def __init__(
        self,
        ktypes: Sequence[Any],
        names: Sequence[str],
        metadata: Sequence[dict | None] | None = None,
    ) -> None:
        extra = [None] * len(ktypes) if metadata is None else metadata
        if not len(ktypes) == len(names) == len(extra):
            raise ValueError(
                f"A schema needs one name and one metadata entry per type, found {len(ktypes)} "
                f"types, {len(names)} names and {len(extra)} metadata entries."
            )
        self._columns = [Column(*one) for one in zip(ktypes, names, extra, strict=True)]

    @classmethod
    def from_columns(cls, columns: Column | Sequence[Column]) -> Schema:
        if isinstance(columns, Column):
            columns = [columns]
        if not isinstance(
            columns, Collection
        ):  # KNIME asks for their number: no schema, no generator
            raise TypeError(f"A schema is made from columns, found {columns!r}.")
        for column in columns:
            if not isinstance(column, Column):
                raise TypeError(f"A schema is made from columns, found {column!r}.")
        return cls(
            [c.ktype for c in columns], [c.name for c in columns], [c.metadata for c in columns]
        )

    @classmethod
    def from_types(
        cls, ktypes: list[Any], names: list[str], metadata: list | None = None
    ) -> Schema:
        return cls(ktypes, names, metadata)

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self._columns]

    @property
    def num_columns(self) -> int:
        return len(self._columns)

    def __iter__(self) -> Iterator[Column]:
        yield from self._columns

    def __contains__(self, key: object) -> bool:
        name = key.name if isinstance(key, Column) else key
        return isinstance(name, str) and name in self.column_names

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schema) or len(self._columns) != len(other._columns):
            return False
        return all(a == b for a, b in zip(self._columns, other._columns, strict=True))

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __str__(self) -> str:
        return "Schema<\n\t" + ",\n\t".join(map(str, self._columns)) + ">"

    __repr__ = __str__

    def _select_columns(self, selection: Any) -> Column | Schema:
        if isinstance(selection, int):
            if not -self.num_columns <= selection < self.num_columns:
                raise IndexError(
                    f"Column {selection} does not exist; there are {self.num_columns}."
                )
            return self._columns[selection]
        if isinstance(selection, str):
            return self._columns[positions(self.column_names, [selection])[0]]
        return self.from_columns(
            [self._columns[i] for i in positions(self.column_names, selection)]
        )

    def _append(self, other: Any) -> Schema:
        if isinstance(other, Schema):
            added = list(other)
        elif isinstance(other, Column):
            added = [other]
        elif isinstance(other, Sequence) and not isinstance(other, str):
            added = list(self.from_columns(other))
        else:
            raise TypeError(f"Only columns and schemas can be appended, found {other!r}.")
        return self.from_columns([*self._columns, *added])

    def serialize(self) -> dict:
        """Write the schema as JSON, with the metadata that KNIME adds for its type filters.

        Raises
        ------
        ValueError : for duplicate or reserved names, and types KNIME has no column for.
        """
        check_names(self.column_names)
        columns = []
        for column in self._columns:
            code = encode_type(column.ktype)
            shown, value_class = java_names(code)
            metadata = {"preferred_value_type": value_class, "displayed_column_type": shown}
            columns.append({"name": column.name, "type": code, "metadata": metadata})
        return {"columns": columns}

    @classmethod
    def deserialize(cls, data: dict, java_callback: Any = None) -> Schema:
        columns = data["columns"]
        return cls(
            [decode_type(column["type"]) for column in columns],
            [column["name"] for column in columns],
            [copy.deepcopy(column["metadata"]) for column in columns],
        )


def check_names(names: Sequence[str]) -> None:
    """Refuse column names that KNIME refuses.

    Raises
    ------
    ValueError : for an empty, repeated or reserved name.
    """
    seen = set()
    for name in names:
        if not name.strip():
            raise ValueError("A column name must not be empty.")
        if name == ROW_ID:
            raise ValueError(f"The column name '{ROW_ID}' is reserved by KNIME; rename the column.")
        if name in seen:
            raise ValueError(f"The column name '{name}' occurs twice; a table needs unique names.")
        seen.add(name)
