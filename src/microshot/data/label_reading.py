"""How a label image is understood: instance ids, a mask or colours, and the words that say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from microshot.words import form, how_many

#: Objects with fewer pixels are pointed out: they are usually left by resizing with smoothing.
TINY_PX = 5
#: A picture is taken for a photograph, not labels, from this many different values on.
PHOTO_VALUES = 32
#: Separate pieces per value above which a picture is taken for a photograph.
PHOTO_PIECES_PER_VALUE = 8
#: Mean size in pixels of a piece of one value below which a picture is taken for a photograph.
PHOTO_PIECE_PX = 4
#: Greatest number of an object.
_GREATEST = (1 << 63) - 1


@dataclass(frozen=True, eq=False)
class LabelReading:
    """Instance labels and what the file was taken for."""

    labels: np.ndarray
    """(Y, X) int32: 0 background, 1 to `n_objects` in the order of the file's ids, -1 ignore."""
    taken_as: str
    """``"one number per object"``, ``"binary mask"``, ``"colour-coded objects"``, ``"empty"``, or
    the kind of annotation file, such as ``"QuPath GeoJSON"``."""
    n_objects: int
    note: str = ""
    """What the user should look at, or empty."""
    points: np.ndarray | None = None
    """(n, 2) y and x of the objects, px from the middle of the first pixel, where the file holds
    places instead of outlines; `labels` then says only what is to be ignored."""
    numbers: np.ndarray | None = None
    """(n_objects,) int64 numbers that the objects have in the file, ascending, where it holds some."""

    def numbered(self) -> np.ndarray:
        """Return (Y, X) int32 labels with the numbers of the file; as they are where these need more bits."""
        if self.numbers is None or self.numbers[-1] > np.iinfo(np.int32).max:
            return self.labels
        table = np.concatenate([[0], self.numbers, [-1]]).astype(
            np.int32
        )  # the last for -1, ignore
        return table[self.labels]

    def known(self) -> dict[str, Any]:
        """Return what is known as arguments of `dataset.Sample`."""
        if self.points is None:
            return {"labels": self.labels}
        ignored = self.labels < 0
        return {"points": self.points} | ({"ignore": ignored} if ignored.any() else {})

    def describe(self) -> str:
        """Say it in one line: ``"one number per object, 12 objects"``, then the note."""
        objects = how_many(self.n_objects, "object")
        return f"{self.taken_as}, {objects}" + (f"; {self.note}" if self.note else "")


def labels_from_pixels(pixels: np.ndarray, where: str = "label image") -> LabelReading:
    """Decide what a label image means and return instance labels.

    In this order:

    * true/false, or nothing but 0 with 1, 255 or 65535: a binary mask. Every piece of
      foreground is one object; pixels are joined over edges, not over corners, so that a
      separating line drawn one pixel wide diagonally still separates.
    * three 8-bit channels that differ: one object per colour; black is background, white
      where there is no black. A single colour is a binary mask.
    * 8-bit with soft edges (0 and 255 with a fringe of values between): a binary mask, cut
      at 128.
    * otherwise instance ids. Ids are renumbered without gaps in their order; negative ids
      mean "not annotated" and become -1; an id in several pieces stays one object.

    Parameters
    ----------
    pixels : (Y, X), (1, Y, X) or, for colours, (3, Y, X); bool, any integer type, or floats
        that are whole numbers.
    where : names the cell or file in errors.

    Raises
    ------
    ValueError : for fractions, NaN, a wrong number of channels, or a picture that is plainly
        a photograph and no label image.
    """
    plane, is_colour = _one_plane(np.asarray(pixels), where)
    ids, areas = _values(plane)
    notes: list[str] = []
    background = 0
    if is_colour and 0 not in ids and ids[-1] == 0xFFFFFF:
        background = 0xFFFFFF
        notes.append("white was taken as background")
        plane = np.where(plane == background, 0, plane)
        ids, areas = ids[:-1], areas[:-1]
    n_ignored = int(areas[ids < 0].sum())
    positive = ids > 0
    ids, areas = ids[positive], areas[positive]
    if n_ignored:
        notes.append(
            f"{how_many(n_ignored, 'pixel')} with a negative id {form(n_ignored, 'is', 'are')} ignored"
        )
    if not len(ids):
        notes.insert(0, "no objects: every pixel is background")
        return LabelReading(-(plane < 0).astype(np.int32), "empty", 0, "; ".join(notes))
    mask = _as_mask(plane, ids, is_colour=is_colour)
    if mask is not None:
        if len(ids) > 1:
            notes.append("soft edges were cut at 128")
        return _from_mask(mask, plane < 0, notes)
    return _from_ids(plane, ids, areas, notes, where, is_colour=is_colour)


def _one_plane(pixels: np.ndarray, where: str) -> tuple[np.ndarray, bool]:
    """Return (Y, X) integers or bool, and whether they are colour codes R + 256 G + 65536 B."""
    if pixels.ndim == 3 and pixels.shape[0] == 3 and pixels.dtype == np.uint8:
        red, green, blue = pixels
        if not (np.array_equal(red, green) and np.array_equal(red, blue)):
            codes = pixels.astype(np.int32)
            return codes[0] + 256 * codes[1] + 65536 * codes[2], True
        pixels = red
    if pixels.ndim == 3 and pixels.shape[0] == 1:
        pixels = pixels[0]
    if pixels.ndim != 2 or 0 in pixels.shape:
        raise ValueError(
            f"{where}: a label image has one channel, or three 8-bit channels for colours, found "
            f"{pixels.dtype} pixels of shape {pixels.shape}; save the labels alone as one plane."
        )
    if pixels.dtype == np.bool_ or np.issubdtype(pixels.dtype, np.integer):
        return _signed(pixels, where) if pixels.dtype.type is np.uint64 else pixels, False
    if not np.issubdtype(pixels.dtype, np.floating):
        raise ValueError(
            f"{where}: a label image holds whole numbers, found {pixels.dtype}; "
            "save the labels as 16-bit."
        )
    return _whole_numbers(pixels, where), False


def _signed(plane: np.ndarray, where: str) -> np.ndarray:
    """Return 64-bit ids without a sign as int64."""
    greatest = int(plane.max())
    if greatest > _GREATEST:
        raise ValueError(
            f"{where}: expected object numbers up to {_GREATEST}, found {greatest}; number the objects "
            "from 1, or save negative numbers as a type with a sign."
        )
    return plane.astype(np.int64)


def _whole_numbers(plane: np.ndarray, where: str) -> np.ndarray:
    """Return floating-point ids as int64."""
    with np.errstate(invalid="ignore", over="ignore"):  # 16-bit floats end before the limit
        wrong = ~(np.isfinite(plane) & (np.abs(plane) < 2**53) & (plane == np.round(plane)))
    if wrong.any():
        y, x = np.argwhere(wrong)[0]
        raise ValueError(
            f"{where}: a label image holds whole numbers, one per object, found {plane[y, x]} "
            f"at y={y}, x={x}; give the label image itself, not probabilities or a resized copy."
        )
    return plane.astype(np.int64)


def _values(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the different values as sorted int64, and how many pixels have each."""
    if plane.dtype == np.bool_ or plane.dtype in (np.uint8, np.uint16):
        counts = np.bincount(plane.ravel())
        values = np.flatnonzero(counts)
        return values, counts[values]
    values, counts = np.unique(plane, return_counts=True)
    return values.astype(np.int64), counts


def _as_mask(plane: np.ndarray, ids: np.ndarray, *, is_colour: bool) -> np.ndarray | None:
    """Return the foreground where the picture is a mask, else None."""
    if len(ids) == 1 and (is_colour or ids[0] in (1, 255, 65535)):
        return plane > 0
    if is_colour or plane.dtype != np.uint8 or ids[-1] != 255 or len(ids) < 8:
        return None
    solid = plane == 255
    fringe = (plane > 0) & ~solid
    if plane.min() > 0 or np.count_nonzero(solid) < np.count_nonzero(fringe):
        return None
    n_pieces = int(_pieces(np.where(fringe, plane, 0), 255).sum())
    is_scattered = n_pieces > 1.25 * (len(ids) - 1)  # ids of objects are in one piece each
    return plane >= 128 if is_scattered else None


def _from_mask(mask: np.ndarray, ignored: np.ndarray, notes: list[str]) -> LabelReading:
    from scipy import ndimage

    labels = np.empty(mask.shape, np.int32)
    n_objects = cast("int", ndimage.label(mask, output=labels))  # joined over edges only
    if mask.all():
        notes.append("one object covers the whole image")
    else:
        edge = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        if min(mask.shape) > 2 and edge.mean() > 0.95 and mask.mean() > 0.5:
            notes.append("objects fill nearly the whole image edge: is the mask inverted?")
    labels[ignored] = -1
    return LabelReading(labels, "binary mask", n_objects, "; ".join(notes))


def _from_ids(
    plane: np.ndarray,
    ids: np.ndarray,
    areas: np.ndarray,
    notes: list[str],
    where: str,
    *,
    is_colour: bool,
) -> LabelReading:
    labels = _renumbered(plane, ids)
    pieces = _pieces(np.maximum(labels, 0), len(ids))[1:]
    _refuse_photograph(areas, pieces, plane.size, where)
    several = np.flatnonzero(pieces > 1)
    if len(several):
        worst = several[np.argmax(pieces[several])]
        name = "a colour" if is_colour else f"id {ids[worst]}"
        notes.append(
            f"objects in several separate pieces: {len(several)} of {len(ids)} "
            f"({name}: {pieces[worst]} pieces)"
        )
    n_tiny = int(np.count_nonzero(areas < TINY_PX))
    if 0 < n_tiny < len(ids):
        notes.append(
            f"objects smaller than {TINY_PX} px: {n_tiny} of {len(ids)} "
            "(resize label images without smoothing)"
        )
    if len(ids) == 1 and areas[0] == plane.size:
        notes.append("one object covers the whole image")
    elif areas.sum() == plane.size:
        background = "black or white" if is_colour else "0"
        notes.append(f"every pixel belongs to an object, none is background ({background})")
    taken_as = "colour-coded objects" if is_colour else "one number per object"
    numbers = None if is_colour else ids
    return LabelReading(labels, taken_as, len(ids), "; ".join(notes), numbers=numbers)


def _renumbered(plane: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return int32 labels 1 to ``len(ids)`` in the order of `ids`, -1 where `plane` is negative."""
    if ids[-1] <= 1 << 24:
        table = np.zeros(int(ids[-1]) + 1, np.int32)
        table[ids] = np.arange(1, len(ids) + 1)
        labels = table[np.maximum(plane, 0)]
    else:
        labels = (np.searchsorted(ids, plane) + 1).astype(np.int32)
        labels[plane <= 0] = 0
    labels[plane < 0] = -1
    return labels


def _pieces(labels: np.ndarray, n: int) -> np.ndarray:
    """Return (n + 1,) how many separate pieces, joined over edges or corners, each id has."""
    from skimage.measure import label

    pieces, n_pieces = cast(
        "tuple[np.ndarray, int]", label(labels, background=0, return_num=True, connectivity=2)
    )
    owner = np.zeros(n_pieces + 1, np.int64)
    owner[pieces.ravel()] = labels.ravel()
    return np.bincount(owner[1:], minlength=n + 1)


def _refuse_photograph(areas: np.ndarray, pieces: np.ndarray, n_px: int, where: str) -> None:
    """Refuse a picture whose values are scattered all over it, as in an image of cells."""
    covered, n_pieces = int(areas.sum()), int(pieces.sum())
    if len(areas) < PHOTO_VALUES or 2 * covered < n_px:
        return
    scattered = n_pieces > PHOTO_PIECES_PER_VALUE * len(areas)
    if scattered or (n_pieces > 500 and covered < PHOTO_PIECE_PX * n_pieces):
        raise ValueError(
            f"{where}: expected a label image (0 for background, one number or colour per object), "
            f"found {len(areas)} different values in {n_pieces} separate pieces, as in a photograph; "
            "check whether the image was given in place of its labels."
        )
