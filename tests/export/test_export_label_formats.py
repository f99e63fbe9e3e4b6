"""Labels for other programs come back exactly: no pixel is lost on the round trip."""

from __future__ import annotations

import functools
import io
import json
import operator
import zipfile

import numpy as np
import pytest
import roifile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from microshot.data import geojson, roi_files
from microshot.data.regions import drawn
from microshot.export import label_formats

CALM = settings(deadline=None)
#: Any labels at all: touching, in pieces, with holes, at the border, of one pixel, ignored.
NOISE = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: arrays(np.int32, shape, elements=st.integers(-1, 4))
)


@st.composite
def stars(draw) -> np.ndarray:
    """Star-convex objects, some cut by the border, the later on top."""
    labels = np.zeros((48, 56), np.int32)
    y, x = np.indices(labels.shape)
    for number in range(1, draw(st.integers(1, 6)) + 1):
        cy, cx = draw(st.integers(-2, 50)), draw(st.integers(-2, 58))
        radius, wave = draw(st.floats(1, 14)), draw(st.floats(0, 0.6))
        lobes = draw(st.integers(2, 7))
        edge = radius * (1 + wave * np.cos(lobes * np.arctan2(y - cy, x - cx)))
        labels[np.hypot(y - cy, x - cx) <= edge] = number
    return labels


def gapless(labels: np.ndarray) -> np.ndarray:
    """Number the objects 1 to n in the order of their ids."""
    ids = np.unique(labels[labels > 0])
    return np.where(labels > 0, np.searchsorted(ids, labels) + 1, labels)


def through_roi(labels: np.ndarray) -> np.ndarray:
    marks = roi_files.read_roi_zip(label_formats.roi_zip(labels), "set")
    return drawn(marks, labels.shape, "set").labels


def through_geojson(labels: np.ndarray) -> np.ndarray:
    document = json.loads(label_formats.geojson(labels))
    return drawn(geojson.marks_of(document, "json"), labels.shape, "json").labels


WAYS = pytest.mark.parametrize("way", [through_roi, through_geojson])


@WAYS
@CALM
@given(labels=NOISE)
def test_any_labels_come_back_exactly(way, labels):
    assert np.array_equal(way(labels), gapless(labels))


@WAYS
@CALM
@given(labels=stars())
def test_star_convex_objects_come_back_exactly(way, labels):
    assert np.array_equal(way(labels), gapless(labels))


@WAYS
def test_objects_beyond_16_bits_come_back_exactly(way):
    labels = np.zeros((7, 40_000), np.int32)
    labels[1:6, 32_000:39_990] = 1
    labels[3, 39_000] = 0
    labels[2:4, 100:110] = 2
    labels[6, 36_000:] = 3
    assert np.array_equal(way(labels), labels)


def rois(labels: np.ndarray) -> dict[str, roifile.ImagejRoi]:
    with zipfile.ZipFile(io.BytesIO(label_formats.roi_zip(labels))) as archive:
        return {n: roifile.ImagejRoi.frombytes(archive.read(n)) for n in archive.namelist()}


def test_imagej_gets_traced_regions_with_corners_between_pixels():
    labels = np.zeros((9, 9), np.int32)
    labels[2:4, 3:8] = 7
    ((name, roi),) = rois(labels).items()
    assert (name, roi.name) == ("00007.roi", "00007")
    assert roi.roitype == roifile.ROI_TYPE.TRACED
    assert not roi.subpixelresolution
    assert (roi.left, roi.top, roi.right, roi.bottom) == (3, 2, 8, 4)
    assert {tuple(c) for c in roi.coordinates()} == {(3, 2), (8, 2), (8, 4), (3, 4)}


def test_imagej_gets_corners_beyond_15_bits_as_decimal_numbers():
    """Whole numbers are those of Java with a sign, up to 32767."""
    labels = np.zeros((2, 32_768), np.int32)
    labels[0, :-1], labels[1] = 1, 2
    near, far = rois(labels).values()
    assert (near.subpixelresolution, near.right) == (False, 32_767)
    assert (far.subpixelresolution, far.right) == (True, 32_767)
    assert far.coordinates().max(0).tolist() == [32_768, 2]


def test_imagej_gets_holes_and_pieces_as_composite_regions():
    labels = np.zeros((9, 12), np.int32)
    labels[1:6, 1:6] = 1
    labels[3, 3] = 0
    labels[8, 10] = 1
    (roi,) = rois(labels).values()
    assert roi.composite
    assert len(roi.coordinates(multi=True)) == 3
    assert (roi.left, roi.top, roi.right, roi.bottom) == (1, 1, 11, 9)


def test_qupath_gets_polygons_multipolygons_and_an_ignored_class():
    labels = np.zeros((9, 12), np.int32)
    labels[1:6, 1:6] = 1
    labels[3, 3] = 0
    labels[0, 8] = labels[8, 10] = 2
    labels[8, 0] = -1
    document = json.loads(label_formats.geojson(labels, image="a.tif"))
    assert document["type"] == "FeatureCollection"
    one, two, ignored = document["features"]
    assert one["geometry"]["type"] == "Polygon"
    assert len(one["geometry"]["coordinates"]) == 2
    assert two["geometry"]["type"] == "MultiPolygon"
    assert [f["properties"]["objectType"] for f in (one, two)] == ["detection"] * 2
    assert ignored["properties"]["classification"]["name"] == "Ignore*"
    for feature in document["features"]:
        assert feature["type"] == "Feature"
        rings = feature["geometry"]["coordinates"]
        for ring in (
            rings
            if feature["geometry"]["type"] == "Polygon"
            else functools.reduce(operator.iadd, rings, [])
        ):
            assert ring[0] == ring[-1]


def test_the_table_names_places_from_the_middle_of_the_first_pixel():
    labels = np.zeros((6, 6), np.int32)
    labels[0, 0] = 3
    labels[2:4, 1:5] = 9
    rows = label_formats.table(labels, image="a.tif")
    assert rows == [
        {"file": "a.tif", "id": 3, "y": 0.0, "x": 0.0, "area_px": 1,
         "top": 0, "left": 0, "bottom": 0, "right": 0},
        {"file": "a.tif", "id": 9, "y": 2.5, "x": 2.5, "area_px": 8,
         "top": 2, "left": 1, "bottom": 3, "right": 4},
    ]  # fmt: skip
    assert label_formats.csv_text([]).decode().startswith("file,id,y,x,area_px")


def test_equal_labels_make_equal_bytes():
    labels = np.eye(5, dtype=np.int32)
    assert label_formats.roi_zip(labels) == label_formats.roi_zip(labels)
