"""What the results of the demo's workflow say: models, their roles, images and scores.

Everything is found by the nodes' ids and by what is connected to what, so that the workflow may be
changed or rebuilt.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, NoReturn

from microshot.bundle import Card
from microshot.headless.workflow import ExtensionNode
from microshot.provenance import fingerprint
from microshot.report.wording import by_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.data.dataset import Dataset
    from microshot.headless.results import NodeResult, WorkflowResult
    from microshot.headless.standin.data import TableData

#: How the ways to a model are called, in the order of the story.
ROLES = {
    "pretrained": "pretrained only",
    "scratch": "from scratch",
    "retrained": "retrained",
}
#: Data ports of the nodes, as they are numbered in workflows.
_PREDICT_MODEL, _PREDICT_IMAGES, _RETRAIN_MODEL, _RETRAIN_IMAGES, _SCORE_TABLE = 1, 2, 1, 2, 1


@dataclass(frozen=True)
class Model:
    """One of the models compared."""

    column: str
    """Column with its predictions, the name the workflow gives it."""
    role: str
    """``pretrained``, ``scratch`` or ``retrained``."""
    card: Card
    scores: Mapping[str, Any]
    """Of all new images together, by key."""
    synthetic: bool
    """Whether it was trained on generated images only."""

    @property
    def called(self) -> str:
        """What the model is called in sentences."""
        return ROLES[self.role]


@dataclass(frozen=True)
class Story:
    """What there is to tell."""

    result: WorkflowResult
    models: tuple[Model, ...]
    """In the order of `ROLES`."""
    retrain: NodeResult
    threshold: float
    """Overlap (IoU) from which on an object counts as found."""
    border_px: int
    """Width in px of the border in which objects are not scored."""
    comparison: Sequence[Mapping[str, Any]]
    """Of the retraining, one row per image left out: ``name``, and the scores ``old``, ``new``."""
    score: tuple[str, str]
    """Key and heading of the score in `comparison`."""
    labelled: Dataset
    new: Dataset
    predictions: Mapping[str, Mapping[str, Any]]
    """(Y, X) labels found in every new image, by column and RowID."""
    rows: Sequence[Mapping[str, Any]]
    """Scores, one row per new image and model: ``name``, ``prediction``, scores by key."""
    names: Mapping[str, str]
    """File names of the new images by RowID, where their table has them."""
    labelled_names: Mapping[str, str]
    """File names of the labelled images by RowID, where their table has them."""

    def model(self, role: str) -> Model | None:
        """Return the model of that role; None where it is not compared."""
        return next((m for m in self.models if m.role == role), None)

    @property
    def old_kept(self) -> bool:
        """Whether the retrain node passed the old model on, because the new one was no better."""
        old, new = self.model("pretrained"), self.model("retrained")
        return old is not None and new is not None and old.card.id == new.card.id

    @property
    def unseen(self) -> bool:
        """Whether none of the new images was among the training images of any model."""
        seen = {h for m in self.models for h in m.card.data.get("hashes", ())}
        return not any(fingerprint(sample) in seen for sample in self.new)


def read_story(result: WorkflowResult) -> Story:
    """Find models, images and scores in the results of a workflow.

    Raises
    ------
    ValueError
        If a node that the story needs is missing, not connected or did not finish.
    """
    found = _Finder(result)
    score, retrain = found.only("score"), found.only("retrain")
    per_image, summary = (found.table(score, port) for port in (1, 2))
    totals = [by_key(row) for row in summary.to_pandas().to_dict("records")]
    models = [found.model(score, str(row["prediction"]), row) for row in totals]
    models.sort(key=lambda m: list(ROLES).index(m.role))
    found.check_roles(models)
    scored, labels = found.input(score, _SCORE_TABLE), found.input(retrain, _RETRAIN_IMAGES)
    comparison, key = _comparison(found.table(retrain, 2))
    rules: dict[str, Any] = dict(score.node.settings)
    return Story(
        result=result,
        models=tuple(models),
        retrain=retrain,
        threshold=float(rules.get("threshold", 0.5)),
        border_px=int(rules.get("border_px", 0)),
        comparison=comparison,
        score=key,
        labelled=_dataset(labels, retrain, label="label_column"),
        new=_dataset(scored, score, label="truth_column"),
        predictions={m.column: _labels(scored, m.column) for m in models},
        rows=[by_key(row) for row in per_image.to_pandas().to_dict("records")],
        names=_file_names(scored),
        labelled_names=_file_names(labels),
    )


class _Finder:
    """Finds nodes and what entered them, or says what is missing."""

    def __init__(self, result: WorkflowResult) -> None:
        self.result = result

    def fail(self, found: str) -> NoReturn:
        """Refuse the workflow."""
        raise ValueError(
            f'Workflow "{self.result.workflow.name}": {found}; the report needs a workflow like '
            "the example few-shot-segmentation."
        )

    def check_roles(self, models: Sequence[Model]) -> None:
        """Refuse a comparison without a pretrained and a retrained model, or with two of a kind."""
        for role, called in ROLES.items():
            n = sum(m.role == role for m in models)
            if n > 1 or (n == 0 and role != "scratch"):
                self.fail(
                    f'expected predictions of one model that is "{called}" among those the score '
                    f"node compares, found {n}"
                )

    def only(self, node_id: str) -> NodeResult:
        """Return the one node of this kind that was executed."""
        nodes = [n for n in self.result.nodes if _id_of(n) == node_id and n.state == "executed"]
        if len(nodes) != 1:
            self.fail(f'expected one finished node "{node_id}", found {len(nodes)}')
        return nodes[0]

    def table(self, node: NodeResult, port: int) -> TableData:
        """Return the table at an output port of a node."""
        data = node.outputs[port - 1].data if port <= len(node.outputs) else None
        if not hasattr(data, "to_pandas"):
            self.fail(f"expected a table at output port {port} of {node.node.title}, found none")
        return data  # type: ignore[return-value]

    def source(self, node: NodeResult, port: int) -> tuple[NodeResult, int]:
        """Return the node before an input port, and the number of its output port."""
        for line in self.result.workflow.inputs(node.node.id):
            if line.destination_port == port:
                return self.result.node(line.source), line.source_port
        self.fail(f"nothing is connected to input port {port} of {node.node.title}")

    def input(self, node: NodeResult, port: int) -> TableData:
        """Return the table that entered a node."""
        return self.table(*self.source(node, port))

    def model(self, score: NodeResult, column: str, totals: Mapping[str, Any]) -> Model:
        """Return the model whose predictions are in `column` of the table that is scored."""
        node, port = self.source(score, _SCORE_TABLE)
        while _id_of(node) == "predict":
            before = self.input(node, _PREDICT_IMAGES).column_names
            if column not in before and column in self.table(node, port).column_names:
                maker, _ = self.source(node, _PREDICT_MODEL)
                first = _id_of(self.source(maker, 1)[0])
                return Model(
                    column, self._role(maker), self._card(maker), totals,
                    first == "generate_synthetic" and len(self.result.workflow.inputs(maker.node.id)) == 1,
                )  # fmt: skip
            node, port = self.source(node, _PREDICT_IMAGES)
        self.fail(f'no predict node before {score.node.title} makes the column "{column}"')

    def _role(self, maker: NodeResult) -> str:
        if _id_of(maker) == "retrain":
            return "retrained"
        starts = any(
            _id_of(node) == "retrain" and self.source(node, _RETRAIN_MODEL)[0] is maker
            for node in self.result.nodes
        )
        return "pretrained" if starts else "scratch"

    def _card(self, maker: NodeResult) -> Card:
        spec = maker.outputs[0].data.spec.data if maker.outputs else {}
        if "card" not in spec.get("data", {}):
            self.fail(f"expected a model at the first output port of {maker.node.title}")
        return Card.from_json(spec["data"]["card"], maker.node.title)


def _id_of(node: NodeResult) -> str:
    kind = node.node.kind
    return kind.node_id if isinstance(kind, ExtensionNode) else ""


def _comparison(table: TableData) -> tuple[list[dict[str, Any]], tuple[str, str]]:
    """Return what the retrain node compared, and by which score."""
    rows = table.to_pandas().to_dict("records")
    label = str(rows[0]["Score"]) if rows else ""
    key = next(iter(by_key({label: None})))
    made = [
        {
            "name": str(row["Image"]),
            "old": {key: float(row["Old model"])},
            "new": {key: float(row["Retrained model"])},
        }
        for row in rows
    ]
    return made, (key, label)


def _dataset(data: TableData, node: NodeResult, label: str) -> Dataset:
    """Return the labelled images of a table, read as `node` reads them."""
    from microshot.data.dataset import Dataset
    from microshot.nodes import columns
    from microshot.nodes.context import Notes
    from microshot.nodes.samples import FAIL, Columns, Reader
    from microshot.progress import silent

    chosen: dict[str, Any] = dict(node.node.settings)
    table = data.source()
    image = columns.chosen(chosen.get("image_column")) or columns.guess_image(table.schema)
    labels = columns.chosen(chosen.get(label)) or columns.guess_label(table.schema, image)
    if not image or not labels:
        raise ValueError(f"{node.node.title}: found no column with images, or none with labels.")
    reader = Reader(Columns(image, label=labels), Path(), FAIL, Notes())
    return Dataset.of(s for s in reader.dataset(table, silent) if s.labels is not None)


def _labels(data: TableData, column: str) -> dict[str, Any]:
    """Return the label images in a column by RowID."""
    from microshot.nodes.label_cells import labels_of
    from microshot.nodes.tables import rows_of

    frame = data.to_pandas().filter([column])
    return {
        row: labels_of(cells[column], Path(), f'Row "{row}", column "{column}"').labels
        for row, cells in rows_of(frame)
    }


def _file_names(data: TableData) -> dict[str, str]:
    """Return the file name of every row, by RowID; empty where no column has them."""
    frame = data.to_pandas()
    for column in frame.columns:
        values = list(frame[column].array)
        if (
            values
            and all(isinstance(v, str) and PurePath(v).suffix for v in values)
            and len(set(values)) == len(values)
        ):
            return {str(row): PurePath(v).name for row, v in zip(frame.index, values, strict=True)}
    return {}
