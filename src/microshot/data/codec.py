"""Between table cells and arrays: pillow images to `Image` and labels, and back."""

from __future__ import annotations

import struct
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from microshot.data.image import Image
from microshot.data.label_reading import LabelReading, labels_from_pixels

if TYPE_CHECKING:
    from collections.abc import Iterator

    import PIL.Image

#: What first bytes betray about files that are no image we read.
_FOREIGN = (
    (b"GIF8", "a GIF"),
    (b"ZISRAWFILE", "a Zeiss CZI file"),
    (b"\xda\xce\xbe\x0a", "a Nikon ND2 file"),
    (b"\x70\x00\x00\x00", "a Leica LIF file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"%PDF", "a PDF"),
    (b"\x00\x00\x00\x0cjP", "a JPEG 2000 file"),
    (b"RIFF", "a WebP, AVI or WAV file"),
    (b"<", "a text or web page"),
)


@contextmanager
def one_sentence(where: str) -> Iterator[None]:
    """Turn what pillow raises on damaged, hostile or oversized files into one `ValueError`."""
    import warnings

    from PIL.Image import DecompressionBombError, DecompressionBombWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DecompressionBombWarning)
            warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
            yield
    except DecompressionBombError as error:
        raise ValueError(
            f"{where}: the image is too large for PNG, JPEG or BMP (at most 178 megapixels are "
            "read); save it as TIFF or cut it into parts."
        ) from error
    except MemoryError as error:
        raise ValueError(
            f"{where}: the image does not fit into memory; cut it into parts."
        ) from error
    except (
        *(OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError),
        *(OverflowError, struct.error, zlib.error),
    ) as error:
        raise ValueError(
            f"{where}: the image is damaged ({_first_line(error)}); export or copy it again."
        ) from error


def _first_line(error: BaseException) -> str:
    if str(error).startswith("cannot identify"):
        return "contents not recognised"
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def foreign(head: bytes) -> str:
    """Say what a file that starts with `head` seems to be, as the end of a sentence."""
    for signature, name in _FOREIGN:
        if head.startswith(signature):
            return f"it looks like {name}"
    if head and all(byte in b"\t\n\r\f" or byte >= 32 for byte in head):
        return "it looks like text"
    return f"it starts with the bytes {head[:4].hex(' ')}"


def image_from_pil(pil: PIL.Image.Image, where: str = "image") -> Image:
    """Return the pixels of a pillow image, such as a KNIME PNG cell, without loss.

    1-bit becomes uint8 0 and 255; a palette is expanded to its colours, or to grey where all
    are grey; transparency is dropped. 16-bit grey stays 16-bit, also where an old pillow says
    32-bit.

    Parameters
    ----------
    pil : mode 1, L, LA, P, PA, RGB, RGBA, I;16, I (values to 65535) or F.
    where : names the cell in errors, such as ``column "Image", row "Row7"``.

    Raises
    ------
    ValueError : for damaged data, several pages, 16-bit colour, CMYK and other printing modes.
    """
    with one_sentence(where):
        has_previews = getattr(pil, "format", None) == "MPO"  # a camera's JPEG
        n_pages = 1 if has_previews else getattr(pil, "n_frames", 1)
        args = [str(tile[3]) for tile in getattr(pil, "tile", []) if len(tile) > 3]
        deep_colour = pil.mode != "I" and "I;16" not in pil.mode and any(";16" in a for a in args)
        if n_pages == 1 and not deep_colour:
            pil.load()
    if n_pages > 1:
        raise ValueError(
            f"{where}: a cell holds one plane, found {n_pages} pages; use one PNG column per plane, "
            "or a column with the path of the file."
        )
    if deep_colour:
        raise too_deep(where)
    pixels = _plane_pixels(pil, where)
    return Image(pixels, is_colour=len(pixels) == 3)


def too_deep(where: str) -> ValueError:
    return ValueError(
        f"{where}: 16-bit colour or 16-bit grey with transparency would be cut to 8 bits; save one "
        "16-bit grey PNG per channel, or a TIFF."
    )


def _plane_pixels(pil: PIL.Image.Image, where: str) -> np.ndarray:
    """Return (1, Y, X) or (3, Y, X) pixels of a loaded pillow image."""
    mode = pil.mode
    if mode in ("P", "PA"):
        return _expanded(pil)
    if mode in ("La", "RGBa"):  # colour already multiplied by transparency
        pil = pil.convert(mode.upper())
    pixels = np.asarray(pil)
    if mode == "1":
        return (pixels.astype(np.uint8) * np.uint8(255))[None]
    if mode in ("L", "LA", "La"):
        return np.ascontiguousarray(pixels if pixels.ndim == 2 else pixels[..., 0])[None]
    if mode in ("RGB", "RGBA", "RGBX", "RGBa"):
        return np.ascontiguousarray(np.moveaxis(pixels[..., :3], -1, 0))
    if mode.startswith("I;16"):
        return pixels.astype(np.uint16)[None]
    if mode == "I":
        low, high = int(pixels.min()), int(pixels.max())
        if low < 0 or high > 65535:
            raise ValueError(
                f"{where}: expected grey values from 0 to 65535, found {low} to {high}; "
                "use a column with the path of a TIFF file."
            )
        return pixels.astype(np.uint16)[None]
    if mode == "F":
        return finite(pixels.astype(np.float32)[None], where)
    raise ValueError(
        f"{where}: expected a grey or RGB image, found colour mode {mode}; convert it to RGB."
    )


def _expanded(pil: PIL.Image.Image) -> np.ndarray:
    colours = pil.convert("RGBA") if pil.mode == "PA" else pil.convert("RGB")
    pixels = np.ascontiguousarray(np.moveaxis(np.asarray(colours)[..., :3], -1, 0))
    is_grey = np.array_equal(pixels[0], pixels[1]) and np.array_equal(pixels[0], pixels[2])
    return pixels[:1] if is_grey else pixels


def finite(pixels: np.ndarray, where: str) -> np.ndarray:
    """Return `pixels` (C, Y, X) unless one is NaN or infinite; the error says where it lies."""
    if not np.isfinite(pixels).all():
        c, y, x = np.argwhere(~np.isfinite(pixels))[0]
        raise ValueError(
            f"{where}: expected numbers, found {pixels[c, y, x]} at channel {c + 1}, y={y}, x={x}; "
            "replace such pixels before reading."
        )
    return pixels


def image_to_pil(pixels: np.ndarray) -> PIL.Image.Image:
    """Return a pillow image that a KNIME PNG cell keeps without loss.

    Parameters
    ----------
    pixels : (Y, X), (1, Y, X) uint8 or uint16, or (3, Y, X) uint8.

    Returns
    -------
    Mode L, I;16 or RGB.

    Raises
    ------
    ValueError : for any other type or shape; the message says what to use instead.
    """
    from PIL import Image as pillow  # noqa: N813

    pixels = np.asarray(pixels)
    if pixels.dtype.type not in (np.uint8, np.uint16):
        raise ValueError(
            f"A PNG cell holds 8- or 16-bit whole numbers, found {pixels.dtype}; round them to "
            "uint16 in the units you want to keep, or write a TIFF file and pass its path."
        )
    if pixels.ndim == 3 and len(pixels) == 1:
        pixels = pixels[0]
    is_rgb = pixels.ndim == 3 and len(pixels) == 3 and pixels.dtype.type is np.uint8
    if 0 in pixels.shape or not (pixels.ndim == 2 or is_rgb):
        raise ValueError(
            f"A PNG cell holds one plane or 8-bit RGB, found {pixels.dtype} pixels of shape "
            f"{pixels.shape}; use one PNG column per channel, or write a TIFF file."
        )
    if is_rgb:
        pixels = np.moveaxis(pixels, 0, -1)
    native = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))
    return pillow.fromarray(native)


def labels_from_pil(pil: PIL.Image.Image, where: str = "label image") -> LabelReading:
    """Return the labels in a pillow image and what it was taken for; see `labels_from_pixels`.

    Raises
    ------
    ValueError : as `image_from_pil` and `labels_from_pixels`, and for JPEG.
    """
    if getattr(pil, "format", None) in ("JPEG", "MPO"):
        raise lossy(where)
    return labels_from_pixels(image_from_pil(pil, where).pixels, where)


def lossy(where: str) -> ValueError:
    """Return the refusal of a lossy label image."""
    return ValueError(
        f"{where}: JPEG compression changes the numbers at object edges, so a JPEG cannot hold "
        "labels; save the labels as PNG or TIFF from the original."
    )


def labels_to_pil(labels: np.ndarray) -> PIL.Image.Image:
    """Return labels as a 16-bit grey pillow image, ids unchanged.

    Parameters
    ----------
    labels : (Y, X) integers from 0 to 65535; 0 is background.

    Raises
    ------
    ValueError : for more objects than 16 bits can number, or negative (ignore) ids.
    """
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > 65535:
        raise ValueError(
            f"A PNG cell holds object ids from 0 to 65535, found {low} to {high}; "
            "write the labels as a label TIFF and pass its path instead."
        )
    return image_to_pil(labels.astype(np.uint16))
