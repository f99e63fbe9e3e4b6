"""Exported files have safe names of their own and replace nothing unasked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from microshot.data.files import read_raw
from microshot.data.label_files import read_annotation
from microshot.export.labels import SUFFIXES, Names, export, safe_name
from microshot.progress import Cancelled

if TYPE_CHECKING:
    from pathlib import Path

LABELS = np.zeros((12, 14), np.int32)
LABELS[2:5, 3:8] = 1
LABELS[7:9, 3:8] = 2

KINDS = pytest.mark.parametrize("kind", SUFFIXES)


@KINDS
def test_what_is_written_is_read_again(tmp_path: Path, kind):
    path = tmp_path / f"a{SUFFIXES[kind]}"
    assert export(path, LABELS, kind, image="a.tif") == 2
    reading = read_annotation(path, shape=LABELS.shape, image="a.tif")
    assert reading is not None
    assert reading.n_objects == 2
    if kind == "csv":
        assert reading.points is not None
        assert reading.points.tolist() == [[3, 5], [7.5, 5]]
    else:
        assert np.array_equal(reading.labels, LABELS)


def test_label_images_keep_the_size_of_their_pixels(tmp_path: Path):
    export(tmp_path / "a.tif", LABELS, "tiff", pixel_size_um=0.25)
    assert read_raw(tmp_path / "a.tif").pixel_size_um == pytest.approx(0.25)


def test_names_leave_room_for_an_ending_and_a_number():
    """Of the 255 bytes that file systems take."""
    for text in ("a" * 400, "é" * 200, "細" * 100):
        name = safe_name(text)
        assert text.startswith(name)
        assert 140 < len(name.encode()) <= 150


@KINDS
def test_an_image_without_objects_comes_back_as_one_and_not_as_unlabelled(tmp_path: Path, kind):
    path = tmp_path / f"a{SUFFIXES[kind]}"
    assert export(path, np.zeros_like(LABELS), kind, image="a.tif") == 0
    reading = read_annotation(path, shape=LABELS.shape, image="a.tif")
    assert reading is not None
    assert reading.n_objects == 0
    assert not reading.labels.any()


@KINDS
def test_nothing_is_replaced_unasked_and_nothing_half_is_left(tmp_path: Path, kind):
    path = tmp_path / f"a{SUFFIXES[kind]}"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="exists already"):
        export(path, LABELS, kind)
    assert path.read_text() == "mine"
    export(path, LABELS, kind, overwrite=True)
    assert path.read_bytes() != b"mine"
    assert list(tmp_path.iterdir()) == [path]


def test_names_that_meet_in_one_file_are_refused(tmp_path: Path):
    for names in (["a", "a"], ["a/1", "a:1"], ["A", "a"]):
        with pytest.raises(ValueError, match="two label images for the file"):
            Names.of(names, tmp_path, "roi", overwrite=True)


def test_files_that_are_there_are_found_before_anything_is_written(tmp_path: Path):
    (tmp_path / "b.zip").touch()
    with pytest.raises(FileExistsError, match=r"b\.zip"):
        Names.of(["a", "b"], tmp_path, "roi", overwrite=False)
    assert Names.of(["a", "b"], tmp_path, "roi", overwrite=True).files["b"] == tmp_path / "b.zip"


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..", "", "a\0b", "con", "NUL.x", "Com9", "lpt9.a", "a" * 999]
)
def test_a_name_never_leaves_its_folder(tmp_path: Path, name):
    safe = safe_name(name)
    path = (tmp_path / f"{safe}.tif").resolve()
    assert path.parent == tmp_path.resolve()
    assert len(path.name) < 255
    assert safe.casefold() not in ("con", "nul", "nul.x", "com9", "lpt9.a", "")
    path.touch()


@KINDS
def test_a_cancel_is_heard_amid_the_objects_of_one_image(tmp_path: Path, kind):
    labels = np.zeros((60, 60), np.int32)
    labels[::2, ::2] = np.arange(1, 901).reshape(30, 30)
    told: list[str] = []

    def progress(fraction: float, message: str = "") -> None:
        told.append(message)
        if len(told) == 3:
            raise Cancelled

    path = tmp_path / f"a{SUFFIXES[kind]}"
    if kind == "tiff":  # written at once
        assert export(path, labels, kind, progress=progress) == 900
        return
    with pytest.raises(Cancelled):
        export(path, labels, kind, progress=progress)
    assert told[-1] == "object 401 of 900"
    assert list(tmp_path.iterdir()) == []
