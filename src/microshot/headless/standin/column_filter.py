"""The value of a column filter: by hand, by pattern or by type."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from microshot.headless.standin.schema import Column, Schema


class ColumnFilterMode(Enum):
    MANUAL = "Manual"
    REGEX = "Regex"
    WILDCARD = "Wildcard"
    TYPE = "Type"


@dataclass
class PatternFilterConfig:
    pattern: str = ""
    case_sensitive: bool = True
    inverted: bool = False

    def _picks(self, column: Column, *, regex: bool) -> bool:
        text = self.pattern
        if not regex:
            text = re.escape(text).replace(r"\*", ".*").replace(r"\?", ".")
        found = re.search(text, column.name, 0 if self.case_sensitive else re.IGNORECASE)
        return (found is not None) != self.inverted


@dataclass
class TypeFilterConfig:
    selected_types: list[str] = field(default_factory=list)
    type_displays: list[dict[str, str]] = field(default_factory=list)

    def _picks(self, column: Column) -> bool:
        return (column.metadata or {}).get("preferred_value_type") in self.selected_types


@dataclass
class ManualFilterConfig:
    included: list[str] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    include_unknown_columns: bool = True

    def _picks(self, column: Column) -> bool:
        if column.name in self.included:
            return True
        return self.include_unknown_columns and column.name not in self.excluded


class ColumnFilterConfig:
    """Which columns of a schema or table are used; `apply` picks them."""

    def __init__(
        self,
        mode: ColumnFilterMode = ColumnFilterMode.MANUAL,
        pattern_filter: PatternFilterConfig | None = None,
        type_filter: TypeFilterConfig | None = None,
        manual_filter: ManualFilterConfig | None = None,
        included_column_names: list[str] | None = None,
        pre_filter: Callable[[Column], bool] | None = None,
    ) -> None:
        if included_column_names is not None:
            mode, manual_filter = (
                ColumnFilterMode.MANUAL,
                ManualFilterConfig(included=included_column_names),
            )
        self.mode = mode
        self.pattern_filter = pattern_filter or PatternFilterConfig()
        self.type_filter = type_filter or TypeFilterConfig()
        self.manual_filter = manual_filter or ManualFilterConfig()
        self._pre_filter = pre_filter

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ColumnFilterConfig) and self._to_json() == other._to_json()

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def apply(self, columnar: Any) -> Any:
        """Return the view of a schema or table that holds the chosen columns."""
        schema: Schema = columnar.schema if hasattr(columnar, "schema") else columnar
        kept = [c.name for c in schema if self._allowed(c) and self._picks(c)]
        return columnar[kept]

    def _allowed(self, column: Column) -> bool:
        return self._pre_filter is None or self._pre_filter(column)

    def _picks(self, column: Column) -> bool:
        if self.mode is ColumnFilterMode.MANUAL:
            return self.manual_filter._picks(column)
        if self.mode is ColumnFilterMode.TYPE:
            return self.type_filter._picks(column)
        return self.pattern_filter._picks(column, regex=self.mode is ColumnFilterMode.REGEX)

    def _to_json(self) -> dict[str, Any]:
        return {
            "mode": self.mode.name,
            "patternFilter": {
                "pattern": self.pattern_filter.pattern,
                "isCaseSensitive": self.pattern_filter.case_sensitive,
                "isInverted": self.pattern_filter.inverted,
            },
            "typeFilter": {
                "selectedTypes": self.type_filter.selected_types,
                "typeDisplays": self.type_filter.type_displays,
            },
            "manualFilter": {
                "manuallySelected": self.manual_filter.included,
                "manuallyDeselected": self.manual_filter.excluded,
                "includeUnknownColumns": self.manual_filter.include_unknown_columns,
            },
        }

    @classmethod
    def _from_json(
        cls, data: dict[str, Any], pre_filter: Callable[[Column], bool] | None
    ) -> ColumnFilterConfig:
        pattern, types, manual = data["patternFilter"], data["typeFilter"], data["manualFilter"]
        return cls(
            ColumnFilterMode[data["mode"]],
            PatternFilterConfig(
                pattern["pattern"], pattern["isCaseSensitive"], pattern["isInverted"]
            ),
            TypeFilterConfig(types["selectedTypes"], types["typeDisplays"]),
            ManualFilterConfig(
                manual["manuallySelected"],
                manual["manuallyDeselected"],
                manual["includeUnknownColumns"],
            ),
            pre_filter=pre_filter,
        )

    def _properties(self) -> dict[str, Any]:
        """Return the JSON schema of the stored form, with this filter's values as defaults."""
        data = self._to_json()

        def entry(group: str, key: str, kind: dict[str, Any]) -> dict[str, Any]:
            return {**kind, "default": data[group][key]}

        boolean, text = {"type": "boolean"}, {"type": "string"}
        texts = {"type": "array", "items": text}
        shown = {"type": "object", "properties": {"id": text, "text": text}}
        kinds: dict[str, dict[str, Any]] = {
            "patternFilter": {"isCaseSensitive": boolean, "isInverted": boolean, "pattern": text},
            "typeFilter": {
                "selectedTypes": texts,
                "typeDisplays": {"type": "array", "items": shown},
            },
            "manualFilter": {
                "includeUnknownColumns": boolean,
                "manuallyDeselected": texts,
                "manuallySelected": texts,
            },
        }
        properties: dict[str, Any] = {
            group: {
                "type": "object",
                "properties": {key: entry(group, key, kind) for key, kind in keys.items()},
            }
            for group, keys in kinds.items()
        }
        modes = [{"const": mode.name, "title": mode.value} for mode in ColumnFilterMode]
        internal = {"configKeys": ["selected_Internals"]}
        return {
            **properties,
            "mode": {"oneOf": modes},
            "selected": {"type": "array", "items": {**text, **internal}, **internal},
        }
