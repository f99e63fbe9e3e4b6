"""Which image belongs to which label or stain: files matched by their names."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from microshot.data.folders import (
    ANNOTATION_SUFFIXES,
    IMAGE_FOLDERS,
    IMAGE_SUFFIXES,
    LABEL_FOLDERS,
    list_images,
    list_labels,
    listed,
    natural_key,
    stem_of,
    subfolder,
)
from microshot.data.microscope_files import is_microscope
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Endings of annotation files that nothing but labels has.
_PLAIN_SUFFIXES = (".roi", ".geojson")
_LABEL_WORDS = (
    "cp_masks|cp_mask|masks|mask|labels|label|lbl|seg|segmentation|gt|ground_truth|truth|"
    "instances|instance_ids|annotations|annotation"
)
_LABEL_SUFFIX = re.compile(rf"[-_. ]+({_LABEL_WORDS})$", re.IGNORECASE)
#: What files of outlines and points are called; images may be called so too.
_MARKS_SUFFIX = re.compile(
    rf"[-_. ]+({_LABEL_WORDS}|rois?|roi_?set|outlines|points|detections|coco)$", re.IGNORECASE
)
#: Fiji calls masks after the file they were made from: *Mask of a.tif*; TrackMate *LblImg_a.tif*.
_LABEL_PREFIX = re.compile(
    r"^((count )?masks? of|masks?|labels?|lblimg|seg|gt)([-_. ]+|(?=[0-9]))", re.IGNORECASE
)
#: QuPath calls what it knows of the first image in a file of several *a.ome.tif - Series 0*, or
#: after the name that the file gives to that image; further ones are not read.
_SERIES = re.compile(
    rf"({'|'.join(map(re.escape, IMAGE_SUFFIXES))}) - (?!series [1-9]).*$", re.IGNORECASE
)
_IMAGE_SUFFIX = re.compile(r"[-_. ]+(img|image|raw|input)$", re.IGNORECASE)
_IMAGE_PREFIX = re.compile(r"^(img|image|raw)([-_. ]+|(?=[0-9]))", re.IGNORECASE)
_BREAK = re.compile(r"[-_. ]+")
_LAST_WORD = re.compile(r"[-_. ]+[^\W\d_]+$")


@dataclass(frozen=True)
class Matches:
    """Which image belongs to which label, and what stayed alone."""

    pairs: tuple[tuple[Path, Path], ...]
    """(image, label), in the order of the images."""
    images_alone: tuple[Path, ...] = ()
    labels_alone: tuple[Path, ...] = ()
    outside: tuple[Path, ...] = ()
    """Images beside the subfolder whose images are taken; they are not among `images`."""

    @property
    def images(self) -> tuple[Path, ...]:
        """All images, those with labels first."""
        return tuple(image for image, _ in self.pairs) + self.images_alone

    def lines(self, what: str = "label") -> list[str]:
        """Say what matched what, one line per fact, long lists cut."""
        lines = [f"{image.name} ↔ {_short(image, label)}" for image, label in self.pairs]
        if len(lines) > 8:
            lines[6:] = [f"… and {len(lines) - 6} more"]
        lines.insert(0, f"{how_many(len(self.pairs), 'image')} matched with a {what} by name.")
        for alone, owner, other in (
            (self.images_alone, "image", what),
            (self.labels_alone, what, "image"),
        ):
            if alone:
                lines.append(f"{how_many(len(alone), owner)} without {other}: {listed(alone)}.")
        return lines

    def not_taken(self) -> list[str]:
        """Say which images lie beside the subfolder that is read; nothing where none does."""
        if not self.outside or not self.images:
            return []
        return [
            f"{how_many(len(self.outside), 'image')} not read: {listed(self.outside)}; "
            f'only those in the subfolder "{self.images[0].parent.name}" are.'
        ]


def _short(image: Path, label: Path) -> str:
    return label.name if label.parent == image.parent else f"{label.parent.name}/{label.name}"


def _label_key(path: Path) -> str:
    """Return the stem of the image that a label file's name speaks of."""
    stem = stem_of(path)
    is_image = path.suffix.lower() in IMAGE_SUFFIXES
    bare = (_LABEL_SUFFIX if is_image else _MARKS_SUFFIX).sub("", stem)
    bare = bare if bare != stem else _LABEL_PREFIX.sub("", stem)
    bare = _SERIES.sub(r"\1", bare)
    return stem_of(bare).casefold()  # of a.tif_mask.png and QuPath's a.tif.geojson


def _bare_images(images: Mapping[str, Path]) -> dict[str, Path]:
    """Return images by what is left of their stems without ``_img``, or an ending all share.

    Names that are no longer unique, or are another image's own, are left out.
    """
    endings = {m.group() if (m := _LAST_WORD.search(key)) else "" for key in images}
    shared = len(next(iter(endings))) if len(endings) == 1 else 0
    bare: dict[str, list[Path]] = {}
    for key, path in images.items():
        without = _IMAGE_SUFFIX.sub("", key)
        names = {
            key[: len(key) - shared],
            without if without != key else _IMAGE_PREFIX.sub("", key),
        }
        for name in names - set(images) - {""}:
            bare.setdefault(name, []).append(path)
    return {name: paths[0] for name, paths in bare.items() if len(paths) == 1}


def by_stem(paths: Iterable[Path], what: str = "image") -> dict[str, Path]:
    """Return files by case-folded stem.

    Raises
    ------
    ValueError : if two files have the same stem; names both.
    """
    found: dict[str, Path] = {}
    for path in paths:
        key = stem_of(path).casefold()
        if key in found:
            raise ambiguous(found[key], path, what)
        found[key] = path
    return found


def ambiguous(first: Path, second: Path, what: str) -> ValueError:
    """Return the refusal of two files for one image."""
    return ValueError(
        f'"{first}" and "{second}": two {what} files for one name; '
        "keep one of them, or rename the other."
    )


def match_by_stem(images: Iterable[Path], labels: Iterable[Path]) -> Matches:
    """Match images and labels by file name without its ending.

    ``a.tif`` belongs to ``a.png``, else to ``a_mask.png``, ``a_cp_masks.tif``, ``mask_a.png``,
    ``a.tif.geojson`` and so on; ``a_img.tif`` to ``a_mask.tif``. Upper and lower case are alike.

    Raises
    ------
    ValueError : if two images have the same stem, or two labels claim one image; names both.
    """
    owners = by_stem(images)
    bare = _bare_images(owners)
    found: dict[Path, Path] = {}
    alone = []
    for label in labels:
        names = (stem_of(label).casefold(), _label_key(label))
        claims = [by[name] for by in (owners, bare) for name in names if name in by]
        if not claims:
            if label.suffix.lower() in (*IMAGE_SUFFIXES, *_PLAIN_SUFFIXES):
                alone.append(label)
        elif claims[0] in found:
            raise ambiguous(found[claims[0]], label, "label")
        else:
            found[claims[0]] = label
    return Matches(
        tuple((image, found[image]) for image in owners.values() if image in found),
        tuple(image for image in owners.values() if image not in found),
        tuple(alone),
    )


def is_label_name(path: Path) -> bool:
    """Whether a file's name says that it holds labels, as ``a_mask.tif`` and ``a.roi`` do."""
    stem, suffix = stem_of(path), path.suffix.lower()
    if is_microscope(path):
        return False
    if suffix in ANNOTATION_SUFFIXES:
        return suffix in _PLAIN_SUFFIXES or bool(_MARKS_SUFFIX.search(stem))
    return bool(_LABEL_SUFFIX.search(stem) or _LABEL_PREFIX.match(stem))


def find_pairs(folder: Path | str, pattern: str = "*") -> Matches:
    """Find images and their labels in one folder by the usual arrangements.

    In this order: subfolders such as ``images/`` and ``labels/`` or ``masks/``; images in the
    folder itself with labels in such a subfolder; images and labels side by side, told apart
    by names such as ``a.tif`` and ``a_mask.tif``; a folder named ``images`` with ``labels``
    or ``masks`` beside it. Where no label is found, everything is an image.

    Parameters
    ----------
    pattern : limits the images, not the labels.

    Raises
    ------
    FileNotFoundError : if there is no such folder.
    ValueError : as `match_by_stem`.
    """
    folder = Path(folder)
    here = list_images(folder)
    label_folder = subfolder(folder, LABEL_FOLDERS)
    image_folder = subfolder(folder, IMAGE_FOLDERS)
    if image_folder is not None and (label_folder is not None or not here):
        images = list_images(image_folder, pattern)
        matches = match_by_stem(images, list_labels(label_folder) if label_folder else [])
        return replace(matches, outside=tuple(list_images(folder, pattern)))
    wanted = set(list_images(folder, pattern))
    if label_folder is not None and here:
        return match_by_stem([p for p in here if p in wanted], list_labels(label_folder))
    labels = [path for path in list_labels(folder) if is_label_name(path)]
    images = [path for path in here if not is_label_name(path)]
    matches = match_by_stem(images, labels)
    if not matches.pairs:
        alone = tuple(by_stem(p for p in here if p in wanted).values())
        beside = None
        if folder.name.lower() in IMAGE_FOLDERS:
            beside = subfolder(folder.parent, LABEL_FOLDERS)
        lost = tuple(p for p in matches.labels_alone if p.suffix.lower() in _PLAIN_SUFFIXES)
        found = Matches((), alone, lost)
        return found if beside is None else match_by_stem(alone, list_labels(beside))
    return Matches(
        tuple(pair for pair in matches.pairs if pair[0] in wanted),
        tuple(path for path in matches.images_alone if path in wanted),
        matches.labels_alone,
    )


def group_by_stem(
    images: Iterable[Path], targets: Iterable[Path]
) -> tuple[dict[Path, Mapping[str, Path]], tuple[Path, ...]]:
    """Find the target files of each image: one of the same name, or one per stain.

    ``a.tif`` owns ``a.tif``, or ``a_nuclei.tif`` and ``a_lipids.tif``, and so does ``a_bf.tif``
    where all images end in ``_bf``. Where one image's name begins another's, the longer wins.

    Returns
    -------
    Per image the target files by stain (``""`` for a file of the image's own name), and the
    files that belong to no image.

    Raises
    ------
    ValueError : if two files hold the same stain of one image; names both.
    """
    owners = by_stem(images)
    names = _bare_images(owners) | owners
    found: dict[Path, dict[str, Path]] = {}
    alone = []
    for target in sorted(targets, key=natural_key):
        stem = stem_of(target)
        cuts = [len(stem), *sorted((m.start() for m in _BREAK.finditer(stem)), reverse=True)]
        cut = next((cut for cut in cuts if stem[:cut].casefold() in names), 0)
        image, stain = names.get(stem[:cut].casefold()), stem[cut:].strip("-_. ")
        if image is None:
            alone.append(target)
            continue
        stains = found.setdefault(image, {})
        if stain in stains:
            raise ambiguous(stains[stain], target, "target")
        stains[stain] = target
    return {image: found[image] for image in owners.values() if image in found}, tuple(alone)
