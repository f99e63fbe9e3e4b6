"""What must be true of a workflow folder before it is given to others, read from its bare XML."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from microshot.headless.declaration import Extension, NodeDeclaration, Port

_TAG = "{http://www.knime.org/2008/09/XMLConfig}"
_META = "{http://www.knime.org/core/node/workflow/metadata/v1.0}"
FORMAT = "5.1.0"
OLDEST_KNIME = (5, 5, 0)
BASE = {"org.knime.base", "org.knime.base.views", "org.knime.core"}
JUNK = re.compile(r"\.knimeLock$|\.savedWithData$|~$|\.bak$|^\.DS_Store$|^Thumbs\.db$|\.tmp$")
_PORTABLE = re.compile(r'[<>:"\\|?*\x00-\x1f]|[ .]$')
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?$", re.IGNORECASE)
_ABSOLUTE = re.compile(
    r"^(/|[A-Za-z]:[\\/]|\\\\|~/|file:|knime://(LOCAL|knime\.(space|mountpoint)))"
)


def _tree(element: ET.Element) -> dict[str, Any]:
    """Return a config as nested dicts of texts; None where an entry is null."""
    found: dict[str, Any] = {}
    for child in element:
        key = child.get("key", "")
        if child.tag == f"{_TAG}config":
            found[key] = _tree(child)
        else:
            null = child.get("isnull") == "true"
            found[key] = None if null else (child.get("type"), child.get("value", ""))
    return found


def _text(tree: Mapping[str, Any], key: str) -> str | None:
    value = tree.get(key)
    return value[1] if isinstance(value, tuple) else None


def nodes_json(extension: Extension, declarations: Mapping[str, NodeDeclaration]) -> dict[str, Any]:
    """Return what the nodes of an extension declare, as checkers of workflows compare with it."""
    return {
        "extension_id": extension.id,
        "version": extension.version,
        "nodes": {
            key: {
                "name": node.name,
                "inputs": [_port_json(port) for port in node.inputs],
                "outputs": [_port_json(port) for port in node.outputs],
                "schema": node.schema,
            }
            for key, node in declarations.items()
        },
    }


def _port_json(port: Port) -> dict[str, Any]:
    return {
        "name": port.name,
        "type": port.type,
        "group": port.group,
        "optional": port.optional,
    }


def problems(folder: Path, nodes: Mapping[str, Any]) -> list[str]:
    """Return everything that keeps a workflow from being shipped, each with its rule in front.

    Parameters
    ----------
    nodes : what the extension declares, as `nodes_json` writes it.
    """
    structure = _tree(ET.parse(folder / "workflow.knime").getroot())
    found = [*_of_structure(structure), *_of_files(folder), *_of_description(folder)]
    ports: dict[str, tuple[int, int] | None] = {}
    for entry in structure["nodes"].values():
        place = _text(entry, "node_settings_file") or ""
        if not (folder / place).is_file():
            found.append(f"file: {place} is missing")
            continue
        tree = _tree(ET.parse(folder / place).getroot())
        found += [f"{problem} ({place})" for problem in _of_node(tree)]
        number = _text(entry, "id") or ""
        ports[number] = None
        if "extension_id" in tree["factory_settings"]:
            found += [f"{problem} ({place})" for problem in _of_extension_node(tree, nodes)]
            if _text(tree["factory_settings"], "node_id") in nodes["nodes"]:
                ports[number] = _ports(tree, nodes)
        found += [f"{problem} ({place})" for problem in _of_values(tree)]
    return found + list(_of_connections(structure, ports))


def _of_structure(structure: Mapping[str, Any]) -> Iterator[str]:
    if _text(structure, "version") != FORMAT:
        yield f"format: {_text(structure, 'version')}, expected {FORMAT}"
    made = tuple(map(int, (_text(structure, "created_by") or "0.0.0").split(".")[:3]))
    if made == (0, 0, 0) or made > OLDEST_KNIME:
        yield f"made by: KNIME {made}, so that {OLDEST_KNIME} warns when it opens it"
    if structure.get("workflow_credentials"):
        yield "secret: the workflow holds credentials"
    for key, entry in structure["nodes"].items():
        if key != f"node_{_text(entry, 'id')}":
            yield f"number: {key} says that it is {_text(entry, 'id')}"
        if not entry.get("ui_settings"):
            yield f"place: {key} has none on the canvas"


def _of_files(folder: Path) -> Iterator[str]:
    names = set()
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if JUNK.search(path.name) or path.name.startswith("."):
            yield f"junk: {name}"
        if any(_PORTABLE.search(p) or _DEVICES.match(p) for p in name.split("/")):
            yield f"name: {name} cannot be stored on Windows"
        if name.casefold() in names:
            yield f"name: {name} differs from another only in upper and lower case"
        names.add(name.casefold())
        if path.is_symlink():
            yield f"link: {name}"
        if name.count("/") and not name.startswith("data/") and path.name != "settings.xml":
            yield f"results: {name} holds results or leftovers"


def _of_description(folder: Path) -> Iterator[str]:
    path = folder / "workflow-metadata.xml"
    if not path.is_file():
        yield "description: workflow-metadata.xml is missing"
        return
    root = ET.parse(path).getroot()
    for tag in ("author", "description"):
        if not (root.findtext(f"{_META}{tag}") or "").strip():
            yield f"description: the {tag} is empty"
    if not list(root.iter(f"{_META}tag")):
        yield "description: there are no tags"


def _of_node(tree: Mapping[str, Any]) -> Iterator[str]:
    if _text(tree, "state") not in ("IDLE", "CONFIGURED"):
        yield f"state: {_text(tree, 'state')}, expected a node that is reset"
    held = [_text(port, "port_dir_location") for port in tree["ports"].values()]
    if _text(tree, "hasContent") != "false" or any(place is not None for place in held):
        yield "state: the node holds results"
    if "node_message" in tree:
        yield "message: a warning or error is stored"
    if "extension_id" not in tree["factory_settings"]:
        bundle = _text(tree, "node-bundle-symbolic-name")
        if bundle not in BASE:
            yield f"extension: {bundle} does not come with every KNIME"


def _of_extension_node(tree: Mapping[str, Any], nodes: Mapping[str, Any]) -> Iterator[str]:
    own, name = nodes["extension_id"], _text(tree["factory_settings"], "node_id")
    if _text(tree["factory_settings"], "extension_id") != own:
        yield f"extension: expected {own}"
    if name not in nodes["nodes"]:
        yield f"node: the extension has no {name}"
        return
    if _text(tree, "factory-id-uniquifier") != f"{own}_!_{name}":
        yield "node: factory-id-uniquifier is not that of the node"
    if not (_text(tree, "node-feature-symbolic-name") or "").endswith(".feature.group"):
        yield "extension: the feature that KNIME would install is not named"
    if _text(tree, "node-name") != nodes["nodes"][name]["name"]:
        yield f"node: called {_text(tree, 'node-name')}, expected {nodes['nodes'][name]['name']}"
    if "model" not in tree:
        yield "settings: there are none"
        return
    version = _text(tree["model"], "extension_version_Internals")
    if version != nodes["version"]:
        yield f"version: settings are of {version}, expected {nodes['version']}"
    wanted = _names(nodes["nodes"][name]["schema"])
    stored = _stored(tree["model"], nodes["nodes"][name]["schema"])
    yield from (f"settings: {one} is missing" for one in sorted(wanted - stored))
    yield from (f"settings: {one} is unknown" for one in sorted(stored - wanted))
    outputs = nodes["nodes"][name]["outputs"]
    if len(tree["ports"]) != len(outputs):
        yield f"ports: {len(tree['ports'])} outputs, expected {len(outputs)}"


def _names(schema: Mapping[str, Any], before: str = "") -> set[str]:
    names = set()
    for key, sub in schema["properties"].items():
        inner = _names(sub, f"{before}{key}.") if sub.get("type") == "object" else {before + key}
        names |= inner
    return names


def _stored(tree: Mapping[str, Any], schema: Mapping[str, Any], before: str = "") -> set[str]:
    names = set()
    for key, value in tree.items():
        sub = schema["properties"].get(key, {})
        if key.endswith("_Internals"):
            continue
        is_group = isinstance(value, dict) and sub.get("type") == "object"
        names |= _stored(value, sub, f"{before}{key}.") if is_group else {before + key}
    return names


def _of_values(tree: Mapping[str, Any]) -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _of_values(value)
        elif value is not None:
            if value[0] == "xpassword":
                yield f"secret: {key} is a stored password"
            if value[0] == "xstring" and _ABSOLUTE.match(value[1]):
                yield f"path: {key} is {value[1]}, which other machines do not have"


def _ports(tree: Mapping[str, Any], nodes: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many inputs and outputs a node has, with those that were added."""
    declared = nodes["nodes"][_text(tree["factory_settings"], "node_id")]
    added = tree["node_creation_config"]
    counts = []
    for side in ("inputs", "outputs"):
        listed = declared[side]
        counts.append(
            sum(
                len(added.get(p["name"], ())) if p["group"] or p.get("optional") else 1
                for p in listed
            )
        )
    return counts[0], counts[1]


def _of_connections(
    structure: Mapping[str, Any], ports: Mapping[str, tuple[int, int] | None]
) -> Iterator[str]:
    taken = set()
    for line in structure["connections"].values():
        source, target = _text(line, "sourceID") or "", _text(line, "destID") or ""
        out, into = int(_text(line, "sourcePort") or 0), int(_text(line, "destPort") or 0)
        for number in (source, target):
            if number not in ports:
                yield f"connection: there is no node {number}"
        limits = ports.get(source), ports.get(target)
        if (limits[0] and out > limits[0][1]) or (limits[1] and into > limits[1][0]):
            yield f"connection: from {source}:{out} to {target}:{into}, where there is no port"
        if (target, into) in taken:
            yield f"connection: input {target}:{into} is connected twice"
        taken.add((target, into))
    for number, limit in ports.items():
        for port in range(1, (limit[0] if limit else 0) + 1):
            if (number, port) not in taken:
                yield f"connection: input {number}:{port} is not connected"
