"""The example workflows keep every rule for workflows that are given to others; each rule bites."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from microshot.headless import standin
from microshot.headless.declaration import declare_nodes, read_extension
from shipping_rules import nodes_json, problems

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
FOLDERS = sorted(p.parent for p in (ROOT / "workflows").glob("*/workflow.knime"))
PACKED = sorted((ROOT / "workflows").glob("*.knwf"))


@pytest.fixture(scope="module")
def nodes() -> dict[str, Any]:
    if not standin.install():
        pytest.skip("KNIME's own API is installed, so the stand-in is not used")
    return nodes_json(read_extension(ROOT), declare_nodes(standin.Host(ROOT)))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_a_folder_can_be_shipped(folder, nodes):
    assert problems(folder, nodes) == []


@pytest.mark.parametrize("path", PACKED, ids=lambda p: p.name)
def test_a_packed_workflow_can_be_shipped(path, nodes, tmp_path):
    with zipfile.ZipFile(path) as file:
        for one in file.infolist():
            assert not one.flag_bits & 1, "encrypted"
            assert not one.filename.startswith("/")
            assert ".." not in one.filename.split("/")
            assert "\\" not in one.filename
        assert {name.split("/")[0] for name in file.namelist()} == {path.stem}
        file.extractall(tmp_path)
    assert problems(tmp_path / path.stem, nodes) == []


def node_file(folder: Path, name: str) -> Path:
    return next(p / "settings.xml" for p in sorted(folder.iterdir()) if p.name.startswith(name))


def replace(name: str, old: str, new: str) -> Callable[[Path], None]:
    """Return a change of the first place of a text in the settings of a node, or in a file."""

    def change(folder: Path) -> None:
        path = folder / name if (folder / name).is_file() else node_file(folder, name)
        text = path.read_text("utf-8")
        assert old in text, (old, path)
        path.write_text(text.replace(old, new, 1), "utf-8")

    return change


def add(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x", "utf-8")

    return change


XSTRING = 'type="xstring" value='
TRAIN = "Train Microscopy Model"
BREAKS = {
    "format": replace("workflow.knime", 'value="5.1.0"', 'value="4.1.0"'),
    "made by": replace("workflow.knime", 'key="created_by" type="xstring" value="5',
                       'key="created_by" type="xstring" value="9'),
    "secret: the": replace("workflow.knime", '<config key="workflow_credentials"/>',
                           '<config key="workflow_credentials"><entry key="a" '
                           'type="xstring" value="b"/></config>'),
    "number": replace("workflow.knime", '<entry key="id" type="xint" value="1"',
                      '<entry key="id" type="xint" value="99"'),
    "junk": add(".knimeLock"),
    "name": add("data/aux.png"),
    "results": add("port_1/table.bin"),
    "description": replace("workflow-metadata.xml", "<description>", "<other>"),
    "state": replace(TRAIN, 'key="state" type="xstring" value="',
                     'key="state" type="xstring" value="EXECUTED'),
    "state: the": replace(TRAIN, 'key="hasContent" type="xboolean" value="false"',
                          'key="hasContent" type="xboolean" value="true"'),
    "extension": replace("Table View", f'symbolic-name" {XSTRING}"org.knime', f'symbolic-name" {XSTRING}"org'),
    "node: the": replace(TRAIN, f'key="node_id" {XSTRING}"train"', f'key="node_id" {XSTRING}"tain"'),
    "node: called": replace(TRAIN, f'key="node-name" {XSTRING}"Train', f'key="node-name" {XSTRING}"T'),
    "version": replace(TRAIN, 'key="extension_version_Internals" type="xstring" value="0',
                       'key="extension_version_Internals" type="xstring" value="7'),
    "settings: minutes is missing": replace(TRAIN, 'key="minutes"', 'key="minutes_Internals"'),
    "settings: moments is unknown": replace(TRAIN, 'key="minutes"', 'key="moments"'),
    "ports": replace(TRAIN, '<config key="port_2">', '<config key="port_1">'),
    "path": replace(TRAIN, f'key="name" {XSTRING}"', f'key="name" {XSTRING}"/home/somebody/'),
    "secret: licence": replace(TRAIN, 'key="licence" type="xstring"', 'key="licence" type="xpassword"'),
    "connection: there": replace("workflow.knime", 'key="sourceID" type="xint" value="',
                                 'key="sourceID" type="xint" value="9'),
    "connection: from": replace("workflow.knime", 'key="sourcePort" type="xint" value="',
                                'key="sourcePort" type="xint" value="9'),
}  # fmt: skip


@pytest.mark.parametrize("rule", BREAKS)
def test_a_workflow_that_breaks_a_rule_is_found(rule, nodes, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(ROOT / "workflows" / "few-shot-segmentation", folder)
    BREAKS[rule](folder)
    if rule == "description":  # both ends of the element
        replace("workflow-metadata.xml", "</description>", "</other>")(folder)
    assert any(problem.startswith(rule) for problem in problems(folder, nodes)), rule


def test_an_input_without_connection_is_found(nodes, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(ROOT / "workflows" / "few-shot-segmentation", folder)
    path = folder / "workflow.knime"
    head, rest = path.read_text("utf-8").split('<config key="connection_0">')
    path.write_text(head + rest.split("</config>", 1)[1], "utf-8")
    assert any("is not connected" in problem for problem in problems(folder, nodes))
