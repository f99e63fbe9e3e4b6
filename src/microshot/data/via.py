"""JSON of the VGG Image Annotator (VIA 1 and 2): the outlines and points of many images in one file.

References
----------
.. [1] Dutta & Zisserman 2019, doi:10.1145/3343031.3350535; robots.ox.ac.uk/~vgg/software/via.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microshot.data.folders import stem_of
from microshot.data.json_text import corners, shown
from microshot.data.outlines import oval
from microshot.data.regions import AnnotationFile, Outline, means_ignore
from microshot.data.shapes import Shapes

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

#: Under this name a project holds what exported annotations are alone.
_IN_PROJECT = "_via_img_metadata"


def is_via(document: Any) -> bool:
    """Say whether parsed JSON is a project of VIA, or annotations that it exported."""
    if not isinstance(document, dict):
        return False
    images = document.get(_IN_PROJECT, document)
    return (
        isinstance(images, dict)
        and bool(images)
        and all(
            isinstance(one, dict) and {"filename", "regions"} <= set(one) for one in images.values()
        )
    )


def read_via(document: Any, where: str) -> AnnotationFile:
    """Return the outlines and points in parsed VIA JSON by image.

    Polygons, rectangles, circles and ellipses are objects, or areas to be ignored where one of their
    attributes is *ignore*; lines are left out, with a note. VIA lists all images that were opened:
    one without regions is taken for one that nobody looked at.

    Raises
    ------
    ValueError : beginning with `where`, naming the image or region that is damaged.
    """
    made = AnnotationFile()
    for image in document.get(_IN_PROJECT, document).values():
        name, regions = str(image["filename"]), image["regions"]
        regions = list(regions.values()) if isinstance(regions, dict) else regions
        place = f'{where}, image "{shown(name)}"'
        if not isinstance(regions, list):
            raise ValueError(
                f"{place}: expected a list of regions, found {regions!r:.40}; export it again."
            )
        if not regions:
            continue
        found = Shapes()
        for index, region in enumerate(regions):
            _take(region, found, f"{place}, region {index + 1}")
        if (
            made.marks.setdefault(stem_of(name).casefold(), marks := found.marks("VIA"))
            is not marks
        ):
            raise ValueError(f"{place}: two images have this name; rename one of them.")
    return made


def _take(region: Any, found: Shapes, where: str) -> None:
    shape, about = (
        region.get(key) if isinstance(region, dict) else None
        for key in ("shape_attributes", "region_attributes")
    )
    if not isinstance(shape, dict):
        raise ValueError(f"{where}: expected a shape, found {shape!r:.40}; export it again.")
    ignore = any(means_ignore(value) for value in _chosen(about))
    kind = shape.get("name")
    if kind == "point":
        found.points.append(_numbers(shape, ("cx", "cy"), where))
    elif kind in ("polygon", "rect", "circle", "ellipse"):
        found.n_boxes += kind == "rect" and not ignore
        found.add(Outline((_ring(kind, shape, where),), ignore))
    else:
        found.leave_out(kind)


def _chosen(about: Any) -> Iterator[str]:
    """Yield what was written or chosen for a region, and the names of ticked boxes."""
    for value in about.values() if isinstance(about, dict) else ():
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from (name for name, ticked in value.items() if ticked)


def _ring(kind: str, shape: dict[str, Any], where: str) -> np.ndarray:
    if kind == "polygon":
        axes: list[Any] = [shape.get(f"all_points_{axis}") for axis in "xy"]
        if not all(isinstance(axis, list) for axis in axes) or len(axes[0]) != len(axes[1]):
            raise ValueError(
                f"{where}: expected as many corners in x as in y, found {axes!r:.60}; export it again."
            )
        return corners([list(pair) for pair in zip(*axes, strict=True)], 3, where, kind)
    if kind == "rect":
        (first,) = _numbers(shape, ("x", "y"), where)
        (sides,) = _numbers(shape, ("width", "height"), where)
        return first + sides * [[0, 0], [1, 0], [1, 1], [0, 1]]
    (middle,) = _numbers(shape, ("cx", "cy"), where)
    (radii,) = _numbers(shape, ("r", "r") if kind == "circle" else ("rx", "ry"), where)
    angle = _numbers({"theta": 0, **shape}, ("theta", "theta"), where)[0, 0]
    return oval(middle, radii, angle)


def _numbers(shape: dict[str, Any], names: tuple[str, str], where: str) -> np.ndarray:
    """Return two of a shape's numbers as (1, 2) float64."""
    return corners([[shape.get(name) for name in names]], 1, where, shown(shape.get("name")))
