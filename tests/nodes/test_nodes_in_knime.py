"""The nodes one after the other on KNIME's own Python code: the same results as on the stand-in."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from node_tables import cells, row_ids

from microshot import __version__
from tiny_images import page_text

if TYPE_CHECKING:
    from microshot.headless.standin import Host, TableData

ROOT = Path(__file__).parents[2]
KNIME = os.environ.get("KNIME_PYTHON")
PYTHON = os.environ.get("MICROSHOT_KNIME_ENV")

pytestmark = pytest.mark.skipif(
    not (KNIME and PYTHON),
    reason="needs KNIME_PYTHON (a checkout of knime/knime-python) and MICROSHOT_KNIME_ENV "
    "(a Python with KNIME's packages and those of Microshot)",
)

SMALL = {
    "minutes": 0.0, "images.patch_px": 32, "images.augmentation": "NONE", "training.epochs": 1,
    "training.steps_per_epoch": 20, "training.learning_rate": 0.01, "training.device": "CPU",
}  # fmt: skip
#: Columns that depend on the clock.
TIMED = ("Seconds",)


def steps(folder: Path) -> list[dict[str, Any]]:
    """Return the chain: what each node is set to and what it receives."""
    images, model = {"from": "made", "port": 0}, {"from": "trained", "port": 0}
    stacks = {"from": "stacks", "port": 0}
    file = str(folder / "chain.microshot")
    return [
        {"name": "made", "node": "generate_synthetic", "inputs": [None],
         "set": {"n": 3, "height_px": 64, "width_px": 64, "scene": "FLUORESCENCE_NUCLEI"}},
        {"name": "trained", "node": "train", "inputs": [images, None],
         "set": {**SMALL, "network.width": 4, "network.depth": 1, "network.rays": 8}},
        {"name": "retrained", "node": "retrain", "inputs": [model, images, images], "set": SMALL},
        {"name": "written", "node": "write_model", "inputs": [model],
         "set": {"path": file, "overwrite": True}},
        {"name": "read", "node": "read_model", "inputs": [], "set": {"path": file}},
        {"name": "predicted", "node": "predict",
         "inputs": [{"from": "read", "port": 0}, images], "set": {"device": "CPU"}},
        {"name": "scored", "node": "score", "inputs": [{"from": "predicted", "port": 0}]},
        {"name": "counter", "node": "train", "inputs": [images, images],
         "set": {**SMALL, "network.width": 4, "network.depth": 1, "task": "COUNT"}},
        {"name": "counter again", "node": "retrain",
         "inputs": [{"from": "counter", "port": 0}, images, None], "set": SMALL},
        {"name": "counted", "node": "predict",
         "inputs": [{"from": "counter again", "port": 0}, images], "set": {"device": "CPU"}},
        {"name": "counts scored", "node": "score", "inputs": [{"from": "counted", "port": 0}]},
        {"name": "stacks", "node": "generate_synthetic", "inputs": [None],
         "set": {"n": 3, "height_px": 40, "width_px": 48, "scene": "ADIPOCYTE_STACK"}},
        {"name": "stainer", "node": "train", "inputs": [stacks, None],
         "set": {**SMALL, "task": "TRANSLATE", "translation.width": 4, "translation.depth": 1}},
        {"name": "stainer again", "node": "retrain",
         "inputs": [{"from": "stainer", "port": 0}, stacks, None], "set": SMALL},
        {"name": "stained", "node": "translate",
         "inputs": [{"from": "stainer again", "port": 0}, stacks, [{"from": "stainer", "port": 0}]],
         "set": {"device": "CPU"}},
        {"name": "folder", "node": "read_images", "inputs": [None],
         "set": {"folder": str(ROOT / "workflows" / "few-shot-segmentation" / "data" / "new")}},
    ]  # fmt: skip


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> dict[str, dict]:
    chain = steps(tmp_path_factory.mktemp("real"))
    job = {
        "knime": KNIME,
        "root": str(ROOT),
        "module": "microshot_extension",
        "version": __version__,
        "steps": chain,
    }
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(PYTHON), str(ROOT / "tests" / "headless" / "real_host.py")],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {one["name"]: result for one, result in zip(chain, json.loads(done.stdout), strict=True)}


@pytest.fixture(scope="module")
def ours(host: Host, tmp_path_factory) -> dict[str, list]:
    """The outputs of the same chain on the stand-in."""
    made: dict[str, list] = {}

    def at(given: Any) -> Any:
        if isinstance(given, list):  # a group of ports
            return [at(one) for one in given]
        return given and made[given["from"]][given["port"]]

    for one in steps(tmp_path_factory.mktemp("ours")):
        node = host.node(one["node"])
        for name, value in one.get("set", {}).items():
            node.set(name, value)
        made[one["name"]] = node.execute([at(given) for given in one["inputs"]])
    return made


@pytest.mark.parametrize("name", [one["name"] for one in steps(Path())])
def test_knime_gets_what_the_stand_in_gets(real, ours, name):
    theirs = real[name]
    assert "outputs" in theirs, theirs
    assert len(theirs["outputs"]) == len(ours[name])
    for found, own in zip(theirs["outputs"], ours[name], strict=True):
        if "cells" in found:
            same_table(found, own)
        else:
            card, expected = found["spec"]["data"]["card"], own.spec.data["data"]["card"]
            assert card["id"] == expected["id"]
            assert card["scores"] == expected["scores"]
    if theirs["view"] is not None:
        page_text(theirs["view"])
    fractions = [fraction for fraction, _ in theirs["progress"]]
    assert fractions == sorted(fractions)


def same_table(found: dict[str, Any], own: TableData) -> None:
    assert [tuple(c) for c in found["columns"]] == own.spec.columns
    assert found["batches"] == own.batch_sizes
    assert found["cells"]["<RowID>"] == row_ids(own)
    for name, kind in own.spec.columns:
        values = found["cells"][name]
        if kind == "PNG Image":
            expected = [v and [v.mode, list(v.size)] for v in cells(own, name)]
            assert [v and v[:2] for v in values] == expected
        elif name not in TIMED:
            expected = cells(own, name)
            if kind.startswith("Number"):
                assert values == pytest.approx(expected, nan_ok=True), name
            else:
                assert values == expected, name
