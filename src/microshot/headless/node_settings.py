"""What the file ``settings.xml`` of one node holds, in the order in which KNIME writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microshot.headless.settings_xml import settings_to_config, variables_config
from microshot.headless.workflow import Annotation
from microshot.headless.workflow_reader import KEPT_PARTS, PYTHON_FACTORY
from microshot.headless.workflow_xml import Config

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.headless.declaration import Extension, NodeDeclaration, Port
    from microshot.headless.workflow import CoreNode, WorkflowNode

_ANNOTATION_VERSION = 20230412


def extension_settings(
    node: WorkflowNode, extension: Extension, declaration: NodeDeclaration, n_outputs: int
) -> Config:
    """Return the settings of a node of the extension, with `n_outputs` ports behind it.

    Raises
    ------
    ValueError : if a parameter is missing, unknown or of the wrong type.
    """
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


def core_settings(node: WorkflowNode, kind: CoreNode) -> Config:
    """Return the settings of a node of KNIME itself, whose own parts are kept as they are."""
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


def annotation(note: Annotation) -> Config:
    """Return a note on the canvas, or the label of a node."""
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
    return annotation(
        Annotation(node.label, 0, 0, 0, 0, border_size=0, border=0xFFFFFF, alignment="CENTER")
    )
