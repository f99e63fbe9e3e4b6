"""The example workflows: never stale, complete in themselves, and every node runs."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from microshot.headless import standin
from microshot.headless.declaration import declare_nodes, read_extension
from microshot.headless.run import run_workflow
from microshot.headless.workflow import ExtensionNode, Workflow
from microshot.headless.workflow_reader import read_workflow
from shipping_rules import nodes_json
from tiny_images import page_text

ROOT = Path(__file__).parents[1]
FOLDERS = sorted(p.parent for p in (ROOT / "workflows").glob("*/workflow.knime"))
PACKED = sorted((ROOT / "workflows").glob("*.knwf"))
TOOLS = os.environ.get("MICROSHOT_TOOLS")
#: Values with which any node is done in a moment, for whichever nodes have such a parameter.
TINY = {
    "n": 4, "height_px": 64, "width_px": 64, "fit": False, "minutes": 0.0, "training.epochs": 1,
    "training.steps_per_epoch": 2, "training.device": "CPU", "network.width": 4,
    "network.depth": 1, "translation.width": 4, "translation.depth": 1, "network.rays": 8, "images.patch_px": 32, "images.augmentation": "NONE",
}  # fmt: skip

if not standin.install():
    pytest.skip("KNIME's own API is installed", allow_module_level=True)

by_name = pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)


def parameters(values: dict[str, Any], path: str = "") -> set[str]:
    """Return the dotted names of all parameters of a node."""
    names: set[str] = set()
    for name, value in values.items():
        names |= parameters(value, f"{path}{name}.") if isinstance(value, dict) else {path + name}
    return names


def tiny(workflow: Workflow) -> dict[str, Any]:
    """Return overrides with which every node of a workflow is done in a moment."""
    return {
        f"#{node.id}.{name}": value
        for node in workflow.nodes
        if isinstance(node.kind, ExtensionNode)
        for name, value in TINY.items()
        if name in parameters(dict(node.settings))
    }


def test_there_are_workflows_each_as_folder_and_as_file():
    assert FOLDERS
    assert [p.name for p in FOLDERS] == [p.stem for p in PACKED]


@pytest.mark.parametrize("path", [*FOLDERS, *PACKED], ids=lambda p: p.name)
def test_every_node_of_every_workflow_runs(path, tmp_path):
    overrides = tiny(read_workflow(path.with_suffix("")))
    result = run_workflow(path, extension_root=ROOT, overrides=overrides, out=tmp_path / "out")
    assert result.error is None
    assert {one.state for one in result.nodes} == {"executed"}
    views = [one.view_html for one in result.nodes if one.view_html]
    assert views
    for html in views:
        page_text(html)
    assert (tmp_path / "out" / "index.html").is_file()


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory) -> Path:
    spec = importlib.util.spec_from_file_location("build", ROOT / "workflows" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(ROOT / "workflows"))  # as for a script that is run
    spec.loader.exec_module(module)
    sys.path.remove(str(ROOT / "workflows"))
    out = tmp_path_factory.mktemp("workflows")
    module.build(out)
    return out


def texts(folder: Path) -> dict[str, str]:
    """Return the files by which KNIME knows a workflow, by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8")
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".xml", ".knime", ".txt")
    }


@by_name
def test_committed_workflows_are_what_the_code_builds(folder, rebuilt):
    assert texts(folder) == texts(rebuilt / folder.name), "run python3 dev.py docs and commit"


def test_no_workflow_is_built_that_is_not_committed(rebuilt):
    assert sorted(p.name for p in rebuilt.iterdir()) == sorted(p.name for p in (*FOLDERS, *PACKED))


@by_name
def test_the_packed_file_holds_the_folder(folder):
    with zipfile.ZipFile(folder.with_suffix(".knwf")) as file:
        packed = {n: file.read(n) for n in file.namelist() if not n.endswith("/")}
    own = {
        path.relative_to(folder.parent).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert packed == own


@by_name
def test_images_say_where_they_come_from_and_may_be_passed_on(folder):
    data = folder / "data"
    if not data.is_dir():
        return
    source = (data / "SOURCE.txt").read_text("utf-8")
    assert "Origin:" in source
    assert "Licence:" in source
    assert sum(p.stat().st_size for p in data.rglob("*") if p.is_file()) < 1_000_000


@by_name
def test_workflows_name_no_place_of_one_machine(folder):
    for name, text in texts(folder).items():
        for place in (str(ROOT), str(Path.home()) + "/", "/tmp/", "C:\\"):
            assert place not in text, name


@by_name
def test_saved_settings_load_into_the_nodes_of_today(folder):
    host = standin.Host(ROOT)
    for node in read_workflow(folder).nodes:
        if isinstance(node.kind, ExtensionNode):
            fresh = host.node(node.kind.node_id)
            fresh.load_settings(dict(node.settings), node.saved_version or str(host.version))
            assert parameters(fresh.settings) == parameters(dict(node.settings))


@pytest.mark.skipif(not TOOLS, reason="set MICROSHOT_TOOLS to the folder of validate_workflow.py")
def test_knimes_loading_rules_accept_the_workflows(tmp_path):
    declared = tmp_path / "nodes.json"
    nodes = declare_nodes(standin.Host(ROOT))
    declared.write_text(json.dumps(nodes_json(read_extension(ROOT), nodes)), "utf-8")
    options = ["--profile", "ship", "--min-knime", "5.5.0", "--nodes", declared]
    done = subprocess.run(
        [sys.executable, Path(str(TOOLS)) / "validate_workflow.py", *options, *FOLDERS, *PACKED],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
