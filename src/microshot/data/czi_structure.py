"""What libCZI believes a damaged CZI file, and crashes on: looked at before it reads.

The places of all numbers are those of the format [1]_; whatever else is wrong libCZI tells itself.

References
----------
.. [1] ZISRAW (CZI) file format, Carl Zeiss Microscopy: segments FileHeader, SubBlockDirectory, SubBlock.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: The most axes of a tile: so many libCZI has room for.
MOST_AXES = 40
#: Bytes of the file's header, of the directory's before its entries, of an entry's and a tile's before the axes.
_FILE, _DIRECTORY, _ENTRY, _TILE = 112, 160, 32, 80


class Tiles:
    """Where the tiles of a file lie, in the order in which libCZI numbers them."""

    def __init__(self, file: Path) -> None:
        """Read the directory.

        Raises
        ------
        ValueError : where a tile has more axes than there can be.
        """
        self._stream, self._n_bytes = file.open("rb"), file.stat().st_size
        self._places: list[int] = []
        try:
            self._read_directory()
        except BaseException:
            self.close()
            raise

    def _read_directory(self) -> None:
        stream = self._stream
        (place,) = struct.unpack_from("<q", stream.read(_FILE).ljust(_FILE, b"\0"), 84)
        stream.seek(min(max(place, 0), self._n_bytes))
        head = stream.read(_DIRECTORY)
        if not head.startswith(b"ZISRAWDIRECTORY") or len(head) < _DIRECTORY:
            return
        (n,) = struct.unpack_from("<i", head, 32)
        for _ in range(n):
            entry = stream.read(_ENTRY)
            if len(entry) < _ENTRY or not entry.startswith(b"DV"):
                return
            (n_axes,) = struct.unpack_from("<i", entry, 28)
            _check_axes(n_axes)
            self._places.append(*struct.unpack_from("<q", entry, 6))
            stream.seek(20 * n_axes, 1)

    def check(self, index: int) -> None:
        """Refuse (ValueError) a tile that says of itself what cannot be."""
        if index >= len(self._places):
            raise ValueError("its list of tiles cannot be read")
        place = self._places[index]
        self._stream.seek(min(max(place, 0), self._n_bytes))
        head = self._stream.read(_TILE)
        if len(head) == _TILE and head.startswith(b"ZISRAWSUBBLOCK"):
            *sizes, n_axes = struct.unpack_from("<iiq28xi", head, 32)
            _check_axes(n_axes)
            if min(sizes) < 0 or place + sum(sizes) > self._n_bytes:
                raise ValueError("a tile is larger than the file")

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def _check_axes(n: int) -> None:
    if not 0 <= n <= MOST_AXES:
        raise ValueError(f"a tile has {n} axes")
