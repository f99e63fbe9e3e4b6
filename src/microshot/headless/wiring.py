"""Turning a saved workflow into nodes that can run, and handing them what their ports receive."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from microshot.headless.declaration import with_setting
from microshot.headless.overrides import (
    OverrideError,
    parameters_of,
    parse_value,
    resolve_overrides,
)
from microshot.headless.standin import NodeFailure
from microshot.headless.standin.ports import PortGroup
from microshot.headless.workflow import TABLE_VIEW_FACTORY, CoreNode
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Mapping

    from microshot.headless.settings_xml import Json, Schema
    from microshot.headless.standin import CanvasNode, Host
    from microshot.headless.workflow import Connection, State, Workflow, WorkflowNode

#: Which flow variables KNIME puts into parameters of a kind, in words and as types.
_TAKES: dict[str, tuple[str, tuple[type, ...]]] = {
    "integer": ("a whole number", (int,)),
    "number": ("a number", (int, float)),
    "boolean": ("true or false", (bool, str)),
    "array": ("a list", (list,)),
    "string": ("a single value", (str, int, float, bool)),
}


@dataclass
class Wired:
    """A workflow whose nodes of the extension exist as such."""

    workflow: Workflow
    host: Host
    canvas: dict[int, CanvasNode] = field(default_factory=dict)
    """The nodes of the extension by number; Table Views have none."""
    variables: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Flow variables that leave a node, by number; of a Table View, those that entered it."""
    overridden: dict[int, dict[str, Json]] = field(default_factory=dict)
    """Values from outside by dotted name, by number; no flow variable replaces them."""

    def is_table_view(self, node: WorkflowNode) -> bool:
        """Whether the node is the one node of KNIME itself that can be shown here."""
        return node.id not in self.canvas

    def receive_variables(self, node: WorkflowNode) -> None:
        """Give a node the flow variables of the nodes before it and set what they drive.

        Of variables with the same name, the one of the uppermost port counts, and any of a node
        before that of the workflow. Those that the node's own settings make come to it, too.

        Raises
        ------
        NodeFailure : if a variable is missing or does not fit.
        """
        merged: dict[str, Any] = dict(self.workflow.variables)
        for line in reversed(self.workflow.inputs(node.id)):
            merged.update(self.variables.get(line.source, {}))
        self.variables[node.id] = merged
        canvas = self.canvas.get(node.id)
        if canvas is None:
            return
        settings: dict[str, Any] = canvas.settings
        schemas = dict(parameters_of(canvas.schema()))
        try:
            for name, variable in node.variables.items():
                if name in self.overridden.get(node.id, ()):
                    continue
                if variable not in merged:
                    raise ValueError(
                        f'The flow variable "{variable}" that sets "{name}" does not exist; '
                        "connect the node that makes it, or set the parameter itself."
                    )
                value = _driven(merged[variable], schemas.get(name, {}), name)
                settings = with_setting(settings, name, value, node.title)
        except ValueError as error:
            raise NodeFailure(str(error), invalid_settings=True) from error
        if node.variables:
            canvas.load_settings(settings, self.host.version)
        own = {variable: _at(canvas.settings, name) for name, variable in node.exposed.items()}
        canvas.flow_variables = merged | {name: v for name, v in own.items() if v is not None}

    def gather(self, node: WorkflowNode, produced: Mapping[int, list[Any]]) -> list[Any]:
        """Return what the declared input ports of a node receive.

        `produced` has what each finished node gave, one per output port (specs or data). A port
        group receives a list, any other port without connection None.

        Raises
        ------
        NodeFailure : if a port that the user has added is not connected, which KNIME refuses.
        """
        lines = {line.destination_port: line for line in self.workflow.inputs(node.id)}
        if self.is_table_view(node):
            return [_delivered(lines.get(1), produced)]
        received: list[Any] = []
        port_number = 0
        for port in self.canvas[node.id].info.input_ports:
            is_group = isinstance(port, PortGroup)
            if not is_group and not port.optional:
                port_number += 1
                received.append(_delivered(lines.get(port_number), produced))
                continue
            count = node.added_ports.get(port.name, 0)
            numbers = range(port_number + 1, port_number + 1 + count)
            port_number += count
            given = [self._added(lines, number, port.name, produced) for number in numbers]
            received.append(given if is_group else given[0] if given else None)
        return received

    def _added(
        self,
        lines: Mapping[int, Connection],
        number: int,
        name: str,
        produced: Mapping[int, list[Any]],
    ) -> Any:
        if number not in lines:
            raise NodeFailure(
                f'Input port {number}, "{name}", was added but is not connected; '
                "connect it or remove it.",
                invalid_settings=True,
            )
        return _delivered(lines[number], produced)


def _at(settings: Mapping[str, Json], name: str) -> Json:
    """Return the value of the parameter of a dotted name; None where there is none."""
    found: Json = dict(settings)
    for key in name.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _driven(value: object, schema: Schema, name: str) -> Json:
    """Return what a parameter becomes by a flow variable; KNIME makes no number of a text.

    Raises
    ------
    ValueError : if the variable is of a kind that the parameter does not take.
    """
    kind = "array" if "anyOf" in schema else schema.get("type", "string")
    words, types = _TAKES[kind]
    if type(value) not in types:
        raise ValueError(f'"{name}" takes {words}, the flow variable that sets it holds {value!r}.')
    return parse_value(str(value) if kind == "string" else value, schema, name)


def _delivered(line: Connection | None, produced: Mapping[int, list[Any]]) -> Any:
    return None if line is None else produced[line.source][line.source_port - 1]


def wire(workflow: Workflow, host: Host, overrides: Mapping[str, object]) -> Wired:
    """Make the nodes of a workflow from their saved settings.

    Raises
    ------
    OverrideError : if overrides do not fit.
    ValueError : if a node is neither of the extension nor a Table View, if saved settings do not
        fit, or a connection leaves the ports of its nodes.
    """
    wired = Wired(workflow, host)
    for node in workflow.nodes:
        if isinstance(node.kind, CoreNode):
            _check_core(node, node.kind, host)
        else:
            wired.canvas[node.id] = _canvas_node(node, host)
    _check_ports(wired)
    try:
        _override(wired, overrides)
    except ValueError as error:
        raise OverrideError(str(error)) from error
    return wired


def _override(wired: Wired, overrides: Mapping[str, object]) -> None:
    schemas = {number: canvas.schema() for number, canvas in wired.canvas.items()}
    wired.overridden = resolve_overrides(overrides, wired.workflow.nodes, schemas)
    for number, values in wired.overridden.items():
        node, canvas = wired.workflow.node(number), wired.canvas[number]
        settings: dict[str, Any] = canvas.settings
        for name, value in values.items():
            settings = with_setting(settings, name, value, node.title)
        try:
            canvas.load_settings(settings, wired.host.version)
        except NodeFailure as failure:
            raise ValueError(f"{node.title}: {failure.message}") from failure


def _check_core(node: WorkflowNode, kind: CoreNode, host: Host) -> None:
    if kind.factory != TABLE_VIEW_FACTORY:
        raise ValueError(
            f"{node.title} is a node of KNIME itself ({kind.factory.rpartition('.')[2]}), which "
            f"only KNIME can run; without it, only nodes of {host.extension_id} and the Table View "
            "work."
        )


def _canvas_node(node: WorkflowNode, host: Host) -> CanvasNode:
    kind = node.kind
    if isinstance(kind, CoreNode) or kind.extension_id != host.extension_id:
        raise ValueError(
            f"{node.title} belongs to another extension, "
            f'expected "{host.extension_id}", found "{getattr(kind, "extension_id", "")}".'
        )
    if kind.node_id not in host.nodes:
        raise ValueError(
            f'{node.title}: version {host.version} of the extension has no node "{kind.node_id}", '
            f"expected one of: {', '.join(host.nodes)}."
        )
    canvas = host.node(kind.node_id)
    if node.saved_version is not None:
        try:
            canvas.load_settings(dict(node.settings), node.saved_version)
        except NodeFailure as failure:
            raise ValueError(f"{node.title}: {failure.message}") from failure
    return canvas


def _check_ports(wired: Wired) -> None:
    for line in wired.workflow.connections:
        for number, port, side in (
            (line.source, line.source_port, "output"),
            (line.destination, line.destination_port, "input"),
        ):
            node = wired.workflow.node(number)
            limit = _n_ports(wired, node, side)
            if port > limit:
                raise ValueError(
                    f"{node.title}: a connection uses {side} port {port}, "
                    f"but the node has {how_many(limit, side + ' port')}; was an optional port not added?"
                )
        if (line.source_port == 0) != (line.destination_port == 0):
            raise ValueError(
                f"{wired.workflow.node(line.source).title}: flow variables can be connected with "
                "flow variables only, found a connection with a data port."
            )


def _n_ports(wired: Wired, node: WorkflowNode, side: str) -> int:
    if wired.is_table_view(node):
        return 1 if side == "input" else 0
    info = wired.canvas[node.id].info
    if side == "output":
        return len(info.output_ports)
    return sum(
        node.added_ports.get(port.name, 0) if isinstance(port, PortGroup) or port.optional else 1
        for port in info.input_ports
    )


@dataclass(frozen=True)
class Readiness:
    """What configuring every node, before any runs, has found out."""

    states: dict[int, State]
    """By node number: CONFIGURED if the node is ready as far as the nodes before it can tell."""
    failures: dict[int, NodeFailure]
    """By node number: why a node can never be ready, whatever the nodes before it give."""


def configure_all(wired: Wired) -> Readiness:
    """Configure every node in order, with what the nodes before it announce.

    A node is not asked while something before it cannot be known yet, and a node that flow
    variables drive is not blamed for failing, because the variables may still change.
    """
    readiness = Readiness({}, {})
    announced: dict[int, list[Any]] = {}
    for node in wired.workflow.in_order():
        readiness.states[node.id] = "IDLE"
        lines = wired.workflow.inputs(node.id)
        if any(line.source not in announced for line in lines):
            continue
        if any(
            line.carries_data and announced[line.source][line.source_port - 1] is None
            for line in lines
        ):
            continue
        try:
            wired.receive_variables(node)
            specs = wired.gather(node, announced)
            announced[node.id] = _announce(wired, node, specs)
        except NodeFailure as failure:
            if not node.variables:
                readiness.failures[node.id] = failure
        else:
            readiness.states[node.id] = "CONFIGURED"
    return readiness


def _announce(wired: Wired, node: WorkflowNode, specs: list[Any]) -> list[Any]:
    if wired.is_table_view(node):
        check_table_input(specs[0])
        return []
    canvas = wired.canvas[node.id]
    outputs = canvas.configure(specs)
    wired.variables[node.id] = dict(canvas.flow_variables)
    return outputs


def check_table_input(given: Any) -> None:
    """Refuse what a Table View cannot show; `given` is the spec or the data of its input."""
    spec = getattr(given, "spec", given)
    if spec is None or spec.kind != "table":
        found = "nothing" if spec is None else f"a {spec.kind}"
        raise NodeFailure(
            f"The Table View needs a table at its input, found {found}.", invalid_settings=True
        )


def node_states(workflow: Workflow, host: Host) -> dict[int, State]:
    """Return the state to save for every node, by number.

    CONFIGURED for nodes that are ready before anything has run, IDLE for the others.

    Raises
    ------
    ValueError : as `wire`.
    """
    return configure_all(wire(workflow, host, {})).states
