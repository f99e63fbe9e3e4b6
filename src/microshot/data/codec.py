"""Between table cells and arrays: pillow images and PNG bytes to `Image` and labels, and back."""

from __future__ import annotations

import io
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

__all__ = [
    "LabelReading",
    "decode_png",
    "encode_png",
    "image_from_pil",
    "image_to_pil",
    "labels_from_pil",
    "labels_from_pixels",
    "labels_to_pil",
]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Bits per sample that each PNG colour type allows, and its samples per pixel (PNG 3rd ed., 11.2.1).
_PNG_COLOURS = {
    0: ((1, 2, 4, 8, 16), 1),
    2: ((8, 16), 3),
    3: ((1, 2, 4, 8), 1),
    4: ((8, 16), 2),
    6: ((8, 16), 4),
}
#: Deflate, PNG's compression, shrinks at most 1032 to 1 (zlib.net/zlib_tech.html).
_MOST_COMPRESSED = 1032
#: Camera noise does not shrink further at higher levels, which take five times as long.
_PNG_LEVEL = 2
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
        raise _deep_colour(where)
    pixels = _plane_pixels(pil, where)
    return Image(pixels, is_colour=len(pixels) == 3)


def _deep_colour(where: str) -> ValueError:
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


def encode_png(pixels: np.ndarray) -> bytes:
    """Return `pixels` as PNG bytes; see `image_to_pil` for what is accepted."""
    buffer = io.BytesIO()
    image_to_pil(pixels).save(buffer, "PNG", compress_level=_PNG_LEVEL)
    return buffer.getvalue()


def decode_png(data: bytes, where: str = "image") -> Image:
    """Return the image in PNG bytes.

    The file is checked from end to end (length, checksums, size) before pixels are unpacked.

    Raises
    ------
    ValueError : one sentence that begins with `where`, for anything but an intact PNG image.
    """
    from PIL import Image as pillow  # noqa: N813

    _check_png(data, where)
    with one_sentence(where):
        pil = pillow.open(io.BytesIO(data), formats=["PNG"])
    return image_from_pil(pil, where)


def _check_png(data: bytes, where: str) -> None:
    """Walk the chunks of a PNG (PNG 3rd ed., 5.3) and refuse what is cut off or damaged."""
    if not data:
        raise ValueError(f"{where}: the image is empty (0 bytes); export or copy it again.")
    if not data.startswith(PNG_SIGNATURE):
        if PNG_SIGNATURE.startswith(data):
            raise _cut_off(data, where)
        raise ValueError(f"{where}: expected a PNG image, but {foreign(data[:16])}.")
    position, kind, packed = len(PNG_SIGNATURE), b"", 0
    while kind != b"IEND":
        if position + 12 > len(data):
            raise _cut_off(data, where)
        size, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + size
        if end > len(data):
            raise _cut_off(data, where)
        if zlib.crc32(data[position + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise ValueError(
                f"{where}: the PNG image is damaged (checksum wrong at byte {position}); "
                "export or copy it again."
            )
        packed += size if kind == b"IDAT" else 0
        position = end
    _check_png_header(data, packed, where)


def _cut_off(data: bytes, where: str) -> ValueError:
    return ValueError(
        f"{where}: the PNG image is cut off after {len(data)} bytes; export or copy it again."
    )


def _check_png_header(data: bytes, packed: int, where: str) -> None:
    """Refuse sizes that the `packed` bytes of pixel data cannot hold, and 16-bit colour."""
    size, kind = struct.unpack_from(">I4s", data, len(PNG_SIGNATURE))
    if kind != b"IHDR" or size != 13:
        raise ValueError(f"{where}: the PNG image has no header; export or copy it again.")
    width, height, bits, colour = struct.unpack_from(">IIBB", data, len(PNG_SIGNATURE) + 8)
    allowed, n_samples = _PNG_COLOURS.get(colour, ((), 0))
    if not (width and height) or bits not in allowed:
        raise ValueError(
            f"{where}: the PNG header is damaged ({width} x {height} px, {bits} bits, "
            f"colour type {colour}); export or copy it again."
        )
    if height * (width * bits * n_samples // 8) > _MOST_COMPRESSED * packed + 65536:
        raise ValueError(
            f"{where}: the PNG header says {width} x {height} px, far more than its {packed} bytes "
            "of pixel data can hold; export or copy it again."
        )
    if bits == 16 and n_samples > 1:
        raise _deep_colour(where)


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
