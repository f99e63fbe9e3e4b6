"""Node settings between JSON, as nodes speak it, and KNIME's configuration tree, as files hold it.

Writing follows the node's JSON schema; reading ignores it and infers the JSON types from the
tree, exactly as KNIME does.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

from microshot.headless.workflow_xml import Config, Entry

if TYPE_CHECKING:
    from collections.abc import Mapping

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Schema: TypeAlias = "Mapping[str, Any]"

INTERNAL = "_Internals"
TYPE_KEY = "json-type" + INTERNAL
NULL_KEY = "null" + INTERNAL
VERSION_KEY = "extension_version" + INTERNAL
USED, EXPOSED = "used_variable", "exposed_variable"
NO_VERSION = "0.0.0"
"""What KNIME assumes where settings do not say which version of the extension wrote them."""

_ARRAYS = {
    "DOUBLE_ARRAY": "xdouble",
    "FLOAT_ARRAY": "xfloat",
    "INT_ARRAY": "xint",
    "LONG_ARRAY": "xlong",
    "BOOLEAN_ARRAY": "xboolean",
    "STRING_ARRAY": "xstring",
}
_ARRAY_OF = {kind: name for name, kind in _ARRAYS.items()}
_JSON_TYPES = {"xstring", "xint", "xlong", "xdouble", "xfloat", "xboolean"}


def settings_to_config(
    settings: Mapping[str, Json], schema: Schema, *, version: str, where: str
) -> Config:
    """Turn a node's settings into the tree that is stored as its ``model``.

    Parameters
    ----------
    settings : the value of every parameter, groups nested.
    schema : JSON schema of the parameters, as the node declares it.
    version : version of the extension that the settings belong to, for example ``"0.1.0"``.
    where : what to call the node in messages.

    Raises
    ------
    ValueError : if a parameter is missing, unknown, or of the wrong type.
    """
    config = Config(where)
    _write_object(config, settings, schema)
    config.add(VERSION_KEY, "xstring", version)
    return config


def _write_object(config: Config, value: Json | Mapping[str, Json], schema: Schema) -> None:
    if not hasattr(value, "items"):
        raise ValueError(f"{config.where}: expected a group of parameters, found {value!r}.")
    values: Mapping[str, Json] = value  # pyright: ignore[reportAssignmentType] checked above
    properties: Schema = schema.get("properties", {})
    stored = {key: sub for key, sub in properties.items() if "configKeys" not in sub}
    unknown = [key for key in values if key not in properties]
    if unknown:
        raise ValueError(
            f'{config.where}: there is no parameter "{unknown[0]}", '
            f"expected one of: {', '.join(stored) or 'none'}."
        )
    for key, sub in stored.items():
        if key not in values:
            raise ValueError(f'{config.where}: the value of parameter "{key}" is missing.')
        _write_value(config, key, values[key], sub)
    config.add(TYPE_KEY, "xstring", "OBJECT")


def _write_value(config: Config, key: str, value: Json, schema: Schema) -> None:
    kind = schema.get("type")
    if kind == "array" or "anyOf" in schema:
        _write_array(config, key, value, schema.get("items", {"type": "string"}))
    elif kind == "object":
        _write_object(config.add_config(key), value, schema)
    else:
        where = f'{config.where}: parameter "{key}"'
        config.add(key, _entry_type(schema), _checked(value, schema, where))


def _write_array(config: Config, key: str, value: Json, items: Schema) -> None:
    where = f'{config.where}: parameter "{key}"'
    if value is not None and not isinstance(value, (list, tuple)):
        raise ValueError(f"{where}: expected a list, found {value!r}.")
    if items.get("type") == "object":
        child = config.add_config(key)
        if value is None:
            child.add(NULL_KEY, "xboolean", value=True)
        for index, item in enumerate(value or ()):
            _write_object(child.add_config(str(index)), item, items)
        return
    kind = _entry_type(items)
    checked = [_checked(item, items, where) for item in value or ()]
    if checked:
        config.add_array(key, kind, checked)
        return
    child = config.add_config(key)
    child.add(TYPE_KEY, "xstring", _ARRAY_OF[kind])
    child.add("array-size", "xint", 0)
    child.add(NULL_KEY, "xboolean", value is None)


def _entry_type(schema: Schema) -> str:
    kind, form = schema.get("type"), schema.get("format")
    if kind == "integer":
        return "xlong" if form == "int64" else "xint"
    if kind == "number":
        return "xfloat" if form == "float" else "xdouble"
    return "xboolean" if kind == "boolean" else "xstring"


def _checked(value: Json, schema: Schema, where: str) -> bool | int | float | str | None:
    kind = _entry_type(schema)
    if kind in ("xint", "xlong"):
        limit = 1 << (31 if kind == "xint" else 63)
        if isinstance(value, bool) or not isinstance(value, int) or not -limit <= value < limit:
            raise ValueError(
                f"{where}: expected a whole number from {-limit} to {limit - 1}, found {value!r}."
            )
        return value
    if kind in ("xdouble", "xfloat"):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{where}: expected a number, found {value!r}.")
        if not math.isfinite(value):
            raise ValueError(f"{where}: expected a finite number, found {value!r}.")
        return float(value)
    if kind == "xboolean":
        if not isinstance(value, bool):
            raise ValueError(f"{where}: expected true or false, found {value!r}.")
        return value
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{where}: expected a text, found {value!r}.")
    allowed = [choice.get("const") for choice in schema.get("oneOf", ())]
    if allowed and value not in allowed:
        raise ValueError(f"{where}: expected one of {', '.join(allowed)}, found {value!r}.")
    return value


def settings_version(config: Config) -> str:
    """Return the version of the extension that wrote these settings."""
    return config.text(VERSION_KEY) or NO_VERSION


def config_to_settings(config: Config) -> dict[str, Json]:
    """Read the ``model`` of a node.

    Raises
    ------
    ValueError : if the tree is not one that KNIME writes for a Python node.
    """
    value = _read(config)
    if not isinstance(value, dict):
        raise ValueError(f"{config.where}: expected settings by name, found {value!r}.")
    return value


def _read(config: Config) -> Json:
    kind = config.text(TYPE_KEY) or _inferred(config)
    if kind == "OBJECT":
        return {key: _value(config, key) for key in config if not key.endswith(INTERNAL)}
    if kind == "NULL" or _is_null(config):
        return None
    if kind == "ARRAY":
        return [_value(config, key) for key in config]
    if kind not in _ARRAYS:
        raise ValueError(f'{config.where}: "{kind}" is no kind of setting.')
    size = config.integer("array-size")
    wanted = _ARRAYS[kind]
    if size < 0 or any(not _is(config.get(str(index)), wanted) for index in range(size)):
        raise ValueError(f"{config.where}: expected {size} values of type {wanted}.")
    return [_value(config, str(index)) for index in range(size)]


def _inferred(config: Config) -> str:
    keys = list(config)
    size = config.get("array-size")
    if keys and keys[0] == "array-size" and isinstance(size, Entry) and size.type == "xint":
        first = config.get("0")
        if size.value == len(keys) - 1:
            if not size.value:
                return "DOUBLE_ARRAY"
            if isinstance(first, Entry) and first.type in _ARRAY_OF:
                return _ARRAY_OF[first.type]
    if all(key in (str(index), NULL_KEY) for index, key in enumerate(keys)):
        return "ARRAY"
    raise ValueError(
        f"{config.where}: expected a list or a group marked by {TYPE_KEY}, found neither; "
        "save the workflow again."
    )


def _is_null(config: Config) -> bool:
    entry = config.get(NULL_KEY)
    return isinstance(entry, Entry) and entry.value is True


def _is(item: Config | Entry | None, kind: str) -> bool:
    return isinstance(item, Entry) and item.type == kind


def _value(config: Config, key: str) -> Json:
    item = config[key]
    if isinstance(item, Config):
        return _read(item)
    if item.type not in _JSON_TYPES:
        raise ValueError(f'{config.where}: "{key}" of type {item.type} is no node setting.')
    return item.value


def used_variables(config: Config, key: str = USED) -> dict[str, str]:
    """Read which parameters are set by flow variables, from a node's ``variables``.

    With `key` `EXPOSED`, which parameters set flow variables for the nodes behind.

    Returns
    -------
    Name of the flow variable by the parameter's dotted name, for example ``"training.epochs"``.
    """
    found: dict[str, str] = {}

    def collect(tree: Config, prefix: str) -> None:
        for name, child in tree.configs():
            if not any(isinstance(child.get(one), Entry) for one in (USED, EXPOSED)):
                collect(child, f"{prefix}{name}.")
            elif (variable := child.text(key)) is not None:
                found[prefix + name] = variable

    collect(config.config("tree"), "")
    return found


def variables_config(used: Mapping[str, str], exposed: Mapping[str, str] | None = None) -> Config:
    """Write what `used_variables` reads."""
    config, exposed = Config("variables"), exposed or {}
    config.add("version", "xstring", "V_2019_09_13")
    tree = config.add_config("tree")
    for name in {**used, **exposed}:
        *groups, last = name.split(".")
        group = tree
        for key in groups:
            group = group.config(key) if key in group else group.add_config(key)
        leaf = group.add_config(last)
        leaf.add(USED, "xstring", used.get(name))
        leaf.add(EXPOSED, "xstring", exposed.get(name))
    return config
