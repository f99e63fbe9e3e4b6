"""A user who cancels at any stage of any node: it ends as cancelled, and goes not one report further."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from node_tables import Tables, set_tiny

from microshot import suggesting
from microshot.headless.standin import NodeFailure
from microshot.tasks.segmenting import segmentation
from microshot.training import solving, trainer
from tiny_images import discs

if TYPE_CHECKING:
    from microshot.headless.standin import CanvasNode, Host

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def every_report(monkeypatch):
    """Let every report through, so that stages do not depend on how fast the machine is."""
    for module in (trainer, solving, segmentation, suggesting):
        monkeypatch.setattr(module, "throttled", lambda progress, *_: progress)


def stacks(tables: Tables) -> Any:
    made = [discs(n=2, seed=i) for i in range(3)]
    planes = {f"z{z}": [(image // (1 + z)).astype("uint16") for image, _ in made] for z in range(3)}
    return tables.of(**planes, DAPI=[image for image, _ in made])


def starter(host: Host, name: str) -> Any:
    node = host.node("read_model")
    node.set("source", name)
    return node.execute([])[0]


NEW = ROOT / "workflows" / "few-shot-segmentation" / "data" / "new"
SET: dict[str, dict[str, Any]] = {
    "train a counter": {"task": "COUNT"},
    "train stains": {"task": "TRANSLATE", "translation.width": 4, "translation.depth": 1},
    "score": {"truth_column": "Label", "prediction_columns": ["Label"]},
    "score stains": {"compared": "STAINS", "truth_column": "z0", "prediction_columns": ["DAPI"]},
    "generate_synthetic": {"n": 2, "height_px": 64, "width_px": 64, "fit": False},
    "read_images": {"folder": str(NEW)},
}


def work(host: Host, tables: Tables, name: str, folder: Path) -> tuple[CanvasNode, list[Any]]:
    """Return a node with a moment's work before it, and its inputs."""
    node = host.node("retrain" if name == "retrain" else name.split()[0])
    if name.startswith(("train", "retrain")):
        set_tiny(node)
    given = {"folder": str(folder / "labels"), "overwrite": True} if name == "write_labels" else {}
    for key, value in {**given, **SET.get(name, {})}.items():
        node.set(key, value)
    images = stacks(tables) if "stains" in name else tables.images(2)
    if name in ("retrain", "predict", "suggest", "predict counts"):
        model = starter(host, "CELLS_DENSITY" if "counts" in name else "NUCLEI_FLUORESCENCE")
        return node, [model, images, *([None] if name == "retrain" else [])]
    if name == "read_images":
        return node, [None]
    return node, [images, *([None] if name.startswith("train") else [])]


def stages(node: CanvasNode) -> list[str]:
    """Return what was reported, without numbers, each once.

    Libraries are loaded once in a process, see the tests of `libraries`.
    """
    found = dict.fromkeys(stage_of(message) for _, message in node.progress)
    return [stage for stage in found if "loading libraries" not in stage]


def stage_of(message: str | None) -> str:
    return re.sub(r"[\d.]+( (s|min|h) left)?", "#", message or "")


@pytest.mark.parametrize(
    "name",
    ["train", "train a counter", "train stains", "retrain", "predict", "predict counts", "suggest",
     "score", "score stains", "generate_synthetic", "write_labels", "read_images"],
)  # fmt: skip
def test_a_cancelled_node_goes_no_step_further(host, tables, tmp_path, name):
    node, inputs = work(host, tables, name, tmp_path)
    node.execute(inputs)
    found = stages(node)
    assert found
    for stage in found:

        def reached(stage: str = stage) -> bool:
            return any(stage_of(message) == stage for _, message in node.progress)

        with pytest.raises(NodeFailure) as caught:
            node.execute(inputs, is_cancelled=reached)
        assert caught.value.cancelled, stage
        told = [stage_of(message) for _, message in node.progress]
        assert told.index(stage) == len(told) - 1, (stage, told)
    with pytest.raises(NodeFailure) as caught:
        node.execute(inputs, is_cancelled=lambda: True)
    assert caught.value.cancelled
    assert node.progress == []
