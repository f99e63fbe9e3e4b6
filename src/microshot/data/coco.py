"""COCO JSON: the outlines of many images in one file, as polygons or run lengths.

References
----------
.. [1] Lin et al. 2014, doi:10.1007/978-3-319-10602-1_48; cocodataset.org/#format-data.
.. [2] cocodataset/cocoapi, maskApi.h (run lengths: down the columns, from background on; their
   text form: groups of five bits and a sign, from the third on as differences to the one before
   the last).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from microshot.data.folders import stem_of
from microshot.data.json_text import MOST_SIDE, corners, shown, size_in
from microshot.data.regions import AnnotationFile, Marks, Outline, Region, Union, means_ignore
from microshot.words import how_many

NAME = "COCO JSON"


@dataclass(frozen=True, eq=False)
class Runs:
    """One object, or area to be ignored, as run lengths down the columns."""

    size: tuple[int, int]
    """(Y, X) of the image."""
    lengths: np.ndarray
    """(n,) int64; background first, adding up to the pixels of the image."""
    ignore: bool = False

    def pixels(self, shape: tuple[int, int]) -> tuple[tuple[slice, slice], np.ndarray]:
        """Unpack the runs, on as many columns as they touch."""
        if self.size != shape:
            raise ValueError(
                f"run lengths for {self.size[0]} x {self.size[1]} px in an image of {shape[0]} x "
                f"{shape[1]} px"
            )
        ends = np.cumsum(self.lengths)
        height = self.size[0]
        inside = np.flatnonzero(self.lengths[1::2]) * 2 + 1
        if not len(inside):
            return (slice(0, height), slice(0, 0)), np.zeros((height, 0), bool)
        left = int(ends[inside[0] - 1] // height)
        right = int(-(-ends[inside[-1]] // height))
        steps = np.zeros((right - left) * height + 1, np.int64)
        np.add.at(steps, ends[inside - 1] - left * height, 1)
        np.add.at(steps, ends[inside] - left * height, -1)
        mask = (np.cumsum(steps[:-1]) > 0).reshape(right - left, height).T
        return (slice(0, height), slice(left, right)), mask


def is_coco(document: Any) -> bool:
    """Say whether parsed JSON is COCO."""
    return isinstance(document, dict) and {"images", "annotations"} <= set(document)


def read_coco(document: Any, where: str) -> AnnotationFile:
    """Return the outlines in parsed COCO JSON by image.

    Regions with ``iscrowd`` (several objects not told apart), with ``ignore``, or of a category
    that is called so are to be ignored; of these a box is enough. Images listed without
    annotations hold no objects.

    Raises
    ------
    ValueError : beginning with `where`, naming the image or annotation that is damaged.
    """
    images, made = {}, AnnotationFile()
    for index, image in enumerate(_entries(document, "images", where)):
        name, key = image.get("file_name"), image.get("id")
        if not isinstance(name, str) or not isinstance(key, (int, str)):
            raise ValueError(
                f"{where}, image {index + 1}: expected file_name and id; export it again."
            )
        stem = stem_of(name).casefold()
        if key in images or stem in made.marks:
            raise ValueError(
                f'{where}: two images called "{shown(name)}" or {shown(key)}; rename one of them.'
            )
        images[key] = stem
        made.marks[stem] = Marks(NAME)
        size = size_in(image.get("height"), image.get("width"))
        if size is not None:
            made.sizes[stem] = size
    regions: dict[str, list[Region]] = {stem: [] for stem in made.marks}
    boxes = dict.fromkeys(made.marks, 0)
    names = {one.get("id"): str(one.get("name", "")) for one in _categories(document)}
    for index, one in enumerate(_entries(document, "annotations", where)):
        place = f"{where}, annotation {shown(one.get('id', index + 1))}"
        key = one.get("image_id")
        if not isinstance(key, (int, str)) or key not in images:
            raise ValueError(f"{place}: expected the id of a listed image, found {key!r:.40}.")
        kind = one.get("category_id")
        ignore = bool(one.get("iscrowd") or one.get("ignore")) or means_ignore(
            names.get(kind, "") if isinstance(kind, (int, str)) else ""
        )
        region = _region(one.get("segmentation"), place, ignore=ignore)
        if region is None and ignore and one.get("bbox"):
            region = _box(one["bbox"], place)
        if region is None:
            boxes[images[key]] += 1
        else:
            regions[images[key]].append(region)
    for stem, found in regions.items():
        n = boxes[stem]
        notes = (f"{how_many(n, 'box', 'boxes')} without outline left out",) if n else ()
        made.marks[stem] = Marks(NAME, tuple(found), notes=notes)
    return made


def _entries(document: Any, key: str, where: str) -> list[dict[str, Any]]:
    value = document.get(key)
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise ValueError(f'{where}: expected a list of "{key}" in the COCO JSON; export it again.')
    return value


def _categories(document: Any) -> list[dict[str, Any]]:
    value = document.get("categories")
    entries = value if isinstance(value, list) else []
    return [
        one for one in entries if isinstance(one, dict) and isinstance(one.get("id"), (int, str))
    ]


def _region(value: Any, where: str, *, ignore: bool) -> Region | None:
    """Return a segmentation; None where there is none."""
    if isinstance(value, dict):
        return _runs(value, where, ignore=ignore)
    if not value:
        return None
    if not isinstance(value, list):
        raise ValueError(f"{where}: expected a segmentation, found {value!r:.40}; export it again.")
    parts = []
    for ring in value:
        if not isinstance(ring, list) or len(ring) < 6 or len(ring) % 2:
            raise ValueError(
                f"{where}: expected a polygon as x, y, x, y, … of at least three corners, found "
                f"{ring!r:.40}; export it again."
            )
        pairs = [list(pair) for pair in zip(ring[::2], ring[1::2], strict=True)]
        parts.append(Outline((corners(pairs, 3, where, "polygon"),), ignore))
    return parts[0] if len(parts) == 1 else Union(tuple(parts), ignore)


def _box(value: Any, where: str) -> Outline:
    """Return a box as an area to be ignored."""
    if not isinstance(value, list) or len(value) != 4:
        raise ValueError(
            f"{where}: expected a box as x, y, width, height, found {value!r:.40}; export it again."
        )
    first, sides = corners([value[:2], value[2:]], 2, where, "box")
    return Outline((first + sides * [[0, 0], [1, 0], [1, 1], [0, 1]],), ignore=True)


def _runs(value: dict[str, Any], where: str, *, ignore: bool) -> Runs:
    stated: Any = value.get("size")
    counts: Any = value.get("counts")
    size = size_in(*stated) if isinstance(stated, list) and len(stated) == 2 else None
    if size is None:
        raise ValueError(f"{where}: expected the size of its run lengths, found {stated!r:.40}.")
    lengths: Any = _unpacked(counts) if isinstance(counts, str) else counts
    ok = isinstance(lengths, list) and all(
        isinstance(n, int) and 0 <= n <= MOST_SIDE**2 for n in lengths
    )
    if not ok or sum(lengths) != size[0] * size[1]:
        raise ValueError(
            f"{where}: expected run lengths that add up to {size[0]} x {size[1]} px, found others; "
            "export it again."
        )
    return Runs(size, np.asarray(lengths, np.int64), ignore)


def _unpacked(text: str) -> list[int] | None:
    """Return the run lengths in COCO's text form; None where it is damaged."""
    lengths: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            return None
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        value = shift = 0
    return None if shift else lengths
