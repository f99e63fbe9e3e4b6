from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workflow_examples import EXTENSION, NODES, example

from microshot.headless.declaration import new_node
from microshot.headless.knwf import pack_workflow
from microshot.headless.workflow import (
    TABLE_VIEW,
    Annotation,
    Connection,
    CoreNode,
    ExtensionNode,
    Workflow,
    WorkflowNode,
)
from microshot.headless.workflow_reader import open_workflow, read_workflow
from microshot.headless.workflow_writer import write_workflow
from microshot.headless.workflow_xml import Config
from shipping_rules import nodes_json

TOOLS = Path(os.environ.get("MICROSHOT_TOOLS", Path(__file__).parents[3] / "shared" / "tools"))


def write(workflow: Workflow, folder: Path, **options) -> Path:
    return write_workflow(workflow, folder, extension=EXTENSION, node_declarations=NODES, **options)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_written_workflow_is_read_back(tmp_path):
    workflow = example()
    write(workflow, tmp_path / "Example")
    assert read_workflow(tmp_path / "Example") == workflow


def test_a_packed_workflow_is_read_back_under_its_file_name(tmp_path):
    write(example(), tmp_path / "Example")
    (tmp_path / "Example" / "data").mkdir()
    (tmp_path / "Example" / "data" / "a.txt").write_text("x")
    packed = pack_workflow(tmp_path / "Example", tmp_path / "Renamed.knwf")
    assert read_workflow(packed) == example("Renamed")
    with open_workflow(packed) as opened:
        assert (opened.data_area / "a.txt").read_text() == "x"
        folder = opened.folder
    assert not folder.exists()


LABELS = st.text(st.characters(codec=None), max_size=20)
LINES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), max_size=20)


@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    text=LABELS,
    label=LABELS,
    column=LABELS,
    minutes=st.floats(allow_nan=False, allow_infinity=False),
    about=LINES.map(str.strip),
    place=st.tuples(*2 * [st.integers(-(2**31), 2**31 - 1)]),
)
def test_any_text_and_number_survives_the_files(
    tmp_path, text, label, column, minutes, about, place
):
    node = new_node(
        EXTENSION,
        NODES["train"],
        7,
        settings={"column": column, "columns": [column, text], "training.minutes": minutes},
        position=place,
        label=label,
    )
    note = Annotation(text, *place, 1, 1)
    workflow = Workflow("W", (node,), annotations=(note,), description=about)
    write(workflow, tmp_path / "W", replace=True)
    assert read_workflow(tmp_path / "W") == workflow


def test_the_same_workflow_gives_the_same_bytes(tmp_path):
    first = write(example(), tmp_path / "a" / "Example")
    second = write(example(), tmp_path / "b" / "Example")
    assert contents(first) == contents(second)
    pack_workflow(first, tmp_path / "a.knwf")
    os.utime(second / "workflow.knime", (1, 1))
    pack_workflow(second, tmp_path / "b.knwf")
    assert (tmp_path / "a.knwf").read_bytes() == (tmp_path / "b.knwf").read_bytes()


def test_an_existing_folder_is_kept_unless_told(tmp_path):
    folder = write(example(), tmp_path / "Example")
    with pytest.raises(FileExistsError, match="exists already"):
        write(example(), folder)
    (tmp_path / "photos").mkdir()
    with pytest.raises(FileExistsError, match="exists already"):
        write(example(), tmp_path / "photos", replace=True)


def test_replacing_keeps_the_data_and_drops_old_nodes(tmp_path):
    folder = write(example(), tmp_path / "Example")
    (folder / "data").mkdir()
    (folder / "data" / "image.png").write_bytes(b"png")
    write(Workflow("Example", (example().node(1),)), folder, replace=True)
    assert set(contents(folder)) == {
        "workflow.knime",
        "workflow-metadata.xml",
        "Image Reader (#1)/settings.xml",
        "data/image.png",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["Example"]


class Killed(BaseException):
    """The process ends."""


@pytest.mark.parametrize("ending", [PermissionError, KeyboardInterrupt, Killed])
def test_a_workflow_that_cannot_be_replaced_stays_or_is_put_back(tmp_path, monkeypatch, ending):
    folder = write(example(), tmp_path / "Example")
    (folder / "data").mkdir()
    (folder / "data" / "image.png").write_bytes(b"png")
    before, rename = contents(folder), Path.rename

    def failing(self, target):
        if self.name == "new" or (ending is Killed and Path(target) == folder):
            raise ending
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(ending):
        write(Workflow("Example", (example().node(1),)), folder, replace=True)
    monkeypatch.undo()
    assert folder.exists() == (ending is not Killed)
    if ending is Killed:
        with pytest.raises(FileExistsError, match="exists already"):
            write(example(), folder)
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["Example"]


def test_a_refused_workflow_leaves_nothing_behind(tmp_path):
    bad = replace(example().node(1), settings={})
    with pytest.raises(ValueError, match=r"Image Reader \(#1.*\"folder\" is missing"):
        write(Workflow("W", (bad,)), tmp_path / "W")
    assert not list(tmp_path.iterdir())


def test_the_released_identity_is_written_and_not_that_of_the_host(tmp_path):
    folder = write(example(), tmp_path / "Example")
    text = (folder / "Train Model (#2)" / "settings.xml").read_text("utf-8")
    assert '"node-bundle-symbolic-name" type="xstring" value="org.example.micro"' in text
    assert 'value="org.example.features.micro.feature.group"' in text
    assert 'value="org.example.micro_!_train"' in text
    assert "org.knime.python3.nodes.extension" in text


def test_names_become_portable_folder_names(tmp_path):
    folder = write(example(), tmp_path / "Example")
    assert (folder / "Merge _ Predict (#4)" / "settings.xml").is_file()


def run_validator(folder: Path, *paths: Path) -> list[dict]:
    declared = folder / "nodes.json"
    declared.write_text(json.dumps(nodes_json(EXTENSION, NODES)))
    options = ["--profile", "ship", "--min-knime", "5.5.0", "--nodes", declared, "--json"]
    done = subprocess.run(
        [sys.executable, TOOLS / "validate_workflow.py", *options, *paths],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


needs_validator = pytest.mark.skipif(
    not (TOOLS / "validate_workflow.py").is_file(),
    reason="no validate_workflow.py: set MICROSHOT_TOOLS to the folder that holds it",
)


@needs_validator
def test_knimes_loading_rules_accept_folder_and_packed_file(tmp_path):
    folder = write(example(), tmp_path / "Example")
    (folder / "data" / "images").mkdir(parents=True)
    (folder / "data" / "images" / "a.txt").write_text("x")
    packed = pack_workflow(folder, tmp_path / "Example.knwf")
    results = run_validator(tmp_path, folder, packed)
    assert [result["findings"] for result in results] == [[], []]
    assert results[0]["stats"]["python"] == 4
    assert results[0]["stats"]["connections"] == 8


@needs_validator
def test_knimes_loading_rules_refuse_a_broken_one(tmp_path):
    folder = write(example(), tmp_path / "Example")
    (folder / "Train Model (#2)" / "settings.xml").unlink()
    (result,) = run_validator(tmp_path, folder)
    assert any(finding[1] == "W-NODEFILE" for finding in result["findings"])


def broken(folder: Path, file: str, old: str, new: str) -> Path:
    path = folder / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    return folder


SETTINGS_1 = "Image Reader (#1)/settings.xml"
METADATA = "workflow-metadata.xml"


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (
            "workflow.knime",
            'value="5.1.0"',
            'value="9.9.0"',
            "4.1.0 or 5.1.0, found 9.9.0; a newer M",
        ),
        ("workflow.knime", 'value="5.1.0"', 'value="3.7.1"', "found 3.7.1; open it in KNIME 5 and"),
        ("workflow.knime", "NativeNode", "SubNode", "is a component"),
        ("workflow.knime", "NativeNode", "MetaNode", "is a metanode"),
        ("workflow.knime", "NativeNode", "Odd", 'of type "Odd"'),
        ("workflow.knime", SETTINGS_1, "../../x/settings.xml", "outside of the workflow"),
        ("workflow.knime", SETTINGS_1, "/etc/passwd", "etc/passwd: there is no such file"),
        ("workflow.knime", SETTINGS_1, "gone/settings.xml", "there is no such file"),
        (
            "workflow.knime",
            '"destID" type="xint" value="2"',
            '"destID" type="xint" value="99"',
            "#99",
        ),
        ("workflow.knime", '"LEFT"', '"ABOVE"', "alignment"),
        (SETTINGS_1, '"factory"', '"factories"', 'the text "factory" is missing'),
        (SETTINGS_1, '"node_id"', '"node"', 'the text "node_id" is missing'),
        (SETTINGS_1, 'type="xstring" value="OBJECT"', 'type="xint" value="1"', "json-type"),
        (METADATA, "<author>", "<author", "well-formed"),
        (METADATA, "<workflow-", '<!DOCTYPE a [<!ENTITY e "x">]><workflow-', "not allowed"),
    ],
)
def test_damaged_workflows_are_refused_with_one_sentence(tmp_path, file, old, new, words):
    folder = broken(write(example(), tmp_path / "Example"), file, old, new)
    with pytest.raises((ValueError, FileNotFoundError), match=words) as caught:
        read_workflow(folder)
    assert "\n" not in str(caught.value)


def test_links_out_of_the_workflow_are_refused(tmp_path):
    folder = write(example(), tmp_path / "Example")
    settings_file = folder / SETTINGS_1
    settings_file.rename(tmp_path / "elsewhere.xml")
    settings_file.symlink_to(tmp_path / "elsewhere.xml")
    with pytest.raises(ValueError, match="outside of the workflow"):
        read_workflow(folder)


def test_a_workflow_without_metadata_is_read(tmp_path):
    folder = write(example(), tmp_path / "Example")
    (folder / METADATA).unlink()
    assert read_workflow(folder).description == ""
    assert read_workflow(folder).author == "Example Author"


def test_executed_nodes_are_read_as_ready(tmp_path):
    folder = broken(
        write(example(), tmp_path / "Example"), SETTINGS_1, '"CONFIGURED"', '"EXECUTED"'
    )
    assert read_workflow(folder).node(1).state == "CONFIGURED"


def test_labels_in_html_are_read_as_text(tmp_path):
    folder = broken(write(example(), tmp_path / "W"), SETTINGS_1, "text/plain", "text/html")
    broken(folder, SETTINGS_1, "four labelled", "&lt;p>four &amp;lt;labelled&lt;/p>")
    assert read_workflow(folder).node(1).label.split() == ["four", "<labelled", "images"]


def test_a_description_in_html_is_read_as_text(tmp_path):
    folder = write(example(), tmp_path / "W")
    path = folder / METADATA
    text = path.read_text("utf-8").replace('"text/plain"', '"text/html"')
    start, end = text.index("<description>"), text.index("</description>")
    written = escape("<h2>Nuclei</h2><ul><li><b>count</b>s &amp; areas</li><li>n &lt; 9</li></ul>")
    path.write_text(f"{text[:start]}<description>{written}{text[end:]}", "utf-8")
    assert read_workflow(folder).description == "Nuclei\ncounts & areas\nn < 9"


def test_stored_settings_of_core_nodes_are_kept(tmp_path):
    model = Config()
    model.add("column", "xstring", "a")
    model.add_array("sizes", "xdouble", [1.5])
    stack = Config()
    stack.add_config("0").add("type", "xstring", "loopcontext")
    kind = CoreNode(
        "org.example.LoopFactory",
        "org.knime.base",
        n_outputs=2,
        parts={"model": model, "flow_stack": stack, "factory_settings": model},
    )
    workflow = Workflow("W", (WorkflowNode(1, kind, "Loop"),))
    assert read_workflow(write(workflow, tmp_path / "W")) == workflow


def test_flow_variables_and_missing_settings_are_kept(tmp_path):
    node = replace(example().node(1), settings={}, saved_version=None)
    driven = replace(
        example().node(2), variables={"training.epochs": "n", "column": "c"},
        exposed={"training.epochs": "passes", "quality": "how"},
    )  # fmt: skip
    ours = {"n": 3, "c": "image", "x": 0.5, "y": True}
    workflow = Workflow("W", (node, driven), variables=ours)
    assert read_workflow(write(workflow, tmp_path / "W")) == workflow


READ = example().node(1)


@pytest.mark.parametrize(
    ("nodes", "connections", "words"),
    [
        ((READ, READ), (), "two nodes have the number 1"),
        ((READ,), (Connection(1, 1, 2, 1),), "joins node #2, which does not exist"),
        ((READ, replace(READ, id=2)), (Connection(1, 1, 2, -1),), "numbered from 0"),
        ((READ, replace(READ, id=2)), (Connection(1, 1, 2, 1), Connection(2, 1, 1, 1)), "circle"),
        (
            (READ, replace(READ, id=2)),
            2 * (Connection(1, 1, 2, 1),),
            "two connections enter port 1",
        ),
    ],
)
def test_impossible_workflows_are_refused(nodes, connections, words):
    with pytest.raises(ValueError, match=words):
        Workflow("W", nodes, connections)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": ExtensionNode("org.other", "read")}, 'found one of "org.other"'),
        ({"kind": ExtensionNode(EXTENSION.id, "gone")}, "expected one of: read, train, merge"),
        ({"added_ports": {"Masks": 1}}, 'no port or port group "Masks"'),
        ({"settings": {"folder": 3}}, "expected a text"),
    ],
)
def test_nodes_that_do_not_fit_the_extension_are_refused(tmp_path, change, words):
    with pytest.raises(ValueError, match=words):
        write(Workflow("W", (replace(READ, **change),)), tmp_path / "W")


def test_optional_ports_can_be_added_once(tmp_path):
    node = replace(example().node(2), added_ports={"Masks": 2})
    with pytest.raises(ValueError, match=r'"Masks" can be there once, found 2'):
        write(Workflow("W", (node,)), tmp_path / "W")


def test_connections_must_end_at_ports_that_exist(tmp_path):
    train = replace(example().node(2), added_ports={})
    workflow = Workflow("W", (READ, train), (Connection(1, 1, 2, 2),))
    with pytest.raises(ValueError, match="no input port 2, expected at most 1"):
        write(workflow, tmp_path / "W")
    workflow = Workflow("W", (READ, train), (Connection(1, 2, 2, 1),))
    with pytest.raises(ValueError, match="no output port 2, expected at most 1"):
        write(workflow, tmp_path / "W")


def test_new_nodes_refuse_unknown_parameters():
    with pytest.raises(ValueError, match=r"training\.epochs, training\.minutes"):
        new_node(EXTENSION, NODES["train"], 1, settings={"training.hours": 1})
    with pytest.raises(ValueError, match=r'no parameter "column\.x"'):
        new_node(EXTENSION, NODES["train"], 1, settings={"column.x": 1})


def test_nodes_run_after_those_they_depend_on():
    order = [node.id for node in example().in_order()]
    assert order == [1, 2, 3, 4, 5]
    assert TABLE_VIEW.n_outputs == 0
    assert [line.source for line in example().inputs(4)] == [2, 3, 1]
    with pytest.raises(ValueError, match="no node #9"):
        example().node(9)


def test_descriptions_with_control_characters_are_refused(tmp_path):
    with pytest.raises(ValueError, match="control character"):
        write(Workflow("W", (READ,), description="a\x00"), tmp_path / "W")
