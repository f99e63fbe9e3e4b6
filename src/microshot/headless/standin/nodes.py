"""How an extension declares its categories and nodes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from microshot.headless.standin.groups import Group
from microshot.headless.standin.parameters import BaseParameter
from microshot.headless.standin.runtime import register
from microshot.headless.standin.schema import ColumnarView

if TYPE_CHECKING:
    from collections.abc import Callable

    from microshot.headless.standin.contexts import ConfigurationContext, ExecutionContext
    from microshot.headless.standin.ports import Port, ViewDeclaration


class NodeType(Enum):
    """What a node is for; decides its colour."""

    SOURCE = "Source"
    SINK = "Sink"
    LEARNER = "Learner"
    PREDICTOR = "Predictor"
    MANIPULATOR = "Manipulator"
    VISUALIZER = "Visualizer"
    OTHER = "Other"


class PythonNode(ABC):
    """Base class of nodes; optional in KNIME."""

    input_ports: list[Port] | None = None
    output_ports: list[Port] | None = None
    output_view: ViewDeclaration | None = None

    @abstractmethod
    def configure(self, config_context: ConfigurationContext, *inputs: Any) -> Any: ...

    @abstractmethod
    def execute(self, exec_context: ExecutionContext, *inputs: Any) -> Any: ...


@dataclass(frozen=True)
class Category:
    """A folder of the node repository."""

    path: str
    level_id: str
    name: str
    description: str
    icon: str
    after: str
    locked: bool

    @property
    def full_path(self) -> str:
        return f"{self.path.rstrip('/')}/{self.level_id}"


def category(
    path: str,
    level_id: str,
    name: str,
    description: str,
    icon: str,
    after: str = "",
    locked: bool = True,
) -> str:
    """Register a category, once, and return its full path for `node(category=…)`."""
    new = Category(path, level_id, name, description, icon, after, locked)
    register("category", new)
    return new.full_path


@dataclass(frozen=True)
class Declared:
    """A node as declared with `node`."""

    make: Callable[[], Any]
    id: str | None
    class_name: str
    name: str
    node_type: Any
    icon_path: str
    category: str
    after: str | None
    keywords: list[str] | None
    is_deprecated: bool
    is_hidden: bool
    input_ports: tuple[Port, ...]
    output_ports: tuple[Port, ...]
    view: ViewDeclaration | None


def node(
    name: str,
    node_type: NodeType,
    icon_path: str,
    category: str,
    after: str | None = None,
    keywords: list[str] | None = None,
    id: str | None = None,
    is_deprecated: bool = False,
    is_hidden: bool = False,
) -> Callable[[Any], Callable[..., Any]]:
    """Register a class as a node; its name is then bound to a function that makes instances."""

    def declare(cls: Any) -> Callable[..., Any]:
        def make(*args: Any, **kwargs: Any) -> Any:
            made = cls(*args, **kwargs)
            for attribute, value in vars(made).items():
                if isinstance(value, BaseParameter | Group):
                    raise AttributeError(
                        f"Parameter '{attribute}' is made in __init__; "
                        "parameters belong on the class of the node."
                    )
            made.input_ports, made.output_ports = inputs, outputs
            made.output_view = view
            made.configure = _carried_out(made.configure)
            made.execute = _carried_out(made.execute)
            return made

        first = cls()  # KNIME looks ports and view up on an instance as well
        inputs = list(getattr(first, "input_ports", None) or [])
        outputs = list(getattr(first, "output_ports", None) or [])
        view = getattr(first, "output_view", None)
        declared = Declared(
            make, id, getattr(cls, "__name__", str(cls)), name, node_type, icon_path, category,
            after, keywords, is_deprecated, is_hidden, tuple(inputs), tuple(outputs), view,
        )  # fmt: skip
        register("node", declared)
        return make

    return declare


def _carried_out(method: Callable[..., Any]) -> Callable[..., Any]:
    """Carry out sliced and appended schemas and tables among the results of `method`."""

    def call(*args: Any, **kwargs: Any) -> Any:
        results = method(*args, **kwargs)
        if isinstance(results, list | tuple):
            return [one.get() if isinstance(one, ColumnarView) else one for one in results]
        return results.get() if isinstance(results, ColumnarView) else results

    return call
