"""One label image as the bytes of a file for another program.

References
----------
.. [1] ImageJ, ``ij/io/RoiEncoder.java``, ``ij/gui/ShapeRoi.java`` (composite regions).
.. [2] RFC 7946 (GeoJSON); QuPath's documentation, "Exporting annotations".
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.objects import object_areas
from microshot.data.outlines import outlines
from microshot.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Corners up to here are kept as 16-bit integers; further ones need ImageJ's floats.
_INTEGER_PX = 32767
#: Time stamp in archives, so that equal labels make equal bytes.
_TIME = (1980, 1, 1, 0, 0, 0)
IGNORE = "ignore"
#: A tenth of a second's work.
OBJECTS_PER_REPORT = 200
#: Columns of the table of objects; places are px from the middle of the first pixel.
COLUMNS: tuple[str, ...] = ("id", "y", "x", "area_px", "top", "left", "bottom", "right")


def objects_of(labels: np.ndarray) -> Iterator[tuple[int, tuple[slice, slice], np.ndarray]]:
    """Yield id, place and mask (bool) of every object of (Y, X) labels, by id."""
    from scipy.ndimage import find_objects

    ids = np.unique(labels[labels > 0])
    numbers = np.where(labels > 0, np.searchsorted(ids, labels) + 1, 0).astype(np.int32)
    for index, box in enumerate(find_objects(numbers)):
        yield int(ids[index]), (box[0], box[1]), numbers[box] == index + 1


def _polygons(
    labels: np.ndarray, progress: Progress
) -> Iterator[tuple[str, int, list[list[np.ndarray]]]]:
    """Yield name, id and polygons of every object, and of the area to be ignored, id 0."""
    for number, (rows, columns), mask in _reported(labels, progress):
        yield f"{number:05d}", number, outlines(mask, (rows.start, columns.start))
    if (labels < 0).any():
        yield IGNORE, 0, outlines(labels < 0)


def _reported(
    labels: np.ndarray, progress: Progress
) -> Iterator[tuple[int, tuple[slice, slice], np.ndarray]]:
    """Yield what `objects_of` does, telling how far it is, so that it can be cancelled."""
    n = len(object_areas(labels))
    for index, found in enumerate(objects_of(labels)):
        if index % OBJECTS_PER_REPORT == 0:
            progress(index / n, f"object {index + 1} of {n}")
        yield found


def roi_zip(labels: np.ndarray, progress: Progress = silent) -> bytes:
    """Return an archive for ImageJ's ROI manager, one region per object, exact to the pixel.

    Objects of one piece without holes are traced regions, others composite ones. The area to
    be ignored (negative ids) is a region of that name.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, _, polygons in _polygons(labels, progress):
            member = zipfile.ZipInfo(f"{name}.roi", _TIME)
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, _roi(name, polygons))
    return buffer.getvalue()


def _roi(name: str, polygons: list[list[np.ndarray]]) -> bytes:
    from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi

    rings = [ring for polygon in polygons for ring in polygon]
    corners = np.concatenate(rings)
    far = int(corners.max()) > _INTEGER_PX
    if len(rings) == 1:
        roi = ImagejRoi.frompoints(corners.astype(np.float32) if far else corners, name=name)
        roi.roitype = ROI_TYPE.TRACED
        roi.options &= ROI_OPTIONS.SUB_PIXEL_RESOLUTION
        # the box is that of the corners; one more would be for pixels
        roi.right, roi.bottom = (int(v) for v in corners.max(0))
    else:
        path = [_path(ring) for ring in rings]
        roi = ImagejRoi(roitype=ROI_TYPE.RECT, options=ROI_OPTIONS(0), name=name)
        roi.left, roi.top = (int(v) for v in corners.min(0))
        roi.right, roi.bottom = (int(v) for v in corners.max(0))
        roi.multi_coordinates = np.concatenate(path).astype(np.float32)
        roi.shape_roi_size = len(roi.multi_coordinates)
    if far:  # the box wraps around; programs take it from the corners
        for side in ("left", "top", "right", "bottom"):
            setattr(roi, side, min(int(getattr(roi, side)), _INTEGER_PX))
    return roi.tobytes()


def _path(ring: np.ndarray) -> np.ndarray:
    """Return a ring as segments: move to, line to, …, close."""
    kind = np.ones(len(ring))
    kind[0] = 0
    return np.append(np.column_stack([kind, ring]).ravel(), 4.0)


def geojson(labels: np.ndarray, *, image: str = "", progress: Progress = silent) -> bytes:
    r"""Return a GeoJSON collection that QuPath imports, exact to the pixel.

    One detection per object with its id as name; the area to be ignored (negative ids) is an
    annotation of the class *Ignore\**, which QuPath ignores too.
    """
    features = []
    for name, number, polygons in _polygons(labels, progress):
        rings = [[_closed(ring) for ring in polygon] for polygon in polygons]
        geometry = (
            {"type": "Polygon", "coordinates": rings[0]}
            if len(rings) == 1
            else {"type": "MultiPolygon", "coordinates": rings}
        )
        properties: dict[str, Any] = {"objectType": "detection" if number else "annotation"}
        properties["name"] = str(number) if number else name
        if not number:
            properties["classification"] = {"name": "Ignore*", "color": [180, 180, 180]}
        features.append({"type": "Feature", "geometry": geometry, "properties": properties})
    collection: dict[str, Any] = {"type": "FeatureCollection", "features": features}
    if image:
        collection["image"] = image
    return json.dumps(collection, separators=(",", ":"), ensure_ascii=False).encode()


def _closed(ring: np.ndarray) -> list[list[int]]:
    corners: list[list[int]] = ring.tolist()
    return [*corners, corners[0]]


def table(labels: np.ndarray, *, image: str, progress: Progress = silent) -> list[dict[str, Any]]:
    """Return one row per object: id, centre, area and box (first and last row and column)."""
    rows = []
    for number, (rows_, columns), mask in _reported(labels, progress):
        y, x = np.nonzero(mask)
        box = (rows_.start, columns.start, rows_.stop - 1, columns.stop - 1)
        centre = (float(y.mean() + rows_.start), float(x.mean() + columns.start))
        rows.append(
            {"file": image, **dict(zip(COLUMNS, (number, *centre, len(y), *box), strict=True))}
        )
    return rows


def csv_text(rows: list[dict[str, Any]]) -> bytes:
    """Return rows of `table` as CSV text; the header also where there is none."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ("file", *COLUMNS))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
