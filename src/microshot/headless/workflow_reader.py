"""Reading saved workflows: a folder or a `.knwf` becomes a `Workflow`."""

from __future__ import annotations

import html
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast
from xml.etree import ElementTree

from microshot.headless.knwf import STRUCTURE, workflow_folder
from microshot.headless.settings_xml import (
    EXPOSED,
    config_to_settings,
    settings_version,
    used_variables,
)
from microshot.headless.workflow import (
    Annotation,
    Connection,
    CoreNode,
    ExtensionNode,
    State,
    Workflow,
    WorkflowNode,
)
from microshot.headless.workflow_xml import MAX_BYTES, Config, Entry, read_config

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON_FACTORY = (
    "org.knime.python3.nodes.extension.ExtensionNodeSetFactory$DynamicExtensionNodeFactory"
)
"""The class that makes every node of every pure Python extension."""
METADATA = "workflow-metadata.xml"
METADATA_NAMESPACE = "http://www.knime.org/core/node/workflow/metadata/v1.0"
BOUNDS = "extrainfo.node.bounds"
FORMATS = ("4.1.0", "5.1.0")
"""Workflow formats read: what KNIME 4.1 to 5.0 and KNIME 5.1 and later save."""
KEPT_PARTS = (
    "flow_stack",
    "model",
    "view",
    "variables",
    "view_variables",
    "factory_settings",
    "node_creation_config",
)
"""Parts of a core node's settings that are kept as they are."""

_ALIGNMENTS = ("LEFT", "CENTER", "RIGHT")


@dataclass(frozen=True)
class OpenWorkflow:
    """A workflow and the folder it lies in as long as it is open."""

    workflow: Workflow
    folder: Path

    @property
    def data_area(self) -> Path:
        """The folder of the files that travel with the workflow; it need not exist."""
        return self.folder / "data"


@contextmanager
def open_workflow(path: Path) -> Iterator[OpenWorkflow]:
    """Read a workflow folder or `.knwf` and keep its files at hand until the context ends."""
    with workflow_folder(Path(path)) as folder:
        yield OpenWorkflow(_read(folder, Path(path).stem if folder != path else ""), folder)


def read_workflow(path: Path) -> Workflow:
    """Read a workflow folder or a `.knwf` file.

    Raises
    ------
    FileNotFoundError : if there is no workflow, or a file of it is missing.
    ValueError : if a file is not what KNIME writes, or holds a metanode or component.
    """
    with open_workflow(path) as opened:
        return opened.workflow


def _read(folder: Path, packed_name: str) -> Workflow:
    config = read_config(folder / STRUCTURE)
    version = config.text("version")
    if version not in FORMATS:
        older = [int(part) for part in re.findall(r"\d+", version or "")] < [4, 1]
        mend = "open it in KNIME 5 and save it again" if older else "a newer Microshot may read it"
        raise ValueError(
            f"{STRUCTURE}: expected workflow format {' or '.join(FORMATS)}, found {version}; {mend}."
        )
    about = _metadata(folder)
    author = config.config("authorInformation").text("authored-by")
    return Workflow(
        name=packed_name or folder.resolve().name,
        nodes=tuple(_node(folder, entry) for _, entry in config.config("nodes").configs()),
        connections=tuple(
            Connection(
                *(line.integer(key) for key in ("sourceID", "sourcePort", "destID", "destPort"))
            )
            for _, line in config.config("connections").configs()
        ),
        annotations=tuple(_annotation(note) for _, note in config.config("annotations").configs()),
        created_by=config.text("created_by") or "5.5.0",
        variables=_variables(config.config("workflow_variables")),
        **{"author": author or "", **about},
    )


def _variables(config: Config) -> dict[str, Any]:
    """Return the variables that hold a single value; others set no parameter here."""
    held = ((one, one.get("value")) for _, one in config.configs())
    return {
        one.require_text("name"): entry.value
        for one, entry in held
        if isinstance(entry, Entry) and entry.value is not None
    }


def _node(folder: Path, entry: Config) -> WorkflowNode:
    number = entry.integer("id")
    kind = entry.require_text("node_type")
    file = entry.require_text("node_settings_file")
    if kind != "NativeNode":
        what = {"MetaNode": "a metanode", "SubNode": "a component"}.get(kind, f'of type "{kind}"')
        raise ValueError(
            f"{STRUCTURE}: node #{number} ({file}) is {what}, which can only be run by KNIME; "
            "expand it and save the workflow again."
        )
    path = folder.joinpath(*file.replace("\\", "/").split("/"))
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f'{STRUCTURE}: the settings "{file}" lie outside of the workflow.')
    config = read_config(path, name=file)
    is_python = config.require_text("factory") == PYTHON_FACTORY
    bounds = entry.config("ui_settings").config(BOUNDS)
    model = config.config("model")
    return WorkflowNode(
        id=number,
        kind=_extension_kind(config) if is_python else _core_kind(config),
        name=config.text("node-name") or config.text("name") or file,
        settings=config_to_settings(model) if is_python and model else {},
        saved_version=settings_version(model) if is_python and model else None,
        position=(bounds.integer("0", 0), bounds.integer("1", 0)),
        label=_label(config.config("nodeAnnotation")),
        state=cast("State", "IDLE" if config.text("state") in (None, "IDLE") else "CONFIGURED"),
        added_ports=_added_ports(config.config("node_creation_config")) if is_python else {},
        variables=used_variables(config.config("variables")) if is_python else {},
        exposed=used_variables(config.config("variables"), EXPOSED) if is_python else {},
    )


def _extension_kind(config: Config) -> ExtensionNode:
    made_by = config.config("factory_settings")
    return ExtensionNode(made_by.require_text("extension_id"), made_by.require_text("node_id"))


def _core_kind(config: Config) -> CoreNode:
    return CoreNode(
        factory=config.require_text("factory"),
        bundle=config.text("node-bundle-symbolic-name"),
        feature=config.text("node-feature-symbolic-name"),
        feature_name=config.text("node-feature-name"),
        vendor=config.text("node-bundle-vendor"),
        n_outputs=len(config.config("ports")),
        parts={key: config.config(key) for key in KEPT_PARTS if config.get(key)},
    )


def _added_ports(config: Config) -> dict[str, int]:
    """Count the ports of groups and optional ports; fixed ports are listed, but empty."""
    return {name: len(ports) for name, ports in config.configs() if ports}


def _label(config: Config) -> str:
    return _plain(config.text("text") or "", config.text("contentType"))


def _plain(text: str, content_type: str | None) -> str:
    """Return a text without markup; a paragraph, heading or entry of a list ends in a new line."""
    if content_type != "text/html":
        return text
    lines = re.sub(r"<(?:br|/p|/li|/h[1-6])\b[^>]*>", "\n", text)
    return html.unescape(re.sub(r"<[^>]*>", "", lines)).strip()


def _annotation(config: Config) -> Annotation:
    alignment = config.text("alignment") or "LEFT"
    if alignment not in _ALIGNMENTS:
        raise ValueError(
            f"{config.where}: expected the alignment to be one of {', '.join(_ALIGNMENTS)}, "
            f'found "{alignment}".'
        )
    is_html = config.text("contentType") == "text/html"
    return Annotation(
        text=config.text("text") or "",
        x=config.integer("x-coordinate"),
        y=config.integer("y-coordinate"),
        width=config.integer("width"),
        height=config.integer("height"),
        content_type="text/html" if is_html else "text/plain",
        background=config.integer("bgcolor", 0xFFFFFF),
        border=config.integer("borderColor", 0xFFFFFF),
        border_size=config.integer("borderSize", 0),
        font_size=config.integer("defFontSize", 12),
        alignment=cast("Literal['LEFT', 'CENTER', 'RIGHT']", alignment),
    )


class _Tree(ElementTree.TreeBuilder):
    """Builds elements and refuses a document type, and with it every entity declaration."""

    def doctype(self, name: str, *_: object) -> None:
        raise ValueError(f"{METADATA}: the document type declaration {name} is not allowed.")


def _metadata(folder: Path) -> dict[str, Any]:
    path = folder / METADATA
    if not path.is_file():
        return {}
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{METADATA}: expected at most {MAX_BYTES // 2**20} MB.")
    try:
        root = ElementTree.fromstring(path.read_bytes(), ElementTree.XMLParser(target=_Tree()))
    except (ElementTree.ParseError, LookupError) as error:
        raise ValueError(f"{METADATA}: this is no well-formed XML ({error}).") from error

    def text(tag: str) -> str:
        return (root.findtext(f"{{{METADATA_NAMESPACE}}}{tag}") or "").strip()

    found: dict[str, Any] = {
        "description": _plain(text("description"), root.get("content-type")),
        "tags": tuple((e.text or "").strip() for e in root.iter(f"{{{METADATA_NAMESPACE}}}tag")),
        "links": tuple(
            ((e.text or "").strip(), e.get("href", ""))
            for e in root.iter(f"{{{METADATA_NAMESPACE}}}link")
        ),
    }
    for key, tag in (("author", "author"), ("created", "created")):
        if text(tag):
            found[key] = text(tag)
    return found
