"""The way through a port: what a node receives, and what KNIME makes of what it returns."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from microshot.headless.standin.data import Data, ImageData, PortData, Spec, TableData
from microshot.headless.standin.failure import InvalidParametersError
from microshot.headless.standin.ports import (
    BinaryPortObjectSpec,
    ImageFormat,
    ImagePortObjectSpec,
    Port,
    PortGroup,
    PortType,
)
from microshot.headless.standin.schema import Column, Schema
from microshot.headless.standin.sink import Sink
from microshot.headless.standin.table import ArrowBatchOutputTable, ArrowTable, TabularView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


class Exchange:
    """Converts between ports and data for the port types of one extension."""

    def __init__(self, types: Mapping[str, PortType], makers: Callable[[PortType], list[str]]):
        self._types = types
        self._makers = makers  # names of the nodes that make a port type, for messages

    def specs_in(self, ports: Sequence[Port], given: Sequence[Any]) -> list[Any]:
        """Return the specs as `configure` receives them: copies, None, or lists for groups."""
        return self._each(ports, given, self._spec_in)

    def objects_in(self, ports: Sequence[Port], given: Sequence[Any]) -> list[Any]:
        """Return the objects as `execute` receives them."""
        return self._each(ports, given, self._object_in)

    def _each(
        self, ports: Sequence[Port], given: Sequence[Any], convert: Callable[[Any, Port], Any]
    ) -> list[Any]:
        if len(given) != len(ports):
            raise ValueError(
                f"The node has {len(ports)} input ports, found {len(given)} inputs; "
                "pass None for an optional port and a list for a port group."
            )
        results = []
        for port, one in zip(ports, given, strict=True):
            if isinstance(port, PortGroup) != isinstance(one, list):
                raise ValueError(
                    f"Input '{port.name}' is {'' if isinstance(port, PortGroup) else 'not '}"
                    "a port group; pass a list exactly for groups."
                )
            if isinstance(one, list):
                results.append([convert(element, port) for element in one])
            else:
                results.append(None if one is None else convert(one, port))
        return results

    def _spec_in(self, given: Any, port: Port) -> Any:
        spec = Spec.of_schema(given) if isinstance(given, Schema) else given
        if not isinstance(spec, Spec):
            raise TypeError(f"Input '{port.name}' needs a Spec, found {type(given).__name__}.")
        wanted = "table" if port.type == PortType.TABLE else "port"
        if spec.kind != wanted:
            raise ValueError(f"Input '{port.name}' takes a {wanted}, a {spec.kind} is connected.")
        if port.type == PortType.TABLE:
            return spec.schema
        if port.type == PortType.BINARY:
            if spec.data["id"] != port.id:
                raise ValueError(
                    f"Input '{port.name}' takes bytes of type {port.id}, found {spec.data['id']}."
                )
            return BinaryPortObjectSpec(spec.data["id"])
        return _deserialized(self._incoming(spec, port), spec.data["data"])

    def _incoming(self, spec: Spec, port: Port) -> PortType:
        incoming = self._types.get(spec.data["id"])
        if incoming is None or not port.type.is_super_type_of(incoming):
            found = spec.data["id"] if incoming is None else incoming.name
            makers = ", ".join(self._makers(port.type)) or "no node of this extension"
            raise InvalidParametersError(
                f"Input '{port.name}' takes a {port.type.name}, found {found}; "
                f"it is made by: {makers}."
            )
        return incoming

    def _object_in(self, given: Any, port: Port) -> Any:
        if port.type == PortType.TABLE:
            if not isinstance(given, TableData):
                raise TypeError(f"Input '{port.name}' takes a table, found {_kind(given)}.")
            return given.source()
        if not isinstance(given, PortData):
            raise TypeError(f"Input '{port.name}' takes a port object, found {_kind(given)}.")
        spec = self._spec_in(given.spec, port)
        if port.type == PortType.BINARY:
            return given.data
        incoming = self._incoming(given.spec, port)
        return incoming.object_class.deserialize(spec, given.data)

    def specs_out(self, ports: Sequence[Port], results: Any) -> list[Spec | None]:
        """Return what `configure` announced, one spec or None (not known yet) per output port.

        Raises
        ------
        TypeError, ValueError : if KNIME would refuse it.
        """
        if results is None:
            return [None] * len(ports)
        listed = _counted(ports, results, "configure")
        return [
            None if one is None else self._spec_out(one, port)
            for port, one in zip(ports, listed, strict=True)
        ]

    def _spec_out(self, spec: Any, port: Port) -> Spec:
        if port.type == PortType.TABLE:
            schema = Schema.from_columns(spec) if isinstance(spec, Column) else spec
            _expect(schema, Schema, port, "configure")
            return Spec.of_schema(schema)
        if port.type == PortType.BINARY:
            _expect(spec, BinaryPortObjectSpec, port, "configure")
            if spec.id != port.id:
                raise ValueError(f"Output '{port.name}' has id {port.id}, found {spec.id}.")
            return Spec.of("port", spec.serialize())
        if port.type == PortType.IMAGE:
            _expect(spec, ImagePortObjectSpec, port, "configure")
            return Spec.of("image", spec.serialize())
        if port.type.id not in self._types:
            raise ValueError(f"Output '{port.name}' has the unregistered port type {port.type.id}.")
        _expect(spec, port.type.spec_class, port, "configure")
        content = spec.serialize()
        if not isinstance(content, dict):
            raise TypeError(f"The spec of output '{port.name}' must serialize to a dict.")
        return Spec.of("port", {"id": port.type.id, "data": content})

    def objects_out(
        self, ports: Sequence[Port], results: Any, announced: Sequence[Spec | None]
    ) -> list[Data]:
        """Return what `execute` returned, stored as KNIME stores it.

        Raises
        ------
        TypeError, ValueError : if KNIME would refuse it, or `configure` announced another table.
        """
        listed = _counted(ports, [] if results is None else results, "execute")
        stored = []
        for port, one, spec in zip(ports, listed, announced, strict=True):
            data = self._object_out(one, port, spec)
            if spec is not None and isinstance(data, TableData):
                _compare(port.name, spec, data)
            stored.append(data)
        return stored

    def _object_out(self, one: Any, port: Port, spec: Spec | None) -> Data:
        if port.type == PortType.TABLE:
            return _table_out(one, port)
        if port.type == PortType.BINARY:
            _expect(one, bytes, port, "execute")
            return PortData(Spec.of("port", {"id": port.id}), one)
        if port.type == PortType.IMAGE:
            return _image_out(one, port, spec)
        _expect(one, port.type.object_class, port, "execute")
        content = one.serialize()
        if not isinstance(content, bytes):
            raise TypeError(f"The object of output '{port.name}' must serialize to bytes.")
        return PortData(self._spec_out(one.spec, port), content)


def _kind(given: Any) -> str:
    return {TableData: "a table", ImageData: "an image"}.get(type(given), type(given).__name__)


def _deserialized(port_type: PortType, content: dict) -> Any:
    deserialize = port_type.spec_class.deserialize  # type: ignore[attr-defined]
    if len(inspect.signature(deserialize).parameters) > 1:
        return deserialize(content, None)
    return deserialize(content)


def _expect(found: Any, wanted: type, port: Port, method: str) -> None:
    if not isinstance(found, wanted):
        raise TypeError(
            f"Output '{port.name}' needs a {wanted.__name__} from {method}, "
            f"found {type(found).__name__}."
        )


def _counted(ports: Sequence[Port], results: Any, method: str) -> list[Any]:
    listed = list(results) if isinstance(results, list | tuple) else [results]
    if len(listed) != len(ports):
        raise ValueError(
            f"The node has {len(ports)} output ports, {method} returned {len(listed)} results."
        )
    if method == "execute" and any(one is None for one in listed):
        raise ValueError("execute returned None for an output port; every port needs a result.")
    return listed


def _table_out(one: Any, port: Port) -> TableData:
    if isinstance(one, ArrowTable):
        sink = Sink("Returning a table")
        sink.write_table(one._arrow())
    elif isinstance(one, ArrowBatchOutputTable):
        sink = one.sink
    else:
        hint = "; return `slice.get()`" if isinstance(one, TabularView) else ""
        raise TypeError(
            f"Output '{port.name}' needs a Table or BatchOutputTable from execute, "
            f"found {type(one).__name__}{hint}."
        )
    sink.close()
    table = TableData(sink.path)
    _check_row_ids(port.name, table)
    return table


def _check_row_ids(name: str, table: TableData) -> None:
    seen: set[str] = set()
    for row_id in _row_ids(table):
        if row_id is None:
            raise ValueError(f"Output '{name}': row {len(seen)} has no RowID.")
        if row_id in seen:
            raise ValueError(
                f"Output '{name}': the RowID '{row_id}' occurs twice; keep the input's RowIDs as "
                "index, or use BatchOutputTable.create(row_ids='generate')."
            )
        seen.add(row_id)


def _row_ids(table: TableData) -> Iterator[str | None]:
    for chunk in table.to_pyarrow().column(0).chunks:
        yield from chunk.to_pylist()


def _image_out(one: Any, port: Port, spec: Spec | None) -> ImageData:
    content = one.encode() if isinstance(one, str) else one
    if not isinstance(content, bytes):
        raise TypeError(f"Output '{port.name}' needs the bytes of an image, found {one!r:.80}.")
    is_png = content.startswith(b"\x89PNG\r\n\x1a\n")
    is_svg = b"<svg" in content[:1024]
    found = ImageFormat.PNG if is_png else ImageFormat.SVG if is_svg else None
    wanted = None if spec is None else spec.data["format"]
    if found is None or wanted not in (None, found.value):
        raise ValueError(
            f"Output '{port.name}' was announced as {wanted}, "
            f"found {'no PNG or SVG' if found is None else found.value} image."
        )
    return ImageData(Spec.of("image", {"format": found.value}), content)


def _compare(name: str, announced: Spec, table: TableData) -> None:
    wanted = [(one["name"], one["type"]) for one in announced.data["columns"]]
    found = [(one["name"], one["type"]) for one in table.spec.data["columns"]]
    if wanted == found:
        return
    if not found:
        problem = "execute returned a table without columns; append one empty table with columns"
    elif [n for n, _ in wanted] != [n for n, _ in found]:
        problem = (
            f"configure announced the columns {[n for n, _ in wanted]}, "
            f"execute returned {[n for n, _ in found]}"
        )
    else:
        shown = zip(announced.columns, table.spec.columns, strict=True)
        column, before, now = next((c, t, u) for (c, t), (_, u) in shown if t != u)
        problem = f"configure announced column '{column}' as {before}, execute returned it as {now}"
        if now == "?":
            problem += " because every cell is missing; cast it to its type"
    raise ValueError(f"Output '{name}': {problem}.")
