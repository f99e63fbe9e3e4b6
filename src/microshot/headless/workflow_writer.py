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
from microshot.headless.settings_xml import settings_to_config, variables_config
from microshot.headless.workflow import Annotation, CoreNode, ExtensionNode
from microshot.headless.workflow_reader import (
    BOUNDS,
    KEPT_PARTS,
    METADATA,
    METADATA_NAMESPACE,
    PYTHON_FACTORY,
)
from microshot.headless.workflow_xml import NOT_XML, Config, config_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.headless.declaration import Extension, NodeDeclaration, Port
    from microshot.headless.workflow import Workflow, WorkflowNode

FORMAT = "5.1.0"
"""The workflow format of KNIME 5.1 and every later version."""

_ANNOTATION_VERSION = 20230412
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
            config = _core_settings(node, node.kind)
            limits[node.id] = None
        else:
            declaration = _declared(node, node.kind, extension, declarations)
            inputs, outputs = declaration.ports(node.added_ports)
            config = _extension_settings(node, extension, declaration, len(outputs))
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


def _extension_settings(
    node: WorkflowNode, extension: Extension, declaration: NodeDeclaration, n_outputs: int
) -> Config:
    config = _settings_head(node)
    if node.saved_version is not None:
        config["model"] = settings_to_config(
            node.settings, declaration.schema, version=node.saved_version, where=node.title
        )
    if node.variables or node.exposed:
        config["variables"] = variables_config(node.variables, node.exposed)
    _settings_middle(config, node)
    config.add("factory", "xstring", PYTHON_FACTORY)
    config.add("node-name", "xstring", declaration.name)
    for part, symbolic in (("bundle", extension.id), ("feature", extension.feature)):
        config.add(f"node-{part}-name", "xstring", extension.title)
        config.add(f"node-{part}-symbolic-name", "xstring", symbolic)
        config.add(f"node-{part}-vendor", "xstring", extension.vendor)
        config.add(f"node-{part}-version", "xstring", extension.version)
    config.add("factory-id-uniquifier", "xstring", f"{extension.id}_!_{declaration.node_id}")
    made_by = config.add_config("factory_settings")
    made_by.add("extension_id", "xstring", extension.id)
    made_by.add("node_id", "xstring", declaration.node_id)
    ports = config.add_config("node_creation_config")
    for prefix, declared in (("Input", declaration.inputs), ("Output", declaration.outputs)):
        _add_ports(ports, prefix, declared, node.added_ports)
    config.add("name", "xstring", declaration.name)
    _settings_tail(config, n_outputs)
    return config


def _add_ports(
    config: Config, prefix: str, declared: Sequence[Port], added: Mapping[str, int]
) -> None:
    for index, port in enumerate(declared):
        if not port.is_added:
            config.add_config(f"{prefix} {port.name} # {index}")
            continue
        group = config.add_config(port.name)
        for number in range(added.get(port.name, 0)):
            group.add_config(f"port_{number}").add("object_class", "xstring", port.object_class)


def _core_settings(node: WorkflowNode, kind: CoreNode) -> Config:
    config = _settings_head(node)
    for key in ("flow_stack", "model", "view", "variables", "view_variables"):
        if key in kind.parts:
            config[key] = kind.parts[key]
    _settings_middle(config, node)
    config.add("factory", "xstring", kind.factory)
    config.add("node-name", "xstring", node.name)
    config.add("node-bundle-name", "xstring", None)
    config.add("node-bundle-symbolic-name", "xstring", kind.bundle)
    config.add("node-bundle-vendor", "xstring", kind.vendor)
    config.add("node-feature-name", "xstring", kind.feature_name)
    config.add("node-feature-symbolic-name", "xstring", kind.feature)
    config.add("node-feature-vendor", "xstring", kind.vendor)
    for key in KEPT_PARTS:
        if key in ("factory_settings", "node_creation_config") and key in kind.parts:
            config[key] = kind.parts[key]
    if "factory_settings" not in config:
        config.add_config("factory_settings")
    config.add("name", "xstring", node.name)
    _settings_tail(config, kind.n_outputs)
    return config


def _settings_head(node: WorkflowNode) -> Config:
    config = Config(node.title)
    config.add("node_file", "xstring", "settings.xml")
    config.add_config("flow_stack")
    kept = config.add_config("internal_node_subsettings")
    kept.add("memory_policy", "xstring", "CacheSmallInMemory")
    return config


def _settings_middle(config: Config, node: WorkflowNode) -> None:
    if node.label:
        config["nodeAnnotation"] = _node_label(node)
    config.add("customDescription", "xstring", None)
    config.add("state", "xstring", node.state)


def _settings_tail(config: Config, n_outputs: int) -> None:
    config.add("hasContent", "xboolean", value=False)
    config.add("isInactive", "xboolean", value=False)
    ports = config.add_config("ports")
    for number in range(1, n_outputs + 1):
        port = ports.add_config(f"port_{number}")
        port.add("index", "xint", number)
        port.add("port_dir_location", "xstring", None)
    stores = config.add_config("filestores")
    stores.add("file_store_location", "xstring", None)
    stores.add("file_store_id", "xstring", None)


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
            notes[f"annotation_{index}"] = _annotation(note)
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


def _annotation(note: Annotation) -> Config:
    config = Config("annotation")
    config.add("text", "xstring", note.text)
    config.add("contentType", "xstring", note.content_type)
    config.add("bgcolor", "xint", note.background)
    config.add("x-coordinate", "xint", note.x)
    config.add("y-coordinate", "xint", note.y)
    config.add("width", "xint", note.width)
    config.add("height", "xint", note.height)
    config.add("alignment", "xstring", note.alignment)
    config.add("borderSize", "xint", note.border_size)
    config.add("borderColor", "xint", note.border)
    config.add("defFontSize", "xint", note.font_size)
    config.add("annotation-version", "xint", _ANNOTATION_VERSION)
    config.add_config("styles")
    return config


def _node_label(node: WorkflowNode) -> Config:
    return _annotation(
        Annotation(node.label, 0, 0, 0, 0, border_size=0, border=0xFFFFFF, alignment="CENTER")
    )


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
