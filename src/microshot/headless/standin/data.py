"""What lies between nodes: specs as JSON, tables as Arrow files, port objects as bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from microshot.headless.standin.arrow import schema_of
from microshot.headless.standin.schema import Schema
from microshot.headless.standin.table import SourceTable, batch_sizes
from microshot.headless.standin.types import java_names

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

Kind = Literal["table", "port", "image"]


@dataclass(frozen=True)
class Spec:
    """What an output announces, as the JSON text that KNIME keeps in the workflow.

    `kind` is "table", "port" (custom and binary ports: ``{"id": …, "data": …}``) or "image".
    """

    kind: Kind
    text: str

    @classmethod
    def of(cls, kind: Kind, data: dict[str, Any]) -> Spec:
        """Write `data` as JSON.

        Raises
        ------
        ValueError : if it holds something JSON cannot hold.
        """
        try:
            return cls(kind, json.dumps(data, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"The spec must consist of texts, finite numbers, lists and dicts: {error}."
            ) from error

    @classmethod
    def of_schema(cls, schema: Schema) -> Spec:
        return cls.of("table", schema.serialize())

    @property
    def data(self) -> dict[str, Any]:
        """A fresh copy of the content."""
        return json.loads(self.text)

    @property
    def schema(self) -> Schema:
        """The schema of a table spec."""
        return Schema.deserialize(self.data)

    @property
    def columns(self) -> list[tuple[str, str]]:
        """(name, type as KNIME shows it) of every column of a table spec."""
        return [(one["name"], java_names(one["type"])[0]) for one in self.data["columns"]]


class TableData:
    """A table between two nodes, in a file of the host that made it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with pa.memory_map(str(path)) as source:
            reader = pa.ipc.open_file(source)
            self.batch_sizes = batch_sizes(reader)
            self.spec = Spec.of_schema(schema_of(reader.schema))

    @property
    def num_rows(self) -> int:
        return sum(self.batch_sizes)

    @property
    def column_names(self) -> list[str]:
        return [name for name, _ in self.spec.columns]

    def to_pandas(self) -> pd.DataFrame:
        """Return a frame with the RowID as index; images are decoded when they are looked at."""
        return self.source().to_pandas()

    def to_pyarrow(self) -> pa.Table:
        """Return an Arrow table whose first column is the RowID."""
        return self.source()._arrow()

    def source(self) -> SourceTable:
        """Return the table as the next node sees it."""
        return SourceTable(self.path, self.spec.schema)


@dataclass(frozen=True)
class PortData:
    """An object of a custom or binary port, as KNIME stores it."""

    spec: Spec
    data: bytes

    @property
    def type_id(self) -> str:
        """The id of the port type."""
        return self.spec.data["id"]


@dataclass(frozen=True)
class ImageData:
    """An image of an image port."""

    spec: Spec
    data: bytes


Data = TableData | PortData | ImageData
