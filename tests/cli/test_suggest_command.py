"""`microshot suggest`: a table of images in order."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import tifffile

from microshot.cli import main
from tiny_images import discs, page_text
from tiny_models import model


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "Bilder").mkdir()
    for i in range(3):
        tifffile.imwrite(tmp_path / "Bilder" / f"ä {i}.tif", discs(n=2, seed=i)[0])
    model().save(tmp_path / "m.microshot")
    return tmp_path


def call(folder, *more):
    return main(
        ["suggest", "--model", str(folder / "m.microshot"), "--images", str(folder / "Bilder"),
         "--device", "cpu", "--out", str(folder / "order.csv"), *more]
    )  # fmt: skip


def test_all_images_are_listed_in_order_with_their_reasons(folder, capsys):
    assert call(folder, "--json", "--report", str(folder / "r.html")) == 0
    rows = list(csv.DictReader((folder / "order.csv").read_text("utf-8").splitlines()))
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    assert {row["file"] for row in rows} == {"ä 0.tif", "ä 1.tif", "ä 2.tif"}
    said = json.loads(capsys.readouterr().out)
    assert [row["file"] for row in said["images"]] == [row["file"] for row in rows]
    (used,) = said["provenance"]["models"]
    assert {row["model"] for row in rows} == {f"{used['name']} ({used['id']})"}
    assert {row["device"] for row in rows} == {said["provenance"]["device"]}
    assert np.isclose(said["images"][0]["benefit"], 1)
    assert "Label these first" in page_text((folder / "r.html").read_text("utf-8"))


def test_only_as_many_as_wanted(folder):
    assert call(folder, "--n", "2", "--set", "criterion=unsure") == 0
    assert len((folder / "order.csv").read_text("utf-8").splitlines()) == 3


def test_a_table_that_is_there_is_not_replaced_unless_told(folder, capsys):
    (folder / "order.csv").write_text("mine")
    assert call(folder) == 1
    assert "exists already" in capsys.readouterr().err
    assert (folder / "order.csv").read_text() == "mine"
    assert call(folder, "--overwrite") == 0
    (folder / "order.csv").unlink()
    (folder / "r.html").write_text("mine")
    assert call(folder, "--report", str(folder / "r.html")) == 1
    assert 'r.html" exists already' in capsys.readouterr().err
    assert (folder / "r.html").read_text() == "mine"
    assert not (folder / "order.csv").exists()


def test_images_that_cannot_be_looked_at_are_left_out_and_named(folder, capsys):
    images = folder / "Bilder"
    (images / "ä 0.tif").write_text("no image")
    two_channels = np.stack([discs(n=2)[0], np.full((48, 48), 3, np.uint8)])
    tifffile.imwrite(images / "ä 1.tif", two_channels, photometric="minisblack")
    assert call(folder, "--json", "--report", str(folder / "r.html")) == 0
    rows = list(csv.DictReader((folder / "order.csv").read_text("utf-8").splitlines()))
    assert [row["file"] for row in rows] == ["ä 2.tif"]
    told = capsys.readouterr()
    said = json.loads(told.out)
    notes = said["notes"]
    assert [row["index"] for row in said["images"]] == [2]
    assert [note.startswith("Left out: ") for note in notes] == [True, True]
    assert ["ä 0.tif" in notes[0], "ä 1" in notes[1]] == [True, True]
    page = page_text((folder / "r.html").read_text("utf-8"))
    for note in notes:
        assert note in told.err
        assert note in page


def test_without_any_image_to_look_at_nothing_is_written(folder, capsys):
    for file in (folder / "Bilder").iterdir():
        file.write_text("no image")
    assert call(folder) == 1
    assert 'ä 0.tif": expected a TIFF, PNG, JPEG or BMP image' in capsys.readouterr().err
    assert not (folder / "order.csv").exists()
