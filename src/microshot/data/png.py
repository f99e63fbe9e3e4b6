"""PNG bytes: checked from end to end before they are unpacked."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

from microshot.data.codec import foreign, image_from_pil, one_sentence, too_deep

if TYPE_CHECKING:
    from microshot.data.image import Image

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
        raise too_deep(where)
