"""Outlines drawn in labelme are read as labelme means them."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from microshot.data.label_files import read_annotation
from microshot.data.read import read_dataset
from microshot.data.write import write_labels

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (20, 30)


def shape(kind, points, label="cell", **more):
    return {
        "label": label,
        "points": points,
        "group_id": None,
        "shape_type": kind,
        "flags": {},
    } | more


def document(*shapes, **more) -> str:
    about = {"imagePath": "a.png", "imageData": None, "imageHeight": 20, "imageWidth": 30}
    return json.dumps({"version": "5.5.0", "flags": {}, "shapes": list(shapes)} | about | more)


def read(folder: Path, text: str):
    path = folder / "a.json"
    path.write_text(text, "utf-8")
    reading = read_annotation(path, shape=SHAPE, image="a.tif")
    assert reading is not None
    return reading


def picture(folder: Path, name: str) -> None:
    folder.mkdir(exist_ok=True)
    noise = np.random.default_rng(0).integers(1, 999, SHAPE)
    write_labels(folder / name, noise.astype(np.uint16))


def mask(pixels) -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


POLYGON = shape("polygon", [[2, 3], [12, 3], [12, 9], [2, 9]])


def test_every_shape_that_covers_pixels_is_an_object(tmp_path: Path):
    reading = read(tmp_path, document(
        POLYGON,
        shape("rectangle", [[24, 6], [20, 1]]),
        shape("circle", [[10, 15], [13, 15]]),
        shape("mask", [[25, 15], [27, 16]], mask=mask([[1, 0, 1], [1, 1, 1]])),
        shape("rectangle", [[0, 0], [2, 0], [2, 2], [0, 2]]),
        shape("linestrip", [[0, 0], [9, 9]]),
    ))  # fmt: skip
    assert (reading.taken_as, reading.n_objects) == ("labelme outlines", 5)
    labels = reading.labels
    assert (labels[3:9, 2:12] == 1).all()
    assert (labels[1:6, 20:24] == 2).all()
    assert np.count_nonzero(labels == 2) == 20
    y, x = np.indices(SHAPE) + 0.5
    assert np.array_equal(labels == 3, np.hypot(x - 10, y - 15) < 3)
    assert np.argwhere(labels == 4).tolist() == [[15, 25], [15, 27], [16, 25], [16, 26], [16, 27]]
    assert (labels[:2, :2] == 5).all()
    assert reading.note == "1 shape of the kind linestrip left out; 2 rectangles taken for outlines"


def test_shapes_of_one_label_and_group_are_one_object(tmp_path: Path):
    reading = read(tmp_path, document(
        shape("polygon", [[0, 0], [4, 0], [4, 4], [0, 4]], group_id=1),
        POLYGON,
        shape("polygon", [[20, 0], [24, 0], [24, 4], [20, 4]], group_id=1),
        shape("polygon", [[20, 10], [24, 10], [24, 14], [20, 14]], "other", group_id=1),
    ))  # fmt: skip
    assert reading.n_objects == 3
    assert reading.labels[0, 0] == reading.labels[0, 20] == 1
    assert reading.labels[10, 20] == 3


def test_what_is_to_be_ignored_is_no_object_and_background_neither(tmp_path: Path):
    reading = read(tmp_path, document(
        POLYGON,
        shape("rectangle", [[20, 0], [30, 20]], "__ignore__"),
        shape("polygon", [[0, 10], [9, 10], [9, 20]], "_background_"),
    ))  # fmt: skip
    assert reading.n_objects == 1
    assert (reading.labels[:, 20:] == -1).all()
    assert "1 shape of the kind _background_ left out" in reading.note


def test_points_lie_in_the_middle_of_pixels_as_ours(tmp_path: Path):
    reading = read(tmp_path, document(shape("point", [[3.5, 4.5]]), shape("point", [[0.5, 0.5]])))
    assert (reading.taken_as, reading.n_objects) == ("labelme points", 2)
    assert reading.points is not None
    assert reading.points.tolist() == [[4, 3], [0, 0]]


def test_a_file_without_shapes_says_that_there_are_no_objects(tmp_path: Path):
    reading = read(tmp_path, document())
    assert (reading.n_objects, reading.note) == (0, "no objects")
    assert not reading.labels.any()


def test_an_image_of_another_size_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="image of 20 x 30 px, found those in one of 40 x 30 px"):
        read(tmp_path, document(POLYGON, imageHeight=40))
    assert read(tmp_path, document(POLYGON, imageHeight=None)).n_objects == 1


def test_a_mask_that_leaves_the_image_is_cut_off(tmp_path: Path):
    whole = np.ones((30, 30))
    for first in ([-5, -7], [28, 19], [-29, 0]):
        text = document(shape("mask", [first, [99, 99]], mask=mask(whole)))
        x, y = first
        expected = np.zeros(SHAPE, bool)
        expected[max(y, 0) : y + 30, max(x, 0) : x + 30] = True
        assert np.array_equal(read(tmp_path, text).labels > 0, expected)


@pytest.mark.parametrize("place", ["images", "labels"])
def test_files_lie_beside_their_images_or_in_a_folder_of_labels(tmp_path: Path, place):
    for name in "abc":
        picture(tmp_path / "images", f"{name}.tif")
    (tmp_path / place).mkdir(exist_ok=True)
    for name in "ab":
        (tmp_path / place / f"{name}.json").write_text(document(POLYGON, imagePath=f"{name}.png"))
    (tmp_path / place / "acquisition.json").write_text('{"camera": 1}')
    data, report = read_dataset(tmp_path / "images")
    assert [s.labels is not None for s in data] == [True, True, False]
    assert "Labels were taken for: 2 × labelme outlines; 2 objects in all." in report
    assert "a.json: labelme outlines, 1 object." in report


def test_a_mask_made_of_a_file_goes_before_it(tmp_path: Path):
    for name in ("a.tif", "b.tif"):
        picture(tmp_path, name)
        (tmp_path / f"{name[0]}.json").write_text(document(POLYGON))
    write_labels(tmp_path / "a_mask.png", np.eye(20, 30, dtype=np.uint8) * 255)
    _, report = read_dataset(tmp_path)
    assert {"a.tif ↔ a_mask.png", "b.tif ↔ b.json"} < set(report)


def test_json_of_a_camera_beside_an_image_stays_what_it_is(tmp_path: Path):
    picture(tmp_path, "a.tif")
    (tmp_path / "a.json").write_text('{"imagePath": "a.tif"}')
    data, report = read_dataset(tmp_path)
    assert data[0].labels is None
    assert report == ["1 image read."]


def test_one_that_is_cut_off_beside_its_image_is_told(tmp_path: Path):
    picture(tmp_path, "a.tif")
    (tmp_path / "a.json").write_text(document(POLYGON)[:-9])
    with pytest.raises(
        ValueError, match=r'a\.json": the JSON text is damaged or cut off in line 1'
    ):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (document(shapes={}), "expected a list of shapes in the labelme JSON"),
        (document(7), "shape 1: expected a shape, found 7"),
        (document(POLYGON, shape("polygon", [[0, 0], [1, 1]])), "shape 2, polygon: expected at least 3"),
        (document(shape(None, [[0, 0], [1, 1]])), "shape 1, polygon: expected at least 3"),
        (document(shape("circle", [[0, 0]])), "shape 1, circle: expected at least 2"),
        (document(shape("point", None)), "shape 1, point: expected at least 1"),
        (document(shape("circle", [[0, 0], [1e300, 1e300]])), "corner that is no number"),
        (document(shape("mask", [[0, 0], [1, 1]])), "mask: expected a PNG image in base64"),
        (document(shape("mask", [[0, 0], [1, 1]], mask="ä")), "mask: expected a PNG image in base64"),
        (document(shape("mask", [[0, 0], [1, 1]], mask="QUJD")), "mask: expected a PNG image, but"),
        (document(shape("mask", [[1e99, 0], [1, 1]], mask="")), "mask: expected a place in the image"),
        (document(shape("cuboid", [[0, 0]])), "1 shape of the kind cuboid left out"),
    ],
)  # fmt: skip
def test_damaged_files_are_refused_in_one_sentence(tmp_path: Path, text, problem):
    with pytest.raises(ValueError, match=problem) as refused:
        read(tmp_path, text)
    assert str(tmp_path / "a.json") in str(refused.value)
    assert "\n" not in str(refused.value)


def test_masks_that_swell_are_refused(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("microshot.data.labelme._MOST_PX", 100)
    one = shape("mask", [[0, 0], [9, 9]], mask=mask(np.ones((10, 10))))
    assert read(tmp_path, document(one)).n_objects == 1
    with pytest.raises(ValueError, match="shape 2: expected masks of at most"):
        read(tmp_path, document(one, one))
