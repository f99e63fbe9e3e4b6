from __future__ import annotations

import csv
import errno
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from microshot.headless import result_folder, standin
from microshot.headless.cell_text import cell_text, is_image, rows_of
from microshot.headless.declaration import (
    Extension,
    declare_nodes,
    new_node,
    read_extension,
)
from microshot.headless.knwf import pack_workflow
from microshot.headless.overrides import OverrideError
from microshot.headless.result_folder import ResultFolder
from microshot.headless.results import NodeResult, PortResult
from microshot.headless.run import _spans, run_workflow
from microshot.headless.wiring import node_states
from microshot.headless.workflow import (
    TABLE_VIEW,
    Annotation,
    Connection,
    CoreNode,
    ExtensionNode,
    Workflow,
    WorkflowNode,
)
from microshot.headless.workflow_reader import read_workflow
from microshot.headless.workflow_writer import write_workflow
from microshot.progress import Cancelled
from shipping_rules import nodes_json

ROOT = Path(__file__).parent / "workflow_toy"
TOOLS = Path(os.environ.get("MICROSHOT_TOOLS", Path(__file__).parents[3] / "shared" / "tools"))

if not standin.install():
    pytest.skip("KNIME's own API is installed", allow_module_level=True)


@pytest.fixture(scope="module")
def extension() -> Extension:
    return read_extension(ROOT)


@pytest.fixture(scope="module")
def host() -> standin.Host:
    return standin.Host(ROOT)


@pytest.fixture(scope="module")
def nodes(host):
    return declare_nodes(host)


@pytest.fixture(scope="module")
def workflow(extension, nodes) -> Workflow:
    """Read, learn twice, score with both models, show the scores, draw the history."""

    def node(number, node_id, **options):
        place = (150 * number, 100)
        return new_node(extension, nodes[node_id], number, position=place, **options)

    view = WorkflowNode(5, TABLE_VIEW, "Table View", position=(750, 100), state="CONFIGURED")
    return Workflow(
        "Spots",
        (
            node(1, "read", settings={"file": "base.txt", "n": 4}, label="four images"),
            node(2, "learn", added_ports={"More images": 1}),
            node(3, "learn", label="second: µ/2", settings={"training.epochs": 2}),
            node(4, "apply", added_ports={"Models": 2}),
            view,
            node(6, "paint", settings={"late": True}),
        ),
        (
            Connection(1, 1, 2, 1),
            Connection(1, 1, 2, 2),
            Connection(2, 0, 3, 0),
            Connection(1, 1, 3, 1),
            Connection(3, 1, 4, 1),
            Connection(2, 1, 4, 2),
            Connection(1, 1, 4, 3),
            Connection(4, 1, 5, 1),
            Connection(2, 2, 6, 1),
        ),
        annotations=(Annotation("Learn <twice>", 100, 20, 600, 60),),
        description="Counts spots & draws.",
    )


@pytest.fixture
def saved(workflow, extension, nodes, tmp_path) -> Path:
    folder = save(workflow, extension, nodes, tmp_path / "Spots")
    (folder / "data").mkdir()
    (folder / "data" / "base.txt").write_text("2000")
    return folder


def save(workflow, extension, nodes, folder) -> Path:
    return write_workflow(workflow, folder, extension=extension, node_declarations=nodes)


def run(path, **options):
    return run_workflow(path, extension_root=ROOT, **options)


def plain(cell):
    return cell.tobytes() if is_image(cell) else cell_text(cell)


def tables(result) -> dict[tuple[int, str], list]:
    return {
        (one.node.id, port.name): [
            (name, [plain(cell) for cell in cells])
            for name, cells in rows_of(port.data.to_pandas())
        ]
        for one in result.nodes
        for port in one.outputs
        if hasattr(port.data, "to_pandas")
    }


def test_folder_and_packed_file_give_the_same_tables(saved, tmp_path):
    from_folder = run(saved)
    from_file = run(pack_workflow(saved, tmp_path / "Spots.knwf"))
    assert from_folder.succeeded, from_folder.error
    assert from_file.succeeded
    assert tables(from_folder) == tables(from_file)
    assert len(tables(from_folder)) == 4
    assert from_folder.error is None
    assert not from_folder.cancelled


def test_nodes_receive_what_is_connected_with_their_ports(saved):
    result = run(saved)
    images = result.node(1).outputs[0].data.to_pandas()["Image"]
    assert np.asarray(images.iloc[3]).tolist() == [[2003] * 5] * 3
    assert result.node(2).warnings == (
        "The column Image is used.",
        "6 images, 0.5 minutes, GOOD.",
    )
    assert result.node(3).warnings[1].startswith("3 images")
    scores = result.node(4).outputs[0].data.to_pandas()
    assert list(scores.columns) == ["Score 0", "Score 1"]
    assert result.node(2).view_html.endswith("<body>mean 2001.6666666666667</body></html>")
    assert result.node(5).shown.data.to_pandas().equals(scores)
    assert [port.name for port in result.node(6).outputs] == ["Picture", "Bytes"]
    assert all(one.seconds > 0 for one in result.nodes)
    with pytest.raises(ValueError, match="no node #9"):
        result.node(9)


def test_parameters_can_be_changed_from_outside(saved):
    result = run(saved, overrides={"#1.n": "2", "Spot Learner.epochs": 5, "apply.scale": "-2"})
    assert len(result.node(1).outputs[0].data.to_pandas()) == 2
    assert len(result.node(2).outputs[1].data.to_pandas()) == 5
    assert len(result.node(3).outputs[1].data.to_pandas()) == 5


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"Sport Learner.epochs": 1}, 'expected node.parameter.*"read", "#1", "learn"'),
        ({"learn.epoch": 1}, "column, quality, kept, training.epochs, training.minutes"),
        ({"learn.epochs": "many"}, "expected a number, found 'many'"),
        ({"learn.epochs": "0"}, r"Spot Learner \(#2\):"),
        ({"learn.quality": "OK"}, "expected one of GOOD, BAD"),
    ],
)
def test_wrong_overrides_are_refused_before_anything_runs(saved, tmp_path, overrides, words):
    with pytest.raises(ValueError, match=words) as caught:
        run(saved, overrides=overrides, out=tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_progress_names_nodes_and_never_goes_back(saved):
    seen = []
    run(saved, progress=lambda fraction, message="": seen.append((fraction, message)))
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0, pytest.approx(1))
    messages = [message for _, message in seen]
    assert "Spot Reader: starts" in messages
    assert "Spot Learner (#2): epoch 3" in messages


def test_a_time_limit_is_a_node_s_part_of_the_progress():
    nodes = [SimpleNamespace(id=i) for i in range(3)]
    kinds = {
        0: ("Source", {}),
        1: ("Learner", {"minutes": 0.45}),
        2: ("Learner", {"minutes": 0.95}),
    }
    wired = SimpleNamespace(
        workflow=SimpleNamespace(in_order=lambda: nodes),
        is_table_view=lambda node: False,
        canvas={
            i: SimpleNamespace(info=SimpleNamespace(node_type=kind), settings=settings)
            for i, (kind, settings) in kinds.items()
        },
    )
    spans = _spans(wired)
    wide = {number: stop - start for number, (start, stop) in spans.items()}
    assert wide[2] == pytest.approx(2 * wide[1])
    assert wide[0] == pytest.approx(wide[1] / 15)
    assert (spans[0][0], spans[2][1]) == (0, pytest.approx(1))


def read_csv(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


def test_results_are_written_for_every_node(saved, tmp_path):
    out = tmp_path / "out"
    run(saved, out=out)
    assert sorted(path.name for path in out.iterdir()) == [
        "01_four images",
        "02_Spot Learner",
        "03_second_ µ_2",
        "04_Spot Scorer",
        "05_Table View",
        "06_Spot Painter",
        "index.html",
        "results.json",
    ]
    rows = read_csv(out / "01_four images" / "port_1_Images.csv")
    assert rows[0] == ["RowID", "Name", "Image", "Count"]
    assert rows[2] == ["Row1", "img/1", "", ""]
    with Image.open(out / "01_four images" / rows[4][2]) as picture:
        assert np.asarray(picture).tolist() == [[2003] * 5] * 3
    assert json.loads((out / "02_Spot Learner" / "port_1_Model.microshot").read_bytes())["mean"]
    assert "mean" in (out / "02_Spot Learner" / "view.html").read_text()
    assert read_csv(out / "05_Table View" / "table.csv")[0] == ["RowID", "Score 0", "Score 1"]
    assert "Score 1" in (out / "05_Table View" / "table.html").read_text()
    with Image.open(out / "06_Spot Painter" / "port_1_Picture.png") as picture:
        assert picture.size == (4, 4)
    assert (out / "06_Spot Painter" / "port_2_Bytes.bin").read_bytes() == b"abc"
    messages = json.loads((out / "02_Spot Learner" / "messages.json").read_text())
    assert messages["state"] == "executed"
    assert messages["warnings"][0] == "The column Image is used."
    page = (out / "index.html").read_text("utf-8")
    assert "Counts spots &amp; draws." in page
    assert "6 of 6 nodes executed" in page
    assert 'href="03_second_%20%C2%B5_2/view.html"' in page
    assert 'src="data:image/png;base64,' in page


def test_whole_numbers_stay_whole_beside_missing_ones(workflow, host, tmp_path):
    index = pd.Index(["a", "b", "c"], dtype=object)
    columns = {
        "Objects": pd.Series([123456, None, 3], index, dtype="Int32"),
        "Barcode": pd.Series([2**60 + 1, None, 4], index, dtype="Int64"),
        "Area": pd.Series([1.5, None, 2.0], index, dtype="Float64"),
    }
    table = standin.table_from_pandas(host, pd.DataFrame(columns, index), 2)
    folder = ResultFolder(tmp_path / "out", workflow)
    result = NodeResult(workflow.nodes[0], "executed", (PortResult("Numbers", table),))
    written = folder.add(result)
    rows = read_csv(written / "port_1_Numbers.csv")[1:]
    assert rows == [
        ["a", "123456", "1152921504606846977", "1.5"], ["b", "", "", ""], ["c", "3", "4", "2.0"],
    ]  # fmt: skip
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert ">123456<" in page
    assert ">1152921504606846977<" in page


@pytest.mark.parametrize(("row", "columns"), [("r", ["a/b", "a:b"]), ("r" * 80, ["a", "b"])])
def test_images_whose_names_look_alike_in_a_path_do_not_replace_each_other(
    row, columns, workflow, host, tmp_path
):
    images = [Image.fromarray(np.full((2, 2), value, np.uint8)) for value in (1, 2)]
    frame = pd.DataFrame([images], [row], columns)
    table = standin.table_from_pandas(host, frame)
    result = NodeResult(workflow.nodes[0], "executed", (PortResult("Pictures", table),))
    written = ResultFolder(tmp_path / "out", workflow).add(result)
    _, (_, *files) = read_csv(written / "port_1_Pictures.csv")
    assert [Image.open(written / file).getpixel((0, 0)) for file in files] == [1, 2]


def test_every_link_of_the_overview_leads_to_a_file(saved, tmp_path):
    from html.parser import HTMLParser
    from urllib.parse import unquote

    links = []

    class Links(HTMLParser):
        def handle_starttag(self, tag, attrs):
            links.extend(v for k, v in attrs if k in ("href", "src") and v)

    run(saved, out=tmp_path / "out")
    Links().feed((tmp_path / "out" / "index.html").read_text("utf-8"))
    files = [link for link in links if not link.startswith(("#", "data:"))]
    assert len(files) > 10
    assert all((tmp_path / "out" / unquote(file)).is_file() for file in files)


def test_images_beyond_the_limit_are_described_only(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(result_folder, "MAX_IMAGES", 1)
    run(saved, out=tmp_path / "out")
    rows = read_csv(tmp_path / "out" / "01_four images" / "port_1_Images.csv")
    assert [row[2] for row in rows[1:]] == [
        "port_1_Images_images/0001_2_Row0_Image.png",
        "",
        "image 5 x 3 px",
        "image 5 x 3 px",
    ]


def test_a_second_run_replaces_the_results_of_the_first(saved, tmp_path):
    out = tmp_path / "out"
    run(saved, out=out)
    (out / "own notes.txt").write_text("keep")
    result = run(saved, out=out, overrides={"read.fail": True})
    assert not result.succeeded
    assert sorted(path.name for path in out.iterdir()) == [
        "01_four images",
        "index.html",
        "own notes.txt",
        "results.json",
    ]


def test_a_run_that_is_refused_leaves_the_results_of_the_first(saved, tmp_path):
    def held():
        return {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    out = tmp_path / "out"
    run(saved, out=out)
    before = held()
    refused = run(saved, overrides={"#3.column": "Picture"}, out=out)
    assert "Picture does not exist" in refused.error
    assert refused.page is None
    with pytest.raises(OverrideError):
        run(saved, overrides={"#99.column": "Picture"}, out=out)
    assert held() == before


@pytest.mark.parametrize("inside", [".", "results", "data/results"])
def test_results_do_not_become_part_of_the_workflow(saved, inside):
    def files():
        return sorted(path.relative_to(saved) for path in saved.rglob("*"))

    before = files()
    with pytest.raises(ValueError, match="expected a place outside of the workflow folder"):
        run(saved, out=saved / inside)
    assert files() == before


def test_folders_with_other_files_are_not_touched(saved, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("x")
    for content in (None, "[]", '{"nodes": 3}', '{"nodes": [3]}', "{"):
        if content is not None:
            (tmp_path / "photos" / "results.json").write_text(content)
        with pytest.raises(FileExistsError, match="holds other files"):
            run(saved, out=tmp_path / "photos")
    with pytest.raises(FileExistsError, match="found a file"):
        run(saved, out=tmp_path / "photos" / "a.jpg")


def test_a_run_that_a_full_disk_has_ended_can_be_repeated(saved, tmp_path, monkeypatch):
    out = tmp_path / "out"

    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(result_folder, "_write_table", full)
        with pytest.raises(OSError, match="the disk is full; free"):
            run(saved, out=out)
    assert (out / "01_four images").is_dir()
    assert run(saved, out=out).succeeded


def test_results_that_cannot_be_replaced_are_refused_before_any_node_runs(
    saved, tmp_path, monkeypatch
):
    run(saved, out=tmp_path / "out")
    seen = []

    def in_use(*_args, **_options):
        raise PermissionError(errno.EACCES, "in use")

    monkeypatch.setattr(result_folder, "shutil", SimpleNamespace(rmtree=in_use))
    with pytest.raises(PermissionError, match=r'out": it must not be written to'):
        run(saved, out=tmp_path / "out", progress=lambda *told: seen.append(told))
    assert seen == []


def test_only_folders_of_an_earlier_run_are_removed(saved, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "01_precious").mkdir()
    names = ["../01_precious", "01_x/../../01_precious", "photos"]
    (out / "photos").mkdir()
    (out / "results.json").write_text(json.dumps({"nodes": [{"folder": name} for name in names]}))
    run(saved, out=out)
    assert (tmp_path / "01_precious").is_dir()
    assert (out / "photos").is_dir()


def test_a_failing_node_is_named_and_earlier_results_are_kept(saved, tmp_path):
    (saved / "data" / "base.txt").unlink()
    result = run(saved, out=tmp_path / "out")
    assert result.error.startswith("Spot Reader (#1: four images): ")
    assert "base.txt" in result.error
    assert "FileNotFoundError" in result.node(1).details
    assert [one.state for one in result.nodes] == ["failed"] + 5 * ["not run"]
    assert not result.succeeded
    assert not result.cancelled


def test_results_before_a_failure_are_written(saved, tmp_path):
    result = run(saved, overrides={"read.n": 2, "paint.fail": True}, out=tmp_path / "out")
    assert result.node(6).state == "failed"
    assert result.error == "Spot Painter (#6): There is no colour left; try again."
    assert (tmp_path / "out" / "05_Table View" / "table.csv").is_file()
    messages = json.loads((tmp_path / "out" / "06_Spot Painter" / "messages.json").read_text())
    assert messages["error"] == "There is no colour left; try again."
    assert "5 of 6 nodes executed" in (tmp_path / "out" / "index.html").read_text("utf-8")


def test_settings_that_cannot_work_are_refused_before_the_long_work(saved, tmp_path):
    result = run(saved, overrides={"#3.column": "Picture"}, out=tmp_path / "out")
    assert result.error == ("Spot Learner (#3: second: µ/2): The column Picture does not exist.")
    states = {one.node.id: one.state for one in result.nodes}
    assert states == {
        1: "not run",
        2: "not run",
        3: "not configured",
        4: "not run",
        5: "not run",
        6: "not run",
    }
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "The column Picture does not exist." in page
    assert "0 of 6 nodes executed" in page


def stop_at(words):
    def progress(fraction, message=""):
        if words in message:
            raise Cancelled

    return progress


def test_a_cancelled_run_stops_the_running_node_and_keeps_the_rest(saved, tmp_path):
    result = run(
        saved,
        progress=stop_at("Spot Learner (#2): epoch 2"),
        overrides={"#2.epochs": 100_000},
        out=tmp_path / "out",
    )
    assert [one.state for one in result.nodes] == ["executed", "cancelled"] + 4 * ["not run"]
    assert result.cancelled
    assert result.error is None
    assert len(read_csv(tmp_path / "out" / "01_four images" / "port_1_Images.csv")) == 5


def test_a_node_that_reports_nothing_can_be_cancelled(saved):
    calls = []

    def progress(fraction, message=""):
        calls.append(message)
        if len(calls) > 1:
            raise Cancelled

    result = run(saved, progress=progress, overrides={"read.wait": True})
    assert [one.state for one in result.nodes] == ["cancelled"] + 5 * ["not run"]
    assert calls == 2 * ["Spot Reader: starts"]


def test_a_wish_to_stop_is_remembered_between_nodes(saved):
    result = run(saved, progress=stop_at("Spot Reader: done"))
    assert [one.state for one in result.nodes] == ["executed", "cancelled"] + 4 * ["not run"]


def test_flow_variables_set_parameters(saved, extension, nodes, workflow, tmp_path):
    driven = replace(workflow.node(3), variables={"training.epochs": "epochs", "column": "column"})
    changed = replace(
        workflow, nodes=tuple(driven if node.id == 3 else node for node in workflow.nodes)
    )
    folder = save(changed, extension, nodes, tmp_path / "Driven")
    result = run(folder, overrides={"read.file": "", "#2.epochs": 7})
    assert result.succeeded, result.error
    assert len(result.node(3).outputs[1].data.to_pandas()) == 7
    told = replace(driven, variables={"training.epochs": "n", "training.minutes": "limit"})
    telling = replace(workflow.node(2), exposed={"training.epochs": "n"})
    nodes_told = {3: told, 2: telling}
    changed = replace(
        workflow, variables={"limit": 7.0, "n": 1},
        nodes=tuple(nodes_told.get(node.id, node) for node in workflow.nodes),
    )  # fmt: skip
    folder = save(changed, extension, nodes, tmp_path / "Told")
    result = run(folder, overrides={"read.file": "", "#2.epochs": 5})
    assert result.succeeded, result.error
    assert len(result.node(3).outputs[1].data.to_pandas()) == 5
    assert "7.0 minutes" in result.node(3).warnings[-1]
    lost = replace(driven, variables={"training.epochs": "passes"})
    changed = replace(
        workflow, nodes=tuple(lost if node.id == 3 else node for node in workflow.nodes)
    )
    folder = save(changed, extension, nodes, tmp_path / "Lost")
    result = run(folder, overrides={"read.file": ""})
    assert 'variable "passes" that sets "training.epochs" does not exist' in result.error
    assert result.node(2).state == "executed"
    result = run(folder, overrides={"read.file": "", "#3.epochs": 4})
    assert len(result.node(3).outputs[1].data.to_pandas()) == 4


@pytest.mark.parametrize(
    ("parameter", "variable", "words"),
    [
        ("training.minutes", "epochs", None),
        (
            "training.epochs",
            "column",
            "takes a whole number, the flow variable that sets it holds 'I",
        ),
        ("kept", "column", "takes a list, the flow variable that sets it holds 'Image'"),
    ],
)
def test_flow_variables_are_changed_to_other_kinds_as_in_knime(
    workflow, extension, nodes, tmp_path, parameter, variable, words
):
    node = replace(workflow.node(3), variables={parameter: variable})
    folder = save(with_node(workflow, node), extension, nodes, tmp_path / "Driven")
    result = run(folder, overrides={"read.file": "", "#2.epochs": 7})
    if words is None:
        assert "7.0 minutes" in result.node(3).warnings[-1]
    else:
        assert words in result.error


def test_settings_that_lack_a_parameter_tell_a_user_what_to_do(saved):
    (path,) = saved.glob("*(#2)/settings.xml")
    kept = [line for line in path.read_text("utf-8").splitlines() if 'key="epochs"' not in line]
    path.write_text("\n".join(kept), "utf-8")
    with pytest.raises(
        ValueError,
        match=r"^Spot Learner \(#2\): The settings of version 0\.\d\.0 have no value for "
        r"'training\.epochs'; open the workflow in KNIME with this version",
    ):
        run(saved)


def with_node(workflow, node):
    return replace(
        workflow, nodes=tuple(node if old.id == node.id else old for old in workflow.nodes)
    )


def core(kind):
    return WorkflowNode(7, kind, "Row Filter", label="only good ones")


def refusal(workflow, extension, nodes, folder, change="", into=""):
    save(workflow, extension, nodes, folder)
    if change:
        path = folder / "Spot Reader (#1)" / "settings.xml"
        text = path.read_text("utf-8")
        assert change in text
        path.write_text(text.replace(change, into), "utf-8")
    with pytest.raises(ValueError, match=r"#\d") as caught:
        run(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_core_nodes_other_than_the_table_view_are_refused(workflow, extension, nodes, tmp_path):
    kind = CoreNode("org.knime.base.node.preproc.filter.row3.RowFilterNodeFactory")
    message = refusal(
        replace(workflow, nodes=(*workflow.nodes, core(kind))), extension, nodes, tmp_path / "W"
    )
    assert message.startswith("Row Filter (#7: only good ones) is a node of KNIME itself")
    assert "only nodes of org.example.spots and the Table View work" in message


def test_nodes_that_are_not_in_the_extension_are_refused(workflow, extension, nodes, tmp_path):
    message = refusal(
        workflow, extension, nodes, tmp_path / "a", "org.example.spots", "org.example.dots"
    )
    assert 'expected "org.example.spots", found "org.example.dots"' in message
    message = refusal(
        workflow,
        extension,
        nodes,
        tmp_path / "b",
        '"node_id" type="xstring" value="read"',
        '"node_id" type="xstring" value="reed"',
    )
    assert 'no node "reed", expected one of: read, learn, apply, paint' in message


def test_saved_settings_that_do_not_fit_are_refused(workflow, extension, nodes, tmp_path):
    message = refusal(
        workflow,
        extension,
        nodes,
        tmp_path / "W",
        '"n" type="xint" value="4"',
        '"n" type="xint" value="-4"',
    )
    assert message.startswith("Spot Reader (#1: four images): ")


def test_connections_to_ports_that_do_not_exist_are_refused(
    workflow, extension, nodes, tmp_path, saved
):
    path = saved / "workflow.knime"
    text = path.read_text("utf-8")
    path.write_text(
        text.replace('"sourcePort" type="xint" value="2"', '"sourcePort" type="xint" value="3"'),
        "utf-8",
    )
    with pytest.raises(ValueError, match="uses output port 3, but the node has 2 output ports"):
        run(saved)
    path.write_text(
        text.replace('"sourcePort" type="xint" value="2"', '"sourcePort" type="xint" value="0"'),
        "utf-8",
    )
    with pytest.raises(ValueError, match="flow variables can be connected with flow variables"):
        run(saved)


def test_ports_without_a_connection_are_reported(workflow, extension, nodes, tmp_path):
    lines = workflow.connections
    cases = {
        '2, "Models", was added but is not connected': [line for line in lines if line != lines[5]],
        '2, "More images", was added but is not connected': [
            line for line in lines if line != lines[1]
        ],
        "Input 'Images' is not connected": [line for line in lines if line != lines[6]],
        "needs a table at its input, found nothing": [line for line in lines if line != lines[7]],
    }
    for index, (words, kept) in enumerate(cases.items()):
        changed = replace(workflow, connections=tuple(kept))
        folder = save(changed, extension, nodes, tmp_path / f"W{index}")
        assert words in run(folder, overrides={"read.file": ""}).error


def test_a_table_view_needs_a_table(workflow, extension, nodes, tmp_path):
    lines = (*workflow.connections[:7], Connection(2, 1, 5, 1), *workflow.connections[8:])
    folder = save(replace(workflow, connections=lines), extension, nodes, tmp_path / "W")
    assert "needs a table at its input, found a port" in run(folder).error


def test_nodes_without_saved_settings_start_with_their_defaults(
    workflow, extension, nodes, tmp_path
):
    bare = replace(workflow.node(1), settings={}, saved_version=None)
    folder = save(with_node(workflow, bare), extension, nodes, tmp_path / "W")
    assert len(run(folder).node(1).outputs[0].data.to_pandas()) == 3


def test_settings_of_a_newer_version_are_read_with_a_warning(workflow, extension, nodes, tmp_path):
    newer = replace(workflow.node(1), saved_version="0.10.0")
    folder = save(with_node(workflow, newer), extension, nodes, tmp_path / "W")
    result = run(folder, overrides={"read.file": ""})
    assert result.succeeded, result.error
    assert "version 0.10.0 of the extension, newer than 0.2.0" in result.node(1).warnings[0]


def test_states_to_save_come_from_what_nodes_announce(workflow, host):
    assert node_states(workflow, host) == dict.fromkeys(range(1, 7), "CONFIGURED")
    after_late = Workflow(
        "W",
        (
            workflow.node(1),
            replace(workflow.node(6), id=2),
            replace(workflow.node(6), id=3),
        ),
        (Connection(1, 1, 2, 1), Connection(2, 0, 3, 0)),
    )
    assert node_states(after_late, host)[3] == "IDLE"


def test_foreign_extension_nodes_keep_their_ids(workflow):
    kinds = [node.kind for node in workflow.nodes if isinstance(node.kind, ExtensionNode)]
    assert {kind.extension_id for kind in kinds} == {"org.example.spots"}


def test_the_workflow_is_read_back_with_ports_labels_and_notes(workflow, saved):
    assert read_workflow(saved) == workflow


@pytest.mark.skipif(
    not (TOOLS / "validate_workflow.py").is_file(),
    reason="no validate_workflow.py: set MICROSHOT_TOOLS to the folder that holds it",
)
def test_knimes_loading_rules_accept_the_workflow(saved, extension, nodes, tmp_path):
    declared = tmp_path / "nodes.json"
    declared.write_text(json.dumps(nodes_json(extension, nodes)))
    packed = pack_workflow(saved, tmp_path / "Spots.knwf")
    options = ["--profile", "ship", "--min-knime", "5.5.0", "--nodes", declared]
    done = subprocess.run(
        [sys.executable, TOOLS / "validate_workflow.py", *options, saved, packed],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "WARN" not in done.stdout


def test_settings_of_every_kind_survive_from_node_to_file_to_node(tmp_path):
    host = standin.Host(Path(__file__).parent / "toy_extension")
    extension = Extension("org.example", "toy", str(host.version), "Toy", "Example")
    declared = declare_nodes(host)
    fresh = [
        new_node(extension, declaration, number)
        for number, declaration in enumerate(declared.values(), 1)
    ]
    folder = save(Workflow("All", tuple(fresh)), extension, declared, tmp_path / "All")
    for node in read_workflow(folder).nodes:
        again = host.node(node.kind.node_id)
        again.load_settings(dict(node.settings), node.saved_version)
        assert again.settings == host.node(node.kind.node_id).settings == node.settings


def test_an_extension_without_a_vendor_is_refused(tmp_path):
    text = (ROOT / "knime.yml").read_text()
    (tmp_path / "knime.yml").write_text(text.replace("vendor:", "seller:"))
    with pytest.raises(ValueError, match='the entry "vendor" is missing'):
        read_extension(tmp_path)


def test_the_texts_of_an_extension_are_read_as_its_name_is(tmp_path):
    text = (ROOT / "knime.yml").read_text()
    file = tmp_path / "knime.yml"
    named = re.sub("(?m)^description:.*$", 'description: "Cells # 2"  # shown', text)
    file.write_text(re.sub("(?m)^vendor:.*$", "vendor: Lab # ours", named))
    extension = read_extension(tmp_path)
    assert (extension.title, extension.vendor) == ("Cells # 2", "Lab")
    file.write_text(re.sub("(?m)^description:.*$", "description: >-\n  Cells", text))
    with pytest.raises(ValueError, match="description must be a text on one line"):
        read_extension(tmp_path)
