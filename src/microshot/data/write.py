"""Writing label and image TIFFs that Fiji opens with the right scale, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.disk import replacing

if TYPE_CHECKING:
    from microshot.data.image import Image

#: ImageJ's own TIFF variant holds less than 4 GiB; larger files are written as OME-BigTIFF.
_IMAGEJ_BYTES = (1 << 32) - (1 << 20)


def write_labels(
    path: Path | str,
    labels: np.ndarray,
    *,
    pixel_size_um: float | None = None,
    overwrite: bool = False,
) -> None:
    """Write a label image as compressed TIFF, ids unchanged.

    uint16 in ImageJ's form where ids fit, else uint32 as OME-TIFF; int32 where pixels are to
    be ignored (negative).

    Parameters
    ----------
    labels : (Y, X) integers.
    pixel_size_um : side of a pixel in micrometres.

    Raises
    ------
    ValueError : for anything but a plane of integers to 4 294 967 295.
    FileExistsError, FileNotFoundError : see `data.disk.replacing`.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or 0 in labels.shape or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f'"{path}": labels are whole numbers on (y, x), found {labels.dtype} of shape {labels.shape}.'
        )
    low, high = int(labels.min()), int(labels.max())
    if low < -(1 << 31) or high >= 1 << (31 if low < 0 else 32):
        raise ValueError(f'"{path}": ids must fit 32 bits, found {low} to {high}; renumber them.')
    dtype = np.int32 if low < 0 else np.uint16 if high <= 65535 else np.uint32
    _write(Path(path), labels.astype(dtype), "YX", pixel_size_um, (), overwrite=overwrite)


def write_image(path: Path | str, image: Image, *, overwrite: bool = False) -> None:
    """Write an image as TIFF with pixel size, numbers unchanged.

    Channel names become slice labels in Fiji.

    Raises
    ------
    FileExistsError, FileNotFoundError : see `data.disk.replacing`.
    """
    pixels, axes = (image.pixels, "CYX") if image.n_channels > 1 else (image.pixels[0], "YX")
    _write(Path(path), pixels, axes, image.pixel_size_um, image.channels, overwrite=overwrite)


def _write(
    path: Path,
    pixels: np.ndarray,
    axes: str,
    pixel_size_um: float | None,
    names: tuple[str, ...],
    *,
    overwrite: bool,
) -> None:
    import tifffile

    if pixel_size_um is not None and not 0 < pixel_size_um < 1e9:
        raise ValueError(
            f'"{path}": the pixel size is a positive number of micrometres, found {pixel_size_um}.'
        )
    is_plane_of_integers = axes == "YX" and np.issubdtype(pixels.dtype, np.integer)
    is_imagej = pixels.dtype in (np.uint8, np.uint16, np.float32) and pixels.nbytes < _IMAGEJ_BYTES
    if is_imagej:  # without a sample axis tifffile takes a width of one pixel for samples
        pixels, axes = pixels[..., None], axes + "S"
    metadata: dict[str, Any] = {"axes": axes}
    options: dict[str, Any] = {"imagej": True} if is_imagej else {"ome": True}
    if is_plane_of_integers:
        options["compression"] = "zlib"
    if is_imagej and names:
        metadata["Labels"] = list(names)
    elif names:
        metadata["Channel"] = {"Name": list(names)}
    if pixel_size_um is not None and is_imagej:
        metadata["unit"] = "um"
        options["resolution"] = (1 / pixel_size_um, 1 / pixel_size_um)
    elif pixel_size_um is not None:
        for axis in "XY":
            metadata[f"PhysicalSize{axis}"] = pixel_size_um
            metadata[f"PhysicalSize{axis}Unit"] = "µm"
    with replacing(path, overwrite=overwrite) as part:
        tifffile.imwrite(part, pixels, photometric="minisblack", metadata=metadata, **options)
