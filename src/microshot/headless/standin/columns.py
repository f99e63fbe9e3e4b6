"""Parameters that choose columns of an input table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microshot.headless.standin.failure import missing
from microshot.headless.standin.parameters import BaseParameter
from microshot.headless.standin.schema import Column, Schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from microshot.headless.standin.runtime import Version

    ColumnFilter = Callable[[Column], bool]
    SchemaProvider = Callable[[Any], Schema]


def spec_at(specs: list[Any], port_index: int, label: str | None) -> Schema:
    """Return the schema at a port, empty if nothing is connected there.

    `port_index` counts all input ports, not only tables.

    Raises
    ------
    ValueError : if the port does not exist or is not a table.
    """
    if not 0 <= port_index < len(specs):
        raise ValueError(
            f"Parameter '{label}' chooses columns of port {port_index}, but the node has "
            f"{len(specs)} input ports; count all ports from 0."
        )
    spec = specs[port_index]
    if spec is None:
        return Schema.from_columns([])
    if not isinstance(spec, Schema):
        raise ValueError(f"Parameter '{label}' chooses columns, but port {port_index} is no table.")
    return spec


class _ColumnsParameter(BaseParameter):
    def __init__(
        self,
        label: str | None,
        description: str | None,
        port_index: int,
        column_filter: ColumnFilter | None,
        default_value: Any,
        since_version: str | Version | None,
        is_advanced: bool,
    ) -> None:
        if not isinstance(port_index, int):
            raise missing(f"the port_index {port_index!r} of '{label}', which is no number")
        if column_filter is not None and not callable(column_filter):
            raise TypeError(f"The column filter of '{label}' must be a function of a column.")
        self._column_filter = column_filter
        self._port_index = port_index
        super().__init__(label, description, default_value, None, since_version, is_advanced)

    def _check_specs(self, specs: list[Any]) -> None:
        spec_at(specs, self._port_index, self._label)

    def _possible(self, dialog: Any) -> list[dict[str, Any]]:
        possible = []
        for column in spec_at(dialog.get_input_specs(), self._port_index, self._label):
            if self._column_filter is None or self._column_filter(column):
                metadata = column.metadata or {}
                value_type = metadata["preferred_value_type"]
                shown = {"id": value_type, "text": metadata["displayed_column_type"]}
                possible.append(
                    {
                        "id": column.name,
                        "text": column.name,
                        "type": shown,
                        "compatibleTypes": [value_type],
                    }
                )
        return possible


class ColumnParameter(_ColumnsParameter):
    """A column name. Nothing chosen arrives as None, or as "<none>" if the user chose "None"."""

    NONE = "<none>"

    def __init__(
        self,
        label: str | None = None,
        description: str | None = None,
        port_index: int = 0,
        column_filter: ColumnFilter | None = None,
        include_row_key: bool = False,
        include_none_column: bool = False,
        since_version: str | Version | None = None,
        is_advanced: bool = False,
        schema_provider: SchemaProvider | None = None,
        default_value: Any = None,
    ) -> None:
        if include_row_key:
            raise missing("include_row_key, whose stored value differs between KNIME versions")
        if schema_provider is not None:
            raise missing(f"the schema_provider of '{label}'")
        self._include_none = include_none_column
        super().__init__(
            label, description, port_index, column_filter, default_value, since_version, is_advanced
        )

    def _check_type(self, value: Any) -> None:
        if value is not None and not isinstance(value, str):
            raise self._refuse(value, "a column name")

    def _to_json(self, value: Any) -> Any:
        return "" if value is None else value

    def _from_json(self, value: Any) -> Any:
        return None if value == "" else value

    def _type_schema(self) -> dict[str, Any]:
        return {"type": "string"}

    def _options(self, dialog: Any) -> dict[str, Any]:
        possible = self._possible(dialog)
        if self._include_none:
            possible.append({"id": self.NONE, "text": "None"})
        return {
            "format": "dropDown",
            "showRowKeys": False,
            "showNoneColumn": self._include_none,
            "possibleValues": possible,
        }


class MultiColumnParameter(_ColumnsParameter):
    """A list of column names; the default is none."""

    def __init__(
        self,
        label: str | None = None,
        description: str | None = None,
        port_index: int = 0,
        column_filter: ColumnFilter | None = None,
        since_version: str | Version | None = None,
        is_advanced: bool = False,
    ) -> None:
        super().__init__(
            label, description, port_index, column_filter, [], since_version, is_advanced
        )

    def _check_type(self, value: Any) -> None:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self._refuse(value, "a list of column names")

    def _from_json(self, value: Any) -> Any:
        return [one for one in value if one != ""] if isinstance(value, list) else value

    def _type_schema(self) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "string"}}

    def _options(self, dialog: Any) -> dict[str, Any]:
        return {"format": "twinList", "possibleValues": self._possible(dialog)}
