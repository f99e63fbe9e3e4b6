"""The demo's page: found by wiring and ids, true to the tables, refused where nodes are missing."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image as PILImage

from microshot.bundle import Card
from microshot.cli.demo_report import best, demo_report
from microshot.cli.demo_story import read_story
from microshot.headless import standin
from microshot.headless.results import NodeResult, PortResult, WorkflowResult
from microshot.headless.workflow import Connection, ExtensionNode, Workflow, WorkflowNode
from microshot.metrics.object_scoring import ObjectScores

if not standin.install():
    pytest.skip("KNIME's own API is installed", allow_module_level=True)

ROOT = Path(__file__).parents[2]
SIDE = 48
KINDS = {
    31: "generate_synthetic", 12: "train", 53: "read_images", 24: "retrain", 45: "train",
    16: "read_images", 7: "predict", 88: "predict", 9: "predict", 10: "score",
}  # fmt: skip
#: Column of each predict node, and how many of the 9 objects its model finds.
COLUMNS = {7: ("Before", 2), 88: ("Only four", 5), 9: ("After", 8)}
LINES = [
    (31, 1, 12, 1), (12, 1, 24, 1), (53, 1, 24, 2), (53, 1, 45, 1), (12, 1, 7, 1), (16, 1, 7, 2),
    (45, 1, 88, 1), (7, 1, 88, 2), (24, 1, 9, 1), (88, 1, 9, 2), (9, 1, 10, 1),
]  # fmt: skip


def truth_of(shift: int) -> np.ndarray:
    labels = np.zeros((SIDE, SIDE), np.uint16)
    for i in range(9):
        top, left = 2 + 15 * (i // 3), 2 + 15 * (i % 3)
        labels[top : top + 10 + shift % 3, left : left + 11] = i + 1
    return labels


def frame_of(names: list[str], files: list[str], **images: list[np.ndarray]) -> pd.DataFrame:
    import knime.extension as knext

    frame = pd.DataFrame({"File": pd.array(files, dtype="string")}, index=pd.Index(names))
    for column, arrays in images.items():
        cells = [PILImage.fromarray(a.astype(np.uint16)) for a in arrays]
        series = pd.Series(cells, index=frame.index, dtype=object)
        frame[column.replace("_", " ")] = series.astype(knext.logical(PILImage.Image).to_pandas())
    return frame


class Made:
    """A small finished workflow with the shape of the example, and numbers of its own."""

    def __init__(self, found: dict[int, int] | None = None, *, kept: str = "new") -> None:
        self.host = standin.Host(ROOT)
        self.found = found or {number: n for number, (_, n) in COLUMNS.items()}
        self.kept = kept
        self.outputs: dict[int, list[Any]] = {n: [] for n in KINDS}
        self.settings: dict[int, dict[str, Any]] = {
            10: {"truth_column": "Label", "image_column": "Image", "threshold": 0.5}
        }
        rng = np.random.default_rng(0)
        truths = {16: [truth_of(i) for i in range(3)], 53: [truth_of(i) for i in range(4, 6)]}
        self.tables = {
            number: frame_of(
                [f"Row{i}" for i in range(len(labels))],
                [f"cells_{number}_{i}.png" for i in range(len(labels))],
                Image=[(a > 0) * 500 + rng.integers(0, 99, a.shape) for a in labels],
                Label=labels,
            )
            for number, labels in truths.items()
        }
        self.truths = truths
        self._models()
        self._predictions()

    def table(self, frame: pd.DataFrame) -> standin.TableData:
        return standin.table_from_pandas(self.host, frame)

    def card(self, number: int) -> dict[str, Any]:
        history = [
            {"stage": "training", "step": i, "seconds": i, "loss": 1 / i} for i in range(1, 5)
        ]
        card = Card(
            "segment", {}, {}, name=f"model {number}", id=f"id{number}", device="CPU",
            data={"n_labelled": 80 if number == 12 else 2, "hashes": []},
            training={"seconds": 12.0, "history": history},
            scores={"f1": 0.8, "old_f1": 0.3, "verdict": "Retrained model 0.80: use it."},
        )  # fmt: skip
        return card.to_json()

    def _models(self) -> None:
        for number in (12, 24, 45):
            maker = 12 if number == 24 and self.kept == "old" else number
            spec = standin.Spec.of("port", {"id": "model", "data": {"card": self.card(maker)}})
            self.outputs[number] = [standin.PortData(spec, b"")]
        comparison = pd.DataFrame(
            {
                "Image": ["Row0", "Row1"],
                "Score": ["F1", "F1"],
                "Old model": [0.25, 0.5],
                "Retrained model": [0.75, 1.0],
            }
        )
        self.outputs[24].append(self.table(comparison))
        for number in (53, 16):
            self.outputs[number] = [self.table(self.tables[number])]

    def _predictions(self) -> None:
        frame, truths = self.tables[16], self.truths[16]
        scores = {}
        for number, (column, _) in COLUMNS.items():
            labels = [np.where(t > self.found[number], 0, t) for t in truths]
            more = frame_of(list(frame.index), list(frame["File"]), made=labels)
            frame = frame.assign(**{column: more["made"]})
            self.outputs[number] = [self.table(frame), None]
            scores[column] = ObjectScores()
            for name, truth, found in zip(frame.index, truths, labels, strict=True):
                scores[column].add(name, truth, found)
        rows = [
            {"Image": image, "Prediction": column, **values}
            for column, one in scores.items()
            for image, values in one.rows
        ]
        totals = [{"Prediction": c, "Images": 3, **one.summary()} for c, one in scores.items()]
        self.outputs[10] = [self.table(pd.DataFrame(rows)), self.table(pd.DataFrame(totals))]

    def result(self, *, without: int | None = None) -> WorkflowResult:
        nodes = {
            number: WorkflowNode(
                number, ExtensionNode("org.microshot", kind), kind.title(), label=f"node {number}",
                settings=self.settings.get(number, {}),
            )
            for number, kind in KINDS.items()
            if number != without
        }  # fmt: skip
        lines = tuple(Connection(*line) for line in LINES if without not in (line[0], line[2]))
        results = tuple(
            NodeResult(
                node, "executed", tuple(PortResult("out", d) for d in self.outputs[number]),
                seconds=1.5,
            )
            for number, node in nodes.items()
        )  # fmt: skip
        workflow = Workflow("little", tuple(nodes.values()), lines)
        return WorkflowResult(workflow, results, keeper=self.host)


@pytest.fixture(scope="module")
def made() -> Made:
    return Made()


def visible(page: str) -> str:
    body = re.sub(r"<(style|script).*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_the_sentence_tells_all_scores_and_the_best_model(made) -> None:
    page, sentence = demo_report(made.result(), 60.0)
    assert sentence == (
        "F1 on 3 images that no model has seen: pretrained only 0.36, from scratch 0.71, "
        "retrained 0.94. Retraining on 2 labelled images is best."
    )
    assert sentence in visible(page)
    assert "callout good" in page


@pytest.mark.parametrize(
    ("found", "end"),
    [
        ({7: 2, 88: 8, 9: 5}, "Here training from scratch is best."),
        ({7: 8, 88: 2, 9: 5}, "Here retraining did not help."),
        ({7: 2, 88: 5, 9: 5}, "and training from scratch on them are as good."),
    ],
)
def test_the_sentence_is_true_whichever_model_wins(found, end) -> None:
    page, sentence = demo_report(Made(found).result(), 60.0)
    assert sentence.endswith(end)
    assert ("callout bad" in page) == end.startswith("Here")


@pytest.mark.parametrize(
    ("scores", "told", "good"),
    [
        ((0.30, 0.81, 0.82), "Retraining on 4 images and training from scratch on them are as good.", 1),
        ((0.30, 0.82, 0.81), "Retraining on 4 images and training from scratch on them are as good.", 1),
        ((0.30, 0.80, 0.82), "Retraining on 4 images and training from scratch on them are as good.", 1),
        ((0.30, 0.79, 0.82), "Retraining on 4 images is best.", 1),
        ((0.81, 0.40, 0.82), "Here retraining makes no difference that matters.", 0),
        ((0.82, 0.40, 0.81), "Here retraining makes no difference that matters.", 0),
        ((0.82, 0.83, 0.70), "Here retraining did not help.", 0),
        ((0.80, 0.90, 0.81), "Here training from scratch is best.", 0),
        ((0.80, None, 0.83), "Retraining on 4 images is best.", 1),
    ],
)  # fmt: skip
def test_only_a_difference_that_matters_makes_a_model_the_best(scores, told, good) -> None:
    f1 = dict(zip(("pretrained", "scratch", "retrained"), scores, strict=True))
    assert best({k: v for k, v in f1.items() if v is not None}, "4 images") == (told, bool(good))


def test_roles_follow_from_the_wiring(made) -> None:
    story = read_story(made.result())
    assert [(m.role, m.column, m.card.id) for m in story.models] == [
        ("pretrained", "Before", "id12"),
        ("scratch", "Only four", "id45"),
        ("retrained", "After", "id24"),
    ]
    assert [m.synthetic for m in story.models] == [True, False, False]
    assert len(story.labelled) == 2


def test_the_page_shows_every_model_beside_the_truth_under_file_names(made) -> None:
    page, _ = demo_report(made.result(), 60.0)
    text = visible(page)
    for i in range(3):
        assert f"cells_16_{i}.png truth 9 objects pretrained only F1 0.36" in text
    assert "retrained F1 0.94: 8 found, 0 false, 1 missed" in text
    assert "cells_53_1.png 9 objects" in text
    assert "80 synthetic images" in text
    assert "Retrained model 0.80: use it." in text


def test_the_table_counts_objects_per_image_and_in_all(made) -> None:
    page, _ = demo_report(made.result(), 60.0)
    text = visible(page)
    assert "cells_16_0.png 9 2 5 8 0.36 0.71 0.94" in text
    assert "All images 27 6 15 24 0.36 0.71 0.94" in text


def test_images_that_a_model_has_seen_are_not_called_unseen(made) -> None:
    from microshot.provenance import fingerprint

    result = made.result()
    seen = fingerprint(read_story(result).new[0])
    card = made.card(45) | {"data": {"n_labelled": 2, "hashes": [seen]}}
    spec = standin.Spec.of("port", {"id": "model", "data": {"card": card}})
    nodes = tuple(
        dataclasses.replace(n, outputs=(PortResult("out", standin.PortData(spec, b"")),))
        if n.node.id == 45
        else n
        for n in result.nodes
    )
    _, sentence = demo_report(dataclasses.replace(result, nodes=nodes), 60.0)
    assert sentence.startswith("F1 on 3 images: ")


def test_the_old_model_passed_on_is_said_so() -> None:
    page, _ = demo_report(Made(kept="old").result(), 60.0)
    text = visible(page)
    assert "The old model was passed on; retraining was no better." in text
    assert "use it" not in text


def test_the_time_of_every_node_and_of_all_is_told(made) -> None:
    text = visible(demo_report(made.result(), 61.25)[0])
    assert text.count(" 1.5 ") == len(KINDS)
    assert "In all, with starting 61.2" in text


@pytest.mark.parametrize(
    ("without", "said"),
    [
        (10, 'expected one finished node "score", found 0'),
        (24, 'expected one finished node "retrain", found 0'),
        (16, "nothing is connected to input port 2 of Predict (#7: node 7)"),
        (12, "nothing is connected to input port 1 of Predict (#7: node 7)"),
        (9, "nothing is connected to input port 1 of Score (#10: node 10)"),
    ],
)
def test_a_workflow_that_lacks_a_node_is_refused_by_name(made, without, said) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        demo_report(made.result(without=without), 60.0)


def test_a_node_that_did_not_finish_is_refused(made) -> None:
    result = made.result()
    nodes = [dataclasses.replace(n, state="failed") if n.node.id == 10 else n for n in result.nodes]
    with pytest.raises(ValueError, match='expected one finished node "score"'):
        demo_report(dataclasses.replace(result, nodes=tuple(nodes)), 60.0)
