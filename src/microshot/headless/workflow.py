"""A saved workflow as plain values: nodes, connections, annotations and what is said about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from microshot.headless.settings_xml import Json
    from microshot.headless.workflow_xml import Config

State: TypeAlias = Literal["IDLE", "CONFIGURED"]
"""Whether KNIME should expect the node to be ready when the workflow is opened."""

TABLE_VIEW_FACTORY = "org.knime.base.views.node.tableview.TableViewNodeFactory"


@dataclass(frozen=True)
class ExtensionNode:
    """A node of a Python extension, by the ids that never change."""

    extension_id: str
    node_id: str


@dataclass(frozen=True)
class CoreNode:
    """A node of KNIME itself, by the class that makes it."""

    factory: str
    bundle: str | None = None
    """Symbolic name of the plug-in, for example ``org.knime.base.views``."""
    feature: str | None = None
    """Symbolic name of the installable feature, ending in ``.feature.group``."""
    feature_name: str | None = None
    vendor: str | None = "KNIME AG, Zurich, Switzerland"
    n_outputs: int = 0
    parts: Mapping[str, Config] = field(default_factory=dict)
    """Stored settings as they are in the file: ``model``, ``view``, ``node_creation_config`` …"""


TABLE_VIEW = CoreNode(
    factory=TABLE_VIEW_FACTORY,
    bundle="org.knime.base.views",
    feature="org.knime.features.base.views.feature.group",
    feature_name="KNIME Views",
)
"""KNIME's Table View; without stored settings it shows every column in any KNIME 5."""


@dataclass(frozen=True)
class WorkflowNode:
    """One node on the canvas with its saved settings."""

    id: int
    kind: ExtensionNode | CoreNode
    name: str
    """The node's name in the node repository, for example ``"Train Microscopy Model"``."""
    settings: Mapping[str, Json] = field(default_factory=dict)
    """Parameter values of an extension node, groups nested."""
    saved_version: str | None = None
    """Version of the extension that wrote `settings`; None where none are stored."""
    position: tuple[int, int] = (0, 0)
    """(x, y) of the node's upper left corner on the canvas, in pixels."""
    label: str = ""
    """The text below the node."""
    state: State = "IDLE"
    added_ports: Mapping[str, int] = field(default_factory=dict)
    """Number of ports per port group, and 1 for every optional port that was added."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Flow variable that sets a parameter, by the parameter's dotted name."""
    exposed: Mapping[str, str] = field(default_factory=dict)
    """Flow variable that a parameter sets for the nodes behind, by the parameter's dotted name."""

    @property
    def title(self) -> str:
        """What to call the node in messages: its name, its number and its label."""
        label = " ".join(self.label.split())
        return f"{self.name} (#{self.id}{': ' + label if label else ''})"


@dataclass(frozen=True)
class Connection:
    """A line between two nodes; port 0 is the flow variable port, data ports start at 1."""

    source: int
    source_port: int
    destination: int
    destination_port: int

    @property
    def carries_data(self) -> bool:
        """Whether the line brings a table or a port object, not flow variables only."""
        return self.destination_port > 0


@dataclass(frozen=True)
class Annotation:
    """A note on the canvas."""

    text: str
    x: int
    y: int
    width: int
    height: int
    content_type: Literal["text/plain", "text/html"] = "text/plain"
    background: int = 0xFFFFFF
    """Colour of the paper, 0xRRGGBB."""
    border: int = 0xFFD800
    """Colour of the border, 0xRRGGBB."""
    border_size: int = 4
    """Width of the border in pixels."""
    font_size: int = 12
    alignment: Literal["LEFT", "CENTER", "RIGHT"] = "LEFT"


@dataclass(frozen=True)
class Workflow:
    """A workflow without data: what is saved when every node is reset."""

    name: str
    nodes: tuple[WorkflowNode, ...]
    connections: tuple[Connection, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    description: str = ""
    author: str = ""
    tags: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    """(text, address) of further reading."""
    created_by: str = "5.5.0"
    """Version of KNIME that the file is written for; an older KNIME asks before opening it."""
    created: str = "2026-01-01T00:00:00Z"
    """When the workflow was made, as ISO time in UTC."""
    variables: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """Flow variables of the workflow itself, which every node receives."""

    def __post_init__(self) -> None:
        """Check that nodes are distinct and connections join them without a circle."""
        ids = [node.id for node in self.nodes]
        twice = [number for number in ids if ids.count(number) > 1]
        if twice:
            raise ValueError(f'Workflow "{self.name}": two nodes have the number {twice[0]}.')
        taken: set[tuple[int, int]] = set()
        for line in self.connections:
            for number in (line.source, line.destination):
                if number not in ids:
                    raise ValueError(
                        f'Workflow "{self.name}": a connection joins node #{number}, '
                        "which does not exist."
                    )
            if line.source_port < 0 or line.destination_port < 0:
                raise ValueError(
                    f'Workflow "{self.name}": ports are numbered from 0, found the connection '
                    f"#{line.source}:{line.source_port} to #{line.destination}:{line.destination_port}."
                )
            end = (line.destination, line.destination_port)
            if end in taken:
                raise ValueError(
                    f'Workflow "{self.name}": two connections enter port {end[1]} of node #{end[0]}.'
                )
            taken.add(end)
        self.in_order()

    def node(self, number: int) -> WorkflowNode:
        """Return the node with this number."""
        for node in self.nodes:
            if node.id == number:
                return node
        raise ValueError(f'Workflow "{self.name}" has no node #{number}.')

    def inputs(self, number: int) -> tuple[Connection, ...]:
        """Return the connections that enter a node, by port."""
        entering = [line for line in self.connections if line.destination == number]
        return tuple(sorted(entering, key=lambda line: (line.destination_port, line.source)))

    def in_order(self) -> tuple[WorkflowNode, ...]:
        """Return the nodes so that each follows those it depends on; ties go by number.

        Raises
        ------
        ValueError : if the connections form a circle.
        """
        waiting = {
            node.id: {line.source for line in self.connections if line.destination == node.id}
            for node in self.nodes
        }
        order: list[WorkflowNode] = []
        while waiting:
            ready = min((n for n, before in waiting.items() if not before), default=None)
            if ready is None:
                circle = ", ".join(f"#{number}" for number in sorted(waiting))
                raise ValueError(
                    f'Workflow "{self.name}": the connections of nodes {circle} form a circle.'
                )
            del waiting[ready]
            for before in waiting.values():
                before.discard(ready)
            order.append(self.node(ready))
        return tuple(order)
