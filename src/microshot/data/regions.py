"""Outlines, run lengths and points as annotation files hold them, and their way into label images."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from microshot.data.label_reading import LabelReading
from microshot.data.outlines import filled
from microshot.words import form, how_many

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Sequence

#: Names of classes that mean "nobody looked here", compared by letters only.
_IGNORE = re.compile(
    r"ignored?|ignore(region|area)s?|(un|not)(label+ed|annotated)|ignor(ieren|iert)", re.IGNORECASE
)
#: An annotation file of more objects is refused.
MOST_OBJECTS = 2_000_000


class Region(Protocol):
    """Something that covers pixels."""

    @property
    def ignore(self) -> bool:
        """Whether the pixels are not annotated, instead of an object."""
        ...

    def pixels(self, shape: tuple[int, int]) -> tuple[tuple[slice, slice], np.ndarray]:
        """Return where in an image (Y, X) it lies, and which pixels it covers there (bool)."""
        ...


@dataclass(frozen=True, eq=False)
class Outline:
    """One object, or an area to be ignored, as rings by the even-odd rule."""

    rings: tuple[np.ndarray, ...]
    """(n, 2) x and y each, px from the corner of the first pixel."""
    ignore: bool = False

    def pixels(self, shape: tuple[int, int]) -> tuple[tuple[slice, slice], np.ndarray]:
        """Fill the rings."""
        return filled(self.rings, shape)


@dataclass(frozen=True, eq=False)
class Union:
    """One object in several pieces that may overlap, as in COCO."""

    parts: tuple[Region, ...]
    ignore: bool = False

    def pixels(self, shape: tuple[int, int]) -> tuple[tuple[slice, slice], np.ndarray]:
        """Fill all pieces."""
        found = [part.pixels(shape) for part in self.parts]
        boxes = [[(side.start, side.stop) for side in place] for place, mask in found if mask.size]
        if not boxes:
            return (slice(0, 0), slice(0, 0)), np.zeros((0, 0), bool)
        first, last = np.min(boxes, axis=0)[:, 0], np.max(boxes, axis=0)[:, 1]
        whole = np.zeros(last - first, bool)
        for (rows, columns), mask in found:
            if mask.size:
                at = slice(rows.start - first[0], rows.stop - first[0])
                whole[at, columns.start - first[1] : columns.stop - first[1]] |= mask
        return (slice(first[0], last[0]), slice(first[1], last[1])), whole


@dataclass(frozen=True, eq=False)
class Mask:
    """One object, or area to be ignored, as its pixels."""

    first: tuple[int, int]
    """y and x of the mask's first pixel in the image."""
    inside: np.ndarray
    """(Y, X) bool."""
    ignore: bool = False

    def pixels(self, shape: tuple[int, int]) -> tuple[tuple[slice, slice], np.ndarray]:
        """Cut off what leaves the image."""
        low = np.clip(self.first, 0, shape)
        high = np.clip(np.add(self.first, self.inside.shape), low, np.maximum(shape, low))
        start, end = low - self.first, high - self.first
        place = (slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1])))
        return place, self.inside[start[0] : end[0], start[1] : end[1]]


@dataclass(frozen=True, eq=False)
class Marks:
    """What an annotation file says about one image."""

    taken_as: str
    """Such as ``"QuPath GeoJSON"``."""
    regions: tuple[Region, ...] = ()
    points: np.ndarray | None = None
    """(n, 2) y and x, px from the middle of the first pixel; None = the file marks no points."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class AnnotationFile:
    """What an annotation file says of the image, or of each of many."""

    marks: dict[str, Marks] = field(default_factory=dict)
    """By case-folded file stem; by ``""`` where the file belongs to one image and is called like it."""
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    """(Y, X) where the file gives it."""


def means_ignore(name: str) -> bool:
    """Say whether a class of this name marks what nobody annotated.

    >>> means_ignore("Ignore*"), means_ignore("ignored cells")
    (True, False)
    """
    return _IGNORE.fullmatch("".join(filter(str.isalpha, name))) is not None


def planes_note(planes: Collection[Hashable]) -> tuple[str, ...]:
    """Return what to tell of outlines and points that lie on several planes of a stack."""
    n = len(set(planes))
    return (f"drawn on {n} planes of a stack, which are not told apart",) if n > 1 else ()


def drawn(marks: Marks, shape: tuple[int, int], where: str) -> LabelReading:
    """Return what a file says about an image of (Y, X) px, as label image or points.

    Objects get the numbers 1, 2, 3 … in the file's order; where outlines overlap the later lies on
    top, and areas to be ignored lie below all objects.

    Raises
    ------
    ValueError : beginning with `where`, for outlines that are none, or that lie elsewhere, and for
        files in which nothing could be used.
    """
    if marks.notes and not marks.regions and marks.points is None:
        raise ValueError(
            f"{where}: expected outlines or points of objects, found nothing else than what is not "
            f"used ({'; '.join(marks.notes)}); draw outlines or set points."
        )
    labels, notes = np.zeros(shape, np.int32), list(marks.notes)
    objects = [region for region in marks.regions if not region.ignore]
    if len(objects) > MOST_OBJECTS:
        raise ValueError(
            f"{where}: expected at most {MOST_OBJECTS} outlines, found {len(objects)}; "
            "save a label image instead."
        )
    try:
        for region in marks.regions:
            if region.ignore:
                place, mask = region.pixels(shape)
                labels[place][mask] = -1
        n_shared = _paint(labels, objects)
    except ValueError as error:
        raise ValueError(
            f"{where}: expected outlines in pixels, found {error}; export it again."
        ) from error
    ids = np.unique(labels[labels > 0])
    if n_hidden := len(objects) - len(ids):
        covers = (
            f"{form(n_hidden, 'covers', 'cover')} no pixel of {form(n_hidden, 'its', 'their')} own"
        )
        notes.append(f"{how_many(n_hidden, 'outline')} {covers}")
    if n_shared:
        notes.append(
            f"{how_many(n_shared, 'pixel lies', 'pixels lie')} in several outlines; the later one was taken"
        )
    if n_ignored := int(np.count_nonzero(labels < 0)):
        notes.append(f"{how_many(n_ignored, 'pixel is', 'pixels are')} to be ignored")
    if objects and not len(ids):
        raise ValueError(
            f"{where}: expected outlines in an image of {shape[0]} x {shape[1]} px, found none that "
            "covers a pixel of it; check that file and image belong together and that the "
            "outlines are in pixels."
        )
    return _reading(marks, labels, ids, notes, n_objects=len(ids))


def _paint(labels: np.ndarray, objects: Sequence[Region]) -> int:
    """Number the objects' pixels from 1; return how many lie in several."""
    n_shared = 0
    for number, region in enumerate(objects, 1):
        place, mask = region.pixels((labels.shape[0], labels.shape[1]))
        below = labels[place]
        n_shared += int(np.count_nonzero(below[mask] > 0))
        below[mask] = number
    return n_shared


def _reading(
    marks: Marks, labels: np.ndarray, ids: np.ndarray, notes: list[str], *, n_objects: int
) -> LabelReading:
    """Number the objects without gaps, or take the points where there are no outlines."""
    points = marks.points
    if points is not None and n_objects:
        if len(points):
            notes.append(f"{how_many(len(points), 'point')} beside the outlines left out")
        points = None
    if points is not None:
        points = _without_ignored(points, labels, notes)
        n_objects = len(points)
    table = np.zeros(int(ids[-1]) + 2 if len(ids) else 2, np.int32)
    table[ids] = np.arange(1, len(ids) + 1)
    table[-1] = -1
    if not n_objects:
        notes.insert(0, "no objects")
    return LabelReading(table[labels], marks.taken_as, n_objects, "; ".join(notes), points=points)


def _without_ignored(points: np.ndarray, labels: np.ndarray, notes: list[str]) -> np.ndarray:
    """Leave out points in areas to be ignored; those outside of the image stay, to be refused."""
    y, x = np.rint(points).astype(np.int64).T
    inside = (y >= 0) & (x >= 0) & (y < labels.shape[0]) & (x < labels.shape[1])
    keep = np.ones(len(points), bool)
    keep[inside] = labels[y[inside], x[inside]] >= 0
    if not keep.all():
        notes.append(
            f"{how_many(int(np.count_nonzero(~keep)), 'point')} in areas to be ignored left out"
        )
    return points[keep]
