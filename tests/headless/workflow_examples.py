"""A small extension declaration and workflows over it, shared by the tests of workflow files."""

from __future__ import annotations

from microshot.headless.declaration import Extension, NodeDeclaration, Port, new_node
from microshot.headless.workflow import (
    TABLE_VIEW,
    Annotation,
    Connection,
    Workflow,
    WorkflowNode,
)

EXTENSION = Extension("org.example", "micro", "0.2.0", "Example Microscopy", "Example")

MODEL = "org.example.micro.model"
TABLE = "PortType.TABLE"

_STRING = {"type": "string"}
_SCHEMA = {
    "type": "object",
    "properties": {
        "column": _STRING,
        "columns": {"type": "array", "items": _STRING},
        "quality": {"oneOf": [{"const": "GOOD", "title": "Good"}, {"const": "BAD", "title": "B"}]},
        "training": {
            "type": "object",
            "properties": {
                "epochs": {"type": "integer", "format": "int32"},
                "minutes": {"type": "number", "format": "double"},
                "augment": {"type": "boolean"},
            },
        },
    },
}
_DEFAULTS = {
    "column": "image",
    "columns": [],
    "quality": "GOOD",
    "training": {"epochs": 5, "minutes": 0.5, "augment": True},
}

NODES = {
    "read": NodeDeclaration(
        "read",
        "Image Reader",
        (),
        (Port("Images", TABLE),),
        {"type": "object", "properties": {"folder": _STRING}},
        {"folder": "images"},
    ),
    "train": NodeDeclaration(
        "train",
        "Train Model",
        (Port("Images", TABLE), Port("Masks", TABLE, optional=True)),
        (Port("Model", MODEL), Port("Log", TABLE)),
        _SCHEMA,
        _DEFAULTS,
    ),
    "merge": NodeDeclaration(
        "merge",
        "Merge & Predict",
        (Port("Models", MODEL, group=True), Port("Images", TABLE)),
        (Port("Tables", TABLE), Port("Extra", TABLE, group=True)),
    ),
}


def example(name: str = "Example") -> Workflow:
    """Five nodes with an optional port, a port group, labels, a note and a Table View."""
    read = new_node(
        EXTENSION,
        NODES["read"],
        1,
        settings={"folder": "knime://knime.workflow/data/images"},
        position=(100, 120),
        label="four labelled\nimages",
    )
    train = new_node(
        EXTENSION,
        NODES["train"],
        2,
        settings={"training.minutes": 0.25, "columns": ["a", "b"], "column": 'µ "<&%%\n'},
        position=(300, 120),
        added_ports={"Masks": 1},
    )
    again = new_node(EXTENSION, NODES["train"], 3, position=(300, 300), label="second")
    merge = new_node(
        EXTENSION,
        NODES["merge"],
        4,
        position=(500, 120),
        state="IDLE",
        added_ports={"Models": 2, "Extra": 1},
    )
    view = WorkflowNode(5, TABLE_VIEW, "Table View", position=(700, 120), state="IDLE")
    return Workflow(
        name=name,
        nodes=(read, train, again, merge, view),
        connections=(
            Connection(1, 1, 2, 1),
            Connection(1, 1, 2, 2),
            Connection(1, 1, 3, 1),
            Connection(2, 1, 4, 1),
            Connection(3, 1, 4, 2),
            Connection(1, 1, 4, 3),
            Connection(4, 2, 5, 1),
            Connection(2, 0, 3, 0),
        ),
        annotations=(
            Annotation("<h3>Train</h3><p>Twice &amp; merge</p>", 80, 20, 640, 80, "text/html"),
            Annotation("plain, with a\nnew line", -10, 400, 200, 60, background=0xFFF7E0),
        ),
        description="Trains two models & merges them.\nNothing else.",
        author="Example Author",
        tags=("microscopy", "few-shot <4>"),
        links=(("Handbook", "https://example.org/?a=1&b=2"),),
    )
