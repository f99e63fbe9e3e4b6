"""Files of microscopes on the command line: each image in them is one, also where it is large."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import tifffile

from microscope_writers import write_czi, write_lif
from microshot.cli import main
from microshot.data.microscope_files import KINDS
from microshot.data.microscope_planes import Planes
from tiny_images import discs
from tiny_models import model

for kind in KINDS.values():
    pytest.importorskip(kind.package, reason=f"{kind.package} is not installed")

SETS = ("--device", "cpu", "--set", "tile_px=256")


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a LIF file of three images; the same ones lie in another as TIFF."""
    for name in ("images", "same", "labels"):
        (tmp_path / name).mkdir()
    made = {}
    for i in (1, 2, 3):
        pixels, labels = discs(side=64, n=i + 1, seed=i)
        made[f"field {i}"] = pixels[None, None, None]
        tifffile.imwrite(tmp_path / "same" / f"exp 1 {i}.tif", pixels)
        tifffile.imwrite(tmp_path / "labels" / f"exp 1 {i}_mask.tif", labels.astype(np.uint16))
    write_lif(tmp_path / "images" / "exp 1.lif", made)
    model().save(tmp_path / "m.microshot")
    return tmp_path


def predict(folder, images, out, *more):
    given = ["--model", str(folder / "m.microshot"), "--images", str(folder / images)]
    return main(["predict", *given, "--out", str(folder / out), *SETS, *more])


def counts(folder):
    with (folder / "counts.csv").open(encoding="utf-8") as file:
        return {row["file"]: row["count"] for row in csv.DictReader(file)}


def test_all_images_of_a_file_are_predicted_under_names_of_their_own(folder, capsys):
    assert predict(folder, "same", "wanted") == 0
    wanted = list(counts(folder / "wanted").values())
    for place in ("images", "images/exp 1.lif"):
        assert predict(folder, place, "found", "--overwrite") == 0
        names = [f"exp 1.lif#{i}" for i in (1, 2, 3)]
        assert counts(folder / "found") == dict(zip(names, wanted, strict=True))
        for i in (1, 2, 3):
            labels = [tifffile.imread(folder / p / f"exp 1 {i}.tif") for p in ("wanted", "found")]
            assert np.array_equal(*labels)
    assert predict(folder, "images/exp 1.lif#2", "one") == 0
    assert counts(folder / "one") == {"exp 1.lif#2": wanted[1]}
    score = ["score", "--truth", str(folder / "labels"), "--prediction", str(folder / "found")]
    capsys.readouterr()
    assert main([*score, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["images"]) == 3
    (folder / "images" / "b.nd2").write_bytes(b"\xda\xce\xbe\x0acut off")
    assert predict(folder, "images", "more") == 1
    assert 'b.nd2": the Nikon ND2 file is damaged' in capsys.readouterr().err
    assert predict(folder, "images", "skipped", "--skip-unreadable") == 0
    assert list(counts(folder / "skipped")) == names


def test_a_number_that_there_is_not_and_results_in_the_folder_are_refused(folder, capsys):
    assert predict(folder, "images/exp 1.lif#4", "out") == 1
    assert "expected an image of a number up to 3, found 4" in capsys.readouterr().err
    assert predict(folder, "images/exp 1.lif#1", "images") == 2
    assert "is the folder of the images" in capsys.readouterr().err


@pytest.mark.parametrize("images", ["images", "images/exp 1.lif"])
def test_labels_called_by_file_and_number_are_learned_from(folder, images, capsys):
    given = ["--images", str(folder / images), "--labels", str(folder / "labels")]
    tiny = ["network.width=4", "network.depth=1", "patch_px=32", "steps_per_epoch=2", "epochs=1"]
    sets = [part for one in tiny for part in ("--set", one)]
    out = ["--out", str(folder / "new.microshot")]
    assert main(["train", "--task", "segment", *given, *sets, "--device", "cpu", *out]) == 0
    said = capsys.readouterr().err
    assert "exp 1.lif#3 ↔ labels/exp 1 3_mask.tif" in said
    assert "3 images read." in said


def test_a_large_slide_is_worked_through_block_by_block(folder, monkeypatch):
    pixels = discs(side=200, n=9, seed=1)[0]
    write_czi(folder / "slide.czi", [pixels[None, None, None]] * 2, tile=64)
    tifffile.imwrite(folder / "slide.tif", pixels)
    assert predict(folder, "slide.tif", "wanted") == 0
    read, most = Planes.stored, []

    def stored(self, rows, columns, channel=None):
        most.append((rows.stop - rows.start) * (columns.stop - columns.start))
        return read(self, rows, columns, channel)

    monkeypatch.setattr(Planes, "stored", stored)
    assert predict(folder, "slide.czi#2", "whole") == 0
    assert 200 * 200 in most
    most.clear()
    assert predict(folder, "slide.czi#2", "parts", "--set", "large_mpx=0.01") == 0
    assert len(most) > 10
    one = tifffile.imread(folder / "wanted" / "slide.tif")
    for out in ("whole", "parts"):
        assert np.array_equal(tifffile.imread(folder / out / "slide 2.tif") > 0, one > 0)
    assert list(counts(folder / "parts")) == ["slide.czi#2"]
