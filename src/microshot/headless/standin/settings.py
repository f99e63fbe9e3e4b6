"""All parameters of a node at once: read, write, check, describe, and what can be stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microshot.headless.standin.columns import _ColumnsParameter
from microshot.headless.standin.groups import Group
from microshot.headless.standin.parameters import BaseParameter

if TYPE_CHECKING:
    from microshot.headless.standin.runtime import Version

Entry = BaseParameter | Group


def entries(holder: Any) -> dict[str, Entry]:
    """Return the parameters and groups of a node or group, those of its own class first."""
    found: dict[str, Entry] = {}
    for cls in type(holder).__mro__[:-1]:
        for name, value in vars(cls).items():
            if isinstance(value, Entry) and name not in found:
                found[name] = value
    return found


def read(holder: Any) -> dict[str, Any]:
    """Return the values as KNIME stores them, groups as nested dicts."""
    return {
        name: read(entry._of(holder))
        if isinstance(entry, Group)
        else entry._to_json(getattr(holder, name))
        for name, entry in entries(holder).items()
    }


def write(holder: Any, saved: dict[str, Any]) -> None:
    """Set the values from what KNIME stored; a parameter that is missing keeps its default.

    Raises
    ------
    TypeError, ValueError : if a value is refused.
    """
    if hasattr(holder, "_modify_parameters"):
        saved = holder._modify_parameters(saved)
    for name, entry in entries(holder).items():
        if name not in saved:
            continue
        if isinstance(entry, Group):
            write(entry._of(holder), saved[name])
        else:
            entry.__set__(holder, entry._from_json(saved[name]))


def validate(holder: Any, saved: dict[str, Any], version: Version, path: str = "") -> None:
    """Check stored values as KNIME does when a dialog is applied or a workflow is loaded.

    `path` is what names begin with in messages: that of the group, with a dot.

    Raises
    ------
    ValueError : if a value is refused, or a parameter that `version` already had is missing.
    """
    for name, entry in entries(holder).items():
        if entry._since_version > version:
            continue
        if not isinstance(saved, dict) or name not in saved:
            raise ValueError(
                f"The settings of version {version} have no value for '{path}{name}'; open the "
                "workflow in KNIME with this version of the extension, confirm the node's dialog "
                "and save the workflow again. (To developers: a parameter that is newer than the "
                "settings needs since_version, and the extension a higher version.)"
            )
        if isinstance(entry, Group):
            bound = entry._of(holder)
            validate(bound, saved[name], version, f"{path}{name}.")
            bound._check_group(saved[name])
        else:
            entry._check(entry._from_json(saved[name]))


def schema(holder: Any, version: Version) -> dict[str, Any]:
    """Return the JSON schema of the stored values, as of `version` of the extension."""
    properties = {
        name: schema(entry._of(holder), version) if isinstance(entry, Group) else entry._schema()
        for name, entry in entries(holder).items()
        if entry._since_version <= version
    }
    return {"type": "object", "properties": properties}


def check_specs(holder: Any, specs: list[Any]) -> None:
    """Refuse column parameters whose port does not exist or is no table."""
    for entry in entries(holder).values():
        if isinstance(entry, Group):
            check_specs(entry._of(holder), specs)
        elif isinstance(entry, _ColumnsParameter):
            entry._check_specs(specs)


_NATIVE = {"integer": int, "number": float, "boolean": bool}


def check_storable(values: Any, described: dict[str, Any], path: str = "") -> None:
    """Refuse values that KNIME's settings cannot hold: null, more than 32 bits, no number.

    Raises
    ------
    ValueError : naming the parameter.
    """
    for name, one in described["properties"].items():
        where = f"{path}{name}"
        kind = one.get("type")
        value = values.get(name)
        if kind == "object":
            if value is not None:
                check_storable(value, one, f"{where}.")
        elif kind in _NATIVE and type(value) is not _NATIVE[kind]:
            raise ValueError(
                f"The value {value!r} of '{where}' cannot be stored as {kind} in KNIME's settings."
            )
        elif kind == "integer" and not -(2**31) <= value < 2**31:
            raise ValueError(
                f"The value {value} of '{where}' exceeds KNIME's 32-bit whole numbers."
            )
        elif kind == "number" and not abs(value) < float("inf"):
            raise ValueError(f"The value {value} of '{where}' is not a finite number.")
