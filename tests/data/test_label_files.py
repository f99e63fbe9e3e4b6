"""Every kind of label file is told by its content and read, or refused in one sentence."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
import roifile
from hypothesis import given, settings
from hypothesis import strategies as st

from microshot.data import coco
from microshot.data.label_files import is_point_table, read_annotation, read_labels
from microshot.data.read import read_dataset
from microshot.data.regions import Outline, Union
from microshot.data.write import write_labels

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (20, 30)
SQUARE = [[2, 3], [12, 3], [12, 9], [2, 9], [2, 3]]


def feature(coordinates, kind="Polygon", **properties):
    geometry = {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def collection(*features) -> str:
    return json.dumps({"type": "FeatureCollection", "features": features})


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def picture(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    noise = np.random.default_rng(0).integers(1, 999, SHAPE)
    write_labels(folder / name, noise.astype(np.uint16))
    return folder / name


def read(path: Path, **more):
    reading = read_annotation(path, shape=SHAPE, **more)
    assert reading is not None
    return reading


def test_geojson_of_qupath(tmp_path: Path):
    ring = [[0, 0], [2, 0], [2, 2], [0, 2]]
    text = collection(
        feature([SQUARE], objectType="annotation"),
        feature([[[20, 1], [25, 1], [25, 6], [20, 6]], [[22, 3], [23, 3], [23, 4], [22, 4]]]),
        feature([[ring], [[[28, 18], [30, 18], [30, 20], [28, 20]]]], "MultiPolygon"),
        feature([[[0, 12], [9, 12], [9, 20], [0, 20]]], classification={"name": "Ignore*"}),
        feature([[[0, 0], [30, 0], [30, 20]]], classification={"name": "Region*"}),
        feature([[1, 1], [2, 2]], "LineString"),
    )
    reading = read(put(tmp_path, "a.geojson", text))
    assert (reading.taken_as, reading.n_objects) == ("QuPath GeoJSON", 3)
    labels = reading.labels
    assert (labels[3:9, 2:12] == 1).all()
    assert np.count_nonzero(labels == 2) == 24
    assert labels[3, 22] == 0
    assert labels[19, 29] == labels[0, 0] == 3
    assert (labels[12:, :9] == -1).all()
    assert "1 outline of the class Region* left out" in reading.note
    assert "1 line left out" in reading.note
    assert "72 pixels are to be ignored" in reading.note
    assert reading.describe().startswith("QuPath GeoJSON, 3 objects")


def box(left, top, right, bottom):
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


@pytest.mark.parametrize("kind", ["detection", "cell"])
def test_annotations_in_which_qupath_looked_for_objects_are_none(tmp_path: Path, kind):
    corner = [[0, 0], [30, 0], [30, 20], [25, 20], [25, 2], [0, 2]]  # passes around the detections
    text = collection(
        feature([box(0, 0, 20, 20)], objectType="annotation"),
        feature([box(2, 3, 6, 7)], objectType=kind),
        feature([box(10, 10, 15, 15)], objectType=kind, classification={"name": "Tumour"}),
        feature([corner], objectType="annotation"),
        feature([], objectType="annotation"),
    )
    reading = read(put(tmp_path, "a.geojson", text))
    assert [np.count_nonzero(reading.labels == i) for i in (1, 2, 3)] == [16, 25, 60 + 90]
    assert "1 annotation around detections left out" in reading.note


def test_an_annotation_around_one_of_several_detections_is_no_object(tmp_path: Path):
    corner = [[0, 0], [30, 0], [30, 20], [25, 20], [25, 2], [0, 2]]
    text = collection(
        feature([corner], objectType="annotation"),
        feature([box(2, 3, 6, 7)], objectType="detection"),  # in its box, but beside it
        feature([box(26, 5, 29, 8)], objectType="detection"),
    )
    reading = read(put(tmp_path, "a.geojson", text))
    assert [np.count_nonzero(reading.labels == i) for i in (1, 2, 3)] == [16, 9, 0]


def test_what_is_called_ignore_is_to_be_ignored_without_a_class_too(tmp_path: Path):
    text = collection(
        feature([box(2, 3, 6, 7)], objectType="detection", name="1"),
        feature([box(0, 0, 10, 20)], objectType="annotation", name="Ignore"),
        feature([box(20, 0, 30, 5)], name="ignore", classification={"name": "Region*"}),
    )
    reading = read(put(tmp_path, "a.geojson", text))
    assert reading.n_objects == 1
    assert [np.count_nonzero(reading.labels == i) for i in (1, -1)] == [16, 200 - 16 + 50]


def test_a_list_of_features_is_geojson(tmp_path: Path):
    text = json.dumps([feature([box(2, 3, 6, 7)]), feature([box(10, 3, 12, 7)])])
    assert read(put(tmp_path, "a.json", text)).n_objects == 2


def test_points_of_qupath_lie_in_the_middle_of_pixels_as_ours(tmp_path: Path):
    text = collection(
        feature([[3.5, 4.5], [10, 12]], "MultiPoint"),
        feature([0.5, 0.5], "Point"),
        feature([[[20, 0], [30, 0], [30, 9], [20, 9]]], classification="ignore"),
        feature([25, 5], "Point"),
    )
    reading = read(put(tmp_path, "a.json", text))
    assert reading.points.tolist() == [[4, 3], [11.5, 9.5], [0, 0]]
    known = reading.known()
    assert set(known) == {"points", "ignore"}
    assert known["ignore"].sum() == 90
    with pytest.raises(ValueError, match="expected outlines of objects, found 3 points"):
        read_labels(tmp_path / "a.json", shape=SHAPE)


def test_points_whose_pixel_is_to_be_ignored_are_left_out_and_counted(tmp_path: Path):
    text = collection(
        feature([[[20, 0], [30, 0], [30, 9], [20, 9]]], classification="ignore"),
        feature([[19.8, 5.5], [20.2, 5.5], [25.5, 0.5]], "MultiPoint"),
    )
    reading = read(put(tmp_path, "a.json", text))
    assert reading.points.tolist() == [pytest.approx([5, 19.3])]
    assert "2 points in areas to be ignored left out" in reading.note
    nothing = read(put(tmp_path, "b.json", collection(feature([25, 5], "Point"))))
    assert "left out" not in nothing.note


def test_imagej_regions_of_every_kind_of_area(tmp_path: Path):
    rect = roifile.ImagejRoi(roitype=roifile.ROI_TYPE.RECT, left=1, top=2, right=4, bottom=7)
    oval = roifile.ImagejRoi(roitype=roifile.ROI_TYPE.OVAL, left=10, top=2, right=20, bottom=12)
    free = roifile.ImagejRoi.frompoints(np.array([[22.2, 3.1], [28.9, 3.1], [25, 9.7]]))
    line = roifile.ImagejRoi(roitype=roifile.ROI_TYPE.LINE)
    ignored = roifile.ImagejRoi.frompoints(
        np.array([[0, 15], [30, 15], [30, 20], [0, 20]]), name="Ignore 1"
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for index, roi in enumerate((rect, oval, free, line, ignored)):
            archive.writestr(f"{index}.roi", roi.tobytes())
    reading = read(put(tmp_path, "RoiSet.zip", buffer.getvalue()))
    assert (reading.taken_as, reading.n_objects) == ("ImageJ ROI set", 3)
    assert np.count_nonzero(reading.labels == 1) == 15
    assert abs(np.count_nonzero(reading.labels == 2) - np.pi * 25) < 4
    assert 15 < np.count_nonzero(reading.labels == 3) < 27
    assert (reading.labels[15:] == -1).all()
    assert "1 line or text left out" in reading.note
    alone = read(put(tmp_path, "a.roi", rect.tobytes()))
    assert (alone.taken_as, alone.n_objects) == ("ImageJ ROI", 1)


def test_points_of_imagej(tmp_path: Path):
    roi = roifile.ImagejRoi.frompoints(np.array([[3, 4], [10, 11]]))
    roi.roitype = roifile.ROI_TYPE.POINT
    reading = read(put(tmp_path, "a.roi", roi.tobytes()))
    assert reading.points.tolist() == [[4, 3], [11, 10]]


def on_plane(*planes: dict) -> str:
    """Return GeoJSON of a square on each of QuPath's planes."""
    made = [feature([box(4 * i, 3, 4 * i + 3, 6)]) for i in range(len(planes))]
    for one, plane in zip(made, planes, strict=True):
        one["geometry"]["plane"] = plane
    return collection(*made)


def test_outlines_on_several_planes_of_a_stack_are_pointed_out(tmp_path: Path):
    def regions(*places, **more):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for index, place in enumerate(places):
                roi = roifile.ImagejRoi.frompoints(np.array(SQUARE[:4]) + index, name=f"{index}")
                roi.roitype = roifile.ROI_TYPE.TRACED
                for key, value in {**place, **more}.items():
                    setattr(roi, key, value)
                archive.writestr(f"{index}.roi", roi.tobytes())
        return buffer.getvalue()

    said = "drawn on 2 planes of a stack, which are not told apart"
    told = {
        "slices": regions({"position": 1}, {"position": 2}, {"position": 2}),
        "depths": regions({"z_position": 1}, {"z_position": 3}, t_position=1),
        "qupath": on_plane({"c": -1, "z": 0, "t": 0}, {"c": -1, "z": 4, "t": 0}),
    }
    for name, content in told.items():
        assert said in read(put(tmp_path, name, content)).note, name
    quiet = {
        "one": regions({"position": 2}, {"position": 2}),
        "channels": regions({"c_position": 1}, {"c_position": 2}, z_position=1, t_position=1),
        "none": regions({}, {}),
        "same": on_plane({"c": 0, "z": 2, "t": 0}, {"c": 1, "z": 2, "t": 0}),
        "lines": regions({"position": 1}, {"position": 2, "roitype": roifile.ROI_TYPE.POLYLINE}),
    }
    for name, content in quiet.items():
        assert "planes" not in read(put(tmp_path, name, content)).note, name


def coco_text(**more) -> str:
    rle = {"size": list(SHAPE), "counts": [20 * 29, 5, 15]}
    document = {
        "images": [
            {"id": 1, "file_name": "a.png", "height": 20, "width": 30},
            {"id": 2, "file_name": "sub/b.png", "height": 20, "width": 30},
        ],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[2, 3, 12, 3, 12, 9, 2, 9]]},
            {"id": 2, "image_id": 1, "category_id": 1, "segmentation": rle},
            {"id": 3, "image_id": 1, "iscrowd": 1,
             "segmentation": {"size": list(SHAPE), "counts": [0, 2, 598]}},
            {"id": 4, "image_id": 1, "bbox": [1, 2, 3, 4], "segmentation": []},
        ],
        **more,
    }  # fmt: skip
    return json.dumps(document)


def test_coco_holds_many_images(tmp_path: Path):
    path = put(tmp_path, "all.json", coco_text())
    reading = read(path, image="a.tif")
    assert (reading.taken_as, reading.n_objects) == ("COCO JSON", 2)
    assert (reading.labels[3:9, 2:12] == 1).all()
    assert (reading.labels[:5, 29] == 2).all()
    assert (reading.labels[:2, 0] == -1).all()
    assert "1 box without outline left out" in reading.note
    assert read(path, image="b.tif").n_objects == 0
    assert read_annotation(path, shape=SHAPE, image="c.tif") is None
    with pytest.raises(ValueError, match="labels 2 images and it is not known which"):
        read_annotation(path, shape=SHAPE)


def test_coco_of_an_image_of_another_size_is_refused(tmp_path: Path):
    path = put(tmp_path, "all.json", coco_text())
    with pytest.raises(ValueError, match="image of 40 x 60 px, found those in one of 20 x 30 px"):
        read_annotation(path, shape=(40, 60), image="a.tif")


def test_an_object_in_pieces_is_their_union_and_takes_memory_for_its_box_alone():
    def square(x, y):
        return Outline((np.asarray([[x, y], [x + 4, y], [x + 4, y + 4], [x, y + 4]], float),))

    union = Union((square(2, 3), square(4, 5), square(-2, 8), square(900, 900)))
    place, mask = union.pixels((500, 400))
    assert mask.shape == (9, 8)
    whole = np.zeros((500, 400), bool)
    whole[place] = mask
    assert whole.sum() == 16 + 12 + 8
    assert whole[3:7, 2:6].all()
    assert whole[5:9, 4:8].all()
    assert whole[8:12, :2].all()
    place, mask = Union((square(900, 900),)).pixels((500, 400))
    assert not whole[place].size
    assert not mask.size


def test_a_box_is_enough_for_what_coco_ignores(tmp_path: Path):
    boxes = [
        {"id": 1, "image_id": 1, "iscrowd": 1, "bbox": [1, 2, 3.0, 4]},
        {"id": 2, "image_id": 1, "ignore": 1, "bbox": [10, 0, 2, 2], "segmentation": []},
        {"id": 3, "image_id": 1, "segmentation": [[20, 3, 25, 3, 25, 9, 20, 9]]},
    ]
    reading = read(put(tmp_path, "a.json", coco_text(annotations=boxes)), image="a.tif")
    assert reading.n_objects == 1
    assert (reading.labels[2:6, 1:4] == -1).all()
    assert (reading.labels[:2, 10:12] == -1).all()
    assert "16 pixels are to be ignored" in reading.note
    assert "left out" not in reading.note


def test_coco_needs_no_size_and_a_category_may_say_what_is_ignored(tmp_path: Path):
    square = {"image_id": 1, "category_id": 7, "segmentation": [[20, 3, 25, 3, 25, 9, 20, 9]]}
    text = coco_text(
        images=[{"id": 1, "file_name": "a.png", "height": None}],
        categories=[{"id": 1, "name": "cell"}, {"id": 7, "name": "Ignore"}, "nothing"],
        annotations=[
            square,
            {**square, "category_id": 1, "segmentation": [[0, 0, 5, 0, 5, 5, 0, 5]]},
        ],
    )
    reading = read(put(tmp_path, "a.json", text), image="a.tif")
    assert reading.n_objects == 1
    assert (reading.labels[3:9, 20:25] == -1).all()


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=12))
def test_run_lengths_in_cocos_text_form(lengths):
    text = ""
    for index, length in enumerate(lengths):
        value = length - (lengths[index - 2] if index > 2 else 0)
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != -1 if bits & 0x10 else value != 0
            text += chr(48 + (bits | (0x20 if more else 0)))
    assert coco._unpacked(text) == lengths


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y,x\n4,3\n11.5,9.5\n", [[4, 3], [11.5, 9.5]]),
        ("index;axis-0;axis-1\n0;4,0;3,0\n", [[4, 3]]),
        ("Image\tObject\tY (px)\tX (px)\na.tif\t1\t4\t3\nb.tif\t1\t0\t0\n", [[4, 3]]),
        ("file,y,x\na.tif,,\nb.tif,1,1\n", []),
        ("id,row,col\n7,4,3\n", [[4, 3]]),
    ],
)
def test_tables_of_points(tmp_path: Path, text, expected):
    reading = read(put(tmp_path, "points.csv", text), image="a.tif")
    assert reading.taken_as == "table of points"
    assert reading.points.tolist() == expected


@pytest.mark.parametrize(("text", "column"), [("y,x\n1,2\n4,\n", "x"), ("y,x\n1,2\n,3\n", "y")])
def test_half_a_position_is_refused_with_its_place(tmp_path: Path, text, column):
    with pytest.raises(ValueError, match=f'line 3, column "{column}": expected a position in pix'):
        read(put(tmp_path, "points.csv", text), image="a.tif")


def test_results_of_fiji_are_taken_for_pixels_and_that_is_told(tmp_path: Path):
    path = put(tmp_path, "a.csv", " ,Area,Mean,X,Y\n1,0,255,3,4\n")
    reading = read(path)
    assert reading.points is not None
    assert reading.points.tolist() == [[4, 3]]
    assert reading.note.startswith("X and Y were taken for pixels, which Fiji writes of images")
    assert not read(put(tmp_path, "b.csv", ",x,y\n1,3,4\n")).note


def test_a_table_with_one_coordinate_is_no_table_of_points(tmp_path: Path):
    for header, are_points in (("y,x", True), ("x,count", False), ("y,count", False)):
        assert is_point_table(put(tmp_path, "t.csv", f"{header}\n1,2\n")) == are_points


@pytest.mark.parametrize(
    ("header", "used"),
    [
        ("index,axis-0,axis-1,axis-2", "axis-1 and axis-2"),
        ("label,centroid-0,centroid-1,centroid-2", "centroid-1 and centroid-2"),
        ("axis-0,axis-1,axis-2,axis-3", "axis-2 and axis-3"),
    ],
)
def test_points_in_stacks_lie_along_the_last_two_axes(tmp_path: Path, header, used):
    reading = read(put(tmp_path, "points.csv", f"{header}\n0,7,4,3\n1,8,11.5,9.5\n"))
    assert reading.points.tolist() == [[4, 3], [11.5, 9.5]]
    assert f"positions are those in {used}, planes are not told apart" in reading.note


def test_a_folder_may_hold_all_kinds_and_the_report_names_each(tmp_path: Path):
    for name in "abcd":
        picture(tmp_path / "images", f"{name}.tif")
    labels = tmp_path / "labels"
    put(labels, "a.geojson", collection(feature([SQUARE], objectType="annotation")))
    put(labels, "b_RoiSet.zip", zipped(SQUARE))
    put(labels, "c_points.csv", "y,x\n1,2\n3,4\n")
    write_labels(labels / "d.tif", np.eye(20, 30, dtype=np.uint16) * 3)
    data, report = read_dataset(tmp_path)
    a, b, c, d = data
    assert np.array_equal(a.labels, b.labels)
    assert c.labels is None
    assert c.points.tolist() == [[1, 2], [3, 4]]
    assert d.labels is not None
    for line in (
        "a.geojson: QuPath GeoJSON, 1 object.",
        "b_RoiSet.zip: ImageJ ROI set, 1 object.",
        "c_points.csv: table of points, 2 objects.",
        "d.tif: one number per object, 1 object.",
    ):
        assert any(found.startswith(line[:-1]) for found in report), report


def zipped(ring, name="1.roi") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        content = (
            ring
            if isinstance(ring, bytes)
            else roifile.ImagejRoi.frompoints(np.array(ring)).tobytes()
        )
        archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("place", ["labels", "images", "."])
def test_one_file_labels_the_images_it_names(tmp_path: Path, place):
    for name in "abc":
        picture(tmp_path / "images", f"{name}.tif")
    put(tmp_path / place, "instances.json", coco_text())
    given = None if place != "." else tmp_path / "instances.json"
    data, report = read_dataset(tmp_path / "images", given) if given else read_dataset(
        tmp_path if place == "labels" else tmp_path / "images"
    )  # fmt: skip
    assert [s.labels is not None for s in data] == [True, True, False]
    assert any(line.startswith("instances.json: COCO JSON, 2 objects") for line in report)


def test_a_file_called_like_an_image_that_labels_others_only_is_told(tmp_path: Path):
    for name in "cd":
        picture(tmp_path, f"{name}.tif")
    put(tmp_path / "labels", "c.json", coco_text())
    put(tmp_path / "labels", "d.geojson", collection(feature([SQUARE])))
    data, report = read_dataset(tmp_path)
    assert [s.labels is not None for s in data] == [False, True]
    assert "c.json holds labels of other images only: c.tif is taken as without label." in report


@pytest.mark.parametrize("place", ["labels", "."])
def test_a_file_for_many_images_that_names_none_of_these_is_told(tmp_path: Path, place):
    for name in "xy":
        picture(tmp_path, f"{name}.tif")
    path = put(tmp_path / place, "instances.json", coco_text())
    said = (
        'instances.json labels none of these images: expected names such as "x.tif", found such as "a"; '
        "give each label the name of its image."
    )
    assert said in read_dataset(tmp_path)[1]
    assert said not in read_dataset(tmp_path / "x.tif")[1]
    with pytest.raises(ValueError, match=r"instances\.json labels none of these images"):
        read_dataset(tmp_path, path)
    picture(tmp_path, "a.tif")
    assert said not in read_dataset(tmp_path)[1]


def test_several_files_label_the_images_they_name(tmp_path: Path):
    for name in "abc":
        picture(tmp_path, f"{name}.tif")
    put(tmp_path, "train.json", coco_text())
    put(tmp_path, "val.json", coco_text(images=[{"id": 1, "file_name": "c.png"}], annotations=[]))
    data, report = read_dataset(tmp_path)
    assert all(s.labels is not None for s in data)
    assert "c.tif ↔ val.json" in report
    put(tmp_path, "val.json", coco_text())
    with pytest.raises(ValueError, match=r'train\.json" and ".*val\.json": two label files'):
        read_dataset(tmp_path)


def test_a_damaged_file_for_many_images_says_what_is_wrong_with_it(tmp_path: Path):
    for name in "ab":
        picture(tmp_path / "images", f"{name}.tif")
    path = put(tmp_path, "all.json", coco_text()[:-9])
    with pytest.raises(ValueError, match=r'all\.json": the JSON text is damaged or cut off'):
        read_dataset(tmp_path / "images", path)


def test_one_table_of_points_for_many_images(tmp_path: Path):
    for name in "abc":
        picture(tmp_path / "images", f"{name}.tif")
    path = put(tmp_path, "clicks.csv", "file,y,x\na.tif,1,2\na.tif,3,4\nb.tif,,\n")
    data, _ = read_dataset(tmp_path / "images", path)
    assert [None if s.points is None else len(s.points) for s in data] == [2, 0, None]


def test_images_named_as_regions_stay_images(tmp_path: Path):
    picture(tmp_path, "a_roi.tif")
    picture(tmp_path, "b_points.tif")
    put(tmp_path, "results.csv", "area,mean\n1,2\n")
    put(tmp_path, "settings.json", "{}")
    data, _ = read_dataset(tmp_path)
    assert len(data) == 2


def nested(depth: int) -> str:
    return "[" * depth


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.geojson", '{"type": "FeatureCollection", "features": [', "damaged or cut off in line 1"),
        ("a.json", nested(200_000), "no annotation|damaged"),
        ("a.json", '{"version": 5, "shapes": []}', "found other JSON"),
        ("a.json", b'{"type": "\xff"}', "expected JSON text"),
        ("a.json", '{"type": "FeatureCollection"}', "expected a list of features"),
        ("a.json", collection(feature([[[0, 0], [1, 1]]])), "at least 3 pairs of numbers"),
        ("a.json", collection(feature([[[0, 0], [1, "x"], [2, 2]]])), "pairs of numbers"),
        ("a.json", collection(feature([[[0, 0], [1e300, 0], [2, 2]]])), "corner that is no number"),
        ("a.json", collection(feature([[[0, 0], [float("nan"), 0], [2, 2]]])), "pairs of numbers"),
        ("a.json", collection(feature([[[99, 99], [120, 99], [120, 130]]])), "check that file and"),
        ("a.json", collection(feature([], "Sphere")), "expected a geometry"),
        ("a.json", collection(7), "expected a feature"),
        ("a.json", coco_text(annotations=[{"image_id": 9}]), "the id of a listed image"),
        ("a.json", coco_text(annotations=[{"image_id": 1, "segmentation": [[1, 2, 3]]}]), "polygon"),
        ("a.json", coco_text(annotations=[{"image_id": 1, "segmentation": {"size": [20, 30], "counts": [5]}}]), "add up to"),
        ("a.json", coco_text(annotations=[{"image_id": 1, "segmentation": {"size": [20, 10**9], "counts": "0"}}]), "size of its run lengths"),
        ("a.json", coco_text(annotations=[{"image_id": 1, "segmentation": {"size": [20, 30], "counts": "~~"}}]), "add up to"),
        ("a.json", coco_text(annotations=[{"image_id": 1, "iscrowd": 1, "bbox": [1, 2]}]), "expected a box as x, y"),
        ("a.json", coco_text(annotations=[{"image_id": 1, "ignore": 1, "bbox": [1, 2, 3, "x"]}]), "box: expected"),
        ("a.json", coco_text(annotations=3), 'list of "annotations"'),
        ("a.json", coco_text(images=[{"id": 1, "file_name": "a.tif"}, {"id": 2, "file_name": "b/a.png"}]), "two images called"),
        ("a.json", coco_text(images=[{"id": 1, "file_name": "a.tif"}, {"id": 1, "file_name": "b.tif"}]), "two images called"),
        ("a.json", coco_text(images=[{"id": 1}]), "image 1: expected file_name and id"),
        ("a.json", coco_text(images=[{"file_name": "a.tif"}]), "image 1: expected file_name and id"),
        ("a.roi", b"Iout" + b"\xff" * 20, "damaged or of an unknown kind"),
        ("a.roi", b"Iout" + b"\xff" * 200, "nothing else than what is not used"),
        ("a.json", collection(feature([[1, 1], [2, 2]], "LineString")), "1 line left out"),
        ("a.zip", b"PK\x03\x04" + b"\0" * 50, "ZIP archive is damaged"),
        ("a.zip", zipped(SQUARE, "readme.txt"), "expected an archive of ImageJ regions"),
        ("a.zip", zipped(b"no region"), "damaged"),
        ("a.csv", "y,x\n1,two\n", 'line 2, column "x": expected a position'),
        ("a.csv", "area,mean\n1,2\n", "expected a column with the position downwards"),
        ("a.csv", b"\0\1\2", "expected a table"),
        ("a.csv", "file,y,x\n,1,2\n", "expected a file name"),
    ],
)  # fmt: skip
def test_damaged_files_are_refused_in_one_sentence(tmp_path: Path, name, content, problem):
    path = put(tmp_path, name, content)
    with pytest.raises(ValueError, match=problem) as refused:
        read_annotation(path, shape=SHAPE, image="a.tif")
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("limit", ["_MOST_BYTES", "_MOST_BYTES_IN_ALL"])
def test_archives_that_swell_are_refused(tmp_path: Path, monkeypatch, limit):
    monkeypatch.setattr(f"microshot.data.roi_files.{limit}", 1 << 20)
    path = put(tmp_path, "a.zip", zipped(b"Iout" + b"\0" * (4 << 20)))
    assert path.stat().st_size < 1 << 16
    with pytest.raises(ValueError, match="unpacks to more"):
        read_annotation(path, shape=SHAPE)


def test_names_in_archives_are_only_names(tmp_path: Path):
    path = put(tmp_path / "in", "a.zip", zipped(SQUARE, "../../evil.roi"))
    assert read(path).n_objects == 1
    assert [p.name for p in tmp_path.rglob("*")] == ["in", "a.zip"]


def test_an_archive_that_only_says_it_is_empty_is_damaged(tmp_path: Path):
    emptied = bytearray(zipped(SQUARE))
    end = emptied.rindex(b"PK\x05\x06")
    emptied[end + 8 : end + 20] = bytes(8) + end.to_bytes(4, "little")
    with pytest.raises(ValueError, match="expected an archive of ImageJ regions"):
        read(put(tmp_path, "a.zip", bytes(emptied)))


def test_what_macos_adds_to_an_archive_is_no_region(tmp_path: Path):
    path = put(tmp_path, "a.zip", zipped(SQUARE))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("__MACOSX/._1.roi", b"\0\5\x16\7Mac OS X")
    assert read(path).n_objects == 1


#: Intact files, made once.
INTACT = {
    "a.zip": zipped(SQUARE),
    "a.json": coco_text().encode(),
    "a.roi": roifile.ImagejRoi.frompoints(np.array(SQUARE), name="one").tobytes(),
}


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(INTACT)),
    st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 10**4),
)
def test_damaged_bytes_are_read_or_refused_never_more(tmp_path_factory, name, changes, end):
    content = bytearray(INTACT[name])
    for place, byte in changes:
        content[4 + place % (len(content) - 4)] = byte
    content = content[: 5 + end % (len(content) - 4)]
    path = put(tmp_path_factory.mktemp("damaged"), name, bytes(content))
    try:
        read_annotation(path, shape=SHAPE, image="a.tif")
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017


def test_outlines_without_an_image_say_what_is_missing(tmp_path: Path):
    path = put(tmp_path, "a.geojson", collection(feature([SQUARE])))
    with pytest.raises(ValueError, match="need an image to lie on"):
        read_annotation(path)


def test_overlaps_are_told_and_the_later_lies_on_top(tmp_path: Path):
    path = put(tmp_path, "a.geojson", collection(feature([SQUARE]), feature([SQUARE])))
    reading = read(path)
    assert reading.n_objects == 1
    assert "60 pixels lie in several outlines" in reading.note
    assert "1 outline covers no pixel of its own" in reading.note
