"""Outlines drawn in the VGG Image Annotator are read image by image."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from microshot.data.label_files import read_annotation
from microshot.data.read import read_dataset
from microshot.data.write import write_labels

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (20, 30)
POLYGON = {"name": "polygon", "all_points_x": [2, 12, 12, 2], "all_points_y": [3, 3, 9, 9]}


def region(shape, **about):
    return {"shape_attributes": shape, "region_attributes": about}


def image(name, regions):
    return {
        name + "123": {"filename": name, "size": 123, "regions": regions, "file_attributes": {}}
    }


def text(*regions) -> str:
    return json.dumps(image("a.png", list(regions)))


def read(folder: Path, content: str):
    path = folder / "via_region_data.json"
    path.write_text(content, "utf-8")
    reading = read_annotation(path, shape=SHAPE, image="a.tif")
    assert reading is not None
    return reading


def test_every_shape_that_covers_pixels_is_an_object(tmp_path: Path):
    ellipse = {"name": "ellipse", "cx": 10, "cy": 15, "rx": 4, "ry": 2}
    reading = read(tmp_path, text(
        region(POLYGON),
        region({"name": "rect", "x": 20, "y": 1, "width": 4, "height": 5}),
        region({"name": "circle", "cx": 25, "cy": 15, "r": 3}),
        region(ellipse | {"theta": np.pi / 2}),
        region({"name": "polyline", "all_points_x": [1, 2], "all_points_y": [1, 2]}),
        region({"name": "rect", "x": 0, "y": 0, "width": 3, "height": 2}, type="Ignore"),
    ))  # fmt: skip
    assert (reading.taken_as, reading.n_objects) == ("VIA outlines", 4)
    labels = reading.labels
    assert (labels[3:9, 2:12] == 1).all()
    assert (labels[1:6, 20:24] == 2).all()
    y, x = np.indices(SHAPE) + 0.5
    assert np.array_equal(labels == 3, np.hypot(x - 25, y - 15) < 3)
    rows, columns = np.nonzero(labels == 4)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (11, 18, 8, 11)
    assert (labels[:2, :3] == -1).all()
    assert "1 shape of the kind polyline left out" in reading.note
    assert "1 rectangle taken for an outline" in reading.note


def test_a_box_that_is_ticked_says_what_is_to_be_ignored(tmp_path: Path):
    reading = read(tmp_path, text(
        region(POLYGON, kind={"cell": True, "ignore": False}),
        region({"name": "rect", "x": 0, "y": 0, "width": 3, "height": 2}, kind={"ignore": True}),
    ))  # fmt: skip
    assert reading.n_objects == 1
    assert (reading.labels[:2, :3] == -1).all()


def test_points_lie_in_the_middle_of_pixels_as_ours(tmp_path: Path):
    reading = read(tmp_path, text(region({"name": "point", "cx": 4, "cy": 5})))
    assert (reading.taken_as, reading.n_objects) == ("VIA points", 1)
    assert reading.points is not None
    assert reading.points.tolist() == [[4.5, 3.5]]


@pytest.mark.parametrize("place", ["images", "labels"])
def test_a_project_labels_the_images_in_which_something_was_drawn(tmp_path: Path, place):
    (tmp_path / "images").mkdir()
    for name in "abc":
        noise = np.random.default_rng(0).integers(1, 999, SHAPE)
        write_labels(tmp_path / "images" / f"{name}.tif", noise.astype(np.uint16))
    drawn = image("a.tif", [region(POLYGON)]) | image("b.tif", {"0": region(POLYGON)})
    project = {"_via_settings": {}, "_via_img_metadata": drawn | image("c.tif", {})}
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / "via_project.json").write_text(json.dumps(project))
    data, report = read_dataset(tmp_path / "images", tmp_path / place)
    assert [s.labels is not None for s in data] == [True, True, False]
    assert "Labels were taken for: 2 × VIA outlines; 2 objects in all." in report
    assert "1 image without label: c.tif." in report


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (json.dumps(image("a.tif", 7)), 'image "a.tif": expected a list of regions, found 7'),
        (text(7), "region 1: expected a shape"),
        (text({"shape_attributes": 7}), "region 1: expected a shape, found 7"),
        (text(region(POLYGON | {"all_points_x": [1, 2]})), "as many corners in x as in y"),
        (text(region(POLYGON | {"all_points_x": None})), "as many corners in x as in y"),
        (text(region(POLYGON | {"all_points_x": [1, 2, 3, "x"]})), "polygon: expected at least 3"),
        (text(region({"name": "circle", "cx": 1, "cy": 2})), "circle: expected at least 1 pairs"),
        (text(region({"name": "circle", "cx": 1, "cy": 2, "r": 1e300})), "corner that is no number"),
        (text(region({"name": "rect", "x": 1})), "rect: expected at least 1 pairs of numbers"),
        (json.dumps(image("a.tif", [region(POLYGON)]) | image("x/A.png", [region(POLYGON)])), "two images have this name"),
        (text(region({"name": "polyline"})), "1 shape of the kind polyline left out"),
    ],
)  # fmt: skip
def test_damaged_files_are_refused_in_one_sentence(tmp_path: Path, content, problem):
    with pytest.raises(ValueError, match=problem) as refused:
        read(tmp_path, content)
    assert str(tmp_path) in str(refused.value)
    assert "\n" not in str(refused.value)
