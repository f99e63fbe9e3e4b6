"""Zeiss CZI through pylibCZIrw: each scene is an image, its tiles put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from microshot.data.czi_structure import Tiles
from microshot.data.image import square_side
from microshot.data.microscope_planes import Planes, in_order

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Bytes of decoded tiles that are kept.
CACHE_BYTES = 192 << 20
#: Samples and numbers of the kinds of pixels.
_PIXELS = {
    "Gray8": (1, np.uint8), "Gray16": (1, np.uint16), "Gray32Float": (1, np.float32),
    "Bgr24": (3, np.uint8), "Bgr48": (3, np.uint16), "Bgr96Float": (3, np.float32),
}  # fmt: skip


def _reader(file: Path) -> Any:
    from pylibCZIrw import czi

    cache = czi.CacheOptions(czi.CacheType.Standard, max_memory_usage=CACHE_BYTES)
    return czi.CziReader(str(file), cache_options=cache)


def images(file: Path) -> list[int | None]:
    """Return the numbers of the scenes as the file counts them; None = all, where it has none."""
    Tiles(file).close()
    reader = _reader(file)
    try:
        return sorted(reader.scenes_bounding_rectangle_no_pyramid) or [None]
    finally:
        reader.close()


class Windows(Planes):
    """A scene; places between its tiles of which there is no picture are 0."""

    def __init__(self, path: Path, file: Path, where: str, scene: int | None) -> None:
        super().__init__(path, file, where)
        self._tiles = self._kept(Tiles(file))
        self._file = reader = self._kept(_reader(file))
        self._scene = scene
        box = (
            reader.total_bounding_rectangle_no_pyramid if self._scene is None
            else reader.scenes_bounding_rectangle_no_pyramid[self._scene]
        )  # fmt: skip
        self._left, self._top = box.x, box.y
        places = self._recorded()
        channels = sorted({place["C"] for place in places})
        kinds = [_PIXELS[reader.get_channel_pixel_type(c)] for c in channels]
        samples = {n for n, _ in kinds}
        if len(samples) > 1:
            raise ValueError("it has grey channels beside channels in colour")
        dtype = np.result_type(np.uint8, *(dtype for _, dtype in kinds))
        size_um, names = _described(reader.raw_metadata)
        names = tuple(names[c] for c in channels) if len(names) > max(channels, default=0) else ()
        self._known(places, (box.h, box.w), max(samples, default=1), dtype, size_um, names)

    def _recorded(self) -> list[dict[str, int]]:
        """Return the places of all planes of which there is a tile; others would be read as black."""
        found: set[tuple[tuple[str, int], ...]] = set()

        def note(_: int, tile: Any) -> bool:
            place = {"C": 0, **tile.coordinate.to_dict()}
            if place.pop("S", None) == self._scene:
                found.add(tuple(place.items()))
            return True

        self._file.enumerate_subblocks_subset(note, only_layer0=True)
        return in_order(map(dict, found))

    def _part(self, place: Mapping[str, int], rows: slice, columns: slice) -> np.ndarray:
        corner = self._left + columns.start, self._top + rows.start
        size = columns.stop - columns.start, rows.stop - rows.start
        where, roi = dict(place), (*corner, *size)

        def check(index: int, _: Any) -> bool:
            self._tiles.check(index)
            return True

        self._file.enumerate_subblocks_subset(check, where, roi, only_layer0=True)
        part = self._file.read(roi=roi, plane=where, scene=self._scene)
        return np.moveaxis(part, -1, 0)[::-1]  # blue is stored before green and red


def _described(text: str) -> tuple[float | None, tuple[str, ...]]:
    """Return pixel size (µm) and names of channels in a file's metadata, where they are known."""
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return None, ()
    sides = [root.findtext(f".//Scaling/Items/Distance[@Id='{axis}']/Value") for axis in "XY"]
    x, y = (_number(side) * 1e6 for side in sides)  # stored in metres
    found = root.findall("./Metadata/Information/Image/Dimensions/Channels/Channel")
    names = tuple(channel.get("Name", "") for channel in found)
    return (square_side(x, y) if x < 1e9 else None), names


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
