"""Is a TIFF file whole: every directory, tag and strip of pixels must lie inside the file."""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np

#: Bytes per value of each TIFF field type (TIFF 6.0, page 15; BigTIFF 16 to 18).
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TYPE_BYTES |= {16: 8, 17: 8, 18: 8}
_INTEGERS = {3: "u2", 4: "u4", 16: "u8"}
#: Tags that say where pixels lie, with the tags that say how many bytes.
_OFFSETS = {273: 279, 324: 325}


def check_structure(file: BinaryIO, size: int, where: str) -> int:
    """Return the number of pages of a TIFF whose parts all lie within its `size` bytes.

    Libraries read around missing parts and deliver black pixels or fewer pages; here a
    file that was cut off is refused.

    Raises
    ------
    ValueError : names what lies beyond the end of the file.
    """
    try:
        return _walk(file, size, where)
    except struct.error as error:
        raise _cut_off(where, size, "a page description") from error


def _cut_off(where: str, size: int, what: str) -> ValueError:
    return ValueError(
        f"{where}: the TIFF file is cut off or damaged ({what} lies beyond its {size} bytes); "
        "export or copy it again."
    )


def _walk(file: BinaryIO, size: int, where: str) -> int:
    file.seek(0)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    (version,) = struct.unpack_from(order + "H", head, 2)
    big = version == 43
    pointer = order + ("Q" if big else "I")
    (offset,) = struct.unpack_from(pointer, head, 8 if big else 4)
    seen: set[int] = set()
    while offset:
        if offset in seen:
            raise ValueError(
                f"{where}: the TIFF file is damaged (its pages form a loop); export it again."
            )
        if offset >= size:
            raise _cut_off(where, size, f"page {len(seen) + 1}")
        seen.add(offset)
        file.seek(offset)
        (n_tags,) = struct.unpack(order + ("Q" if big else "H"), file.read(8 if big else 2))
        n_bytes = n_tags * (20 if big else 12)
        if n_bytes > size:
            raise _cut_off(where, size, f"the description of page {len(seen)}")
        entries = file.read(n_bytes)
        next_pointer = file.read(struct.calcsize(pointer))
        _check_page(file, entries, (order, big), size, f"{where}, page {len(seen)}")
        (offset,) = struct.unpack(pointer, next_pointer)
    if not seen:
        raise ValueError(f"{where}: the TIFF file holds no image; export or copy it again.")
    return len(seen)


def _check_page(
    file: BinaryIO, entries: bytes, form: tuple[str, bool], size: int, where: str
) -> None:
    order, big = form
    entry = struct.Struct(order + ("HHQ8s" if big else "HHI4s"))
    if len(entries) % entry.size:
        raise _cut_off(where, size, "its description")
    integers: dict[int, np.ndarray] = {}
    for tag, kind, count, value in entry.iter_unpack(entries):
        n_bytes = count * _TYPE_BYTES.get(kind, 0)
        if n_bytes > len(value):
            (start,) = struct.unpack(order + ("Q" if big else "I"), value)
            if start + n_bytes > size:
                raise _cut_off(where, size, f"the value of tag {tag}")
            if kind in _INTEGERS and (tag in _OFFSETS or tag in _OFFSETS.values()):
                file.seek(start)
                value = file.read(n_bytes)
        if kind in _INTEGERS and (tag in _OFFSETS or tag in _OFFSETS.values()):
            integers[tag] = np.frombuffer(value[:n_bytes], order + _INTEGERS[kind]).astype(object)
    for offsets_tag, counts_tag in _OFFSETS.items():
        starts, lengths = integers.get(offsets_tag), integers.get(counts_tag)
        if starts is None or lengths is None or len(starts) != len(lengths):
            continue
        if any(n and start + n > size for start, n in zip(starts, lengths, strict=True)):
            raise _cut_off(where, size, "part of its pixels")
