"""ImageJ's regions of interest: one in a ``.roi`` file, many in a ``.zip`` archive.

Nothing is unpacked to disk: members are read into memory, within limits.

References
----------
.. [1] ImageJ, ``ij/io/RoiDecoder.java`` and ``ij/gui/Roi.java`` (corners of areas lie between
   pixels, points in the middle of pixels; holes by the even-odd rule).
"""

from __future__ import annotations

import io
import logging
import math
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

import numpy as np

from microshot.data.outlines import oval
from microshot.data.regions import MOST_OBJECTS, Marks, Outline, means_ignore, planes_note
from microshot.words import how_many

if TYPE_CHECKING:
    import roifile

#: Beginning of an archive in which there is nothing.
_NOTHING = b"PK\x05\x06"
ROI_HEAD, ZIP_HEADS = b"Iout", (b"PK\x03\x04", _NOTHING)
#: Of one region and of all regions of an archive, unpacked.
_MOST_BYTES, _MOST_BYTES_IN_ALL = 64 << 20, 512 << 20


def read_roi(data: bytes, where: str) -> Marks:
    """Return the region in the bytes of a ``.roi`` file.

    Raises
    ------
    ValueError : beginning with `where`, for damaged regions.
    """
    return _marks("ImageJ ROI", [_decoded(data, where)], where)


def read_roi_zip(data: bytes, where: str) -> Marks:
    """Return the regions in the bytes of a ``.zip`` archive of ImageJ's ROI manager.

    An archive with nothing in it says that the image has no objects.

    Raises
    ------
    ValueError : beginning with `where`, for damaged and encrypted archives, those of other files
        than regions, and those that unpack to more than any set of regions.
    """
    rois, total = [], 0
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            is_empty = data.startswith(_NOTHING) and not archive.infolist()
            members = [m for m in archive.infolist() if _is_region(m.filename)]
            if len(members) > MOST_OBJECTS:
                raise ValueError(f"{where}: expected fewer than {MOST_OBJECTS} regions.")
            for member in members:
                with archive.open(member) as file:
                    content = file.read(_MOST_BYTES + 1)
                total += len(content)
                if len(content) > _MOST_BYTES or total > _MOST_BYTES_IN_ALL:
                    raise ValueError(
                        f"{where}: expected regions of at most {_MOST_BYTES >> 20} MiB each and "
                        f'{_MOST_BYTES_IN_ALL >> 20} MiB in all, "{member.filename:.60}" unpacks to '
                        "more; save a label image instead."
                    )
                rois.append(_decoded(content, f'{where}, "{member.filename:.60}"'))
    except (
        zipfile.BadZipFile, zlib.error, EOFError, struct.error, OSError, RuntimeError,
        NotImplementedError, OverflowError, ValueError,
    ) as error:  # fmt: skip
        if str(error).startswith(where):
            raise
        raise ValueError(
            f"{where}: the ZIP archive is damaged or locked ({type(error).__name__}); save the "
            "regions again from ImageJ's ROI manager."
        ) from error
    if not (rois or is_empty):
        raise ValueError(
            f"{where}: expected an archive of ImageJ regions (files that end in .roi), found none; "
            "save it from ImageJ's ROI manager, and unpack archives of images."
        )
    return _marks("ImageJ ROI set", rois, where)


def _is_region(name: str) -> bool:
    """Say whether a member is a region, and not what macOS keeps about one beside it."""
    return name.lower().endswith(".roi") and not name.rpartition("/")[2].startswith("._")


def _decoded(data: bytes, where: str) -> roifile.ImagejRoi:
    import roifile

    logging.getLogger("roifile").setLevel(logging.ERROR)
    try:
        return roifile.ImagejRoi.frombytes(data)
    except (
        ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError, MemoryError,
        struct.error, RuntimeError,
    ) as error:  # fmt: skip
        raise ValueError(
            f"{where}: the ImageJ region is damaged or of an unknown kind ({type(error).__name__}); "
            "save it again from ImageJ's ROI manager."
        ) from error


def _marks(taken_as: str, rois: list[roifile.ImagejRoi], where: str) -> Marks:
    from roifile import ROI_SUBTYPE, ROI_TYPE

    areas = (
        ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED, ROI_TYPE.RECT, ROI_TYPE.OVAL,
    )  # fmt: skip
    regions, points, planes, n_lines = [], [], [], 0
    for roi in rois:
        place = where if len(rois) == 1 else f'{where}, region "{roi.name:.60}"'
        if roi.subtype in (ROI_SUBTYPE.TEXT, ROI_SUBTYPE.ARROW, ROI_SUBTYPE.IMAGE):
            n_lines += 1
            continue
        if roi.roitype == ROI_TYPE.POINT:
            points.append(np.asarray(_corners(roi, place)[0], float)[:, ::-1])
        elif roi.roitype in areas:
            regions.append(Outline(tuple(_corners(roi, place)), means_ignore(roi.name)))
        else:
            n_lines += 1
            continue
        planes += _planes(roi)
    notes = (f"{how_many(n_lines, 'line or text', 'lines and texts')} left out",) if n_lines else ()
    notes += planes_note(planes)
    return Marks(taken_as, tuple(regions), np.concatenate(points) if points else None, notes=notes)


def _planes(roi: roifile.ImagejRoi) -> list[tuple[int, ...]]:
    """Return the planes of a stack that a region or its points belong to; empty where to all."""
    if roi.counter_positions is not None:
        return [(n,) for n in np.unique(roi.counter_positions).tolist() if n]
    if roi.z_position or roi.t_position:
        return [(roi.z_position, roi.t_position)]
    return [(roi.position,)] if roi.position else []


def _corners(roi: roifile.ImagejRoi, where: str) -> list[np.ndarray]:
    """Return the rings (n, 2) of x and y, or the points, of a region."""
    from roifile import ROI_TYPE

    if roi.roitype == ROI_TYPE.OVAL:
        return [_oval(roi, where)]
    if roi.multi_coordinates is not None:
        return _path(roi.multi_coordinates.tolist(), where)
    found = np.asarray(roi.coordinates(), float).reshape(-1, 2)
    if not len(found):
        raise ValueError(f"{where}: the ImageJ region has no corners; save it again.")
    return [found]


def _oval(roi: roifile.ImagejRoi, where: str) -> np.ndarray:
    left, top, right, bottom = (
        (roi.xd, roi.yd, roi.xd + roi.widthd, roi.yd + roi.heightd)
        if roi.subpixelrect
        else (roi.left, roi.top, roi.right, roi.bottom)
    )
    if not all(math.isfinite(side) for side in (left, top, right, bottom)):
        raise ValueError(f"{where}: the ImageJ oval has no size; save it again.")
    middle, radii = (
        ((left + right) / 2, (top + bottom) / 2),
        ((right - left) / 2, (bottom - top) / 2),
    )
    return oval(middle, radii)


def _path(path: list[float], where: str) -> list[np.ndarray]:
    """Return the rings of a composite region: segments of a path with straight edges."""
    rings: list[list[tuple[float, float]]] = []
    at = 0
    while at < len(path):
        step = path[at]
        if step in (0, 1) and at + 2 < len(path) and (step == 0 or rings):
            if step == 0:
                rings.append([])
            rings[-1].append((path[at + 1], path[at + 2]))
            at += 3
        elif step == 4:
            at += 1
        else:
            raise ValueError(
                f"{where}: expected a region of straight edges, found a damaged or curved one; in "
                "ImageJ choose Edit > Selection > Create Mask, and save the mask as TIFF."
            )
    return [np.asarray(ring, float) for ring in rings]
