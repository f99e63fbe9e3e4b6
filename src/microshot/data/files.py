"""One image file of any kind we read, and its numbers as an image may hold them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from microshot.data.codec import finite, foreign, image_from_pil, one_sentence
from microshot.data.png import PNG_SIGNATURE, decode_png
from microshot.data.tiff import Raw, read_tiff

TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
#: Whole numbers up to this are exact in float32.
_EXACT_FLOAT32 = 1 << 24


def named(path: Path, where: str | None) -> str:
    """Name a file in a message: by its row and column where it came from a table."""
    return f'"{path}"' if where is None else f'{where}, file "{path}"'


def not_there(path: Path, name: str) -> FileNotFoundError:
    """Return the refusal of a file that is missing; of a link, it names where that leads."""
    if path.is_symlink():
        return FileNotFoundError(
            f'{name}: expected an image, found a link to "{path.readlink()}", where there is no file; '
            "bring that file back, or delete the link."
        )
    return FileNotFoundError(f"{name}: there is no such file or folder; check the path.")


def head_of(path: Path, name: str) -> bytes:
    """Return the first 16 bytes of a file, by which its kind is told; `name` is for messages.

    Raises
    ------
    ValueError : one sentence, if it must not be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(16)
    except PermissionError:
        raise ValueError(
            f"{name}: you are not allowed to read the file; ask who owns it, or close it in other programs."
        ) from None


def head_of_image(path: Path, name: str) -> bytes:
    """Return what `head_of` does of a file that may be an image.

    Raises
    ------
    ValueError : one sentence, if it is a folder or empty, or must not be read.
    """
    if not path.is_file():
        raise ValueError(f"{name}: expected an image file, found a folder; give one file.")
    head = head_of(path, name)
    if not head:
        raise ValueError(f"{name}: the file is empty (0 bytes); export or copy it again.")
    return head


def read_raw(path: Path | str, where: str | None = None) -> Raw:
    """Read an image file as stored; its kind is told by its content, not its name.

    Raises
    ------
    FileNotFoundError : if there is no such file.
    ValueError : one sentence that names the file, for a folder, a closed, empty, damaged,
        truncated or foreign file.
    """
    path = Path(path)
    name = named(path, where)
    if not path.exists():
        raise not_there(path, name)
    head = head_of_image(path, name)
    if head.startswith(TIFF_HEADS):
        return read_tiff(path, name)
    if head.startswith(PNG_SIGNATURE):
        pixels = decode_png(path.read_bytes(), name).pixels
        return Raw(pixels, is_colour=len(pixels) == 3)
    for signature, kind in ((b"\xff\xd8\xff", "JPEG"), (b"BM", "BMP")):
        if head.startswith(signature):
            return _read_with_pillow(path, kind, name)
    raise ValueError(
        f"{name}: expected a TIFF, PNG, JPEG or BMP image, but {foreign(head)}; "
        "open it in Fiji and save it as TIFF."
    )


def _read_with_pillow(path: Path, kind: str, where: str) -> Raw:
    from PIL import Image as pillow  # noqa: N813

    data = path.read_bytes()
    with one_sentence(where):
        pil = pillow.open(io.BytesIO(data), formats=[kind])
    pixels = image_from_pil(pil, where).pixels
    return Raw(pixels, is_colour=len(pixels) == 3, is_lossy=kind == "JPEG")


def image_pixels(pixels: np.ndarray, where: str) -> np.ndarray:
    """Return (C, Y, X) numbers as uint8, uint16 or float32, keeping every value.

    Whole numbers become uint8 (from 8-bit and true/false; true is 255) or uint16 where they
    fit, else float32 where that is exact (negative or up to 16 777 216). float64 is rounded
    to float32.

    Raises
    ------
    ValueError : for NaN and infinity (with their place), complex numbers, and whole numbers
        that no image type keeps.
    """
    dtype = pixels.dtype.newbyteorder("=")
    if dtype.type in (np.uint8, np.uint16):
        return pixels.astype(dtype, copy=False)
    if dtype.type is np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    if np.issubdtype(dtype, np.floating):
        finite(pixels, where)
        with np.errstate(over="ignore"):
            return finite(pixels.astype(np.float32, copy=False), where)
    if not np.issubdtype(dtype, np.integer):
        raise ValueError(f"{where}: expected grey values, found {dtype} numbers; save as 16-bit.")
    low, high = int(pixels.min()), int(pixels.max())
    if low >= 0 and high <= 65535:
        return pixels.astype(np.uint8 if dtype.itemsize == 1 else np.uint16)
    if max(-low, high) <= _EXACT_FLOAT32 or _is_exact(pixels):
        return pixels.astype(np.float32)
    raise ValueError(
        f"{where}: expected grey values to 65535, found {low} to {high}, which 32-bit floats would "
        "round; divide them to fit 16 bits."
    )


def _is_exact(pixels: np.ndarray) -> bool:
    as_float = pixels.astype(np.float32).astype(np.float64)
    below_limit = np.abs(as_float) < 2.0**62
    return bool(below_limit.all() and (as_float.astype(np.int64) == pixels).all())
