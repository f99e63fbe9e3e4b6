"""The label image of a large image as a file: tiled TIFF or OME-Zarr, whole or not at all."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.disk import check_way, explained, replacing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from microshot.large.journal import Journal
    from microshot.progress import Progress

#: Side of the tiles of label images, px.
TILE_PX = 512
#: Files that may become larger than this are BigTIFF.
BIG_BYTES = 3_900_000_000


def check_place(out: Path) -> None:
    """Refuse, before the work, a place where no label image `out` can be written.

    Raises
    ------
    OSError : one sentence, see `data.disk.check_way`; also for a file in place of an OME-Zarr folder.
    """
    check_way(out / "zarr.json" if _is_zarr(out) else out)


def _is_zarr(out: Path) -> bool:
    return out.suffix.lower() == ".zarr"


def write_large_labels(
    out: Path,
    journal: Journal,
    greatest: int,
    pixel_size_um: float | None,
    progress: Progress,
) -> None:
    """Write the labels in `journal` to `out`, a TIFF file or, by its ending, an OME-Zarr folder.

    What is there is replaced, of a link the link; callers have asked before. uint16 where
    `greatest`, the greatest id, fits, else uint32.
    """
    dtype = np.dtype(np.uint16 if greatest <= 65535 else np.uint32)
    if _is_zarr(out):
        with explained(out):
            _write_zarr(out, journal, dtype, pixel_size_um, progress)
        return
    import tifffile

    metadata: dict[str, Any] = {"axes": "YX"}
    if pixel_size_um is not None:
        for axis in "XY":
            metadata[f"PhysicalSize{axis}"] = pixel_size_um
            metadata[f"PhysicalSize{axis}Unit"] = "µm"
    height, width = journal.shape
    big = height * width * dtype.itemsize > BIG_BYTES
    with (
        replacing(out, overwrite=True) as part,
        tifffile.TiffWriter(part, bigtiff=big, ome=True) as tif,
    ):
        tif.write(
            _tiles(journal, dtype, progress), shape=journal.shape, dtype=dtype,
            tile=(TILE_PX, TILE_PX), compression="zlib", photometric="minisblack",
            metadata=metadata, maxworkers=1,
        )  # fmt: skip


def _tiles(journal: Journal, dtype: np.dtype, progress: Progress) -> Iterator[np.ndarray]:
    """Yield tiles row by row; those at the far edges are filled up with background."""
    height, width = journal.shape
    for top in range(0, height, TILE_PX):
        progress(top / height, "writing the label image")
        band = journal.labels(slice(top, min(top + TILE_PX, height)), slice(0, width))
        for left in range(0, width, TILE_PX):
            tile = np.zeros((TILE_PX, TILE_PX), dtype)
            piece = band[:, left : left + TILE_PX]
            tile[: piece.shape[0], : piece.shape[1]] = piece
            yield tile


def _write_zarr(
    out: Path, journal: Journal, dtype: np.dtype, pixel_size_um: float | None, progress: Progress
) -> None:
    from microshot.data.zarr_images import CHUNK_PX, write_zarr_labels

    height, width = journal.shape

    def parts() -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
        for top in range(0, height, CHUNK_PX):
            for left in range(0, width, CHUNK_PX):
                progress(top / height, "writing the label image")
                rows = slice(top, min(top + CHUNK_PX, height))
                columns = slice(left, min(left + CHUNK_PX, width))
                yield (rows, columns), journal.labels(rows, columns).astype(dtype)

    part = journal.folder / "labels.zarr"
    shutil.rmtree(part, ignore_errors=True)
    write_zarr_labels(part, journal.shape, dtype, parts(), pixel_size_um)
    if out.is_symlink():
        out.unlink()
    elif out.exists():
        shutil.rmtree(out)
    part.rename(out)
