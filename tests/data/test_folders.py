"""Files are listed by what their names say."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microshot.data.folders import list_images, natural_key, stem_of, unread, without_images
from microshot.data.windows import is_zarr

if TYPE_CHECKING:
    from pathlib import Path


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_folder_that_must_not_be_looked_into_is_named(tmp_path: Path, monkeypatch) -> None:
    def closed(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    touch(tmp_path, "plate/well/a.tif")
    whole = type(tmp_path).iterdir
    monkeypatch.setattr(
        type(tmp_path), "iterdir", lambda p: (closed if p.name == "well" else whole)(p)
    )
    monkeypatch.setattr(type(tmp_path), "is_file", closed)
    assert not is_zarr(tmp_path / "plate" / "well")
    for look, folder in ((list_images, "plate/well"), (without_images, "plate")):
        with pytest.raises(
            PermissionError, match=r'^".*well": you are not allowed to look into'
        ) as e:
            look(tmp_path / folder)
        assert e.value.errno == 13


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.tif", "a"),
        ("a.TIFF", "a"),
        ("a.ome.tif", "a"),
        ("a.OME.TIFF", "a"),
        ("well.B2.png", "well.B2"),
        ("well.B2", "well.B2"),
        (r"day 1\sub\a b.png", "a b"),
        ("day 1/sub/a b.png", "a b"),
        ("c:1.tif", "c:1"),
        (".tif", ".tif"),
        (unicodedata.normalize("NFD", "Zellen_größe.png"), "Zellen_größe"),
    ],
)
def test_stems(name: str, stem: str) -> None:
    assert stem_of(name) == stem


def test_numbers_sort_by_value() -> None:
    files = ["img10.tif", "img2.tif", "2.tif", "IMG1.tif"]
    assert sorted(files, key=natural_key) == ["2.tif", "IMG1.tif", "img2.tif", "img10.tif"]


@given(st.lists(st.text(max_size=8)))
def test_any_names_can_be_sorted(values: list[str]) -> None:
    assert sorted(sorted(values, key=natural_key)) == sorted(values)


def test_listing_leaves_out_hidden_and_foreign_files(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "b10.TIF",
        "b2.tif",
        "ä c.png",
        ".hidden.tif",
        "._b2.tif",
        "notes.txt",
        "Thumbs.db",
    )
    touch(tmp_path, "sub/deep.tif", ".cache/x.tif")
    (tmp_path / "folder.tif").mkdir()
    (tmp_path / "linked folder.tif").symlink_to(tmp_path / "folder.tif")
    assert [p.name for p in list_images(tmp_path)] == ["b2.tif", "b10.TIF", "ä c.png"]
    assert [p.name for p in list_images(tmp_path, "B*.tif")] == ["b2.tif", "b10.TIF"]
    assert [p.name for p in list_images(tmp_path, "**.tif")] == ["b2.tif", "b10.TIF"]
    assert not list_images(tmp_path, "**/*.tif")  # a pattern is one of names, not of folders
    assert not list_images(tmp_path, "/*.tif")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        list_images(tmp_path / "no")
    with pytest.raises(FileNotFoundError, match="is a file"):
        list_images(tmp_path / "a.tif")


def test_files_of_microscopes_and_of_cellpose_are_told_with_what_to_do(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif", "notes.txt", ".b.oib", "a_cp_masks.png", "objects.csv")
    (tmp_path / "folder.oib").mkdir()
    assert not unread(tmp_path)
    assert not unread(tmp_path / "a.tif")
    touch(tmp_path, "images/a.IMS", "d.oib", "b.oib", "c.vsi", "labels/a_seg.npy", "labels/a.oir")
    images = (
        "5 files not read (a.IMS, a.oir, b.oib and 2 more): open them in Fiji and save them as TIFF"
    )
    cellpose = (
        '1 file not read (a_seg.npy): open it in Cellpose and choose File, "Save masks as PNG/tif"'
    )
    assert unread(tmp_path, labels=False) == [images]
    assert unread(tmp_path) == [images, cellpose]


def test_a_folder_without_images_names_its_subfolders_that_hold_some(tmp_path: Path) -> None:
    touch(tmp_path, "A10/a.tif", "empty/notes.txt", ".cache/a.tif", "Masks/a.tif")
    assert without_images(tmp_path) == "images lie in its subfolder A10: give that"
    touch(tmp_path, "A2/a.tif")
    assert without_images(tmp_path) == "images lie in its subfolders A2, A10: give one of them"
    touch(tmp_path, "b.tif")  # but none as wanted
    assert without_images(tmp_path, "check the pattern") == "check the pattern"
    touch(tmp_path, "b.oib")
    assert "b.oib" in without_images(tmp_path, "check the pattern")
