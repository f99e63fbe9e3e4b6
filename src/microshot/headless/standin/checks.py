"""What KNIME finds wrong with an extension before any node runs, or silently gets wrong."""

from __future__ import annotations

import struct
import sys
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

from microshot.headless.standin import settings
from microshot.headless.standin.columns import _ColumnsParameter
from microshot.headless.standin.dialog import name_of
from microshot.headless.standin.groups import Group
from microshot.headless.standin.nodes import Category, Declared, NodeType
from microshot.headless.standin.ports import PortGroup, PortType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from microshot.headless.standin.parameters import Rule
    from microshot.headless.standin.runtime import Version


def extension_problems(
    root: Path,
    module_dir: Path,
    categories: list[Category],
    declared: list[Declared],
    port_types: list[PortType],
) -> Iterator[str]:
    """Yield what is wrong with the extension as a whole, apart from its parameters."""
    yield from _shadowing(module_dir)
    for what, names in (
        ("category", [one.full_path for one in categories]),
        ("node id", [str(one.id) for one in declared]),
        ("port type id", [one.id for one in port_types]),
        ("port object class", [one.object_class.__qualname__ for one in port_types]),
        ("port spec class", [one.spec_class.__qualname__ for one in port_types]),
    ):
        for name in _repeated(names):
            yield f"The {what} {name} is registered more than once."
    for one in categories:
        yield from _category(root, one)
    if not declared:
        yield "The extension registers no node."
    paths = {one.full_path for one in categories} | {"/", "/community"}
    for one in declared:
        yield from _declaration(root, one, paths, {str(other.id) for other in declared})


def _repeated(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def _shadowing(module_dir: Path) -> Iterator[str]:
    for entry in sorted(module_dir.iterdir()):
        if entry.stem in sys.stdlib_module_names and (entry.is_dir() or entry.suffix == ".py"):
            yield f"{entry.name} beside the extension module hides a module of Python for everyone."


def _category(root: Path, one: Category) -> Iterator[str]:
    where = f"Category {one.full_path}"
    if not one.path.startswith("/"):
        yield f"{where}: the path must be absolute, such as /community."
    for what, text in (("name", one.name), ("description", one.description)):
        if not isinstance(text, str) or not text.strip():
            yield f"{where}: the {what} is empty."
    yield from _icon(root, where, one.icon, exactly=16)


def _icon(root: Path, where: str, relative: Any, exactly: int | None = None) -> Iterator[str]:
    if not isinstance(relative, str) or not relative:
        yield f"{where}: the icon path is {relative!r}; KNIME fails to load the extension."
        return
    if "\\" in relative or ".." in relative.split("/") or relative.startswith("/"):
        yield f"{where}: the icon {relative!r} must be a path with / below the folder of knime.yml."
        return
    path = root / relative
    if not path.is_file():
        yield f"{where}: the icon {relative} does not exist below the folder of knime.yml."
        return
    with path.open("rb") as file:
        head = file.read(24)
    if not head.startswith(b"\x89PNG\r\n\x1a\n"):
        yield f"{where}: the icon {relative} is no PNG image."
        return
    width, height = struct.unpack(">II", head[16:24])
    if width != height or width < 16 or exactly not in (None, width):
        wanted = "16x16" if exactly else "a square of at least 16"
        yield f"{where}: the icon {relative} must be {wanted} pixels, found {width}x{height}."


def _declaration(root: Path, one: Declared, paths: set[str], ids: set[str]) -> Iterator[str]:
    where = f"Node {one.id or one.class_name}"
    if not isinstance(one.id, str) or not one.id:
        yield f"{where}: it has no explicit id, so renaming its class would break saved workflows."
    if not isinstance(one.name, str) or not one.name.strip():
        yield f"{where}: the name is empty."
    if not isinstance(one.node_type, NodeType):
        yield f"{where}: node_type {one.node_type!r} is no knext.NodeType."
    if one.category not in paths:
        yield f"{where}: the category {one.category!r} is not registered by the extension."
    if one.after is not None and one.after not in ids:
        yield f"{where}: it is placed after {one.after!r}, which is no node of the extension."
    words = one.keywords or []
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        yield f"{where}: keywords must be a list of texts, found {one.keywords!r}."
    yield from _icon(root, where, one.icon_path)
    for side in (one.input_ports, one.output_ports):
        for name in _repeated([port.name for port in side]):
            yield f"{where}: two ports are named '{name}'."
    if any(isinstance(port, PortGroup) for port in one.output_ports):
        yield f"{where}: the stand-in does not offer groups of output ports."
    if one.view is not None:
        yield from _xml(f"{where}: the description of the view", one.view.description)


def _xml(where: str, text: str) -> Iterator[str]:
    try:
        ET.fromstring(f"<fragment>{text}</fragment>")
    except ET.ParseError as error:
        yield f"{where} is not XML ({error}); write no & and no < there, KNIME drops the extension."


def documentation_problems(where: str, doc: str | None) -> Iterator[str]:
    """Yield what is wrong with the docstring of a node."""
    lines = (doc or "").removeprefix("\n").splitlines()
    if not lines or not lines[0].strip():
        yield f"{where}: the docstring must begin with a short description."
        return
    yield from _xml(f"{where}: the first line of the docstring", lines[0])
    if not "".join(lines[1:]).strip():
        yield f"{where}: the docstring has no text after its first line."


def parameter_problems(where: str, holder: Any, one: Declared, version: Version) -> Iterator[str]:
    """Yield what is wrong with the parameters of a node or group, those inside included."""
    siblings = settings.entries(holder)
    for name, entry in siblings.items():
        here = f"{where}, parameter {name}"
        if name.endswith("_Internals"):
            yield f"{here}: KNIME keeps names that end in _Internals for itself."
        if not isinstance(entry._label, str) or not entry._label.strip():
            yield f"{here}: the label is empty."
        if not (entry.__doc__ or "").strip():
            yield f"{here}: the description is empty."
        if entry._since_version > version:
            yield f"{here}: since_version {entry._since_version} is newer than knime.yml's {version}."
        if entry._rule is not None:
            yield from _rule(here, entry._rule, siblings)
        if isinstance(entry, Group):
            yield from parameter_problems(here, entry._of(holder), one, version)
            continue
        if isinstance(entry, _ColumnsParameter):
            yield from _column_port(here, entry, one)
        try:
            entry._check(getattr(holder, name))
        except (TypeError, ValueError) as error:
            yield f"{here}: its own default is refused: {error}"


def _rule(where: str, rule: Rule, siblings: dict[str, settings.Entry]) -> Iterator[str]:
    for subject, wanted in rule.condition._tested():
        try:
            name_of(subject, siblings)
            for value in wanted:
                subject._check(subject._from_json(value))
        except (TypeError, ValueError) as error:
            yield f"{where}: its rule cannot work: {error}"


def _column_port(where: str, parameter: _ColumnsParameter, one: Declared) -> Iterator[str]:
    index = parameter._port_index
    if not 0 <= index < len(one.input_ports):
        yield f"{where}: port_index {index} does not exist; all input ports count, from 0."
    elif one.input_ports[index].type != PortType.TABLE:
        yield f"{where}: port_index {index} is '{one.input_ports[index].name}', which is no table."


def joined(problems: Iterable[str]) -> str:
    """Join findings into one message."""
    return "KNIME would not accept this extension:\n" + "\n".join(f"- {one}" for one in problems)
