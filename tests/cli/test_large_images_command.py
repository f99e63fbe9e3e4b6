"""`microshot predict` on images that are read in parts, and on the workers of a cluster."""

from __future__ import annotations

import csv
import json
import os
import pickle
import signal
import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pytest
import tifffile

from microshot import cluster
from microshot.cli import applying, large_images, main
from microshot.cli.console import Console
from microshot.data import windows
from microshot.data.windows import opened, pixels_of
from microshot.data.zarr_images import write_zarr_labels
from tiny_images import discs
from tiny_models import any_size, model

SMALL_TILES = ("--set", "tile_px=256", "--device", "cpu")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for i, side in enumerate((48, 160)):
        pixels = discs(side=side, n=4, seed=i)[0]
        tifffile.imwrite(tmp_path / "images" / f"ä {i}.tif", pixels, tile=(32, 32))
    model().save(tmp_path / "m.microshot")
    return tmp_path


def predict(folder, out, *more):
    return main(
        ["predict", "--model", str(folder / "m.microshot"), "--images", str(folder / "images"),
         "--out", str(folder / out), *SMALL_TILES, *more]
    )  # fmt: skip


def table(path):
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


def test_large_files_are_read_in_parts_by_themselves_and_give_the_same(folder, capsys):
    assert predict(folder, "whole") == 0
    assert predict(folder, "parts", "--set", "large_mpx=0.01") == 0
    for name in ("counts.csv", "objects.csv"):
        one, other = table(folder / "whole" / name), table(folder / "parts" / name)
        assert len(one) == len(other)
        assert [r["file"] for r in one] == [r["file"] for r in other]
        filled = [
            [{key for key, cell in row.items() if cell} for row in rows] for rows in (one, other)
        ]
        assert filled[0] == filled[1], name
    one, other = (tifffile.imread(folder / out / "ä 1.tif") for out in ("whole", "parts"))
    assert np.array_equal(one > 0, other > 0)
    with tifffile.TiffFile(folder / "parts" / "ä 1.tif") as tif:
        assert tif.pages.first.is_tiled
    with tifffile.TiffFile(folder / "parts" / "ä 0.tif") as tif:
        assert not tif.pages.first.is_tiled
    assert not [p for p in (folder / "parts").iterdir() if p.name.startswith(".")]
    capsys.readouterr()
    assert predict(folder, "parts", "--set", "large_mpx=0.01") == 1
    assert "exists already" in capsys.readouterr().err


def test_a_large_image_of_one_grey_value_is_warned_of(folder, capsys):
    tifffile.imwrite(
        folder / "images" / "ä 1.tif", np.full((160, 160), 7, np.uint16), tile=(32, 32)
    )
    assert predict(folder, "out", "--set", "large_mpx=0.01") == 0
    warnings = [row["warning"] for row in table(folder / "out" / "counts.csv")]
    assert warnings == ["", "one grey value everywhere"]
    assert "Warning: 1 of 2 images is unlike the training images" in capsys.readouterr().err


@pytest.mark.parametrize("large", ["ä 0.tif", "ä 1.tif"])
def test_the_bar_goes_forward_where_some_images_are_large_and_some_small(
    folder, monkeypatch, large
):
    told = []
    monkeypatch.setattr(Console, "progress", lambda _, part, message="": told.append(part))
    monkeypatch.setattr(windows, "is_large", lambda path, _: path.name == large)
    assert predict(folder, "out") == 0
    assert told == sorted(told)
    assert told[0] == 0
    assert told[-1] > 0.9


@pytest.mark.parametrize("small", [[], ["ä 0.tif", "ä 2.tif", "ä 3.tif"]])
def test_the_bar_goes_forward_where_workers_compute_images_and_blocks(folder, monkeypatch, small):
    class Cluster:
        line = "here"

        def run(self, prepare, do, items, progress, what="image"):
            state = prepare()
            for index, item in enumerate(items):
                progress(index / len(items), f"{what} {index + 1} of {len(items)}")
                yield do(state, item)

    told = []
    monkeypatch.setattr(Console, "progress", lambda _, part, message="": told.append(part))
    monkeypatch.setattr(cluster, "perhaps", lambda _: nullcontext(Cluster()))
    first = (folder / "images" / "ä 0.tif").read_bytes()
    (folder / "images" / "ä 0.tif").unlink()
    for name in small:
        (folder / "images" / name).write_bytes(first)
    assert predict(folder, "out", "--set", "large_mpx=0.01") == 0
    assert told == sorted(told)


def test_the_size_of_objects_is_found_in_large_images_as_in_small_ones(folder, capsys):
    any_size(model()).save(folder / "m.microshot", overwrite=True)
    assert predict(folder, "whole") == 0
    assert predict(folder, "parts", "--set", "large_mpx=0.01") == 0
    sizes = [
        [row["diameter_px"] for row in table(folder / p / "counts.csv")] for p in ("whole", "parts")
    ]
    assert sizes[0] == sizes[1]
    assert all(8 < float(size) < 40 for size in sizes[0])
    one, other = (tifffile.imread(folder / out / "ä 1.tif") for out in ("whole", "parts"))
    assert np.array_equal(one > 0, other > 0)
    told = capsys.readouterr().err
    assert told.count("The size of the objects was looked for in each image") == 2
    assert predict(folder, "told", "--set", "diameter_px=16") == 0
    assert {row["diameter_px"] for row in table(folder / "told" / "counts.csv")} == {"16.0"}
    assert "looked for" not in capsys.readouterr().err


@pytest.mark.parametrize("scheduler", [False, True])
def test_one_size_is_found_for_all_images_large_or_small(folder, capsys, monkeypatch, scheduler):
    for i in range(2, 6):
        tifffile.imwrite(folder / "images" / f"ä {i}.tif", discs(side=64, n=4, seed=i)[0])
    any_size(model()).save(folder / "m.microshot", overwrite=True)
    more = []
    if scheduler:
        monkeypatch.setattr(cluster, "connected", lambda _address: nullcontext(Alone()))
        more = ["--scheduler", "there"]
    more += ["--set", "size_found=once"]
    assert predict(folder, "out", "--set", "large_mpx=0.01", *more) == 0
    sizes = {row["diameter_px"] for row in table(folder / "out" / "counts.csv")}
    (size,) = sizes
    said = (
        f"The size of the objects was looked for in 6 of 6 images: {float(size):.3g} px, taken for"
    )
    assert said in capsys.readouterr().err
    assert predict(folder, "told", "--set", f"diameter_px={size}", "--set", "large_mpx=0.01") == 0
    for i in range(6):
        one, other = (tifffile.imread(folder / out / f"ä {i}.tif") for out in ("out", "told"))
        assert np.array_equal(one, other)
    assert predict(folder, "each", "--set", "size_found=each") == 0
    assert len({row["diameter_px"] for row in table(folder / "each" / "counts.csv")}) > 1


class Alone:
    """A cluster that works in this process, with what was sent to it."""

    line = "nobody else"

    def run(self, prepare, do, items, progress, what="image"):
        prepare, do, items = pickle.loads(pickle.dumps((prepare, do, items)))
        state = prepare()
        for item in items:
            yield do(state, item)


def test_an_image_that_cannot_be_used_does_not_keep_others_from_being_looked_at(folder, capsys):
    for i in range(2, 7):
        tifffile.imwrite(folder / "images" / f"ä {i}.tif", discs(side=64, n=4, seed=i)[0])
    colour = np.random.default_rng(0).integers(0, 255, (3, 40, 40), np.uint8)
    tifffile.imwrite(
        folder / "images" / "ä 6.tif", colour, photometric="rgb", planarconfig="separate"
    )
    any_size(model()).save(folder / "m.microshot", overwrite=True)
    assert predict(folder, "out") == 1
    said = capsys.readouterr().err
    assert "ä 6: expected 1 channel" in said
    assert len(table(folder / "out" / "counts.csv")) == 6


def test_labels_of_large_images_may_be_ome_zarr_which_is_read_again(folder, capsys):
    more = ("--set", "large_mpx=0.01", "--labels-as", "zarr", "--json")
    assert predict(folder, "zarr", *more) == 0
    said = json.loads(capsys.readouterr().out)
    source = opened(folder / "zarr" / "ä 1.ome.zarr")
    labels = pixels_of(source, slice(0, 160), slice(0, 160))
    assert labels.max() == said["images"][1]["count"] > 0


def test_an_interrupted_run_goes_on_and_replaces_nothing_that_it_has_not_made(
    folder, capsys, monkeypatch
):
    whole, more = large_images.segment_large, ("--set", "large_mpx=0.001")

    def interrupted(work, predictor, file, *rest):
        if file.name == "ä 1.tif":
            raise OSError("interrupted")
        return whole(work, predictor, file, *rest)

    monkeypatch.setattr(large_images, "segment_large", interrupted)
    assert predict(folder, "out", *more) == 1
    monkeypatch.undo()
    first = folder / "out" / "ä 0.tif"
    made, written = first.read_bytes(), first.stat().st_mtime_ns
    for mine in (folder / "out" / "counts.csv", first):
        mine.write_text("mine")
        capsys.readouterr()
        assert predict(folder, "out", *more) == 1
        assert f'{mine.name}" exists already' in capsys.readouterr().err
        assert mine.read_text() == "mine"
        mine.unlink()
    first.write_bytes(made)
    os.utime(first, ns=(written, written))
    assert predict(folder, "out", *more) == 0
    assert "blocks had been finished by an earlier run" in capsys.readouterr().err
    assert first.stat().st_mtime_ns == written


def fails_at(monkeypatch, name: str, error: Exception) -> None:
    """Have images called `name` end in `error`."""
    whole = applying.one_image

    def one_image(work, predictor, item, *rest):
        if item[1] == name:
            raise error
        return whole(work, predictor, item, *rest)

    monkeypatch.setattr(applying, "one_image", one_image)


def test_tables_never_tell_of_label_images_that_others_have_replaced(folder, capsys, monkeypatch):
    assert predict(folder, "out") == 0
    tables = [folder / "out" / name for name in ("counts.csv", "objects.csv")]
    before, first = [t.read_text("utf-8") for t in tables], folder / "out" / "ä 0.tif"
    for name, replaced in (("ä 0", False), ("ä 1", True)):
        fails_at(monkeypatch, name, OSError("the disk is full"))
        first.write_bytes(b"old")
        assert predict(folder, "out", "--overwrite") == 1
        assert (first.read_bytes() != b"old") == replaced
        there = [t.read_text("utf-8") for t in tables if t.exists()]
        assert there == ([] if replaced else before)
        monkeypatch.undo()


def test_an_image_too_large_for_memory_costs_none_of_those_before(folder, capsys, monkeypatch):
    fails_at(monkeypatch, "ä 1", MemoryError("There is not enough memory."))
    assert predict(folder, "out") == 1
    assert [row["file"] for row in table(folder / "out" / "counts.csv")] == ["ä 0.tif"]
    assert tifffile.imread(folder / "out" / "ä 0.tif").any()
    told = capsys.readouterr().err.splitlines()[-2:]
    assert "found in 1 of 2 images, up to the one that follows" in told[0]
    assert told[1].endswith("There is not enough memory.")


STOPPED = """
import os, sys
sys.path[:0] = {paths!r}
from microshot.cli import console, main

def report(self, fraction, message=""):
    if "network, block" in message:
        os.kill(os.getpid(), {signal})
    shown(self, fraction, message)

shown, console.Console.progress = console.Console.progress, report
sys.exit(main({words!r}))
"""


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_small_images_of_a_stopped_run_are_not_in_the_way_of_large_ones(folder, capsys, stop):
    words = [
        "predict", "--model", str(folder / "m.microshot"), "--images", str(folder / "images"),
        "--out", str(folder / "out"), *SMALL_TILES, "--set", "large_mpx=0.01",
    ]  # fmt: skip
    code = STOPPED.format(paths=sys.path, signal=int(stop), words=words)
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == (1 if stop == signal.SIGINT else -stop), done.stderr
    assert (folder / "out" / "ä 0.tif").exists()
    assert (folder / "out" / "counts.csv").exists() == (stop == signal.SIGINT)
    mine = folder / "out" / "mine.tif"
    mine.write_text("mine")
    assert main(words) == 0
    names = ["counts.csv", "mine.tif", "objects.csv", "ä 0.tif", "ä 1.tif"]
    assert sorted(p.name for p in mine.parent.iterdir() if p.suffix != ".part") == names
    assert main(words) == 1
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize("out", [".", "image.ome.zarr", "image.ome.zarr/labels"])
def test_labels_never_replace_the_ome_zarr_that_they_are_made_from(folder, capsys, out):
    write_zarr_labels(
        folder / "image.ome.zarr", (60, 60), np.dtype(np.uint16),
        [((slice(0, 60), slice(0, 60)), discs(side=60, n=4)[0])], None,
    )  # fmt: skip
    more = ("--images", str(folder / "image.ome.zarr"), "--labels-as", "zarr", "--overwrite")
    assert predict(folder, out, *more) in (1, 2)
    said = capsys.readouterr().err
    assert "is the folder of the images" in said or "is read from there" in said
    source = opened(folder / "image.ome.zarr")
    assert np.array_equal(pixels_of(source, slice(0, 60), slice(0, 60))[0], discs(side=60, n=4)[0])


def test_without_dask_one_sentence_says_how_to_install_it(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert predict(folder, "out", "--scheduler", "local") == 1
    assert 'pip install "microshot[cluster]"' in capsys.readouterr().err.splitlines()[-1]
