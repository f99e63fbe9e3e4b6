"""What images of all microscopes' files share: planes that are channels, read in parts."""

from __future__ import annotations

import itertools
import logging
import math
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.image import names_of
from microshot.data.microscope_files import KINDS, told
from microshot.data.tiff import exceeds
from microshot.data.windowed import Facts, checked_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

#: What a file may hold; greater numbers are none of an image.
MOST_IMAGES = 999_999
for _package in ("liffile", "nd2"):  # what they say is said here
    logging.getLogger(_package).setLevel(logging.CRITICAL)


def in_order(places: Iterable[Mapping[str, int]]) -> list[dict[str, int]]:
    """Return places of planes, each on every axis, in the order in which planes are channels.

    That is the order of the planes in the TIFF files that Fiji makes of such an image: channels of the
    first depth, of the next, then those of the next moment. Other axes, such as angles, come before.
    """
    made = [dict(place) for place in places]
    others = [axis for axis in (made[0] if made else ()) if axis not in ("T", "Z", "C")]
    axes = (*others, "T", "Z", "C")
    return sorted(made, key=lambda place: [place.get(axis, 0) for axis in axes])


def grid(sizes: Mapping[str, int], file: Path) -> Iterator[dict[str, int]]:
    """Yield all places on axes, the last the fastest.

    Raises
    ------
    ValueError : if they are more than the file has bytes.
    """
    if math.prod(sizes.values()) > file.stat().st_size:
        raise ValueError(f"it promises {math.prod(sizes.values())} planes")
    for place in itertools.product(*map(range, sizes.values())):
        yield dict(zip(sizes, place, strict=True))


def several(n: int) -> range:
    """Return the numbers of `n` images in a file.

    Raises
    ------
    ValueError : if they are more than can be addressed.
    """
    if n > MOST_IMAGES:
        raise ValueError(f"it promises {n} images")
    return range(n)


class Planes:
    """See `windowed.Windowed`. Time points, planes and channels become channels (`in_order`)."""

    def __init__(self, path: Path, file: Path, where: str) -> None:
        self.path, self.file, self.where = path, file, where
        self._kind = KINDS[file.suffix.lower()]
        self._open: list[Callable[[], object]] = []

    def _kept(self, file: Any) -> Any:
        """Return an open file, which is closed with the image, or as soon as nobody holds it."""
        self._open.append(weakref.finalize(self, file.close))
        return file

    def _known(
        self,
        places: Sequence[Mapping[str, int]],
        size: tuple[int, int],
        samples: int,
        dtype: Any,
        pixel_size_um: float | None,
        names: Sequence[str],
    ) -> None:
        """Set the facts, which a file tells of an image.

        Parameters
        ----------
        places : of the planes that the file holds, as `in_order`.
        size : height and width in px.
        samples : of each plane: 3 in a photograph.
        names : of the channels, which are used where each plane is one.

        Raises
        ------
        ValueError : if it says nonsense.
        """
        if not places:
            raise ValueError("no plane of it was recorded")
        self._places, self._samples = places, samples
        n = len(places) * samples
        shape = (n, *size)
        if min(shape) < 1:
            raise ValueError(f"it has {' x '.join(map(str, shape))} pixels")
        dtype = np.dtype(dtype)
        if exceeds(math.prod(shape) * dtype.itemsize, self.file.stat().st_size):
            raise ValueError(f"it promises {' x '.join(map(str, shape))} pixels")
        is_colour = n == samples == 3
        given = names if all(names) and len(set(names)) == n and not is_colour else ()
        names = names_of(n, tuple(given), is_colour=is_colour)
        self.facts = Facts(shape, dtype, pixel_size_um, names, is_colour)

    def files(self) -> Sequence[Path]:
        """Return the file."""
        return [self.file]

    def check(self) -> None:
        """Refuse numbers that cannot be read part by part."""
        checked_kind(self.facts.dtype, self.where)

    def stored(self, rows: slice, columns: slice, channel: int | None = None) -> np.ndarray:
        """Return a part of the image (C, y, x) as stored, or that of one channel (1, y, x)."""
        n, samples = self.facts.shape[0], self._samples
        wanted = range(n // samples) if channel is None else [channel // samples]
        size = rows.stop - rows.start, columns.stop - columns.start
        with told(self.where, self._kind):
            made = np.empty((len(wanted), samples, *size), self.facts.dtype)
            for index, plane in enumerate(wanted):
                made[index] = self._part(self._places[plane], rows, columns)
        if channel is not None:
            made = made[:, channel % samples]
        return made.reshape(-1, *size)

    def _part(self, place: Mapping[str, int], rows: slice, columns: slice) -> np.ndarray:
        """Return a part (samples, y, x) of the plane at a place on all axes."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the file."""
        for close in self._open:
            close()
