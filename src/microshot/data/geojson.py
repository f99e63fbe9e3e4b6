"""GeoJSON as QuPath writes it: outlines, points and areas to be ignored.

References
----------
.. [1] RFC 7946 (geometries, rings, holes).
.. [2] QuPath's documentation, "Exporting annotations" (properties ``objectType`` and
   ``classification``; positions in px from the corner of the first pixel).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from microshot.data.json_text import corners
from microshot.data.outlines import holds
from microshot.data.regions import Marks, Outline, means_ignore, planes_note
from microshot.words import how_many

_LINES = ("LineString", "MultiLineString")
_GEOMETRIES = ("Point", "MultiPoint", *_LINES, "Polygon", "MultiPolygon", "GeometryCollection")
#: Geometries in geometries in geometries are followed so far.
_DEEPEST = 4


def is_geojson(document: Any) -> bool:
    """Say whether parsed JSON is GeoJSON: a collection, a list of features or one geometry."""
    if isinstance(document, list):
        return all(isinstance(one, dict) and one.get("type") == "Feature" for one in document)
    kinds = ("FeatureCollection", "Feature", *_GEOMETRIES)
    return isinstance(document, dict) and document.get("type") in kinds


def marks_of(document: Any, where: str) -> Marks:
    r"""Return the outlines and points in parsed GeoJSON.

    A polygon or multipolygon is one object, or an area to be ignored where its class or itself is
    called *Ignore*. Other classes that QuPath ignores (their names end in an asterisk, as
    *Region\\**), annotations without a class around detections, in which QuPath looked for these,
    and lines are left out, with a note.

    Raises
    ------
    ValueError : beginning with `where`, naming the feature that is damaged.
    """
    found = _Found()
    for index, feature in enumerate(_features(document, where)):
        found.take(feature, f"{where}, feature {index + 1}")
    found.leave_out_frames()
    notes = tuple(f"{how_many(n, *kind)} left out" for kind, n in found.left_out.items())
    notes += planes_note(found.planes)
    points = None
    if found.points:
        points = np.concatenate(found.points)[:, ::-1] - 0.5
    name = "QuPath GeoJSON" if found.is_qupath else "GeoJSON"
    return Marks(name, tuple(found.regions), points, notes=notes)


def _features(document: Any, where: str) -> list[Any]:
    if isinstance(document, dict) and document.get("type") == "FeatureCollection":
        document = document.get("features")
        if not isinstance(document, list):
            raise ValueError(
                f"{where}: expected a list of features in the GeoJSON, found {document!r:.40}; "
                "export it again."
            )
    return document if isinstance(document, list) else [document]


@dataclass
class _Found:
    """What was found in a file so far."""

    regions: list[Outline] = field(default_factory=list)
    points: list[np.ndarray] = field(default_factory=list)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    """What was left out: one of them, and many, in words."""
    is_qupath: bool = False
    detections: list[Outline] = field(default_factory=list)
    frames: list[Outline] = field(default_factory=list)
    """Annotations without a class."""
    planes: set[str] = field(default_factory=set)
    """Depth and time of QuPath's planes."""

    def take(self, feature: Any, where: str) -> None:
        """Add one feature, or one bare geometry."""
        if not isinstance(feature, dict):
            raise ValueError(
                f"{where}: expected a feature, found {feature!r:.40}; export it again."
            )
        geometry, name, kind, n = feature, "", "", len(self.regions)
        ignore = False
        if feature.get("type") == "Feature":
            geometry = feature.get("geometry")
            properties = feature.get("properties")
            properties = properties if isinstance(properties, dict) else {}
            self.is_qupath |= bool({"objectType", "classification", "isLocked"} & set(properties))
            name, kind = _class_name(properties), properties.get("objectType")
            ignore = means_ignore(name) or means_ignore(str(properties.get("name")))
        if geometry is None:
            self.left_out["feature without geometry", "features without geometry"] += 1
        elif name.endswith("*") and not ignore:
            self.left_out[f"outline of the class {name}", f"outlines of the class {name}"] += 1
        else:
            self._take_geometry(geometry, where, ignore=ignore)
        drawn = [region for region in self.regions[n:] if region.rings]
        if kind in ("detection", "cell"):
            self.detections += drawn
        elif kind == "annotation" and not name and not ignore:
            self.frames += drawn

    def leave_out_frames(self) -> None:
        """Leave out the annotations without a class that enclose a detection."""
        if not self.detections or not self.frames:
            return
        boxes = np.asarray(sorted(_box(one) for one in self.detections))
        around = {frame for frame in self.frames if _encloses(frame, boxes)}
        self.regions = [region for region in self.regions if region not in around]
        if around:
            kind = ("annotation around detections", "annotations around detections")
            self.left_out[kind] = len(around)

    def _take_geometry(self, geometry: Any, where: str, *, ignore: bool, depth: int = 0) -> None:
        kind = geometry.get("type") if isinstance(geometry, dict) else None
        if kind not in _GEOMETRIES or depth > _DEEPEST:
            raise ValueError(
                f"{where}: expected a geometry such as a Polygon, found {kind!r:.40}; "
                "export it again."
            )
        if kind == "GeometryCollection":
            for one in _listed(geometry.get("geometries"), where):
                self._take_geometry(one, where, ignore=ignore, depth=depth + 1)
            return
        if kind in _LINES:
            self.left_out["line", "lines"] += 1
            return
        places, plane = geometry.get("coordinates"), geometry.get("plane")
        at = plane if isinstance(plane, dict) else {}
        self.planes.add(f"{at.get('z', 0)!r:.40}, {at.get('t', 0)!r:.40}")
        if kind == "Polygon":
            self.regions.append(Outline(_rings(places, where), ignore))
        elif kind == "MultiPolygon":
            polygons = [_rings(one, where) for one in _listed(places, where)]
            self.regions.append(
                Outline(tuple(ring for rings in polygons for ring in rings), ignore)
            )
        elif kind == "Point":
            self.points.append(corners([places], 1, where, "Point"))
        else:
            self.points.append(corners(places, 1, where, "MultiPoint"))


def _box(outline: Outline) -> list[float]:
    """Return the least x and y and the greatest x and y of an outline."""
    places = np.concatenate(outline.rings)
    return [*places.min(axis=0).tolist(), *places.max(axis=0).tolist()]


def _encloses(outline: Outline, boxes: np.ndarray) -> bool:
    """Say whether an outline encloses one of the boxes (n, 4), sorted, together with its middle."""
    left, top, right, bottom = _box(outline)
    some = boxes[slice(*np.searchsorted(boxes[:, 0], (left, right)))]
    inside = (some[:, 1] >= top) & (some[:, 2] <= right) & (some[:, 3] <= bottom)
    with np.errstate(over="ignore", invalid="ignore"):  # absurd corners are refused when drawn
        middles = (some[inside, :2] + some[inside, 2:]) / 2
        return any(holds(outline.rings, x, y) for x, y in middles.tolist())


def _listed(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{where}: expected a list, found {value!r:.40}; export it again.")
    return value


def _rings(value: Any, where: str) -> tuple[np.ndarray, ...]:
    return tuple(corners(ring, 3, where, "Polygon") for ring in _listed(value, where))


def _class_name(properties: dict[str, Any]) -> str:
    """Return the name of a feature's class, as QuPath and others write it."""
    for key in ("classification", "class", "label"):
        value = properties.get(key)
        if isinstance(value, dict):
            value = value.get("name") or "".join(map(str, value.get("names") or ()))
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""
