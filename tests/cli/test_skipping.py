"""Images that cannot be used are passed by where the user asks for it, here and on a cluster."""

from __future__ import annotations

import csv
import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from microshot.cli import applying, main, skipping
from tasks_of_all_kinds import one_of_each
from tiny_images import discs
from tiny_models import model

if TYPE_CHECKING:
    from pathlib import Path

GOOD, BAD = ["a.tif", "c.tif", "e.tif"], ["b.tif", "d.tif"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images, one that is damaged, one of other channels, and a model."""
    images = tmp_path / "images"
    images.mkdir()
    for i, name in enumerate(GOOD):
        tifffile.imwrite(images / name, discs(side=150, n=4 + i, seed=i)[0], tile=(32, 32))
    whole = (images / "a.tif").read_bytes()
    (images / "b.tif").write_bytes(whole[: len(whole) // 2])
    tifffile.imwrite(images / "d.tif", np.zeros((2, 40, 40), np.uint16), metadata={"axes": "CYX"})
    model().save(tmp_path / "m.microshot")
    return tmp_path


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


def predicted(folder: Path, *more: object) -> int:
    return main(
        ["predict", "--model", str(folder / "m.microshot"), "--images", str(folder / "images"),
         "--out", str(folder / "out"), "--device", "cpu", "--json", *map(str, more)]
    )  # fmt: skip


@pytest.mark.parametrize(
    "more", [[], ["--scheduler", "local"], ["--set", "large_mpx=0.01", "--set", "tile_px=256"]]
)
def test_predict_passes_by_what_it_cannot_use_and_names_it(folder, capsys, more) -> None:
    assert predicted(folder, *more) == 1
    assert "b.tif" in capsys.readouterr().err
    assert not (folder / "out").exists()
    (folder / "t.csv").write_text("file,time\na,0\nb,1\nc,2\nd,3\ne,4\n", "utf-8")
    assert predicted(folder, "--skip-unreadable", "--time", folder / "t.csv", *more) == 0
    told = capsys.readouterr()
    assert "Warning: 2 of 5 images were skipped, the first: " in told.err
    result = json.loads(told.out)
    assert list(result["skipped"]) == BAD
    assert "expected 1 channel" in result["skipped"]["d.tif"]
    assert any("2 of 5 images were skipped" in note for note in result["notes"])
    counts = table(folder / "out" / "counts.csv")
    assert [row["file"] for row in counts] == GOOD
    assert {row["file"] for row in table(folder / "out" / "objects.csv")} == set(GOOD)
    assert result["growth"]
    assert {p.name for p in (folder / "out").iterdir()} == {
        *GOOD, "counts.csv", "objects.csv", "growth.csv", "growth.svg",
    }  # fmt: skip


def test_what_a_killed_run_has_left_of_an_image_stays_though_it_is_passed_by(
    folder, capsys
) -> None:
    left = folder / "out" / ".b.tif.unfinished"
    left.mkdir(parents=True)
    large = ("--set", "large_mpx=0.01", "--set", "tile_px=256")
    assert predicted(folder, "--skip-unreadable", *large) == 0
    assert left.exists()


def test_translate_passes_by_what_it_cannot_use_and_names_it(folder, capsys) -> None:
    stains, (sample, *_) = one_of_each("translate")
    stains.save(folder / "s.microshot")
    shutil.rmtree(folder / "images")
    (folder / "images").mkdir()
    tifffile.imwrite(folder / "images" / "a.tif", sample.image.pixels)
    (folder / "images" / "b.tif").write_bytes(b"II*")
    for name in GOOD[1:]:
        tifffile.imwrite(folder / "images" / name, sample.image.pixels)
    tifffile.imwrite(folder / "images" / "d.tif", np.zeros((5, 40, 40), np.uint16))
    words = [
        "translate",
        "--model",
        str(folder / "s.microshot"),
        "--images",
        str(folder / "images"),
    ]
    words += ["--device", "cpu", "--json", "--skip-unreadable", "--out"]
    for name, more in (("here", []), ("there", ["--scheduler", "local"])):
        assert main([*words, str(folder / name), *more]) == 0
        told = capsys.readouterr()
        assert "2 of 5 images were skipped, the first: " in told.err
        result = json.loads(told.out)
        assert list(result["skipped"]) == BAD
        assert [row["file"] for row in result["images"]] == GOOD
        assert {row["image"] for row in table(folder / name / "stains.csv")} == set(GOOD)
        files = {row["file"] for row in table(folder / name / "stains.csv")}
        assert {p.name for p in (folder / name).iterdir()} >= {*files, "stains.csv"}
    for name in GOOD:
        (folder / "images" / name).unlink()
    assert main([*words, str(folder / "none")]) == 1
    assert "None of 2 images can be used, the first: " in capsys.readouterr().err
    assert list((folder / "none").glob("*")) == []


def test_of_images_that_cannot_be_used_none_is_called_a_result(folder, capsys) -> None:
    for name in GOOD:
        (folder / "images" / name).unlink()
    assert predicted(folder, "--skip-unreadable") == 1
    assert "None of 2 images can be used, the first: " in capsys.readouterr().err
    assert not list((folder / "out").glob("*"))
    (folder / "images" / "d.tif").unlink()
    assert predicted(folder, "--skip-unreadable") == 1
    assert "None of" not in capsys.readouterr().err


def test_what_is_not_asked_for_is_not_passed_by() -> None:
    error = OSError("it is damaged.")
    assert skipping.reason(error, skip=True) == "it is damaged."
    with pytest.raises(OSError, match="it is damaged"):
        skipping.reason(error, skip=False)
    assert skipping.notes({}, 3) == []
    assert skipping.notes({"a": "x."}, 3) == ["1 of 3 images was skipped, the first: x."]


def test_work_that_ends_early_tells_what_it_has_passed_by(folder, capsys, monkeypatch) -> None:
    whole = applying.one_image

    def one_image(work, predictor, item, *rest):
        if item[1] == "e":
            raise MemoryError("There is not enough memory.")
        return whole(work, predictor, item, *rest)

    monkeypatch.setattr(applying, "one_image", one_image)
    assert predicted(folder, "--skip-unreadable") == 1
    assert "what was found in 2 of 5 images, 2 skipped, up to the one that follows" in (
        capsys.readouterr().err
    )
