"""Writing labels for other programs: which files, under which names, never over anything unasked."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from microshot.data.disk import replacing
from microshot.data.objects import object_areas
from microshot.data.write import write_labels
from microshot.export import label_formats
from microshot.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np

#: Kinds of files and their endings.
SUFFIXES = {"tiff": ".tif", "roi": ".zip", "geojson": ".geojson", "csv": ".csv"}
#: What each kind of file is, for people.
DESCRIPTIONS = {
    "tiff": "label images (TIFF)",
    "roi": "ImageJ ROI sets (ZIP)",
    "geojson": "QuPath GeoJSON",
    "csv": "tables of objects (CSV)",
}
#: Characters that no name may have on Windows; elsewhere the slash.
_REFUSED = frozenset('<>:"/\\|?*')
#: Names that Windows keeps for devices.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))}
#: Bytes; file systems take 255, the ending and a number have to fit as well.
_LONGEST = 150


def safe_name(text: str, *, longest: int = _LONGEST) -> str:
    """Return `text` as a file name of at most `longest` bytes that every operating system takes.

    What needs no change is not changed: labels find their images by name.

    >>> safe_name("well A/1: day 2?"), safe_name("A+B, #2 [x=3]")
    ('well A_1_ day 2_', 'A+B, #2 [x=3]')
    """
    text = unicodedata.normalize("NFC", text)
    kept = "".join("_" if c in _REFUSED or not c.isprintable() else c for c in text)
    kept = kept.encode("utf-8", "replace")[:longest].decode("utf-8", "ignore").strip(" .")
    if kept.split(".")[0].casefold() in _DEVICES:
        kept = "_" + kept
    return kept or "image"


@dataclass(frozen=True)
class Names:
    """Which file each image gets, decided before anything is written."""

    files: dict[str, Path]
    """By the image's own name."""

    @classmethod
    def of(cls, names: Iterable[str], folder: Path, kind: str, *, overwrite: bool) -> Names:
        """Name the files of a kind (`SUFFIXES`) in `folder`.

        Raises
        ------
        ValueError : if two images would get the same file; names both.
        FileExistsError : if a file is there and `overwrite` is not set.
        """
        files: dict[str, Path] = {}
        owners: dict[str, str] = {}
        for name in names:
            file = folder / f"{safe_name(name)}{SUFFIXES[kind]}"
            first = owners.setdefault(file.name.casefold(), name)
            if name in files or first != name:
                raise ValueError(
                    f'"{first}" and "{name}": two label images for the file "{file.name}"; give '
                    "them different names."
                )
            if file.exists() and not overwrite:
                raise FileExistsError(
                    f'"{file}" exists already; choose another folder, or allow overwriting.'
                )
            files[name] = file
        return cls(files)


def export(
    path: Path,
    labels: np.ndarray,
    kind: str,
    *,
    image: str = "",
    pixel_size_um: float | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> int:
    """Write one label image as a file of a kind (`SUFFIXES`), whole or not at all.

    Returns
    -------
    The number of objects in it.

    Raises
    ------
    FileExistsError, FileNotFoundError : see `data.disk.replacing`.
    Cancelled : if cancelled.
    """
    n_objects = len(object_areas(labels))
    if kind == "tiff":
        write_labels(path, labels, pixel_size_um=pixel_size_um, overwrite=overwrite)
        return n_objects
    if kind == "roi":
        data = label_formats.roi_zip(labels, progress)
    elif kind == "geojson":
        data = label_formats.geojson(labels, image=image, progress=progress)
    else:
        data = label_formats.csv_text(label_formats.table(labels, image=image, progress=progress))
    with replacing(path, overwrite=overwrite) as part:
        part.write_bytes(data)
    return n_objects
