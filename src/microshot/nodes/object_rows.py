"""The table of objects that *Predict Microscopy Images* writes."""

from __future__ import annotations

from typing import Any

import knime.extension as knext

OBJECTS = {
    "Image": knext.string(),
    "Object": knext.int32(),
    "Probability": knext.double(),
    "Confidence": knext.double(),
    "Y (px)": knext.double(),
    "X (px)": knext.double(),
    "Area (px)": knext.double(),
    "Area (µm²)": knext.double(),
    "Perimeter (px)": knext.double(),
    "Major axis (px)": knext.double(),
    "Minor axis (px)": knext.double(),
    "Eccentricity": knext.double(),
    "Solidity": knext.double(),
    "Mean intensity": knext.double(),
}


def object_rows(name: str, table: list[dict[str, Any]]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return RowIDs and rows of the objects of one image from their measurements."""
    from microshot.tasks.measure import COLUMNS

    rows = [dict(zip(OBJECTS, (name, *(row[k] for k in COLUMNS)), strict=True)) for row in table]
    return [f"{name}_{row['id']}" for row in table], rows
