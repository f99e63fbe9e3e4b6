"""`microshot predict --time`: growth curves beside the counts."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import tifffile

from microshot.cli import main
from tiny_images import discs
from tiny_models import model


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for i in range(4):
        tifffile.imwrite(tmp_path / "images" / f"t{i}.tif", discs(n=2 * i + 1, seed=i)[0])
    model().save(tmp_path / "m.microshot")
    (tmp_path / "times.csv").write_text(
        "file,time\n" + "".join(f"t{i}.tif,{6 * i}\n" for i in range(4))
    )
    return tmp_path


def call(folder, times="times.csv", *more):
    return main(
        ["predict", "--model", str(folder / "m.microshot"), "--images", str(folder / "images"),
         "--out", str(folder / "out"), "--time", str(folder / times), "--set", "device=cpu", *more]
    )  # fmt: skip


def test_curve_and_doubling_time_are_written_beside_the_counts(folder, capsys):
    assert call(folder, "times.csv", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    (row,) = csv.DictReader((folder / "out" / "growth.csv").read_text("utf-8").splitlines())
    assert row["group"] == "all"
    assert row["images"] == row["times"] == "4"
    assert np.isclose(float(row["start"]), said["growth"][0]["start"])
    assert (folder / "out" / "growth.svg").read_text("utf-8").startswith("<svg")
    assert call(folder) == 1


@pytest.mark.parametrize(
    "text",
    ["file;time;group\nT0.TIF;0,5;Ä\nt1.tif;6;Ä\nt2.tif;12,0;Ä\nmore.tif;18;Ä\n",
     'File,Time,Group\nt0.tif,"0,5",Ä\nt1.tif,6,Ä\nt2.tif,12,Ä\nmore.tif,18,Ä\n'],
)  # fmt: skip
def test_a_table_of_times_from_a_spreadsheet_is_read_and_what_does_not_fit_told(
    folder, capsys, text
):
    (folder / "excel.csv").write_bytes(text.encode("cp1252"))
    assert call(folder, "excel.csv") == 0
    said = capsys.readouterr().err
    assert "3 of 4 images have a time." in said
    assert "1 time without image: more.tif." in said
    (row,) = csv.DictReader((folder / "out" / "growth.csv").read_text("utf-8").splitlines())
    assert (row["group"], row["images"]) == ("Ä", "3")


@pytest.mark.parametrize(
    ("text", "why"),
    [("name,time\nt0.tif,1\n", 'nothing in a column "file"'), ("file,time\nt0.tif,noon\n", "line 2.*noon"),
     ("file,time\nother.tif,1\n", "no image has the name"),
     ("file,time\nt0.tif,1\nt1.tif,2\nT0.png,3\n",
      'line 4: "t0" has the time 3 here and the time 1 in line 2; keep one')],
)  # fmt: skip
def test_a_table_that_does_not_fit_is_refused_before_the_work(folder, capsys, text, why):
    import re

    (folder / "bad.csv").write_text(text)
    assert call(folder, "bad.csv") == 1
    assert re.search(why, capsys.readouterr().err)
    assert not (folder / "out").exists()
