"""Reading parts of images too large for memory: TIFF, local OME-Zarr folders, files of microscopes."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from microshot.data.codec import finite
from microshot.data.image import Image
from microshot.data.microscope_files import is_microscope

if TYPE_CHECKING:
    from collections.abc import Callable

    from microshot.data.windowed import Windowed


def is_zarr(path: Path) -> bool:
    """Say whether a folder is a Zarr group or array; one that must not be looked into is none."""
    with suppress(PermissionError):
        return path.is_dir() and any(
            (path / name).is_file() for name in (".zgroup", ".zarray", "zarr.json")
        )
    return False


def is_tiff(path: Path) -> bool:
    """Say whether a file begins as a TIFF file does."""
    from microshot.data.files import TIFF_HEADS, head_of, named

    return path.is_file() and head_of(path, named(path, None)).startswith(TIFF_HEADS)


def is_large(path: Path, mpx: float) -> bool:
    """Say whether a TIFF or microscope's file has an image of more than `mpx` million pixels per plane."""
    if not (is_microscope(path) or is_tiff(path)):
        return False
    with closing(opened(path)) as source:
        return source.facts.n_px > mpx * 1e6


def opened(path: Path | str, where: str | None = None) -> Windowed:
    """Open a TIFF file, an OME-Zarr folder or an image of a microscope's file; see `Windowed.check`.

    Raises
    ------
    FileNotFoundError : if there is no such file.
    ValueError : one sentence that names the file, for damaged or unsupported ones.
    """
    from microshot.data import microscope_files
    from microshot.data.files import named, not_there

    path = Path(path)
    name = named(path, where)
    if is_zarr(path):
        from microshot.data.zarr_images import ZarrWindows

        return ZarrWindows(path, name)
    if is_microscope(path):
        return microscope_files.opened(path, name)
    if not path.exists():
        raise not_there(path, name)
    from microshot.data.tiff_windows import TiffWindows

    return TiffWindows(path, name)


def pixels_of(source: Windowed, rows: slice, columns: slice) -> np.ndarray:
    """Return a part of an image (C, y, x) as uint8, uint16 or float32, numbers kept.

    Raises
    ------
    ValueError : for NaN and infinity, with their place.
    """
    stored = source.stored(rows, columns)
    dtype = stored.dtype.newbyteorder("=")
    if dtype.type in (np.uint8, np.uint16):
        return stored.astype(dtype, copy=False)
    if dtype.type is np.bool_:
        return stored.astype(np.uint8) * np.uint8(255)
    where = f'"{source.path}", rows from {rows.start} and columns from {columns.start} on'
    return finite(finite(stored, where).astype(np.float32), where)


def image_of(source: Windowed, rows: slice, columns: slice) -> Image:
    """Return a part of an image with its pixel size and the names of its channels."""
    facts = source.facts
    pixels = pixels_of(source, rows, columns)
    return Image(pixels, facts.pixel_size_um, facts.channels, facts.is_colour)


def whole_image(path: Path) -> Image:
    """Read all of an image, such as an OME-Zarr folder or one of a microscope's file.

    Raises
    ------
    ValueError
        As `opened` and `Windowed.check` do.
    """
    with closing(opened(path)) as source:
        source.check()
        _, height, width = source.facts.shape
        return image_of(source, slice(0, height), slice(0, width))


def reader_of(source: Windowed) -> Callable[[slice, slice], np.ndarray]:
    """Return `pixels_of` for one source."""
    return lambda rows, columns: pixels_of(source, rows, columns)
