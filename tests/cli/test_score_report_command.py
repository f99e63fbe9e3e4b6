"""`microshot score --report`: a page of the images that were predicted worst."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import tifffile

from microshot.cli import main
from tiny_images import discs, page_text

FOUND = {"a": (4, 5, 3, 6), "b": (0, 0, 0, 1), "ç": (10, 17, "", "")}


@pytest.fixture
def folder(tmp_path):
    """Images, true and predicted counts, and label images of which the second lacks its objects."""
    for name in ("images", "true", "found"):
        (tmp_path / name).mkdir()
    for seed, name in enumerate(FOUND):
        pixels, labels = discs(side=48, n=2, seed=seed)
        tifffile.imwrite(tmp_path / "images" / f"{name}.tif", pixels)
        tifffile.imwrite(tmp_path / "true" / f"{name}_mask.tif", labels.astype(np.uint16))
        found = labels * (name != "b")
        tifffile.imwrite(tmp_path / "found" / f"{name}.tif", found.astype(np.uint16))
    true = "\n".join(f"{name},{row[0]}" for name, row in FOUND.items())
    found = "\n".join(f"{n},{p},{p},{low},{high}" for n, (_, p, low, high) in FOUND.items())
    (tmp_path / "true.csv").write_text(f"file,count\n{true}\n", "utf-8")
    (tmp_path / "counts.csv").write_text(f"file,count,count_raw,low,high\n{found}\n", "utf-8")
    return tmp_path


def score(folder, truth, prediction, *more):
    where = ["--truth", str(folder / truth), "--prediction", str(folder / prediction)]
    return main(["score", *where, "--report", str(folder / "r.html"), *map(str, more)])


def shown(folder):
    return re.findall(r'<span class="name">(.*?)</span>', (folder / "r.html").read_text("utf-8"))


def test_images_counted_worst_come_first_with_their_counts(folder, capsys):
    assert score(folder, "true.csv", "counts.csv", "--json", "--images", folder / "images") == 0
    assert json.loads(capsys.readouterr().out)["report"] == str(folder / "r.html")
    assert shown(folder) == ["ç", "a", "b"]
    text = page_text((folder / "r.html").read_text("utf-8"))
    assert "counted 5 (3 to 6), true 4" in text
    assert "predicted objects" in text


def test_without_images_a_report_of_counts_has_its_charts(folder):
    assert score(folder, "true.csv", "counts.csv") == 0
    assert shown(folder) == []
    assert "predicted objects" in page_text((folder / "r.html").read_text("utf-8"))


def test_images_that_are_not_there_are_told(folder, capsys):
    (folder / "images" / "a.tif").unlink()
    assert score(folder, "true.csv", "counts.csv", "--images", folder / "images") == 0
    assert shown(folder) == ["ç", "b"]
    assert re.search('Not shown, because ".*images" has no such image: a.', capsys.readouterr().err)


@pytest.mark.parametrize("images", [True, False])
def test_label_images_are_shown_worst_first(folder, images):
    more = ["--images", folder / "images"] if images else []
    assert score(folder, "true", "found", *more) == 0
    assert shown(folder)[0] == ("b_mask.tif" if images else "b_mask.tif (no image: true objects)")
    assert len(shown(folder)) == 3
    assert "0 found, 0 false, 2 missed" in page_text((folder / "r.html").read_text("utf-8"))


def test_label_images_are_shown_on_the_images_of_a_data_set(folder, capsys):
    assert score(folder, "true", "found", "--images", folder) == 0
    assert all("no image" not in name for name in shown(folder))
    assert "Not shown" not in capsys.readouterr().err


def test_label_images_without_an_image_are_told(folder, capsys):
    (folder / "images" / "a.tif").unlink()
    assert score(folder, "true", "found", "--images", folder / "images") == 0
    assert "a_mask.tif (no image: true objects)" in shown(folder)
    assert re.search("Not shown, because .* has no such image: a", capsys.readouterr().err)


def test_predicted_counts_saved_by_a_spreadsheet_keep_their_intervals(folder, capsys):
    def scored(table):
        assert main(["score", "--truth", str(folder / "true.csv"), "--json",
                     "--prediction", str(folder / table)]) == 0  # fmt: skip
        return json.loads(capsys.readouterr().out)["summary"]

    text = (folder / "counts.csv").read_text("utf-8").replace("5,5,3,6", "5,5.4,3,6")
    (folder / "counts.csv").write_text(text, "utf-8")
    german = text.replace(",", ";").replace("5.4", "5,4")
    (folder / "german.csv").write_bytes(german.encode("cp1252"))
    assert scored("german.csv") == scored("counts.csv")


def test_a_report_that_is_there_is_not_replaced_unless_told(folder, capsys):
    (folder / "r.html").write_text("mine")
    assert score(folder, "true.csv", "counts.csv") == 1
    assert "exists already" in capsys.readouterr().err
    assert (folder / "r.html").read_text() == "mine"
    assert score(folder, "true.csv", "counts.csv", "--overwrite") == 0


def test_what_cannot_be_reported_is_refused_first(folder, capsys):
    assert score(folder, "true", "found", "--stains") == 2
    assert "--report is for label images and counts" in capsys.readouterr().err
    assert score(folder, "true.csv", "counts.csv", "--images", folder / "no") == 1
    assert "is no folder" in capsys.readouterr().err
    assert not (folder / "r.html").exists()
