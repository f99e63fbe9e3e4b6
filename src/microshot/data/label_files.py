"""One reader for every file that says what is in an image: label images, outlines, points.

What a file is, its content tells, not its name.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microshot.data import coco, geojson, labelme, point_table, roi_files, via
from microshot.data.codec import lossy
from microshot.data.files import named, read_raw
from microshot.data.folders import list_collections, list_labels, natural_key, stem_of
from microshot.data.json_text import MOST_BYTES, contents, parsed
from microshot.data.label_reading import LabelReading, labels_from_pixels
from microshot.data.matching import Matches, ambiguous, find_pairs, match_by_stem
from microshot.data.regions import AnnotationFile, drawn
from microshot.data.text_tables import TABLE_SUFFIXES, table_rows
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

#: Without an image at hand, a file's own word on its size is believed up to so many pixels.
_MOST_PX = 1 << 28


def read_annotation(
    path: Path | str,
    *,
    where: str | None = None,
    shape: tuple[int, int] | None = None,
    image: str | None = None,
) -> LabelReading | None:
    """Read what a file of any kind says about one image, and say what it was taken for.

    Label images and masks (TIFF, PNG, BMP), ImageJ regions (``.roi``, ``.zip``), QuPath's and
    other GeoJSON, JSON of COCO, labelme and VIA, tables of points (CSV).

    Parameters
    ----------
    where : names the table cell in errors, such as ``column "Path", row "Row3"``.
    shape : (Y, X) of the image; outlines and points need it.
    image : the image's name, for files that hold many images.

    Returns
    -------
    None where the file is about other images only.

    Raises
    ------
    FileNotFoundError : if there is no such file.
    ValueError : one sentence that names the file, for what is damaged or holds no labels.
    """
    path = Path(path)
    name = named(path, where)
    document = _document(path, where)
    if document is None:
        return _read_label_image(path, where)
    key = _key_of(document, path, image, name)
    if key is None:
        return None
    stated = document.sizes.get(key)
    if shape is not None and stated is not None and shape != stated:
        raise ValueError(
            f"{name}: expected outlines in an image of {shape[0]} x {shape[1]} px, found those in one of "
            f"{stated[0]} x {stated[1]} px; give the image they were drawn in, or export them again."
        )
    size = shape or stated
    if size is None or (size[0] * size[1] > _MOST_PX and shape is None):
        raise ValueError(
            f"{name}: outlines and points need an image to lie on, found none; give the image too, "
            "or save a label image."
        )
    return drawn(document.marks[key], size, name)


def of_others(label: str, image: str) -> str:
    """Return what to tell where a label file says nothing about the image that it was taken for."""
    return f"{label} holds labels of other images only: {image} is taken as without label."


def read_labels(
    path: Path | str,
    *,
    where: str | None = None,
    shape: tuple[int, int] | None = None,
    image: str | None = None,
) -> LabelReading:
    """Read a file that must hold outlines of the image's objects; see `read_annotation`.

    Raises
    ------
    FileNotFoundError : if there is no such file.
    ValueError : as `read_annotation`, and for points and files about other images.
    """
    reading = read_annotation(path, where=where, shape=shape, image=image)
    if reading is None:
        raise ValueError(
            f'{named(Path(path), where)}: expected labels of the image "{image}", found those of '
            "others; add the image to the file or give another file."
        )
    if reading.points is not None:
        raise ValueError(
            f"{named(Path(path), where)}: expected outlines of objects, found "
            f"{how_many(reading.n_objects, 'point')}; give a label image or outlines."
        )
    return reading


def _read_label_image(path: Path, where: str | None) -> LabelReading:
    raw = read_raw(path, where)
    name = named(path, where)
    if raw.is_lossy:
        raise lossy(name)
    if len(raw.pixels) > 1 and not raw.is_colour:
        raise ValueError(
            f"{name}: expected a label image of one plane, found {len(raw.pixels)} planes; "
            "save the plane with the labels alone."
        )
    return labels_from_pixels(raw.pixels, name)


def _document(path: Path, where: str | None) -> AnnotationFile | None:
    """Return an annotation file; None for what must be a label image."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        head = file.read(64)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    is_table = path.suffix.lower() in TABLE_SUFFIXES and bool(head)
    is_regions = head.startswith((roi_files.ROI_HEAD, *roi_files.ZIP_HEADS))
    if not (is_table or is_regions or text.startswith((b"{", b"["))):
        return None
    stat = path.stat()
    try:
        return _parsed(path, (stat.st_mtime_ns, stat.st_size))
    except ValueError as error:
        if where is None:
            raise
        raise ValueError(f"{where}, file {error}") from error


@lru_cache(maxsize=2)  # one file may be asked for each of many images
def _parsed(path: Path, stamp: tuple[int, int]) -> AnnotationFile:
    """Return the annotation file as it is on disk at the time `stamp`."""
    del stamp
    name = f'"{path}"'
    data = contents(path, name)
    if data.startswith(roi_files.ROI_HEAD):
        return AnnotationFile({"": roi_files.read_roi(data, name)})
    if data.startswith(roi_files.ZIP_HEADS):
        return AnnotationFile({"": roi_files.read_roi_zip(data, name)})
    if path.suffix.lower() in TABLE_SUFFIXES:
        return AnnotationFile(point_table.marks_by_image(path, table_rows(path)))
    return _json(parsed(data, name), name)


def _json(document: Any, name: str) -> AnnotationFile:
    """Return what parsed JSON of one of the known kinds says."""
    if coco.is_coco(document):
        return coco.read_coco(document, name)
    if labelme.is_labelme(document):
        return labelme.read_labelme(document, name)
    if via.is_via(document):
        return via.read_via(document, name)
    if geojson.is_geojson(document):
        return AnnotationFile({"": geojson.marks_of(document, name)})
    raise ValueError(
        f"{name}: expected JSON of QuPath (GeoJSON), COCO, labelme or VIA, found other JSON; export the "
        "outlines in one of these."
    )


def _key_of(document: AnnotationFile, path: Path, image: str | None, name: str) -> str | None:
    """Return under which name a file speaks of an image; None if under none."""
    if "" in document.marks:
        return ""
    own = None if image is None else stem_of(image).casefold()
    if own in document.marks:
        return own
    if len(document.marks) == 1 and own in (None, stem_of(path).casefold()):
        return next(iter(document.marks))
    if own is None:
        raise ValueError(
            f"{name}: the file labels {len(document.marks)} images and it is not known which is "
            "meant; give a folder of images, or one file per image."
        )
    return None


def is_point_table(path: Path) -> bool:
    """Say whether a CSV file is a table of points, not of counts.

    Raises
    ------
    ValueError : if it is no table at all.
    """
    return path.is_file() and point_table.is_point_table(table_rows(path))


def find_labels(folder: Path | str, pattern: str = "*") -> Matches:
    """Find images and their labels in one folder: by name, else files for many images each.

    Of images without label, also the files that labelme keeps beside them.

    Raises
    ------
    FileNotFoundError, ValueError : as `matching.find_pairs`, and if two such files name one image.
    """
    found = find_pairs(folder, pattern)
    if not found.pairs:
        found = _with_collection(found.images, list_collections(folder), found)
    return _with_labelme(found)


def labels_in(images: Sequence[Path], labels: Path) -> Matches:
    """Match images with a folder of labels, or with one file that labels many images.

    Raises
    ------
    FileNotFoundError, ValueError : as `matching.match_by_stem` and `find_labels`, and if the one file
        cannot be read.
    """
    if labels.is_file():
        _document(labels, None)
        return _with_collection(images, [labels], Matches((), tuple(images), (labels,)))
    found = match_by_stem(images, list_labels(labels))
    return found if found.pairs else _with_collection(images, list_collections(labels), found)


def labels_of_others(images: Sequence[Path], place: Path) -> str:
    """Return a sentence about a file that labels many images, but none of `images`; empty without one.

    Parameters
    ----------
    place : a folder in which such a file may lie, or the file.
    """
    stems = {stem_of(path).casefold() for path in images}
    for path in list_collections(place) if place.is_dir() else [place]:
        known = set(_images_named(path))
        if known and not stems & known:
            return (
                f'{path.name} labels none of these images: expected names such as "{images[0].name}", found '
                f'such as "{min(known, key=natural_key)}"; give each label the name of its image.'
            )
    return ""


def _with_labelme(found: Matches) -> Matches:
    """Add the files of labelme that lie beside images without label, and are called like them."""
    folders = {image.parent for image in found.images_alone}
    files = [
        path for folder in folders for path in folder.iterdir() if path.suffix.lower() == ".json"
    ]
    known = {(path.parent, stem_of(path).casefold()): path for path in files}
    beside = {i: known.get((i.parent, stem_of(i).casefold())) for i in found.images_alone}
    own = [
        (image, path) for image, path in beside.items() if path is not None and _is_labelme(path)
    ]
    pairs = sorted([*found.pairs, *own], key=lambda pair: natural_key(pair[0]))
    alone = tuple(image for image in found.images_alone if image not in dict(own))
    return replace(found, pairs=tuple(pairs), images_alone=alone)


def _is_labelme(path: Path) -> bool:
    """Say whether a file is labelme's, intact or not; JSON beside an image may be anything."""
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        return False
    return labelme.looks_like_labelme(path.read_bytes())


def _with_collection(
    images: Sequence[Path], candidates: Sequence[Path], otherwise: Matches
) -> Matches:
    """Return the images that the files name, each with its file as label."""
    found: dict[Path, Path] = {}
    for path in candidates:
        known = _images_named(path)
        for image in images:
            if stem_of(image).casefold() not in known:
                continue
            if image in found:
                raise ambiguous(found[image], path, "label")
            found[image] = path
    if not found:
        return otherwise
    return Matches(
        tuple((image, found[image]) for image in images if image in found),
        tuple(image for image in images if image not in found),
        outside=otherwise.outside,
    )


def _images_named(path: Path) -> Collection[str]:
    """Return the case-folded stems of the images that a file names; none where it is damaged."""
    try:
        document = _document(path, None)
    except (ValueError, OSError):
        return ()
    return () if document is None or "" in document.marks else document.marks
