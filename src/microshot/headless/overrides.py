"""Changing parameters of a saved workflow from outside: ``Train.minutes=0.5``."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from microshot.headless.workflow import ExtensionNode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from microshot.headless.settings_xml import Json, Schema
    from microshot.headless.workflow import WorkflowNode

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


class OverrideError(ValueError):
    """What somebody wants to change does not exist, or the value does not fit."""


def resolve_overrides(
    overrides: Mapping[str, object],
    nodes: Sequence[WorkflowNode],
    schemas: Mapping[int, Schema],
) -> dict[int, dict[str, Json]]:
    """Find out which parameters of which nodes are meant, and read the values by their type.

    Parameters
    ----------
    overrides : value by ``node.parameter``. The node is its name, its id in the extension, its
        label, ``#`` with its number, or all of these as in messages, in any case of letters; a
        name that several nodes share means all of them. The parameter is its dotted name, or the
        end of it where that is unique (``minutes`` for ``training.minutes``). Texts are read by
        the parameter's type.
    schemas : JSON schema of the parameters by node number.

    Returns
    -------
    Values by dotted parameter name, by node number.

    Raises
    ------
    ValueError : if a node or parameter does not exist or a value does not fit.
    """
    found: dict[int, dict[str, Json]] = {}
    for key, value in overrides.items():
        for node, name in _targets(key, nodes):
            parameter, schema = _parameter(key, name, node, schemas.get(node.id, {}))
            found.setdefault(node.id, {})[parameter] = parse_value(value, schema, _shown(key))
    return found


def _shown(text: str) -> str:
    """Return what somebody has typed as one line."""
    return " ".join(text.split())[:80]


def _targets(key: str, nodes: Sequence[WorkflowNode]) -> list[tuple[WorkflowNode, str]]:
    """Return the nodes that `key` begins with, and what remains of it for each."""
    matches: list[tuple[int, WorkflowNode, str]] = []
    for node in nodes:
        lengths = [
            len(name) for name in _names(node) if key[: len(name) + 1].lower() == f"{name}.".lower()
        ]
        if lengths:
            matches.append((max(lengths), node, key[max(lengths) + 1 :]))
    longest = max((length for length, _, _ in matches), default=0)
    if not matches:
        possible = ", ".join(f'"{name}"' for name in dict.fromkeys(_all_names(nodes)))
        raise ValueError(
            f'There is no node for "{_shown(key)}", expected node.parameter with one of the nodes '
            f"{possible or 'of the workflow, which has none'}."
        )
    return [(node, rest) for length, node, rest in matches if length == longest]


def _names(node: WorkflowNode) -> list[str]:
    """Return every way to call a node, the clearest first."""
    names = [node.name, f"#{node.id}", " ".join(node.label.split()), node.title]
    if isinstance(node.kind, ExtensionNode):
        names.insert(1, node.kind.node_id)
    return [name for name in names if name]


def _all_names(nodes: Sequence[WorkflowNode]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node.kind, ExtensionNode):
            yield node.kind.node_id
            yield f"#{node.id}"


def _parameter(key: str, name: str, node: WorkflowNode, schema: Schema) -> tuple[str, Schema]:
    parameters = dict(parameters_of(schema))
    if name in parameters:
        return name, parameters[name]
    ends = [full for full in parameters if full.endswith(f".{name}")]
    if len(ends) != 1:
        possible = ", ".join(ends or parameters) or "none"
        raise ValueError(
            f'"{_shown(key)}": {node.title} has {"several parameters" if ends else "no parameter"} '
            f'"{_shown(name)}", '
            f"expected one of: {possible}."
        )
    return ends[0], parameters[ends[0]]


def parameters_of(schema: Schema, prefix: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield the dotted name and the schema of every single parameter."""
    for key, sub in schema.get("properties", {}).items():
        if "configKeys" in sub:
            continue
        if sub.get("type") == "object":
            yield from parameters_of(sub, f"{prefix}{key}.")
        else:
            yield prefix + key, sub


def parse_value(value: object, schema: Schema, key: str) -> Json:
    """Read `value`, a text or a value of the right type, as the parameter's type.

    Lists are given as JSON or separated by commas; choices by id or by what the dialog shows. Single
    texts are taken as they are, spaces around other values are not.

    Raises
    ------
    ValueError : if the value does not fit; the message begins with `key`.
    """
    kind = schema.get("type")
    if "oneOf" in schema:
        return _choice(value, schema["oneOf"], key)
    if kind == "array" or "anyOf" in schema:
        items = schema.get("items", {"type": "string"})
        return [parse_value(item, items, key) for item in _list(value, key)]
    if kind == "object":
        return _group(value, schema, key)
    if kind == "integer":
        return _whole_number(value, key)
    if kind == "number":
        return _number(value, key)
    if kind == "boolean":
        return _truth(value, key)
    if not isinstance(value, str):
        raise ValueError(f'"{key}": expected a text, found {value!r}.')
    return value


def _choice(value: object, choices: Sequence[Mapping[str, Any]], key: str) -> str:
    for choice in choices:
        for name in (choice.get("const"), choice.get("title")):
            if isinstance(value, str) and str(name).lower() == value.strip().lower():
                return str(choice["const"])
    possible = ", ".join(str(choice.get("const")) for choice in choices)
    raise ValueError(f'"{key}": expected one of {possible}, found {value!r}.')


def _list(value: object, key: str) -> list[object]:
    if isinstance(value, str):
        if value.lstrip().startswith("["):
            return _list(_json(value, key), key)
        return [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, (list, tuple)):
        raise ValueError(f'"{key}": expected a list, found {value!r}.')
    return list(value)


def _group(value: object, schema: Schema, key: str) -> dict[str, Json]:
    group = _json(value, key) if isinstance(value, str) else value
    properties: Schema = schema.get("properties", {})
    if not isinstance(group, dict) or set(group) != set(properties):
        raise ValueError(
            f'"{key}": expected values for {", ".join(properties) or "nothing"}, found {value!r}.'
        )
    return {name: parse_value(group[name], properties[name], key) for name in properties}


def _json(text: str, key: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f'"{key}": expected JSON, found {text!r} ({error}).') from error


def _whole_number(value: object, key: str) -> int:
    number = _number(value, key)
    if number != int(number):
        raise ValueError(f'"{key}": expected a whole number, found {value!r}.')
    return int(number)


def _number(value: object, key: str) -> int | float:
    """Read a finite number; whole numbers stay exact, whatever their size."""
    if isinstance(value, str):
        text = value.strip()
        try:
            value = int(text) if text.lstrip("+-").isdecimal() else float(text)
        except ValueError:
            raise ValueError(f'"{key}": expected a number, found {value!r}.') from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f'"{key}": expected a number, found {value!r}.')
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f'"{key}": expected a finite number, found {value!r}.')
    return value


def _truth(value: object, key: str) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text not in _TRUE + _FALSE:
        raise ValueError(f'"{key}": expected true or false, found {value!r}.')
    return text in _TRUE
