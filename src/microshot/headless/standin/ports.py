"""Ports: their types, the objects and specs that travel through them, and the decorators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from microshot.headless.standin.failure import missing
from microshot.headless.standin.runtime import register
from microshot.headless.standin.schema import PortObjectSpec

if TYPE_CHECKING:
    from collections.abc import Callable


class PortObject(ABC):
    """What travels through a custom port; written to bytes after the node that made it."""

    def __init__(self, spec: PortObjectSpec) -> None:
        self._spec = spec

    @property
    def spec(self) -> PortObjectSpec:
        return self._spec

    @abstractmethod
    def serialize(self) -> bytes: ...

    @classmethod
    @abstractmethod
    def deserialize(cls, spec: PortObjectSpec, storage: bytes) -> PortObject: ...


class BinaryPortObjectSpec(PortObjectSpec):
    """Spec of a port of plain bytes; only ports with the same id fit."""

    def __init__(self, id: str) -> None:
        self._id = id

    @property
    def id(self) -> str:
        return self._id

    def serialize(self) -> dict:
        return {"id": self._id}

    @classmethod
    def deserialize(cls, data: dict, java_callback: Any = None) -> BinaryPortObjectSpec:
        return cls(data["id"])


class ImageFormat(Enum):
    """Formats of image ports."""

    PNG = "png"
    SVG = "svg"


class ImagePortObjectSpec(PortObjectSpec):
    """Spec of an image port."""

    def __init__(self, format: str | ImageFormat) -> None:
        self._format = format if isinstance(format, str) else format.value
        if self._format not in {one.value for one in ImageFormat}:
            raise ValueError(f"An image port carries png or svg, found {format!r}.")

    @property
    def format(self) -> str:
        return self._format

    def serialize(self) -> dict:
        return {"format": self._format}

    @classmethod
    def deserialize(cls, data: dict, java_callback: Any = None) -> ImagePortObjectSpec:
        return cls(data["format"])


@dataclass(frozen=True)
class PortType:
    """A kind of port; custom ones come from `port_type`."""

    id: str
    name: str
    object_class: type
    spec_class: type

    BINARY = "PortType.BINARY"
    TABLE = "PortType.TABLE"
    IMAGE = "PortType.IMAGE"
    CONNECTION = "PortType.CONNECTION"
    CREDENTIAL = "PortType.CREDENTIAL"
    WORKFLOW = "PortType.WORKFLOW"
    HUB_AUTHENTICATION = "PortType.HUB_AUTHENTICATION"

    def is_super_type_of(self, port_type: PortType) -> bool:
        """Tell whether an object of `port_type` fits: subclasses of spec and object do."""
        return issubclass(port_type.spec_class, self.spec_class) and issubclass(
            port_type.object_class, self.object_class
        )


_OFFERED = (PortType.BINARY, PortType.TABLE, PortType.IMAGE)


def port_type(name: str, object_class: type, spec_class: type, id: str | None = None) -> PortType:
    """Register a custom port type; give it an id, so that moving the class breaks nothing."""
    if not (isinstance(object_class, type) and issubclass(object_class, PortObject)):
        raise TypeError(f"Port type '{name}' needs a class of PortObject, found {object_class!r}.")
    if not (isinstance(spec_class, type) and issubclass(spec_class, PortObjectSpec)):
        raise TypeError(
            f"Port type '{name}' needs a class of PortObjectSpec, found {spec_class!r}."
        )
    if id is None:
        raise ValueError(
            f"Port type '{name}' needs an explicit id; without one, moving its class would break "
            "saved workflows."
        )
    new = PortType(id, name, object_class, spec_class)
    register("port type", new)
    return new


@dataclass
class Port:
    """One port of a node."""

    type: Any
    name: str
    description: str
    id: str | None = None
    optional: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.type, PortType) and self.type not in _OFFERED:
            raise missing(f"ports of type {self.type!r}")
        for what in (self.name, self.description):
            if not isinstance(what, str) or not what.strip():
                raise ValueError(f"A port needs a name and a description, found {what!r}.")
        if self.type == PortType.BINARY and not self.id:
            raise TypeError(f"The binary port '{self.name}' needs an id.")


@dataclass
class PortGroup(Port):
    """Any number of ports of one type, added by the user; arrives as a list."""


def _adds(slot: str, make: Callable[[], Port]) -> Callable[[Any], Any]:
    def add(cls: Any) -> Any:
        port = make()
        present = vars(cls).get(slot)
        if present is None:
            if getattr(cls, slot, None) is not None:
                raise ValueError(f"{cls.__name__} inherits {slot}; declare all ports on one class.")
            present = []
            setattr(cls, slot, present)
        if isinstance(port, PortGroup) and port.name in {one.name for one in present}:
            raise ValueError(
                f"There are two ports named '{port.name}'; a group needs its own name."
            )
        present.insert(0, port)
        return cls

    return add


def input_table(name: str, description: str, optional: bool = False) -> Callable[[Any], Any]:
    return _adds("input_ports", lambda: Port(PortType.TABLE, name, description, None, optional))


def input_binary(
    name: str, description: str, id: str, optional: bool = False
) -> Callable[[Any], Any]:
    return _adds("input_ports", lambda: Port(PortType.BINARY, name, description, id, optional))


def input_port(
    name: str, description: str, port_type: Any, optional: bool = False
) -> Callable[[Any], Any]:
    if port_type == PortType.IMAGE:
        raise TypeError("KNIME's Python nodes have no image inputs.")
    return _adds("input_ports", lambda: Port(port_type, name, description, None, optional))


def input_table_group(name: str, description: str) -> Callable[[Any], Any]:
    return _adds("input_ports", lambda: PortGroup(PortType.TABLE, name, description))


def input_binary_group(name: str, description: str, id: str) -> Callable[[Any], Any]:
    return _adds("input_ports", lambda: PortGroup(PortType.BINARY, name, description, id))


def input_port_group(name: str, description: str, port_type: Any) -> Callable[[Any], Any]:
    return _adds("input_ports", lambda: PortGroup(port_type, name, description))


def output_table(name: str, description: str) -> Callable[[Any], Any]:
    return _adds("output_ports", lambda: Port(PortType.TABLE, name, description))


def output_binary(name: str, description: str, id: str) -> Callable[[Any], Any]:
    return _adds("output_ports", lambda: Port(PortType.BINARY, name, description, id))


def output_port(name: str, description: str, port_type: Any) -> Callable[[Any], Any]:
    return _adds("output_ports", lambda: Port(port_type, name, description))


def output_image(name: str, description: str) -> Callable[[Any], Any]:
    return _adds("output_ports", lambda: Port(PortType.IMAGE, name, description))


@dataclass
class ViewDeclaration:
    """The view a node returns as its last result."""

    name: str
    description: str
    static_resources: str | None = None


def output_view(
    name: str, description: str, static_resources: str | None = None
) -> Callable[[Any], Any]:
    if static_resources is not None:
        raise missing("views with static resources")
    for what in (name, description):
        if not isinstance(what, str) or not what.strip():
            raise ValueError(f"A view needs a name and a description, found {what!r}.")

    def add(cls: Any) -> Any:
        if getattr(cls, "output_view", None) is not None:
            raise ValueError(f"{cls.__name__} has two views; KNIME shows one per node.")
        cls.output_view = ViewDeclaration(name, description)
        return cls

    return add
