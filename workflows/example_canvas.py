"""The canvas on which the example workflows are drawn."""

from __future__ import annotations

from microshot.headless.declaration import Extension, new_node
from microshot.headless.workflow import TABLE_VIEW, Connection, WorkflowNode

AUTHOR = "The Microshot developers"


def epochs(n: int) -> dict[str, object]:
    """Return the settings of a training whose result is the same on a slow or busy computer."""
    return {"minutes": 0.0, "training__epochs": n}


class Canvas:
    """Collects nodes and connections of one workflow."""

    def __init__(self, extension: Extension, declarations: dict) -> None:
        self.extension, self.declarations = extension, declarations
        self.nodes: list[WorkflowNode] = []
        self.connections: list[Connection] = []

    def add(self, node_id: str, at: tuple[int, int], label: str, **settings: object) -> int:
        """Put a node of the extension on the canvas; ``added`` names optional ports in use."""
        added = settings.pop("added", {})
        number = len(self.nodes) + 1
        dotted = {key.replace("__", "."): value for key, value in settings.items()}
        self.nodes.append(
            new_node(
                self.extension,
                self.declarations[node_id],
                number,
                settings=dotted,
                position=at,
                label=label,
                added_ports=added,
            )
        )
        return number

    def view(self, at: tuple[int, int], label: str) -> int:
        """Put KNIME's Table View on the canvas."""
        number = len(self.nodes) + 1
        self.nodes.append(
            WorkflowNode(number, TABLE_VIEW, "Table View", position=at, label=label, state="IDLE")
        )
        return number

    def wire(self, source: int, source_port: int, destination: int, destination_port: int) -> None:
        """Connect two ports; port 1 is the first data port."""
        self.connections.append(Connection(source, source_port, destination, destination_port))

    def compare(self, images: int, models: list[tuple[int, int]], ends: list[int]) -> None:
        """Let several models, each with its predicting node, work on the same images in turn.

        `ends` are the nodes that receive the table with all predictions.
        """
        table = images
        for model, predict in models:
            self.wire(model, 1, predict, 1)
            self.wire(table, 1, predict, 2)
            table = predict
        for end in ends:
            self.wire(table, 1, end, 1)
