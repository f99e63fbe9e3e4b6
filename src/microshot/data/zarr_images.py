"""OME-Zarr: reading the full resolution of a local folder, writing label images."""

from __future__ import annotations

import itertools
import math
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.image import square_side
from microshot.data.tiff import MICROMETRES
from microshot.data.windowed import Facts, checked_kind
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

#: Side of the chunks of label images, px.
CHUNK_PX = 1024
#: Larger chunks are refused before they are read: each is in memory as a whole.
MOST_CHUNK_BYTES = 1 << 30
#: Files that describe a group or an array, in both versions of the format.
METADATA = ("zarr.json", ".zgroup", ".zattrs", ".zarray")
#: Chunks that are looked at to tell whether an image is still the same.
SOME_CHUNKS = 16
#: What bioformats2raw calls a group of the images of one file, which are numbered from 0 on [1]_.
#:
#: .. [1] OME-Zarr 0.5, section "bioformats2raw.layout", https://ngff.openmicroscopy.org/0.5/
_SEVERAL = "bioformats2raw.layout"
#: What the package raises on damaged folders.
_DAMAGE = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RuntimeError),
    *(OverflowError, MemoryError, NotImplementedError, AssertionError, ZeroDivisionError),
)


def _zarr() -> Any:
    """Return the optional package.

    Raises
    ------
    ValueError
        If it is not installed.
    """
    try:
        import zarr
    except ImportError as error:
        raise ValueError(
            "OME-Zarr images need the package zarr, which is not installed; install it with `pip "
            'install "microshot[zarr]"`, or save the image as tiled TIFF.'
        ) from error
    return zarr


class ZarrWindows:
    """See `windowed.Windowed`. Time points, channels and planes become channels, in this order."""

    def __init__(self, path: Path, where: str) -> None:
        self.path, self.where = path, where
        zarr = _zarr()
        with self._told():
            node, scales, names = _opened(path, zarr)
        if node is None:
            raise ValueError(
                f"{where}: expected an OME-Zarr image (with multiscales), found another Zarr "
                "group; give the folder of one image in it, such as series.zarr/0 or plate.zarr/A/1/0."
            )
        if node.ndim < 2:
            raise ValueError(
                f"{where}: expected an image, found {how_many(node.ndim, 'axis', 'axes')}; check it."
            )
        with self._told():
            self._order = _order(scales, node.ndim)
            size = _pixel_size_um(scales, self._order[-2:]) if scales else None
            shape, dtype = [node.shape[axis] for axis in self._order], np.dtype(node.dtype)
            n_planes = int(np.prod(shape[:-2], dtype=np.int64))
            chunk_bytes = math.prod(map(int, node.chunks)) * dtype.itemsize
        if 0 in shape:
            raise ValueError(
                f"{where}: expected an image of at least one pixel, found an array of "
                f"{' x '.join(map(str, node.shape))}; check it."
            )
        if chunk_bytes > MOST_CHUNK_BYTES:
            raise ValueError(
                f"{where}: its chunks of {chunk_bytes / 2**30:.3g} GiB are too large to be read; export it "
                "with chunks of some MB."
            )
        self._array: Any = node
        names = names if len(names) == n_planes else ()
        self.facts = Facts((n_planes, shape[-2], shape[-1]), dtype, size, names)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn whatever the package raises on damaged folders into one sentence."""
        try:
            yield
        except _DAMAGE as error:
            raise ValueError(
                f"{self.where}: the Zarr folder is damaged ({' '.join(str(error).split())[:120]}); "
                "export or copy it again."
            ) from error

    def files(self) -> Sequence[Path]:
        """Return the metadata of image and first resolution, and some chunks of the latter."""
        array = self.path / self._array.path
        return [
            *(folder / name for folder in (self.path, array) for name in METADATA),
            *(array / name for name in _some_chunks(self._array)),
        ]

    def check(self) -> None:
        """Refuse numbers that cannot be read part by part."""
        checked_kind(self.facts.dtype, self.where)

    def stored(self, rows: slice, columns: slice, channel: int | None = None) -> np.ndarray:
        """Return a part of the image (C, y, x) as stored, or that of one channel (1, y, x)."""
        wanted, planes = [slice(None)] * len(self._order), self._order[:-2]
        if channel is not None:
            place = np.unravel_index(channel, [self._array.shape[axis] for axis in planes])
            for axis, index in zip(planes, map(int, place), strict=True):
                wanted[axis] = slice(index, index + 1)
        wanted[self._order[-2]], wanted[self._order[-1]] = rows, columns
        with self._told():
            _check_whole(self.path / self._array.path, self._array, wanted)
            part = np.asarray(self._array[tuple(wanted)]).transpose(self._order)
        return part.reshape(-1, *part.shape[-2:])

    def close(self) -> None:
        """Nothing is open between two calls."""


def _check_whole(folder: Path, array: Any, wanted: Sequence[slice]) -> None:
    """Refuse (ValueError) a part of an array in `folder` of which a chunk is cut off.

    Done for Blosc alone, which does not ask where its input ends and gives whatever lies in memory
    behind it; the length that a chunk must have is in its header [1]_.

    References
    ----------
    .. [1] Blosc chunk format, https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst
    """
    if array.shards or not array.compressors or "Blosc" not in type(array.compressors[-1]).__name__:
        return
    touched = [
        range(part.indices(n)[0] // side, -(-part.indices(n)[1] // side))
        for part, n, side in zip(wanted, array.shape, array.chunks, strict=True)
    ]
    for place in itertools.product(*touched):
        path = folder / array.metadata.encode_chunk_key(place)
        if not path.is_file():  # as the format has it where all is of one value
            continue
        with path.open("rb") as file:
            (length,) = struct.unpack_from("<I", file.read(16).ljust(16, b"\xff"), 12)
        if path.stat().st_size < length:
            raise ValueError(f"{path.relative_to(folder.parent)} is cut off")


def _some_chunks(array: Any) -> list[str]:
    """Return the paths in its folder of some chunks of an array, spread over it."""
    sides = array.shards or array.chunks
    grid = [-(-n // side) for n, side in zip(array.shape, sides, strict=True)]
    n = math.prod(grid)
    places = np.unravel_index(np.linspace(0, n - 1, min(n, SOME_CHUNKS)).astype(np.int64), grid)
    return [
        array.metadata.encode_chunk_key(tuple(place)) for place in np.transpose(places).tolist()
    ]


def _opened(path: Path, zarr: Any) -> tuple[Any, list[Any], tuple[str, ...]]:
    """Return the array of the first resolution, its multiscales and the names of channels.

    The last two where they are known. None instead of the array where the folder is no image.
    Raises what the package does.
    """
    node = zarr.open(str(path), mode="r")
    if not isinstance(node, zarr.Group):
        return node, [], ()
    if _SEVERAL in _described(node) and "0" in node and "1" not in node:
        node = node["0"]
    ome = _described(node)
    scales = ome.get("multiscales") or []
    if not scales or not scales[0].get("datasets"):
        return None, [], ()
    array = node[scales[0]["datasets"][0]["path"]]
    shown = None if isinstance(array, zarr.Group) else array
    return shown, scales, _channel_names(ome)


def _described(group: Any) -> dict[str, Any]:
    """Return what a group says of itself in the words of OME-Zarr, of version 0.5 or older."""
    attributes = dict(group.attrs)
    return attributes.get("ome", attributes)


def _channel_names(ome: dict[str, Any]) -> tuple[str, ...]:
    """Return the labels of all channels, as viewers show them; nothing where one has none."""
    shown = ome.get("omero")
    channels = shown.get("channels") if isinstance(shown, dict) else None
    if not isinstance(channels, list):
        return ()
    names = [str(c.get("label") or "") if isinstance(c, dict) else "" for c in channels]
    return tuple(names) if all(names) else ()


def _axes(scales: list[Any]) -> list[dict[str, Any]]:
    """Return what is said of every axis; early versions of the format give no more than names."""
    found = scales[0].get("axes") or [] if scales else []
    return [axis if isinstance(axis, dict) else {"name": axis} for axis in found]


def _order(scales: list[Any], n_axes: int) -> tuple[int, ...]:
    """Return the axes of the array such that y and x come last; as they lie where no names tell."""
    names = [str(axis.get("name")).casefold() for axis in _axes(scales)]
    if len(names) != n_axes or names.count("y") != 1 or names.count("x") != 1:
        return tuple(range(n_axes))
    last = names.index("y"), names.index("x")
    return (*(axis for axis in range(n_axes) if axis not in last), *last)


def _pixel_size_um(scales: list[Any], last: tuple[int, ...]) -> float | None:
    """Return the side of a square pixel of the first resolution, where it is known.

    `last` are the axes y and x. A scale of all resolutions comes on top of that of the first [1]_.

    References
    ----------
    .. [1] OME-Zarr 0.5, section "multiscales", https://ngff.openmicroscopy.org/0.5/
    """
    axes, known = _axes(scales), False
    if len(axes) <= max(last):
        return None
    sides = [MICROMETRES.get(str(axes[axis].get("unit")).casefold(), 0.0) for axis in last]
    for holder in (scales[0]["datasets"][0], scales[0]):
        for step in holder.get("coordinateTransformations") or []:
            if step.get("type") == "scale" and len(step["scale"]) == len(axes):
                known = True
                sides = [
                    side * float(step["scale"][i]) for side, i in zip(sides, last, strict=True)
                ]
    return square_side(*sides) if known else None


def write_zarr_labels(
    folder: Path,
    shape: tuple[int, int],
    dtype: np.dtype,
    parts: Iterable[tuple[tuple[slice, slice], np.ndarray]],
    pixel_size_um: float | None,
) -> None:
    """Write a label image (Y, X) part by part as OME-Zarr 0.5 with one resolution.

    Parameters
    ----------
    parts : rows and columns with their labels; best along chunks of `CHUNK_PX`.
    """
    zarr = _zarr()
    group = zarr.open_group(str(folder), mode="w", zarr_format=3)
    chunks = (min(CHUNK_PX, shape[0]), min(CHUNK_PX, shape[1]))
    array = group.create_array("0", shape=shape, dtype=dtype, chunks=chunks)
    unit = {} if pixel_size_um is None else {"unit": "micrometer"}
    side = pixel_size_um or 1.0
    scale = [{"type": "scale", "scale": [side, side]}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    axes = [{"name": name, "type": "space", **unit} for name in "yx"]
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [{"name": folder.stem, "axes": axes, "datasets": datasets}],
        "image-label": {},
    }
    for place, labels in parts:
        array[place] = labels
