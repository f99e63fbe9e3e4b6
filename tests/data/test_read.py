"""Folders become data sets, and the report says how they were understood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from microshot.data.image import Image
from microshot.data.read import read_dataset
from microshot.data.write import write_image, write_labels
from microshot.progress import Cancelled

if TYPE_CHECKING:
    from pathlib import Path

labels = np.zeros((12, 14), np.int32)
labels[1:5, 1:5], labels[7:11, 7:11] = 1, 2


def image(path: Path, value: int = 0, *, shape: tuple[int, ...] = (1, 12, 14), size=None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, Image(np.full(shape, value, np.uint16), size))
    return path


def label(path: Path, values: np.ndarray = labels) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_labels(path, values)
    return path


def test_images_and_labels_in_two_folders(tmp_path: Path) -> None:
    for i in (10, 2, 1):
        image(tmp_path / "bilder ä" / f"img{i}.tif", i)
        label(tmp_path / "gt" / f"img{i}_mask.tif", labels * 3)
    dataset, report = read_dataset(tmp_path / "bilder ä", tmp_path / "gt")
    assert [s.name for s in dataset] == ["img1", "img2", "img10"]
    assert [int(s.image.pixels[0, 0, 0]) for s in dataset] == [1, 2, 10]
    assert all(np.array_equal(s.labels, labels) for s in dataset if s.labels is not None)
    assert report[0] == "3 images read."
    assert "Labels were taken for: 3 × one number per object; 6 objects in all." in report


@pytest.mark.parametrize("given", [False, True])
def test_labels_beside_the_images_are_found(tmp_path: Path, given: bool) -> None:
    image(tmp_path / "a.tif")
    label(tmp_path / "a_mask.tif")
    image(tmp_path / "b.tif")
    dataset, report = read_dataset(tmp_path, tmp_path if given else None)
    assert [(s.name, s.labels is not None) for s in dataset] == [("a", True), ("b", False)]
    assert "1 image without label: b.tif." in report
    (tmp_path / "a_mask.tif").rename(tmp_path / "lost.roi")
    assert "1 label without image: lost.roi." in read_dataset(tmp_path)[1]


def test_counts_from_a_table(tmp_path: Path) -> None:
    for name in "ABC":
        image(tmp_path / "images" / f"{name}.tif")
    table = tmp_path / "labels.csv"
    table.write_text("file;count\nA.tif;0\nb.tif;\nold.tif;4\n")
    dataset, report = read_dataset(tmp_path / "images", table)
    assert [s.count for s in dataset] == [0, None, None]
    assert "1 of 3 images has a count in labels.csv." in report
    assert "1 count without image: old." in report


def test_a_generated_folder_is_read_whole(tmp_path: Path) -> None:
    image(tmp_path / "images" / "a.tif")
    label(tmp_path / "labels" / "a.tif")
    (tmp_path / "counts.csv").write_text("file,count\na.tif,2\n")
    dataset, report = read_dataset(tmp_path)
    assert dataset[0].count == 2
    assert dataset[0].labels is not None
    image(tmp_path / "b.tif")
    told = '1 image not read: b.tif; only those in the subfolder "images" are.'
    assert set(read_dataset(tmp_path)[1]) - set(report) == {told}


def test_targets_of_several_stains_become_channels(tmp_path: Path) -> None:
    for i in (1, 2):
        image(tmp_path / "bf" / f"w{i}_bf.tif", shape=(3, 12, 14))
        image(tmp_path / "fluo" / f"w{i}_nuclei.tif", 5 * i)
        image(tmp_path / "fluo" / f"w{i}_lipids.tif", 7 * i)
    dataset, _ = read_dataset(tmp_path / "bf", targets=tmp_path / "fluo")
    target = dataset[1].target
    assert target is not None
    assert target.channels == ("lipids", "nuclei")
    assert target.pixels[:, 0, 0].tolist() == [14, 10]
    assert all(sample.target is not None for sample in dataset)
    (tmp_path / "fluo" / "w2_lipids.tif").unlink()
    with pytest.raises(ValueError, match=r'expected the targets lipids, nuclei as for "w1_bf.tif"'):
        read_dataset(tmp_path / "bf", targets=tmp_path / "fluo")


def test_a_stain_of_another_size_is_told_by_its_file(tmp_path: Path) -> None:
    image(tmp_path / "bf" / "w1.tif")
    image(tmp_path / "fluo" / "w1_lipids.tif", shape=(1, 9, 11))
    image(tmp_path / "fluo" / "w1_nuclei.tif", shape=(1, 9, 12))
    with pytest.raises(
        ValueError, match=r'w1_nuclei\.tif": all channels .* 9 x 11 px .* 9 x 12 px'
    ):
        read_dataset(tmp_path / "bf", targets=tmp_path / "fluo")


def test_targets_of_the_same_name(tmp_path: Path) -> None:
    image(tmp_path / "bf" / "a.tif")
    image(tmp_path / "fluo" / "a.tif", 5, shape=(2, 12, 14))
    image(tmp_path / "fluo" / "x.tif")
    dataset, report = read_dataset(tmp_path / "bf", targets=tmp_path / "fluo")
    assert dataset[0].target is not None
    assert dataset[0].target.n_channels == 2
    assert "1 of 1 image has a target (one file)." in report
    assert "1 target without image: x.tif." in report


def test_single_files(tmp_path: Path) -> None:
    one, truth, target = (
        image(tmp_path / "x.tif"),
        label(tmp_path / "y.tif"),
        image(tmp_path / "z.tif"),
    )
    dataset, _ = read_dataset(one)
    assert len(dataset) == 1
    assert dataset[0].labels is None
    dataset, _ = read_dataset(one, truth, target)
    assert np.array_equal(np.asarray(dataset[0].labels), labels)
    assert dataset[0].target is not None


def test_what_differs_between_images_is_said(tmp_path: Path) -> None:
    image(tmp_path / "a.tif", size=0.5)
    image(tmp_path / "b.tif", shape=(2, 12, 14))
    _, report = read_dataset(tmp_path)
    assert any(line.startswith("The images differ in kind: 1 with 1 channel") for line in report)
    assert "The images differ in pixel size: 0.5 µm, unknown." in report


def test_pixel_sizes_that_differ_by_rounding_are_the_same(tmp_path: Path) -> None:
    for name, size in (("a", 0.325), ("b", 0.32500001)):
        write_image(tmp_path / f"{name}.tif", Image(np.zeros((1, 8, 8), np.uint8), size))
    _, report = read_dataset(tmp_path)
    assert not [line for line in report if "pixel size" in line]


def test_notes_name_their_file_and_are_cut(tmp_path: Path) -> None:
    for i in range(12):
        image(tmp_path / "images" / f"{i}.tif")
        label(tmp_path / "masks" / f"{i}.tif", np.zeros_like(labels))
    _, report = read_dataset(tmp_path)
    assert "0.tif: empty, 0 objects; no objects: every pixel is background." in report
    assert "… and 4 more label files, 4 of them with notes." in report


def test_damaged_images_stop_the_reading(tmp_path: Path) -> None:
    image(tmp_path / "a.tif")
    (tmp_path / "b.tif").write_bytes(b"")
    with pytest.raises(ValueError, match=r'b\.tif": the file is empty'):
        read_dataset(tmp_path)


@pytest.mark.parametrize("broken", ["b.tif", "masks/b.tif"])
def test_a_link_that_leads_nowhere_is_told_not_passed_over(tmp_path: Path, broken: str) -> None:
    for name in "ab":
        image(tmp_path / f"{name}.tif")
        label(tmp_path / "masks" / f"{name}.tif")
    (tmp_path / broken).unlink()
    (tmp_path / broken).symlink_to("not there.tif")
    told = rf'{broken}": expected an image, found a link to "not there.tif", where there is no file'
    with pytest.raises(FileNotFoundError, match=told):
        read_dataset(tmp_path)


def test_labels_of_another_size_are_refused(tmp_path: Path) -> None:
    image(tmp_path / "a.tif", shape=(1, 6, 7))
    label(tmp_path / "a_mask.tif")
    with pytest.raises(ValueError, match="a: the label image must have the size of the image"):
        read_dataset(tmp_path)


def test_nothing_to_read_or_to_match_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="found none; check the folder"):
        read_dataset(tmp_path / "empty")
    image(tmp_path / "images" / "a.tif")
    label(tmp_path / "other" / "x.tif")
    with pytest.raises(
        ValueError, match=r'expected a label for images such as "a.tif", found such as "x.tif"'
    ):
        read_dataset(tmp_path / "images", tmp_path / "other")
    with pytest.raises(ValueError, match=r"expected a target .* found none at all"):
        read_dataset(tmp_path / "images", targets=tmp_path / "empty")
    (tmp_path / "counts.csv").write_text("file,count\nx.tif,2\n")
    with pytest.raises(ValueError, match="expected a count for images"):
        read_dataset(tmp_path / "images", tmp_path / "counts.csv")
    with pytest.raises(FileNotFoundError, match="no such table"):
        read_dataset(tmp_path / "images", tmp_path / "no.csv")
    with pytest.raises(FileNotFoundError, match="expected a folder of images"):
        read_dataset(tmp_path / "nowhere")


def test_files_that_other_programs_must_open_are_told(tmp_path: Path) -> None:
    image(tmp_path / "images" / "a.tif")
    (tmp_path / "images" / "b.oib").touch()
    (tmp_path / "images" / "a_seg.npy").touch()
    in_fiji = "1 file not read (b.oib): open it in Fiji and save it as TIFF"
    in_cellpose = r'1 file not read \(a_seg.npy\): open it in Cellpose and choose File, "Save masks'
    told = read_dataset(tmp_path / "images")[1]
    assert f"{in_fiji}." in told
    assert any("a_seg.npy" in line for line in told)
    (lost := tmp_path / "lost").mkdir()
    (lost / "a_seg.npy").touch()
    with pytest.raises(ValueError, match=f"found none at all; {in_cellpose}"):
        read_dataset(tmp_path / "images", lost)
    label(tmp_path / "images" / "labels" / "a.tif")
    told = read_dataset(tmp_path / "images")[1]  # which labels there are is no question now
    assert f"{in_fiji}." in told
    assert not any("a_seg.npy" in line for line in told)
    (tmp_path / "images" / "a.tif").unlink()
    with pytest.raises(ValueError, match=r"found none; .*b\.oib\): open it in Fiji"):
        read_dataset(tmp_path / "images")


def test_progress_is_reported_and_can_stop_the_reading(tmp_path: Path) -> None:
    image(tmp_path / "a.tif")
    image(tmp_path / "b.tif")
    said: list[str] = []

    def stop(fraction: float, message: str = "") -> None:
        said.append(message)
        if fraction > 0:
            raise Cancelled

    with pytest.raises(Cancelled):
        read_dataset(tmp_path, progress=stop)
    assert said == ["Reading image 1 of 2", "Reading image 2 of 2"]


def test_labels_beside_the_folder_that_was_named_are_not_taken_for_those_in_it(tmp_path) -> None:
    images = tmp_path / "images"
    image(images / "a.tif")
    label(tmp_path / "labels" / "a.tif")
    found = r'expected labels, such as "a_mask.tif" for "a.tif", found the images themselves'
    for given, named in ((images, images), (tmp_path, images), (images / "a.tif",) * 2):
        with pytest.raises(ValueError, match=found):
            read_dataset(given, named)
    assert read_dataset(images)[0][0].labels is not None
    assert read_dataset(tmp_path, tmp_path)[0][0].labels is not None
    (images / "counts.csv").write_text("name,count\na.tif,3\n")
    data, _ = read_dataset(images, images)
    assert (data[0].count, data[0].labels) == (3, None)
    label(images / "a_mask.tif")
    assert read_dataset(images, images)[0][0].labels is not None
