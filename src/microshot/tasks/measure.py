"""Measurements of every object in a label image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from microshot.data.image import Image

_PROPERTIES = (
    "label", "centroid", "area", "perimeter", "axis_major_length", "axis_minor_length",
    "eccentricity", "solidity", "intensity_mean",
)  # fmt: skip


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
    """Measure objects 1..n with scikit-image's `regionprops`.

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
    from skimage.measure import regionprops_table

    table = regionprops_table(labels, image.pixels[0], properties=_PROPERTIES)
    size = image.pixel_size_um
    rows = []
    for i, label in enumerate(table["label"]):
        area = float(table["area"][i])
        rows.append(
            {
                "id": int(label),
                "probability": float(probability[int(label) - 1]),
                "confidence": None if confidences is None else float(confidences[int(label) - 1]),
                "y": float(table["centroid-0"][i]),
                "x": float(table["centroid-1"][i]),
                "area_px": area,
                "area_um2": area * size * size if size else None,
                "perimeter_px": float(table["perimeter"][i]),
                "major_axis_px": float(table["axis_major_length"][i]),
                "minor_axis_px": float(table["axis_minor_length"][i]),
                "eccentricity": float(table["eccentricity"][i]),
                "solidity": float(table["solidity"][i]),
                "mean_intensity": float(table["intensity_mean"][i]),
            }
        )
    return rows
