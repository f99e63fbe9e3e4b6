"""What an extension declares about itself and its nodes, as far as workflow files need it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from microshot.headless.standin import ports
from microshot.headless.standin.yml import read_yml
from microshot.headless.workflow import ExtensionNode, State, WorkflowNode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from microshot.headless.settings_xml import Json, Schema
    from microshot.headless.standin import Host

TABLE = "PortType.TABLE"
IMAGE = "PortType.IMAGE"

_TABLE_CLASS = "org.knime.core.node.BufferedDataTable"
_IMAGE_CLASS = "org.knime.core.node.port.image.ImagePortObject"
_BINARY_CLASS = "org.knime.python3.nodes.ports.PythonBinaryBlobFileStorePortObject"
_CONNECTION_CLASS = "org.knime.python3.nodes.ports.PythonTransientConnectionPortObject"


@dataclass(frozen=True)
class Extension:
    """Who an extension is: what `knime.yml` says."""

    group_id: str
    name: str
    version: str
    title: str
    """What KNIME shows as the extension's name (`description` in `knime.yml`)."""
    vendor: str

    @property
    def id(self) -> str:
        """The id under which workflows remember the extension."""
        return f"{self.group_id}.{self.name}"

    @property
    def feature(self) -> str:
        """What KNIME offers to install where the extension is missing."""
        return f"{self.group_id}.features.{self.name}.feature.group"


@dataclass(frozen=True)
class Port:
    """One declared port, optional port or group of ports."""

    name: str
    type: str
    """``PortType.TABLE``, ``PortType.IMAGE``, or the id of a type of the extension."""
    group: bool = False
    optional: bool = False

    @property
    def is_added(self) -> bool:
        """Whether the port exists only after the user has added it."""
        return self.group or self.optional

    @property
    def object_class(self) -> str:
        """The Java class that stands for the port's type in workflow files."""
        if self.type.startswith(TABLE):
            return _TABLE_CLASS
        if self.type.startswith(IMAGE):
            return _IMAGE_CLASS
        return _CONNECTION_CLASS if self.type.startswith("ConnectionPortType") else _BINARY_CLASS


@dataclass(frozen=True)
class NodeDeclaration:
    """What one node declares: its name, its ports and its parameters."""

    node_id: str
    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    schema: Schema = field(default_factory=dict)
    """JSON schema of the parameters."""
    defaults: Mapping[str, Json] = field(default_factory=dict)
    """Value of every parameter of a fresh node, groups nested."""

    def ports(self, added: Mapping[str, int]) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
        """Return the actual (inputs, outputs) of a node with `added` ports, in order."""
        names = {port.name for port in (*self.inputs, *self.outputs) if port.is_added}
        unknown = [name for name in added if name not in names]
        if unknown:
            raise ValueError(
                f'Node "{self.name}" has no port or port group "{unknown[0]}" that can be added, '
                f"expected one of: {', '.join(sorted(names)) or 'none'}."
            )
        return _actual(self.inputs, added), _actual(self.outputs, added)


def _actual(ports: Sequence[Port], added: Mapping[str, int]) -> tuple[Port, ...]:
    actual: list[Port] = []
    for port in ports:
        number = added.get(port.name, 0) if port.is_added else 1
        if number < 0 or (number > 1 and not port.group):
            raise ValueError(f'Port "{port.name}" can be there once, found {number} of it.')
        actual += [port] * number
    return tuple(actual)


def read_extension(root: Path) -> Extension:
    """Read who the extension is from the `knime.yml` below `root`.

    Raises
    ------
    FileNotFoundError : if there is no `knime.yml`.
    ValueError : if an entry that workflow files need is missing or no text on one line.
    """
    file = read_yml(root)
    group_id, _, name = file.extension_id.rpartition(".")
    title, vendor = file.text("description"), file.text("vendor")
    return Extension(group_id, name, str(file.version), title, vendor)


def declare_nodes(host: Host) -> dict[str, NodeDeclaration]:
    """Return what the nodes of a loaded extension declare, by node id."""
    declarations = {}
    for node_id, info in host.nodes.items():
        fresh = host.node(node_id)
        declarations[node_id] = NodeDeclaration(
            node_id=node_id,
            name=info.name,
            inputs=tuple(map(_port, info.input_ports)),
            outputs=tuple(map(_port, info.output_ports)),
            schema=fresh.schema(),
            defaults=fresh.settings,
        )
    return declarations


def _port(port: ports.Port) -> Port:
    kind = port.type.id if isinstance(port.type, ports.PortType) else str(port.type)
    return Port(port.name, kind, isinstance(port, ports.PortGroup), port.optional)


def new_node(
    extension: Extension,
    declaration: NodeDeclaration,
    number: int,
    *,
    settings: Mapping[str, Json] | None = None,
    position: tuple[int, int] = (0, 0),
    label: str = "",
    state: State = "CONFIGURED",
    added_ports: Mapping[str, int] | None = None,
) -> WorkflowNode:
    """Put a fresh node of the extension on the canvas.

    Parameters
    ----------
    settings : values that differ from the defaults, by dotted name (``"training.minutes"``).
    state : ``CONFIGURED`` if the node is ready once the tables before it are described,
        ``IDLE`` if it has to wait until a node before it has run.
    """
    values = dict(declaration.defaults)
    for name, value in (settings or {}).items():
        values = with_setting(values, name, value, declaration.name)
    return WorkflowNode(
        id=number,
        kind=ExtensionNode(extension.id, declaration.node_id),
        name=declaration.name,
        settings=values,
        saved_version=extension.version,
        position=position,
        label=label,
        state=state,
        added_ports=dict(added_ports or {}),
    )


def with_setting(
    settings: Mapping[str, Json], name: str, value: Json, where: str
) -> dict[str, Json]:
    """Return `settings` with the parameter or group of dotted `name` replaced."""
    path = name.split(".")
    inner: Json = dict(settings)
    for key in path:
        if not isinstance(inner, dict) or key not in inner:
            raise ValueError(
                f'{where}: there is no parameter "{name}", '
                f"expected one of: {', '.join(setting_names(settings)) or 'none'}."
            )
        inner = inner[key]
    return _replaced(settings, path, value)


def _replaced(settings: Mapping[str, Json], path: Sequence[str], value: Json) -> dict[str, Json]:
    inner = settings[path[0]]
    if len(path) > 1 and isinstance(inner, dict):
        value = _replaced(inner, path[1:], value)
    return {**settings, path[0]: value}


def setting_names(settings: Mapping[str, Json], prefix: str = "") -> list[str]:
    """List the dotted names of all parameters."""
    names: list[str] = []
    for key, value in settings.items():
        names += (
            setting_names(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]
        )
    return names
