"""Models go from one of KNIME's processes to another, and every node stops soon when it is told to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from knime_steps import CPU, SMALL, models, of, table

from both_hosts import Extension, needs_knime, run_real, step
from microshot import __version__

ROOT = Path(__file__).parents[2]
NODES = Extension(
    ROOT, "microshot_extension", __version__, Path(__file__).parent / "knime_tables.py"
)
TIMED = ("Seconds",)
#: A user who cancels waits no longer than this, in seconds of one core.
PATIENCE_S = 2.0

pytestmark = needs_knime


def users() -> list[dict[str, Any]]:
    """Return steps that do something with a model of every task."""
    discs, stacks = table("discs"), table("stacks")
    return [
        step("found", "predict", [of("segmenter"), discs], set=CPU),
        step("counted", "predict", [of("counter"), discs], set=CPU),
        step("stained", "translate", [of("stainer"), stacks, [of("stainer")]], set=CPU),
        step("ranked", "suggest", [of("counter"), discs], set=CPU),
        step("learned", "retrain", [of("segmenter"), discs, None], set=SMALL),
    ]


def timeless(result: dict[str, Any]) -> list[Any]:
    """Return the outputs of a step without what depends on the clock."""
    found = []
    for one in result["outputs"]:
        if "cells" in one:
            found.append({k: v for k, v in one["cells"].items() if k not in TIMED})
        else:
            found.append(one["spec"]["data"]["card"]["id"])
    return found


def test_a_model_does_the_same_in_another_process(tmp_path):
    first = run_real(NODES, [*models(), *users()], tmp_path)
    later = run_real(NODES, users(), tmp_path)
    for name, result in later.items():
        assert timeless(result) == timeless(first[name]), name


LARGE, STACKS = table("large", 2), table("large stacks", 2)
FEW = {
    "minutes": 0.0,
    "training.epochs": 1,
    "training.steps_per_epoch": 8,
    "training.device": "CPU",
}


def starter(name: str) -> dict[str, Any]:
    return step(name, "read_model", [], set={"source": name})


def works(folder: Path) -> list[dict[str, Any]]:
    """Return every node at work on images of 512 x 512 px, with networks of the usual size."""
    nuclei, density, stains = of("NUCLEI_FLUORESCENCE"), of("CELLS_DENSITY"), of("VIRTUAL_STAIN")
    paths = {"folder": str(ROOT / "workflows" / "few-shot-segmentation" / "data" / "new")}
    return [
        step("train", "train", [LARGE, None], set=FEW),
        step("train a counter", "train", [LARGE, None], set={**FEW, "task": "COUNT"}),
        step("train stains", "train", [STACKS, None], set={**FEW, "task": "TRANSLATE"}),
        step("retrain", "retrain", [nuclei, LARGE, None], set=FEW),
        step("predict", "predict", [nuclei, LARGE], set=CPU),
        step("predict counts", "predict", [density, LARGE], set=CPU),
        step("translate", "translate", [stains, STACKS, []], set=CPU),
        step("suggest", "suggest", [nuclei, LARGE], set=CPU),
        step("score", "score", [LARGE],
             set={"truth_column": "Label", "prediction_columns": ["Label"]}),
        step("score stains", "score", [STACKS],
             set={"truth_column": "z0", "prediction_columns": ["DAPI"], "compared": "STAINS"}),
        step("generate", "generate_synthetic", [None], set={"n": 4}),
        step("generate like images", "generate_synthetic", [LARGE], set={"n": 2}),
        step("read", "read_images", [None], set=paths),
        step("write outlines", "write_labels", [LARGE],
             set={"folder": str(folder / "o"), "kind": "GEOJSON", "overwrite": True}),
        step("write a model", "write_model", [nuclei],
             set={"path": str(folder / "m"), "overwrite": True}),
        step("write ONNX", "write_model", [nuclei],
             set={"path": str(folder / "m.onnx"), "form": "ONNX", "overwrite": True}),
        step("write a package", "write_model", [density],
             set={"path": str(folder / "m.zip"), "form": "BIOIMAGEIO", "overwrite": True}),
    ]  # fmt: skip


STARTERS = ("NUCLEI_FLUORESCENCE", "CELLS_DENSITY", "VIRTUAL_STAIN")


@pytest.mark.slow
def test_every_node_asks_often_whether_it_is_cancelled_and_stops_then(tmp_path):
    given = [starter(name) for name in STARTERS]
    first = step("the first", "train", [LARGE, None], set=FEW)  # which loads PyTorch
    begun = run_real(NODES, [*given, first, *works(tmp_path)], tmp_path)
    late = {one["name"]: max(begun[one["name"]]["waits"]) for one in (first, *works(tmp_path))}
    assert {name: wait for name, wait in late.items() if wait > PATIENCE_S} == {}
    cancelled = [
        {**one, "name": f"{one['name']} at {part}", "cancel_after": at}
        for one in works(tmp_path)
        for part, at in zip(("once", "half", "last"), moments(begun[one["name"]]), strict=False)
    ]
    done = run_real(NODES, [*given, *cancelled], tmp_path)
    told_to = {one["name"]: "stopped_after" in done[one["name"]] for one in cancelled}
    # some reports go by time, so that the last question of one run may not come in another
    assert [name for name, was in told_to.items() if not was and not name.endswith("last")] == []
    ended = {name: done[name] for name, was in told_to.items() if was}
    told = {name: one.get("execute_failed", ("it went on",))[0] for name, one in ended.items()}
    assert {name: text for name, text in told.items() if "cancel" not in text.casefold()} == {}
    stopped = {name: one["stopped_after"] for name, one in ended.items()}
    assert {name: wait for name, wait in stopped.items() if wait > PATIENCE_S} == {}


def moments(result: dict[str, Any]) -> list[int]:
    """Return after how many questions a step is cancelled, from the first to the last."""
    n = len(result["waits"]) - 1
    return sorted({0, n // 2, n - 1} - {-1})
