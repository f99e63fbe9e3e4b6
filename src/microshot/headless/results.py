"""What running a workflow gives: one result per node, in the order in which they ran."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

    from microshot.headless.workflow import Workflow, WorkflowNode

NodeState: TypeAlias = Literal["executed", "failed", "not configured", "cancelled", "not run"]
"""How a node ended; ``not configured`` means that its settings or inputs do not fit."""


@dataclass(frozen=True)
class PortResult:
    """What one output port holds, or what a Table View shows."""

    name: str
    """Name of the port."""
    data: Any
    """A table, port object or picture of the stand-in for KNIME."""


@dataclass(frozen=True)
class NodeResult:
    """How one node ended."""

    node: WorkflowNode
    state: NodeState
    outputs: tuple[PortResult, ...] = ()
    """One per actual output port, in order."""
    shown: PortResult | None = None
    """The table that a Table View shows."""
    warnings: tuple[str, ...] = ()
    view_html: str | None = None
    seconds: float = 0.0
    error: str | None = None
    details: str = ""
    """Where in the program the error arose."""


@dataclass(frozen=True)
class WorkflowResult:
    """How a workflow ended; nodes that did not get their turn are there, too."""

    workflow: Workflow
    nodes: tuple[NodeResult, ...]
    keeper: object = field(default=None, repr=False, compare=False)
    """Keeps the files of the tables in `nodes` as long as the result lives."""
    kept: Path | None = None
    """Where the files lie that nodes wrote into the data area of a packed workflow, if any."""
    page: Path | None = None
    """The overview page, where results were written."""

    @property
    def succeeded(self) -> bool:
        """Whether every node was executed."""
        return all(result.state == "executed" for result in self.nodes)

    @property
    def cancelled(self) -> bool:
        """Whether the user stopped the work."""
        return any(result.state == "cancelled" for result in self.nodes)

    @property
    def error(self) -> str | None:
        """Which node failed and why; None if none did."""
        for result in self.nodes:
            if result.error is not None:
                return f"{result.node.title}: {result.error}"
        return None

    @property
    def seconds(self) -> float:
        """Time that the nodes took together, in seconds."""
        return sum(result.seconds for result in self.nodes)

    def node(self, number: int) -> NodeResult:
        """Return the result of the node with this number."""
        for result in self.nodes:
            if result.node.id == number:
                return result
        raise ValueError(f'Workflow "{self.workflow.name}" has no node #{number}.')
