"""OME-Zarr: reading the full resolution of a local folder, writing label images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.tiff import MICROMETRES
from microshot.data.windows import Facts, checked_kind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: Side of the chunks of label images, px.
CHUNK_PX = 1024


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
    """See `windows.Windowed`. Time points, channels and planes become channels, in this order."""

    def __init__(self, path: Path, where: str) -> None:
        self.path, self.where = path, where
        zarr = _zarr()
        try:
            node = zarr.open(str(path), mode="r")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{where}: the Zarr folder is damaged ({' '.join(str(error).split())[:120]}); "
                "export or copy it again."
            ) from error
        scales: list[Any] = []
        if isinstance(node, zarr.Group):
            attributes = dict(node.attrs)
            attributes = attributes.get("ome", attributes)
            scales = attributes.get("multiscales") or []
            if not scales or not scales[0].get("datasets"):
                raise ValueError(
                    f"{where}: expected an OME-Zarr image (with multiscales), found another Zarr "
                    "group; give the folder of one image, such as plate.zarr/A/1/0."
                )
            node = node[scales[0]["datasets"][0]["path"]]
        self._array: Any = node
        if self._array.ndim < 2:
            raise ValueError(
                f"{where}: expected an image, found {self._array.ndim} axis; check it."
            )
        shape = self._array.shape
        n_planes = int(np.prod(shape[:-2], dtype=np.int64))
        dtype = np.dtype(self._array.dtype)
        self.facts = Facts((n_planes, shape[-2], shape[-1]), dtype, _pixel_size_um(scales))

    def check(self) -> None:
        """Refuse numbers that cannot be read part by part."""
        checked_kind(self.facts.dtype, self.where)

    def stored(self, rows: slice, columns: slice) -> np.ndarray:
        """Return a part of the image (C, y, x) as stored."""
        part = np.asarray(self._array[(..., rows, columns)])
        return part.reshape(-1, *part.shape[-2:])

    def close(self) -> None:
        """Nothing is open between two calls."""


def _pixel_size_um(scales: list[Any]) -> float | None:
    """Return the side of a square pixel of the first resolution, where it is known."""
    if not scales:
        return None
    axes = scales[0].get("axes") or []
    units = [a.get("unit") if isinstance(a, dict) else None for a in axes][-2:]
    for step in scales[0]["datasets"][0].get("coordinateTransformations") or []:
        if step.get("type") == "scale" and len(step["scale"]) >= 2 and len(units) == 2:
            sides = [
                float(n) * MICROMETRES.get(str(unit).casefold(), 0.0)
                for n, unit in zip(step["scale"][-2:], units, strict=True)
            ]
            if sides[0] > 0 and abs(sides[0] - sides[1]) <= 0.01 * sides[0]:
                return sides[0]
    return None


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
