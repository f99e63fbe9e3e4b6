"""Leica LIF through liffile: each image of the experiment, each tile of one that was not merged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.image import square_side
from microshot.data.microscope_planes import Planes, grid, in_order, several

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from xml.etree import ElementTree

_DESCRIPTION = "./Data/Image/ImageDescription"
#: Axis of the tiles of a mosaic.
_TILES = "M"
#: What the file calls the axes of a plane.
_X, _Y = 1, 2


def _opened(file: Path) -> Any:
    import liffile

    return liffile.LifFile(file)


def images(file: Path) -> list[tuple[int, int]]:
    """Return the places of all images: which of the experiment, which tile of it.

    Decay curves of fluorescence lifetimes, of which every pixel has one, are no images.
    """
    with _opened(file) as lif:
        return [
            (index, tile)
            for index, image in enumerate(lif.images)
            if not image.is_flim
            for tile in several(_n_tiles(image.xml_element))
        ]


def _n_tiles(element: ElementTree.Element) -> int:
    """Return of how many tiles an image is; asked of its description, for the image itself may be odd."""
    found = (d.attrib for d in element.iterfind(f"{_DESCRIPTION}/Dimensions/DimensionDescription"))
    tiles = [int(d["NumberOfElements"]) for d in found if d["DimID"] == "10"]
    return max(tiles, default=1)


class Windows(Planes):
    """An image; nothing but the part that is wanted is read from the file."""

    def __init__(self, path: Path, file: Path, where: str, place: tuple[int, int]) -> None:
        super().__init__(path, file, where)
        self._image = self._kept(_opened(file)).images[place[0]]
        self._look(place[1])

    def _look(self, tile: int) -> None:
        image = self._image
        sizes = dict(image.sizes)
        if not {"X", "Y"} <= set(sizes):
            raise ValueError(f"it holds lines along {', '.join(sizes)} and no picture")
        if image.nbytes > image.memory_block.size:
            raise ValueError("its pixels are cut off")
        self._tile = {_TILES: tile} if _TILES in sizes else {}
        axes = {axis: n for axis, n in sizes.items() if axis not in (_TILES, "Y", "X", "S")}
        described = image.xml_element.find(_DESCRIPTION)
        dimensions = {
            int(d.attrib["DimID"]): d.attrib for d in described.iter("DimensionDescription")
        }
        channels = [channel.attrib for channel in described.iter("ChannelDescription")]
        channels.sort(key=lambda channel: int(channel["BytesInc"]))
        samples, itemsize = sizes.get("S", 1), image.dtype.itemsize
        self._stored = dict(sizes)
        if "S" in sizes:  # rows may be longer in the file
            self._stored["X"] = int(dimensions[_Y]["BytesInc"]) // (samples * itemsize)
        tags = [channel["ChannelTag"] for channel in channels[:samples]]
        self._is_reversed = tags == ["3", "2", "1"]  # blue, green, red
        size = square_side(*(_side_um(dimensions[axis]) for axis in (_X, _Y)))
        names = [channel["LUTName"] for channel in channels]
        places = in_order(grid(axes, self.file))
        self._known(places, (sizes["Y"], sizes["X"]), samples, image.dtype, size, names)

    def _part(self, place: Mapping[str, int], rows: slice, columns: slice) -> np.ndarray:
        image, axes = self._image, tuple(self._stored)
        shape = tuple(self._stored.values())
        stored = image.memory_block.read_array(shape, image.dtype, out="memmap")
        at = {**place, **self._tile, "Y": rows, "X": columns}
        part = np.asarray(stored[tuple(at.get(axis, slice(None)) for axis in axes)])
        left = [axis for axis in axes if axis in ("Y", "X", "S")]
        part = part.transpose([left.index(axis) for axis in ("S", "Y", "X") if axis in left])
        part = part.reshape(-1, *part.shape[-2:])
        return part[::-1] if self._is_reversed else part


def _side_um(dimension: Mapping[str, str]) -> float:
    """Return the side of a pixel in µm; 0 where it is not known."""
    n, length = int(dimension["NumberOfElements"]), abs(float(dimension["Length"]))
    return length / (n - 1) * 1e6 if dimension["Unit"] == "m" and n > 1 and length < 1e3 else 0.0
