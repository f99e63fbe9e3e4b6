"""labelme JSON: the outlines and points of one image, as polygons, other shapes or masks.

References
----------
.. [1] wkentaro/labelme, labelme/utils/shape.py (what each type of shape covers; shapes of one label
   and one group are one object).
"""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any

import numpy as np

from microshot.data.json_text import corners, shown, size_in
from microshot.data.outlines import oval
from microshot.data.png import decode_png
from microshot.data.regions import AnnotationFile, Mask, Outline, Region, means_ignore
from microshot.data.shapes import Shapes

_KEYS = ("shapes", "imagePath")
#: Shapes given by their corners; of two, these are opposite ones of a box along the axes.
_CORNERED = ("polygon", "rectangle", "rotation", "oriented_rectangle", "quadrilateral")
_POINTS = ("point", "points")
#: What labelme calls shapes that are no objects.
_BACKGROUND = "_background_"
#: Places of masks further away than this from the first pixel are refused.
_FURTHEST = 1 << 31
#: Pixels of all masks together, unpacked; more are refused.
_MOST_PX = 1 << 29


def is_labelme(document: Any) -> bool:
    """Say whether parsed JSON is labelme's."""
    return isinstance(document, dict) and set(_KEYS) <= set(document)


def looks_like_labelme(data: bytes) -> bool:
    """Say whether JSON text may be labelme's, whether or not it is intact."""
    return all(f'"{key}"'.encode() in data for key in _KEYS)


def read_labelme(document: Any, where: str) -> AnnotationFile:
    """Return the outlines and points in parsed labelme JSON.

    Polygons, rectangles, circles and masks are objects, or areas to be ignored where their label is
    *ignore*; lines and other shapes, and those labelled *_background_*, are left out, with a note.

    Raises
    ------
    ValueError : beginning with `where`, naming the shape that is damaged.
    """
    found = Shapes()
    shapes = document["shapes"]
    if not isinstance(shapes, list):
        raise ValueError(
            f"{where}: expected a list of shapes in the labelme JSON, found {shapes!r:.40}; save it again."
        )
    for index, shape in enumerate(shapes):
        _take(shape, found, f"{where}, shape {index + 1}")
    size = size_in(document.get("imageHeight"), document.get("imageWidth"))
    return AnnotationFile({"": found.marks("labelme")}, {} if size is None else {"": size})


def _take(shape: Any, found: Shapes, where: str) -> None:
    if not isinstance(shape, dict):
        raise ValueError(f"{where}: expected a shape, found {shape!r:.40}; save it again.")
    kind, label, group = (
        shape.get("shape_type") or "polygon",
        shape.get("label"),
        shape.get("group_id"),
    )
    places = shape.get("points")
    if label == _BACKGROUND:
        found.leave_out(_BACKGROUND)
    elif kind in _POINTS:
        found.points.append(corners(places, 1, where, shown(kind)))
    elif kind in (*_CORNERED, "circle", "mask"):
        region = _region(shape, corners(places, 2, where, shown(kind)), where)
        found.n_boxes += kind == "rectangle" and not region.ignore
        found.n_px += region.inside.size if isinstance(region, Mask) else 0
        if found.n_px > _MOST_PX:
            raise ValueError(
                f"{where}: expected masks of at most {_MOST_PX >> 20} million pixels in all, found more; "
                "save a label image instead."
            )
        found.add(region, None if group is None else (shown(label), shown(group)))
    else:
        found.leave_out(kind)


def _region(shape: dict[str, Any], places: np.ndarray, where: str) -> Region:
    kind, ignore = shape.get("shape_type"), means_ignore(str(shape.get("label")))
    if kind == "mask":
        return _mask(shape.get("mask"), places[0], where, ignore=ignore)
    if kind == "circle":
        radius = math.hypot(*(places[1] - places[0]))
        return Outline((oval(places[0], (radius, radius)),), ignore)
    if kind == "rectangle" and len(places) == 2:
        (xa, ya), (xb, yb) = places
        return Outline((np.asarray([[xa, ya], [xb, ya], [xb, yb], [xa, yb]]),), ignore)
    return Outline((corners(shape.get("points"), 3, where, shown(kind or "polygon")),), ignore)


def _mask(text: Any, first: np.ndarray, where: str, *, ignore: bool) -> Mask:
    """Return a mask that is kept as PNG in base64; its first pixel is given by x and y."""
    try:
        data = base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise ValueError(
            f"{where}, mask: expected a PNG image in base64, found {text!r:.40}; save it again."
        ) from error
    if not (np.abs(first) < _FURTHEST).all():
        raise ValueError(
            f"{where}, mask: expected a place in the image, found {first[0]:g}, {first[1]:g}; save it again."
        )
    inside = decode_png(data, f"{where}, mask").pixels.max(axis=0) > 0
    return Mask((int(first[1]), int(first[0])), inside, ignore)
