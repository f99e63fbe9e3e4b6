"""Reading TIFF: plain, multi-page, ImageJ and OME, to planes in page order with the pixel size."""

from __future__ import annotations

import logging
import lzma
import math
import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from microshot.data.image import square_side
from microshot.data.tiff_structure import check_structure

if TYPE_CHECKING:
    from pathlib import Path

    import tifffile

#: Images with more pixels, over all planes, are refused before memory is asked for.
MAX_PIXELS = 4_000_000_000
#: An image may need this many times the bytes of its file; nothing real compresses better.
MAX_EXPANSION = 10_000
#: How many micrometres a unit is; keys are case-folded, which also turns the micro sign into mu.
MICROMETRES = {
    **dict.fromkeys(("μm", "um", "micron", "microns", "micrometer", "micrometre"), 1.0),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), 1e-3),
    **dict.fromkeys(("å", "angstrom"), 1e-4),
    "pm": 1e-6,
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 1e4),
    **dict.fromkeys(("m", "meter", "metre"), 1e6),
    **dict.fromkeys(("inch", "in", "inches"), 25_400.0),
}
#: Units in which programs keep a printing resolution, and the size of a pixel from which on it is one
#: (1270 dots per inch and less): ImageJ takes it over from a file that it opens and saves.
_PRINTING, _PRINTED_UM = ("cm", "inch"), 20.0
_JPEG_COMPRESSIONS = (6, 7, 34892)
_LZW = 5
_MINISBLACK, _RGB, _YCBCR = 1, 2, 6
#: What tifffile raises on damaged files.
TIFF_ERRORS = (
    *(OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, RuntimeError),
    *(OverflowError, ZeroDivisionError, AssertionError, EOFError, NotImplementedError),
    *(struct.error, zlib.error, lzma.LZMAError),
)


@dataclass(frozen=True, eq=False)
class Raw:
    """An image file as stored, before its numbers are converted."""

    pixels: np.ndarray
    """(C, Y, X) of any dtype; planes in the order of the file's pages."""
    pixel_size_um: float | None = None
    channels: tuple[str, ...] = ()
    is_colour: bool = False
    """Whether the three channels are red, green and blue."""
    is_lossy: bool = False
    """Whether the file is JPEG compressed."""


def read_tiff(path: Path, where: str) -> Raw:
    """Read all planes of the first image in a TIFF file.

    * Planes of a stack, channels and time points become channels, in page order; so do the
      red, green and blue of colour images. Transparency is dropped.
    * The stored numbers are taken as they are: neither "0 is white" nor a colour table, which
      microscope and Fiji files use for display only, changes them.
    * Of an OME-TIFF spread over several files, or of which not all planes were written, the planes
      in this file are read.
    * Smaller further images in the file (overviews, labels of slides) are left out; a further
      image of the same size or larger is refused.
    * The pixel size comes from OME or ImageJ metadata only: plain resolution tags are printing
      resolutions (72 dpi) more often than not. Those that ImageJ has taken over are none either.

    Raises
    ------
    ValueError : one sentence beginning with `where`, for damaged, unsupported or too large files.
    """
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it says is said below
    with path.open("rb") as file:
        check_structure(file, path.stat().st_size, where)
    try:
        tif, ome = own_planes(path, where)
        with tif:
            return _read_series(tif, ome, path, where)
    except MemoryError as error:
        raise ValueError(
            f"{where}: the image does not fit into memory; cut it into parts."
        ) from error
    except TIFF_ERRORS as error:
        if str(error).startswith(where):
            raise
        detail = " ".join(str(error).split())[:120] or type(error).__name__
        raise ValueError(
            f"{where}: the TIFF file is damaged or of a kind that cannot be read ({detail}); "
            "open it in Fiji and save it as TIFF again."
        ) from error


def own_planes(path: Path, where: str) -> tuple[tifffile.TiffFile, ElementTree.Element | None]:
    """Open a file such that its images are made of its own planes alone; also return its OME document.

    Planes that the document tells of but that lie in other files or nowhere, as after an acquisition
    that was stopped or where one plane was saved alone, would be read as zeros.
    """
    import tifffile

    tif = tifffile.TiffFile(path)
    try:
        ome = _ome_of(tif, where)
        if ome is None or not (
            _is_spread(ome) or any(page is None for page in tif.series[0].pages)
        ):
            return tif, ome
    except BaseException:
        tif.close()
        raise
    tif.close()
    return tifffile.TiffFile(path, is_ome=False), ome


def _ome_of(tif: tifffile.TiffFile, where: str) -> ElementTree.Element | None:
    """Return the OME document of a file, if it has a readable one."""
    text = tif.ome_metadata
    if not text:
        return None
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return None
    for pixels in _named(root, "Pixels"):
        _check_size([int(pixels.get(f"Size{axis}", "1")) for axis in "XYZCT"], 1, None, where)
    return root


def _named(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    """Return all elements called `name`, whatever the version of OME."""
    return [element for element in root.iter() if element.tag.rpartition("}")[2] == name]


def _is_spread(ome: ElementTree.Element) -> bool:
    """Whether the planes that an OME document describes lie in several files."""
    files = {element.get("FileName") for element in _named(ome, "UUID")}
    return len(files) > 1 or bool(_named(ome, "BinaryOnly"))


def exceeds(n_bytes: int, file_bytes: int) -> bool:
    """Say whether an image of so many bytes is more than a file can possibly hold."""
    return n_bytes > MAX_EXPANSION * file_bytes + (64 << 20)


def _check_size(shape: list[int], itemsize: int, file_bytes: int | None, where: str) -> None:
    """Refuse what is too large, or larger than `file_bytes` can possibly hold."""
    n_px = 1
    for n in shape:
        n_px *= n
    size = " x ".join(str(n) for n in shape)
    if n_px > MAX_PIXELS:
        raise ValueError(
            f"{where}: expected at most {MAX_PIXELS / 1e9:g} billion pixels, found {size}; "
            "cut the image into parts."
        )
    if file_bytes is not None and exceeds(n_px * itemsize, file_bytes):
        raise ValueError(
            f"{where}: the TIFF file is damaged, it promises {size} pixels in {file_bytes} bytes; "
            "export or copy it again."
        )


def _read_series(
    tif: tifffile.TiffFile, ome: ElementTree.Element | None, path: Path, where: str
) -> Raw:
    series = one_series(tif, where)
    file_bytes = path.stat().st_size
    dtype = np.dtype(series.dtype)
    _check_size(list(series.shape), dtype.itemsize, file_bytes, where)
    n_bytes = int(np.prod(series.shape, dtype=np.int64)) * dtype.itemsize
    if series.dataoffset is not None and series.dataoffset + n_bytes > file_bytes:
        raise ValueError(
            f"{where}: the TIFF file is cut off, expected {series.dataoffset + n_bytes} bytes, "
            f"found {file_bytes}; export or copy it again."
        )
    pixels = _planes(_pixels(series, path, where), series)
    names = channel_names(tif, ome)
    return Raw(
        pixels,
        pixel_size_of(tif, ome),
        names if len(names) == len(pixels) else (),
        len(pixels) == 3 and is_photograph(series.keyframe),
        int(series.keyframe.compression) in _JPEG_COMPRESSIONS,
    )


def one_series(tif: tifffile.TiffFile, where: str) -> tifffile.TiffPageSeries:
    """Return the first image of a file, beside which there may be smaller ones only.

    Raises
    ------
    ValueError : beginning with `where`, for a further image of the same size or larger, and for a
        smaller one amid its planes.
    """
    first, *others = tif.series
    if any(_n_px(other) >= _n_px(first) for other in others):
        raise ValueError(
            f"{where}: expected one image, found {len(tif.series)} (such as several positions of a "
            "slide, or planes that were not saved as one stack); save each position as its own file, "
            "planes as one stack."
        )
    amid = next((one for one in others if _is_amid(one, first)), None)
    if amid is not None:
        raise ValueError(
            f"{where}: expected planes of one size and kind, found {_described(first)} and, as page "
            f"{_pages(amid)[0] + 1}, {_described(amid)}; export the planes again."
        )
    return first


def _is_amid(other: tifffile.TiffPageSeries, first: tifffile.TiffPageSeries) -> bool:
    """Say whether an image is a plane amid those of the first, not a preview as some programs save them."""
    plain = other.kind == first.kind == "generic" and not other.keyframe.is_reduced
    return plain and _pages(other)[0] < _pages(first)[-1]


def _pages(series: tifffile.TiffPageSeries) -> list[int]:
    """Return the numbers of an image's pages in the file, from 0."""
    return [page.index for page in series.pages if page is not None]


def _described(series: tifffile.TiffPageSeries) -> str:
    page = series.keyframe
    return f"{page.imagelength} x {page.imagewidth} px ({page.dtype})"


def _n_px(series: tifffile.TiffPageSeries) -> int:
    axes = zip(series.shape, series.axes, strict=True)
    return math.prod(n for n, axis in axes if axis in "YX")


def _pixels(series: tifffile.TiffPageSeries, path: Path, where: str) -> np.ndarray:
    try:
        return series.asarray()
    except (ValueError, KeyError) as error:
        if "imagecodecs" not in str(error):
            raise
        page = series.keyframe
        if int(page.compression) == _LZW:
            pixels = _lzw_pixels(series, path)
            if pixels is not None:
                return pixels
        raise ValueError(
            f"{where}: the TIFF file is compressed ({compression_name(page.compression)}), which needs the "
            "package imagecodecs; install it, or save the file without compression in Fiji."
        ) from error


def compression_name(value: int) -> str:
    return str(getattr(value, "name", value))


def _lzw_pixels(series: tifffile.TiffPageSeries, path: Path) -> np.ndarray | None:
    """Read LZW pages through pillow, where pillow keeps every bit, else None."""
    from PIL import Image as pillow  # noqa: N813

    page = series.keyframe
    grey = page.samplesperpixel == 1 and page.dtype in (np.uint8, np.uint16, np.float32)
    colour = page.samplesperpixel == 3 and page.dtype == np.uint8 and page.planarconfig == 1
    photometric = int(page.photometric)
    if not (grey and photometric == _MINISBLACK) and not (colour and photometric == _RGB):
        return None
    if page.size > (pillow.MAX_IMAGE_PIXELS or page.size):
        return None
    planes = []
    with pillow.open(path, formats=["TIFF"]) as pil:
        for item in series.pages:
            if item is None:
                return None
            pil.seek(item.index)
            planes.append(np.asarray(pil).astype(page.dtype).reshape(page.shape))
    return np.stack(planes).reshape(series.shape)


def _planes(pixels: np.ndarray, series: tifffile.TiffPageSeries) -> np.ndarray:
    """Return (C, Y, X) from the axes tifffile names, without transparency."""
    axes = series.axes
    order = [i for i, axis in enumerate(axes) if axis not in "SYX"]
    if "S" in axes:
        n_alpha = sum(int(extra) in (1, 2) for extra in series.keyframe.extrasamples)
        samples = axes.index("S")
        pixels = pixels.take(range(pixels.shape[samples] - n_alpha), axis=samples)
        order.append(samples)
    order += [axes.index("Y"), axes.index("X")]
    pixels = pixels.transpose(order)
    return np.ascontiguousarray(pixels.reshape(-1, *pixels.shape[-2:]))


def is_photograph(page: Any) -> bool:
    """Say whether the samples of a page are red, green and blue, or made from these."""
    return int(page.photometric) in (_RGB, _YCBCR)


def channel_names(tif: tifffile.TiffFile, ome: ElementTree.Element | None) -> tuple[str, ...]:
    """Return the names that OME gives to channels, or ImageJ to planes that are channels."""
    if ome is None:
        metadata = tif.imagej_metadata or {}
        labels = metadata.get("Labels")
        if not isinstance(labels, (list, tuple)) or len(labels) != metadata.get("channels"):
            return ()
        first_lines = [str(label).partition("\n")[0].strip() for label in labels]
        return tuple(first_lines) if all(first_lines) else ()
    pixels = _named(ome, "Pixels")[:1]
    names = [channel.get("Name", "") for p in pixels for channel in _named(p, "Channel")]
    return tuple(names) if all(names) else ()


def pixel_size_of(tif: tifffile.TiffFile, ome: ElementTree.Element | None) -> float | None:
    """Return the side of a square pixel in micrometres, or None where it is not known."""
    for pixels in _named(ome, "Pixels")[:1] if ome is not None else ():
        x, y = (
            _micrometres(pixels.get(name), pixels.get(name + "Unit", "µm"))
            for name in ("PhysicalSizeX", "PhysicalSizeY")
        )
        return square_side(x, y if pixels.get("PhysicalSizeY") else x)
    metadata = tif.imagej_metadata
    if not metadata or "unit" not in metadata:
        return None
    sides = []
    for name in ("XResolution", "YResolution"):
        tag = tif.pages.first.tags.get(name)
        per_unit, denominator = tag.value if tag is not None else (0, 0)
        value = denominator / per_unit if per_unit else None
        sides.append(_micrometres(value, str(metadata["unit"])))
    size = square_side(sides[0], sides[1])
    is_printed = size is not None and size > _PRINTED_UM and metadata["unit"] in _PRINTING
    return None if is_printed else size


def _micrometres(value: str | float | None, unit: str) -> float | None:
    unit = re.sub(r"\\u00b5", "µ", unit, flags=re.IGNORECASE).strip().casefold()
    factor = MICROMETRES.get(unit)
    try:
        length = float(value) if value is not None and factor else 0.0
    except ValueError:
        return None
    return length * (factor or 0) if 0 < length < 1e9 else None
