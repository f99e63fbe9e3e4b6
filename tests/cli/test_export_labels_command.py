"""`microshot export-labels`: labels of any kind into files for other programs, and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from microshot.cli import main
from microshot.data.write import write_labels

if TYPE_CHECKING:
    from pathlib import Path

LABELS = np.zeros((16, 20), np.int32)
LABELS[2:6, 3:9] = 1
LABELS[4, 5] = 0
LABELS[8:12, 3:9] = 2


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    folder = tmp_path / "labels"
    folder.mkdir()
    for name in "ab":
        write_labels(folder / f"{name}.tif", LABELS, pixel_size_um=0.5)
    return folder


@pytest.mark.parametrize("kind", ["roi", "geojson"])
def test_outlines_and_back_are_the_same_labels(labels, tmp_path, capsys, kind):
    out, again = tmp_path / kind, tmp_path / "again"
    assert main(["export-labels", "--labels", str(labels), "--to", kind, "--out", str(out)]) == 0
    assert "a.tif: one number per object, 2 objects" in capsys.readouterr().err
    back = ["--labels", str(out), "--images", str(labels), "--to", "tiff", "--out", str(again)]
    assert main(["export-labels", *back, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [file["objects"] for file in said["files"]] == [2, 2]
    assert np.array_equal(tifffile.imread(again / "b.tif"), LABELS)


@pytest.mark.parametrize("kind", ["tiff", "csv"])
def test_objects_keep_their_numbers_where_some_are_left_out(tmp_path, kind):
    write_labels(tmp_path / "a.tif", LABELS * 7)
    call = ["export-labels", "--labels", str(tmp_path / "a.tif"), "--to", kind]
    assert main([*call, "--out", str(tmp_path / "out")]) == 0
    if kind == "tiff":
        assert np.array_equal(tifffile.imread(tmp_path / "out" / "a.tif"), LABELS * 7)
    else:
        lines = (tmp_path / "out" / "a.csv").read_text().splitlines()
        assert [line.split(",")[1] for line in lines] == ["id", "7", "14"]


def test_exported_files_keep_the_names_that_find_their_images(tmp_path, capsys):
    folder, names = tmp_path / "labels", ["A+B, t=1", "#3 [x]", "50% & more", "größe µm"]
    folder.mkdir()
    for name in names:
        write_labels(folder / f"{name}.tif", LABELS)
    call = ["export-labels", "--labels", str(folder), "--to", "roi"]
    assert main([*call, "--out", str(tmp_path / "out")]) == 0
    back = ["--labels", str(tmp_path / "out"), "--images", str(folder), "--to", "tiff"]
    assert main(["export-labels", *back, "--out", str(tmp_path / "back")]) == 0
    assert "4 images matched with a label by name." in capsys.readouterr().err


def test_labels_and_images_that_stay_alone_are_named(labels, tmp_path, capsys):
    images = tmp_path / "images"
    images.mkdir()
    for name in "bc":
        write_labels(images / f"{name}.tif", LABELS)
    call = ["export-labels", "--labels", str(labels), "--images", str(images), "--to", "roi"]
    assert main([*call, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().err
    assert "1 label without image: a.tif." in said
    assert "1 image without label: c.tif." in said
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.zip"]


def test_files_that_are_there_stay(labels, tmp_path, capsys):
    (tmp_path / "b.csv").write_text("mine")
    call = ["export-labels", "--labels", str(labels), "--to", "csv", "--out", str(tmp_path)]
    assert main(call) == 1
    assert "exists already" in capsys.readouterr().err
    assert not (tmp_path / "a.csv").exists()
    assert main([*call, "--overwrite"]) == 0
    assert (tmp_path / "b.csv").read_text().count("\n") == 3


def test_the_folder_of_the_labels_is_no_place_for_results(labels, capsys):
    call = ["export-labels", "--labels", str(labels), "--to", "tiff", "--out", str(labels)]
    assert main([*call, "--overwrite"]) == 2
    assert "give another folder" in capsys.readouterr().err


def test_outlines_without_images_say_what_to_do(labels, tmp_path, capsys):
    out = tmp_path / "rois"
    main(["export-labels", "--labels", str(labels), "--to", "roi", "--out", str(out)])
    call = ["export-labels", "--labels", str(out), "--to", "csv", "--out", str(tmp_path / "t")]
    assert main(call) == 1
    assert "give the image too" in capsys.readouterr().err
