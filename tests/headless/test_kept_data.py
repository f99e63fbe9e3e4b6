"""What nodes write into the data area of a packed workflow outlives the run."""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path

import pytest
import tifffile

from microshot.cli.main import main
from microshot.data.addresses import ADDRESS
from microshot.headless import standin
from microshot.headless.declaration import declare_nodes, new_node, read_extension
from microshot.headless.kept_data import PassingArea
from microshot.headless.knwf import pack_workflow
from microshot.headless.workflow import Connection, Workflow
from microshot.headless.workflow_writer import write_workflow
from tiny_images import discs

ROOT = Path(__file__).parents[2]


@pytest.fixture
def packed(tmp_path):
    """A packed workflow that writes a starter model into its data area."""
    if not standin.install():
        pytest.skip("KNIME's own API is installed, so the stand-in is not used")
    extension, declared = read_extension(ROOT), declare_nodes(standin.Host(ROOT))
    starter = {"source": "NUCLEI_FLUORESCENCE"}
    nodes = (
        new_node(extension, declared["read_model"], 1, settings=starter),
        new_node(extension, declared["write_model"], 2, settings={"path": "made/mine"}),
    )
    workflow = Workflow("two", nodes, (Connection(1, 1, 2, 1),))
    folder = write_workflow(
        workflow, tmp_path / "two", extension=extension, node_declarations=declared
    )
    (folder / "data").mkdir()
    (folder / "data" / "images.txt").write_text("was there")
    return pack_workflow(folder, tmp_path / "Zwei ä.knwf")


def files(folder):
    return [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.is_file()]


def test_files_lie_beside_the_results_and_nothing_is_replaced(packed, tmp_path, capsys):
    out = tmp_path / "out"
    for number in ("", " 2"):
        assert main(["run", str(packed), "--out", str(out)]) == 0
        kept = out / f"data{number}"
        assert f"data area: {kept}." in capsys.readouterr().err
        assert files(kept) == ["made/mine.html", "made/mine.microshot"]


def test_without_a_folder_for_results_they_lie_in_the_current_one(
    packed, tmp_path, monkeypatch, capsys
):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert main(["run", str(packed)]) == 0
    assert files(here) == [f"Zwei ä data/made/mine.{ending}" for ending in ("html", "microshot")]
    assert "data area: Zwei ä data." in capsys.readouterr().err


def test_only_new_and_changed_files_are_kept(tmp_path):
    area = tmp_path / "data"
    assert PassingArea.at(area, tmp_path / "kept").keep() is None
    area.mkdir()
    for name in ("same", "changed"):
        (area / name).write_text("old")
    passing = PassingArea.at(area, tmp_path / "kept")
    assert passing.keep() is None
    (area / "changed").write_text("longer")
    (area / "sub").mkdir()
    (area / "sub" / "new").write_text("")
    place = passing.keep()
    assert place == tmp_path / "kept"
    assert files(place) == ["changed", "sub/new"]
    assert passing.told(str(area / "sub" / "new")) == str(place / "sub" / "new")
    assert passing.told(str(area / "same")) == f"{ADDRESS}/same"
    for text in (f"{area} 2/new", "same", ""):
        assert passing.told(text) == text


def test_a_place_where_nothing_can_be_kept_is_refused_before_the_run(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="found a file on the way"):
        PassingArea.at(tmp_path, tmp_path / "file" / "data")
    assert PassingArea.at(tmp_path, tmp_path / "new" / "data").place == tmp_path / "new" / "data"
    assert not (tmp_path / "new" / "data").exists()


def of_images(tmp_path, **more):
    """Return a packed workflow that reads an image of its data area, and what else is asked for."""
    extension, declared = read_extension(ROOT), declare_nodes(standin.Host(ROOT))
    settings = {"read_images": {"folder": "images", "form": "PATH"}, **more}
    nodes = [
        new_node(extension, declared[name], number, settings=own)
        for number, (name, own) in enumerate(settings.items(), 1)
    ]
    lines = (Connection(1, 1, 3, 2), Connection(2, 1, 3, 1)) if more else ()
    folder = write_workflow(
        Workflow("read", tuple(nodes), lines),
        tmp_path / "read",
        extension=extension,
        node_declarations=declared,
    )
    (folder / "data" / "images").mkdir(parents=True)
    tifffile.imwrite(folder / "data" / "images" / "a.tif", discs()[0])
    return pack_workflow(folder, tmp_path / "read.knwf")


def test_where_temporary_files_lie_behind_a_link_tables_tell_no_deleted_paths(
    tmp_path, monkeypatch
):
    packed, out = of_images(tmp_path), tmp_path / "out"
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real", target_is_directory=True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "link"))
    assert main(["run", str(packed), "--out", str(out)]) == 0
    (table,) = out.glob("*/port_1_Images.csv")
    (row,) = csv.DictReader(table.read_text("utf-8").splitlines())
    assert row["Image"] == f"{ADDRESS}/images/a.tif"


def test_what_failed_is_told_of_the_workflow_not_of_a_deleted_folder(tmp_path, capsys):
    packed, out = of_images(tmp_path), tmp_path / "out"
    assert main(["run", str(packed), "--out", str(out), "--set", "#1.folder=none"]) == 1
    told = f'"{ADDRESS}/none": expected a folder of images'
    assert told in capsys.readouterr().err
    assert told in json.loads((out / "results.json").read_text("utf-8"))["nodes"][0]["error"]


def test_paths_in_tables_are_those_that_are_there_after_the_run(tmp_path):
    packed = of_images(
        tmp_path,
        read_model={"source": "NUCLEI_FLUORESCENCE"},
        predict={"image_column": "Image", "label_form": "TIFF", "device": "CPU"},
    )
    out = tmp_path / "out"
    for _ in range(2):
        assert main(["run", str(packed), "--out", str(out)]) == 0
        (table,) = out.glob("*/port_1_Predictions.csv")
        (row,) = csv.DictReader(table.read_text("utf-8").splitlines())
        assert row["Image"] == f"{ADDRESS}/images/a.tif"
        assert tifffile.imread(row["Labels"]).shape == discs()[0].shape
    assert row["Labels"].startswith(str(out / "data 2"))
