"""Nikon ND2 through nd2: each position of the stage is an image."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.image import square_side
from microshot.data.microscope_planes import Planes, grid, in_order, several

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Axis of the positions.
_POSITIONS = "P"


def _opened(file: Path) -> Any:
    import nd2

    return nd2.ND2File(file)


def _loops(file: Any) -> dict[str, int]:
    """Return the sizes of all axes along which the file holds frames, the last the fastest."""
    return {axis: n for axis, n in file.sizes.items() if axis not in ("C", "Y", "X", "S")}


def images(file: Path) -> list[int]:
    """Return the numbers of the positions, from 0."""
    with _opened(file) as nd2:
        return list(several(nd2.sizes.get(_POSITIONS, 1)))


class Windows(Planes):
    """A position; nothing but the part that is wanted is read, unless the file is compressed."""

    def __init__(self, path: Path, file: Path, where: str, position: int) -> None:
        super().__init__(path, file, where)
        self._file = self._kept(_opened(file))
        self._look(position)

    def _look(self, position: int) -> None:
        file, about = self._file, self._file.attributes
        n_channels, height, width = about.channelCount or 1, about.heightPx, about.widthPx or 0
        samples = about.componentCount // n_channels
        self._frame = (n_channels, height, width, samples)
        frames = itertools.islice(grid(_loops(file), self.file), about.sequenceCount)
        self._frames = {  # those that were recorded; others would be read as black
            tuple(place.values()): index
            for index, place in enumerate(frames)
            if place.pop(_POSITIONS, 0) == position
        }
        axes = [axis for axis in _loops(file) if axis != _POSITIONS]
        places = in_order(
            {**dict(zip(axes, place, strict=True)), "C": channel}
            for place in self._frames
            for channel in range(n_channels)
        )
        side, names = _described(file)
        self._known(places, (height, width), samples, file.dtype, side, names)

    def _part(self, place: Mapping[str, int], rows: slice, columns: slice) -> np.ndarray:
        at = tuple(index for axis, index in place.items() if axis != "C")
        frame = self._file.read_frame(self._frames[at]).reshape(self._frame)
        return np.moveaxis(frame[place["C"], rows, columns], -1, 0)


def _described(file: Any) -> tuple[float | None, tuple[str, ...]]:
    """Return pixel size (µm) and names of channels, where they are known."""
    try:
        channels = file.metadata.channels or []
    except Exception:  # noqa: BLE001 - what is said of light paths and dyes is of many forms
        channels = []
    names = tuple(one.channel.name or "" for one in channels)
    volume = channels[0].volume if channels else None
    if volume is None or not all(volume.axesCalibrated[:2]):
        return None, names
    return square_side(*volume.axesCalibration[:2]), names
