"""Written files: read back unchanged, whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from microshot.data.disk import replacing
from microshot.data.files import read_raw
from microshot.data.image import Image
from microshot.data.label_files import read_labels
from microshot.data.read import read_image
from microshot.data.write import write_image, write_labels

if TYPE_CHECKING:
    from pathlib import Path

in_folder = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
shapes = st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 7))


@in_folder
@given(
    shapes.flatmap(
        lambda shape: (
            hnp.arrays(np.uint8, shape)
            | hnp.arrays(np.uint16, shape)
            | hnp.arrays(np.float32, shape, elements=st.floats(-(2.0**99), 2.0**99, width=32))
        )
    ),
    st.none() | st.floats(0.01, 100),
)
def test_images_come_back_with_their_pixel_size(tmp_path: Path, pixels, size) -> None:
    path = tmp_path / "ä b.tif"
    write_image(path, Image(pixels, size), overwrite=True)
    back = read_image(path)
    assert back.pixels.dtype == pixels.dtype
    assert np.array_equal(back.pixels, pixels)
    assert back.pixel_size_um == (None if size is None else pytest.approx(size, rel=1e-6))


@pytest.mark.parametrize(
    ("top", "dtype"),
    [(3, np.uint16), (65535, np.uint16), (65536, np.uint32), (2**32 - 1, np.uint32)],
)
def test_labels_keep_their_ids_and_scale_in_the_smallest_type(tmp_path, top: int, dtype) -> None:
    labels = np.zeros((5, 6), np.int64)
    labels[1:3, 1:5] = 2
    labels[4, 1:6] = top
    path = tmp_path / "a_labels.tif"
    write_labels(path, labels, pixel_size_um=0.25)
    stored = tifffile.imread(path)
    assert stored.dtype == dtype
    assert np.array_equal(stored, labels)
    assert read_raw(path).pixel_size_um == pytest.approx(0.25)
    assert read_labels(path).n_objects == 2


def test_ignored_pixels_survive(tmp_path: Path) -> None:
    labels = np.array([[-1, 0, 1], [2, 2, 2]], np.int32)
    write_labels(tmp_path / "a.tif", labels)
    assert np.array_equal(read_labels(tmp_path / "a.tif").labels, labels)


def test_channel_names_are_shown_in_fiji(tmp_path: Path) -> None:
    image = Image(np.zeros((2, 3, 3), np.uint16), 0.5, ("DAPI", "lipids"))
    write_image(tmp_path / "a.tif", image)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_imagej
        assert tif.imagej_metadata is not None
        assert tif.imagej_metadata["Labels"] == ["DAPI", "lipids"]


def test_labels_are_compressed(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.tif", np.zeros((500, 500), np.int32))
    assert (tmp_path / "a.tif").stat().st_size < 10_000


@pytest.mark.parametrize(
    "labels",
    [np.zeros((2, 2)), np.zeros((1, 2, 2), int), np.zeros((0, 2), int), np.full((2, 2), 1 << 33)],
)
def test_what_is_no_label_image_is_refused(tmp_path: Path, labels: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r'^".*a\.tif": '):
        write_labels(tmp_path / "a.tif", labels)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), float("inf")])
def test_a_pixel_size_that_is_no_length_is_refused(tmp_path: Path, size: float) -> None:
    with pytest.raises(ValueError, match="pixel size is a positive number"):
        write_labels(tmp_path / "a.tif", np.zeros((2, 2), int), pixel_size_um=size)


def test_existing_files_are_only_replaced_when_told(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_labels(path, np.zeros((2, 2), int))
    with pytest.raises(FileExistsError, match="exists already"):
        write_labels(path, np.ones((2, 2), int))
    assert not tifffile.imread(path).any()
    write_labels(path, np.ones((2, 2), int), overwrite=True)
    assert tifffile.imread(path).all()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="create it first"):
        write_labels(tmp_path / "no" / "a.tif", np.zeros((2, 2), int))


def test_a_failed_write_leaves_what_was_there_and_no_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")

    def fail() -> None:
        with replacing(path, overwrite=True) as part:
            part.write_text("half")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_that_another_process_writes_meanwhile_is_replaced_on_request_only(
    tmp_path: Path, overwrite: bool
) -> None:
    path = tmp_path / "a.txt"

    def write() -> None:
        with replacing(path, overwrite=overwrite) as part:
            part.write_text("mine")
            path.write_text("theirs")

    if overwrite:
        write()
    else:
        with pytest.raises(FileExistsError, match="exists already"):
            write()
    assert path.read_text() == ("mine" if overwrite else "theirs")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_is_no_place_for_a_file(tmp_path: Path, overwrite: bool) -> None:
    with (
        pytest.raises(
            IsADirectoryError, match="expected the name of a file to write, found a folder"
        ),
        replacing(tmp_path, overwrite=overwrite),
    ):
        pytest.fail("the work began")
    assert not list(tmp_path.iterdir())
