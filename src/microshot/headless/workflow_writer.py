"""Writing workflows that KNIME opens: one folder, the same bytes for the same workflow."""

from __future__ import annotations

import re
import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax import saxutils

from microshot.headless.knwf import STRUCTURE
from microshot.headless.node_settings import annotation, core_settings, extension_settings
from microshot.headless.workflow import CoreNode, ExtensionNode
from microshot.headless.workflow_reader import BOUNDS, METADATA, METADATA_NAMESPACE
from microshot.headless.workflow_xml import NOT_XML, Config, config_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from microshot.headless.declaration import Extension, NodeDeclaration
    from microshot.headless.workflow import Workflow, WorkflowNode

FORMAT = "5.1.0"
"""The workflow format of KNIME 5.1 and every later version."""

#: What KNIME calls the types of flow variables, and the type of their entry.
_VARIABLE_TYPES = {
    str: ("STRING", "xstring"),
    int: ("INTEGER", "xint"),
    float: ("DOUBLE", "xdouble"),
    bool: ("BOOLEAN", "xboolean"),
}
_NODE_UI = "org.knime.core.node.workflow.NodeUIInformation"


def write_workflow(
    workflow: Workflow,
    folder: Path,
    *,
    extension: Extension,
    node_declarations: Mapping[str, NodeDeclaration],
    replace: bool = False,
) -> Path:
    """Write `workflow` as a folder that KNIME opens and return the folder.

    The folder appears complete or not at all. With `replace`, an existing workflow is replaced
    and its ``data`` folder is kept; whatever ends the work, the old or the new one stays. One that a
    killed process has set aside is put back by the next call.

    Raises
    ------
    FileExistsError : if `folder` exists and `replace` is not set, or is no workflow.
    ValueError : if a node is not declared, a parameter is missing, unknown or of the wrong type,
        or a connection leaves the ports of its nodes.
    """
    aside = folder.with_name(f".{folder.name}.replaced")
    if aside.exists() and not folder.exists():
        aside.rename(folder)
    if folder.exists() and not (replace and (folder / STRUCTURE).is_file()):
        raise FileExistsError(
            f"{folder}: the folder exists already; choose another one, "
            "or say replace if it holds a workflow."
        )
    files = _files(workflow, extension, node_declarations)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".writing-") as temporary:
        partial = Path(temporary) / "new"
        for name, content in files.items():
            path = partial / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if (folder / "data").is_dir():
            shutil.copytree(folder / "data", partial / "data")
        _put_in_place(partial, folder, aside)
    return folder


def _put_in_place(partial: Path, folder: Path, aside: Path) -> None:
    """Rename `partial` to `folder`; what is there is put `aside` until then, and back on failure."""
    if not folder.exists():
        partial.rename(folder)
        return
    shutil.rmtree(aside, ignore_errors=True)  # of a process killed behind the second rename
    folder.rename(aside)
    try:
        partial.rename(folder)
    except BaseException:
        aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _files(
    workflow: Workflow, extension: Extension, declarations: Mapping[str, NodeDeclaration]
) -> dict[str, bytes]:
    """Return the content of every file by its path below the workflow folder."""
    places = {node.id: f"{_folder_name(node)}/settings.xml" for node in workflow.nodes}
    limits: dict[int, tuple[int, int] | None] = {}
    files = {}
    for node in workflow.nodes:
        if isinstance(node.kind, CoreNode):
            config = core_settings(node, node.kind)
            limits[node.id] = None
        else:
            declaration = _declared(node, node.kind, extension, declarations)
            inputs, outputs = declaration.ports(node.added_ports)
            config = extension_settings(node, extension, declaration, len(outputs))
            limits[node.id] = (len(inputs), len(outputs))
        files[places[node.id]] = config_bytes(config, "settings.xml")
    _check_connections(workflow, limits)
    files[STRUCTURE] = config_bytes(_structure(workflow, places), STRUCTURE)
    files[METADATA] = _metadata(workflow)
    return files


def _folder_name(node: WorkflowNode) -> str:
    return f"{re.sub('[^A-Za-z0-9 ]', '_', node.name).strip() or 'Node'} (#{node.id})"


def _declared(
    node: WorkflowNode,
    kind: ExtensionNode,
    extension: Extension,
    declarations: Mapping[str, NodeDeclaration],
) -> NodeDeclaration:
    if kind.extension_id != extension.id:
        raise ValueError(
            f'{node.title}: expected a node of "{extension.id}", found one of "{kind.extension_id}".'
        )
    if kind.node_id not in declarations:
        raise ValueError(
            f'{node.title}: the extension has no node "{kind.node_id}", '
            f"expected one of: {', '.join(declarations)}."
        )
    return declarations[kind.node_id]


def _check_connections(workflow: Workflow, limits: Mapping[int, tuple[int, int] | None]) -> None:
    for line in workflow.connections:
        for number, port, side in (
            (line.destination, line.destination_port, 0),
            (line.source, line.source_port, 1),
        ):
            limit = limits[number]
            if limit is not None and port > limit[side]:
                raise ValueError(
                    f"{workflow.node(number).title}: there is no {('input', 'output')[side]} port "
                    f"{port}, expected at most {limit[side]}; was an optional port not added?"
                )


def _structure(workflow: Workflow, places: Mapping[int, str]) -> Config:
    config = Config(STRUCTURE)
    config.add("created_by", "xstring", workflow.created_by)
    config.add("created_by_nightly", "xboolean", value=False)
    config.add("version", "xstring", FORMAT)
    config.add("name", "xstring", None)
    if workflow.author:
        made = config.add_config("authorInformation")
        when = datetime.fromisoformat(workflow.created).strftime("%Y-%m-%d %H:%M:%S %z")
        for act in ("authored", "lastEdited"):
            made.add(f"{act}-by", "xstring", workflow.author)
            made.add(f"{act}-when", "xstring", when)
    config.add("customDescription", "xstring", None)
    idle = any(node.state == "IDLE" for node in workflow.nodes)
    config.add("state", "xstring", "IDLE" if idle else "CONFIGURED")
    config.add_config("workflow_credentials")
    if workflow.variables:
        variables = config.add_config("workflow_variables")
        for index, (name, value) in enumerate(workflow.variables.items()):
            identifier, kind = _VARIABLE_TYPES[type(value)]
            held = variables.add_config(f"Var_{index}")
            held.add("name", "xstring", name)
            held.add("class", "xstring", identifier)
            held.add("value", kind, value)
    if workflow.annotations:
        notes = config.add_config("annotations")
        for index, note in enumerate(workflow.annotations):
            notes[f"annotation_{index}"] = annotation(note)
    nodes = config.add_config("nodes")
    for node in workflow.nodes:
        _add_node(nodes.add_config(f"node_{node.id}"), node, places[node.id])
    lines = config.add_config("connections")
    for index, line in enumerate(workflow.connections):
        entry = lines.add_config(f"connection_{index}")
        entry.add("sourceID", "xint", line.source)
        entry.add("destID", "xint", line.destination)
        entry.add("sourcePort", "xint", line.source_port)
        entry.add("destPort", "xint", line.destination_port)
    return config


def _add_node(config: Config, node: WorkflowNode, place: str) -> None:
    config.add("id", "xint", node.id)
    config.add("node_settings_file", "xstring", place)
    config.add("node_is_meta", "xboolean", value=False)
    config.add("node_type", "xstring", "NativeNode")
    config.add("ui_classname", "xstring", _NODE_UI)
    config.add_config("ui_settings").add_array(BOUNDS, "xint", [*node.position, -1, -1])


def _metadata(workflow: Workflow) -> bytes:
    def element(tag: str, text: str, attributes: str = "") -> str:
        if NOT_XML.search(text):
            raise ValueError(f'Workflow "{workflow.name}": the {tag} holds a control character.')
        return f"<{tag}{attributes}>{saxutils.escape(text)}</{tag}>"

    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines.append(f'<workflow-metadata content-type="text/plain" xmlns="{METADATA_NAMESPACE}">')
    if workflow.author:
        lines.append("  " + element("author", workflow.author))
    lines.append("  " + element("created", workflow.created))
    lines.append("  " + element("last-modified", workflow.created))
    lines.append("  " + element("description", workflow.description))
    if workflow.tags:
        lines += ["  <tags>", *(f"    {element('tag', tag)}" for tag in workflow.tags), "  </tags>"]
    if workflow.links:
        lines.append("  <links>")
        for text, address in workflow.links:
            lines.append("    " + element("link", text, f" href={saxutils.quoteattr(address)}"))
        lines.append("  </links>")
    lines.append("</workflow-metadata>")
    return ("\n".join(lines) + "\n").encode("utf-8")
