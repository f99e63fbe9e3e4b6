"""Which files a folder holds: images, labels and measured stains by their names.

None is opened but those of microscopes, which may hold several images.
"""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from microshot.data.microscope_files import images_in, is_microscope, parts_of, suffixes
from microshot.words import form, how_many

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Endings of image files, lower case.
IMAGE_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp")
#: Endings of files that hold outlines or points instead of a label image.
ANNOTATION_SUFFIXES = (".roi", ".geojson", ".zip", ".json", ".csv", ".tsv")
#: Tables beside images that hold something else than points.
_OTHER_TABLES = ("counts.csv", "objects.csv")
#: Image files of microscopes and slide scanners that are not read, but by Fiji (Bio-Formats).
# fmt: off
_OTHER_IMAGES = (
    ".zvi", ".lsm", ".lof", ".oib", ".oif", ".oir", ".vsi", ".ims", ".stk",
    ".dv", ".r3d", ".ndpi", ".svs", ".mrxs", ".scn", ".bif", ".qptiff", ".flex", ".sld", ".dm3", ".dm4",
    ".gif", ".jp2",
)
# fmt: on
#: The end of the names of files in which Cellpose keeps labels, as a Python object.
_CELLPOSE = ("_seg.npy",)
#: Folders whose images are labels, in the order in which they are looked for.
# fmt: off
LABEL_FOLDERS = (
    "labels", "label", "masks", "mask", "cp_masks", "label_images", "segmentation",
    "segmentations", "gt", "ground_truth", "annotations", "instances", "truth", "outlines", "points",
)
# fmt: on
#: Folders whose images are measured stains.
TARGET_FOLDERS = ("targets", "target", "stains", "fluorescence")
#: Folders whose images are the microscope's.
IMAGE_FOLDERS = ("images", "image", "imgs", "img", "raw", "input", "inputs")


def stem_of(name: str | Path) -> str:
    r"""Return a file name without folders and image ending, in composed Unicode.

    Both ``/`` and ``\`` separate folders, so that tables written on Windows can be used
    anywhere; ``.ome.tif`` counts as one ending. Endings of annotation files go too. Of one image of
    several in a file, the number stays.

    >>> stem_of(r"day 1\well.B2.ome.tif"), stem_of("exp.lif#3")
    ('well.B2', 'exp 3')
    """
    base = unicodedata.normalize("NFC", re.split(r"[\\/]", str(name))[-1])
    if (parts := parts_of(base)) is not None:
        return parts[0] if parts[2] is None else f"{parts[0]} {parts[2]}"
    lower = base.lower()
    for suffix in (*IMAGE_SUFFIXES, *ANNOTATION_SUFFIXES):
        if lower.endswith(suffix) and len(base) > len(suffix):
            base = base[: -len(suffix)]
            return base[:-4] if base.lower().endswith(".ome") and len(base) > 4 else base
    return base


def natural_key(name: str | Path) -> list[tuple[int, int, str]]:
    """Return a sort key that puts ``img2`` before ``img10``."""
    parts = re.split(r"([0-9]+)", str(name).casefold())
    return [(0, int(part), "") if i % 2 else (1, 0, part) for i, part in enumerate(parts)]


def entries(folder: Path) -> list[Path]:
    """Return what lies in a folder.

    Raises
    ------
    PermissionError : one sentence, if it must not be looked into.
    """
    try:
        return list(folder.iterdir())
    except PermissionError as error:
        told = PermissionError(
            f'"{folder}": you are not allowed to look into the folder; ask who owns it.'
        )
        told.errno = error.errno
        raise told from None


def list_images(folder: Path | str, pattern: str = "*") -> list[Path]:
    """Return the images in a folder, numbers in names sorted by value.

    Of a microscope's file with several each is one (see `microscope_files`). Hidden files and files
    without an image ending are left out; a link that leads to no file is among them, so that what reads
    it can tell of it.

    Parameters
    ----------
    pattern : of file names, such as ``*_bf.tif``, upper and lower case alike.

    Raises
    ------
    FileNotFoundError : if there is no such folder.
    PermissionError : if it must not be looked into.
    """
    folder = Path(folder)
    if not folder.is_dir():
        problem = "is a file" if folder.exists() else "does not exist"
        raise FileNotFoundError(
            f'"{folder}": expected a folder of images, but it {problem}; check the path.'
        )
    endings = (*IMAGE_SUFFIXES, *suffixes(installed=True))
    found = [
        path
        for path in entries(folder)
        if path.suffix.lower() in endings
        and fnmatch.fnmatch(path.name.lower(), pattern.lower())
        and not path.name.startswith(".")
        and not path.is_dir()
    ]
    return sorted((image for path in found for image in images_in(path)), key=natural_key)


def list_labels(folder: Path | str) -> list[Path]:
    """Return the label images and annotation files in a folder; as `list_images`."""
    images = [path for path in list_images(folder) if not is_microscope(path)]
    return sorted([*images, *_annotation_files(Path(folder))], key=natural_key)


def _annotation_files(folder: Path) -> list[Path]:
    found = [p for p in entries(folder) if p.suffix.lower() in ANNOTATION_SUFFIXES]
    found = [p for p in found if p.name.lower() not in _OTHER_TABLES and not p.is_dir()]
    return [p for p in found if not p.name.startswith(".")]


def list_collections(folder: Path | str) -> list[Path]:
    """Return the files in a folder, or in its label folder, that may label many images at once."""
    folder = Path(folder)
    places = [folder, *filter(None, [subfolder(folder, LABEL_FOLDERS)])]
    found = [path for place in places for path in _annotation_files(place)]
    return sorted((p for p in found if p.suffix.lower() not in (".roi", ".zip")), key=natural_key)


def listed(paths: Sequence[Path | str], n: int = 5) -> str:
    """Return the first `n` names, and how many more there are."""
    names = ", ".join(path.name if isinstance(path, Path) else path for path in paths[:n])
    return names + (f" and {len(paths) - n} more" if len(paths) > n else "")


def unread(folder: Path | str, *, labels: bool = True) -> list[str]:
    """Say which files in a folder, and in its subfolders of images and labels, other programs must open.

    Parameters
    ----------
    labels : whether those that hold nothing but labels are meant, too.

    Returns
    -------
    Clauses with what to do, without the full stop; none where all files can be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return []
    inner = [subfolder(folder, names) for names in (IMAGE_FOLDERS, LABEL_FOLDERS)]
    every = [path for place in (folder, *filter(None, inner)) for path in entries(place)]
    said = []
    for endings, advice in (
        (_OTHER_IMAGES, "open {} in Fiji and save {} as TIFF"),
        (
            suffixes(installed=False),
            'install the packages that read such files with pip install "microshot[microscopes]", or '
            "open {} in Fiji and save {} as TIFF",
        ),
        (
            _CELLPOSE if labels else (),
            'open {} in Cellpose and choose File, "Save masks as PNG/tif"',
        ),
    ):
        named_so = [p for p in every if p.name.lower().endswith(endings) and p.name[0] != "."]
        found = sorted({p.name for p in named_so if p.is_file()}, key=natural_key)
        if found:
            what, it = how_many(len(found), "file"), form(len(found), "it", "them")
            said.append(f"{what} not read ({listed(found, 3)}): {advice.format(it, it)}")
    return said


def without_images(folder: Path | str, otherwise: str = "check the folder") -> str:
    """Return what to do about a folder without images, as the end of a sentence."""
    folder = Path(folder)
    here = sorted((p.name for p in entries(folder) if p.is_dir()), key=natural_key)
    wanted = [name for name in here if name[0] != "." and name.lower() not in LABEL_FOLDERS]
    below = [name for name in wanted if list_images(folder / name)]
    if below and not list_images(folder):
        return (
            f"images lie in {form(len(below), 'its subfolder')} {listed(below, 3)}: give "
            + form(len(below), "that", "one of them")
        )
    return "; ".join(unread(folder)) or otherwise


def subfolder(folder: Path, names: Sequence[str]) -> Path | None:
    """Return the first of the subfolders called `names` that is there."""
    found = {path.name.lower(): path for path in entries(folder) if path.is_dir()}
    return next((found[name] for name in names if name in found), None)


def find_targets(folder: Path | str) -> Path | None:
    """Return the subfolder of measured stains, such as ``targets``, or the one beside ``images``."""
    folder = Path(folder)
    found = subfolder(folder, TARGET_FOLDERS)
    if found is None and folder.name.lower() in IMAGE_FOLDERS:
        return subfolder(folder.parent, TARGET_FOLDERS)
    return found
