"""What a workflow would lack elsewhere is said before it is sent, and packing loses nothing."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from microshot.cli import main
from microshot.headless.declaration import read_extension
from microshot.headless.sharing import lacks, unfit
from microshot.headless.workflow import CoreNode, ExtensionNode, WorkflowNode
from microshot.headless.workflow_reader import read_workflow

ROOT = Path(__file__).parents[2]
OWN = read_extension(ROOT).id


def example(name: str = "few-shot-segmentation") -> Path:
    return ROOT / "workflows" / name


def changed(**settings: object):
    """Return the example with other settings of its first reader."""
    workflow = read_workflow(example())
    nodes = [
        replace(n, settings={**n.settings, **settings}) if n.id == 3 else n for n in workflow.nodes
    ]
    return replace(workflow, nodes=tuple(nodes))


def found(workflow) -> list[str]:
    return lacks(workflow, example() / "data", OWN)


@pytest.mark.parametrize("folder", sorted((ROOT / "workflows").glob("*/workflow.knime")))
def test_the_examples_lack_nothing(folder) -> None:
    assert lacks(read_workflow(folder.parent), folder.parent / "data", OWN) == []


@pytest.mark.parametrize(
    "path", ["/data/four", "C:\\Daten\\four", "c:/four", "\\\\server\\share\\four", "~/four"]
)
def test_full_paths_are_named_with_their_node(path) -> None:
    (one,) = found(changed(folder=path))
    assert one.startswith("Microscopy Image Reader (#3: four labelled images): ")
    assert f'"{path}" (folder) is a full path' in one


@pytest.mark.parametrize(
    "path",
    [
        "four_labelled", "knime://knime.workflow/data/new", "knime://knime.workflow/data",
        "four_labelled\\images", "./new", "new/../four_labelled",
        "knime://knime.workflow/data/four%5Flabelled",
    ],
)  # fmt: skip
def test_paths_into_the_data_folder_are_right(path) -> None:
    assert found(changed(folder=path)) == []


@pytest.mark.parametrize(
    "path", ["elsewhere", "../../count-transfer/data/new", "..\\..", "knime://LOCAL/Kerne/data/new"]
)
def test_images_that_do_not_lie_there_are_named(path) -> None:
    (one,) = found(changed(folder=path))
    assert f'"{path}" does not lie in the workflow\'s folder data' in one


def test_models_are_looked_for_unless_they_come_with_the_extension() -> None:
    workflow, kind = read_workflow(example()), ExtensionNode(OWN, "read_model")
    for settings, n in (
        ({"source": "FILE", "path": "m.microshot"}, 1),
        ({"source": "CELLS_COUNT", "path": "m.microshot"}, 0),
    ):
        node = WorkflowNode(99, kind, "Microscopy Model Reader", settings)
        assert len(found(replace(workflow, nodes=(*workflow.nodes, node)))) == n


def test_weights_that_a_training_reads_are_looked_for() -> None:
    workflow, kind = read_workflow(example()), ExtensionNode(OWN, "train")
    settings: Any = {
        "count": {"frozen_weights": "weights/unet.pt"},
        "network": {"encoder_weights": ""},
    }
    node = WorkflowNode(99, kind, "Train", settings)
    (one,) = found(replace(workflow, nodes=(*workflow.nodes, node)))
    assert one.startswith('Train (#99): "weights/unet.pt" does not lie in')


def test_nodes_of_others_are_named_with_what_they_need() -> None:
    workflow = read_workflow(example())
    core = CoreNode("org.knime.Excel", feature="org.knime.excel", feature_name="KNIME Excel")
    others = (
        WorkflowNode(98, core, "Excel Writer"),
        WorkflowNode(99, ExtensionNode("org.other", "x"), "Other"),
    )
    assert found(replace(workflow, nodes=(*workflow.nodes, *others))) == [
        'Excel Writer (#98) needs the KNIME feature "KNIME Excel".',
        'Other (#99) needs the extension "org.other".',
    ]


@pytest.mark.skipif(os.sep != "/", reason="such files cannot exist there")
def test_results_and_names_that_not_every_system_can_hold_are_told(tmp_path) -> None:
    folder = tmp_path / "kerne"
    shutil.copytree(example(), folder)
    assert unfit(folder) == []
    for name in ("plate 1: a.tif", "b.tif", "B.tif", "c\\d.tif", "nul.tif", "dish 1.", ".hidden",
                 "ü" * 80, "u\u0308.tif"):  # fmt: skip
        (folder / "data" / name).write_bytes(b"")
    (folder / "Microscopy Image Reader (#3)" / "port_1").mkdir()
    told = unfit(folder)
    assert told[0].startswith("The workflow holds results of its nodes")
    assert '"data/b.tif" and "data/B.tif" are one file' in told[1]
    assert told[2:] == [
        '"data/c\\d.tif" cannot be unpacked on Windows; name it "data/c_d.tif".',
        '"data/dish 1." cannot be unpacked on Windows; name it "data/dish 1".',
        '"data/nul.tif" cannot be unpacked on Windows; name it "data/_nul.tif".',
        '"data/plate 1: a.tif" cannot be unpacked on Windows; name it "data/plate 1_ a.tif".',
    ]


def test_a_packed_workflow_is_the_folder_and_replaces_nothing_unasked(tmp_path, capsys) -> None:
    folder, out = tmp_path / "meine Kerne", tmp_path / "new" / "kerne"
    shutil.copytree(example(), folder)
    assert main(["pack", str(folder), "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    packed = tmp_path / "new" / "kerne.knwf"
    assert told == {"workflow": str(packed), "bytes": packed.stat().st_size, "missing": []}
    with zipfile.ZipFile(packed) as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert inside == {f.relative_to(tmp_path).as_posix(): f.read_bytes() for f in files}
    before = packed.read_bytes()
    shutil.rmtree(folder / "data" / "new")
    assert main(["pack", str(folder), "--out", str(packed)]) == 1
    assert packed.read_bytes() == before
    assert main(["pack", str(folder), "--out", str(packed), "--overwrite"]) == 0
    told = capsys.readouterr()
    assert '"new" does not lie in' in told.err
    assert "Mend what is named above" in told.out
    assert main(["pack", str(packed), "--out", str(out)]) == 2
    assert [p.name for p in packed.parent.iterdir()] == ["kerne.knwf"]
