"""Files of all kinds: told by content, kept exact, refused in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image as pillow  # noqa: N813

from microshot.data.label_files import read_labels
from microshot.data.read import read_image
from microshot.data.windows import is_tiff, opened

if TYPE_CHECKING:
    from pathlib import Path

grey = np.random.default_rng(0).integers(0, 255, (12, 17)).astype(np.uint8)
colour = np.random.default_rng(1).integers(0, 255, (12, 17, 3)).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_lossless_files_give_the_stored_numbers(tmp_path: Path, suffix: str) -> None:
    for name, pixels in (("grau ä.", grey), ("rgb.", colour)):
        pillow.fromarray(pixels).save(tmp_path / (name + suffix))
        expected = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
        found = read_image(tmp_path / (name + suffix))
        assert np.array_equal(found.pixels, expected)
        assert found.is_colour == (pixels.ndim == 3)


def test_jpeg_is_read_as_an_image_but_not_as_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    pillow.fromarray(np.full((8, 8), 77, np.uint8)).save(path)
    assert np.abs(read_image(path).pixels.astype(int) - 77).max() <= 1
    assert not read_image(path).is_colour
    pillow.fromarray(colour).save(tmp_path / "colour.jpg")
    assert read_image(tmp_path / "colour.jpg").is_colour
    with pytest.raises(ValueError, match=r'^".*a\.jpg": JPEG compression changes the numbers'):
        read_labels(path)


def test_content_counts_not_the_ending(tmp_path: Path) -> None:
    path = tmp_path / "really_a_png.tif"
    pillow.fromarray(grey).save(path, "PNG")
    assert np.array_equal(read_image(path).pixels[0], grey)


@pytest.mark.parametrize("kind", ["JPEG", "BMP", "PNG"])
def test_truncation_gives_one_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.img"
    pillow.fromarray(grey).save(path, kind)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 4, 5):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r'^".*a\.img": .*\.$'):
            read_image(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"file,count\na.png,3\n", "looks like text"),
        (b"<html>", "text or web page"),
        (b"ZISRAWFILE" + bytes(20), "Zeiss CZI"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (bytes(40), "starts with the bytes 00 00 00 00"),
        (b"II", "text"),
        (b"II*\0", "cut off"),
    ],
)
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=said):
        read_image(path)


def test_missing_files_and_folders_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file or folder; check the path"):
        read_image(tmp_path / "nothing.tif")
    with pytest.raises(ValueError, match="found a folder"):
        read_image(tmp_path)
    (tmp_path / "link.tif").symlink_to(tmp_path / "nothing.tif")
    for read in (read_image, opened):
        with pytest.raises(FileNotFoundError, match=r'link.tif": .*link to ".*nothing.tif", where'):
            read(tmp_path / "link.tif")


def test_a_file_that_must_not_be_read_is_named(tmp_path: Path, monkeypatch) -> None:
    def closed(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    (path := tmp_path / "a.tif").write_bytes(b"II*")
    monkeypatch.setattr(type(path), "open", closed)
    for read in (read_image, is_tiff):
        with pytest.raises(
            ValueError, match=r'^".*a\.tif": you are not allowed to read the file; '
        ):
            read(path)


def test_errors_name_the_table_cell_where_there_is_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'^column "Path", row "Row3", file ".*a\.tif": '):
        read_image(tmp_path / "a.tif", where='column "Path", row "Row3"')
