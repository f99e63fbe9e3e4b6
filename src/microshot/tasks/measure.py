"""Measurements of every object in a label image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microshot.metrics.shapes import shapes

if TYPE_CHECKING:
    import numpy as np

    from microshot.data.image import Image

#: Keys of a row of `measure`, in order.
COLUMNS = (
    "id", "probability", "confidence", "y", "x", "area_px", "area_um2", "perimeter_px", "major_axis_px",
    "minor_axis_px", "eccentricity", "solidity", "mean_intensity",
)  # fmt: skip


def measure(
    labels: np.ndarray,
    image: Image,
    probability: np.ndarray,
    confidences: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """Measure objects 1..n; what is measured is defined as in scikit-image's `regionprops`.

    Parameters
    ----------
    labels : (Y, X) int32, ids 1..n.
    image : the image the objects were found in; the mean intensity is that of its first
        channel, in the camera's own numbers.
    probability : (n,) one value per id.
    confidences : (n,) how often such objects are right, where that is known.

    Returns
    -------
    One dictionary per object: ``id``, ``probability``, ``confidence`` (None if not known), ``y``
    and ``x`` of the centroid in px, ``area_px``, ``area_um2`` (None without pixel size), ``perimeter_px``,
    ``major_axis_px`` and ``minor_axis_px`` of the ellipse of equal moments, ``eccentricity``
    (0 circle, 1 line), ``solidity`` (area over that of the convex hull), ``mean_intensity``.
    """
    if not len(probability):
        return []
    found, size = shapes(labels, image.pixels[0]), image.pixel_size_um
    index = found.id - 1
    columns = {
        "id": found.id,
        "probability": probability[index],
        "confidence": None if confidences is None else confidences[index],
        "y": found.y,
        "x": found.x,
        "area_px": found.area,
        "area_um2": found.area * size * size if size else None,
        "perimeter_px": found.perimeter,
        "major_axis_px": found.major,
        "minor_axis_px": found.minor,
        "eccentricity": found.eccentricity,
        "solidity": found.solidity,
        "mean_intensity": found.intensity,
    }
    known = [[None] * len(index) if v is None else v.tolist() for v in columns.values()]
    return [dict(zip(COLUMNS, row, strict=True)) for row in zip(*known, strict=True)]
