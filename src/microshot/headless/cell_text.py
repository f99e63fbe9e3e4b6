"""Table cells as people and spreadsheets read them, and small pictures of image cells."""

from __future__ import annotations

import base64
import io
import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

THUMBNAIL_PX = 96
"""Longest side of a small picture."""


def is_image(cell: object) -> bool:
    """Whether a cell holds a picture (a PIL image)."""
    return hasattr(cell, "getbands") and hasattr(cell, "save")


def cell_text(cell: Any) -> str:
    """Return what stands in a CSV file for `cell`; missing is empty.

    Images are described by their size; lists and dictionaries become JSON.
    """
    if _is_missing(cell):
        return ""
    if is_image(cell):
        return f"image {cell.width} x {cell.height} px"
    if isinstance(cell, bytes):
        return f"{len(cell)} bytes"
    if hasattr(cell, "fs_category"):
        return str(cell.path)
    if hasattr(cell, "tolist"):
        cell = cell.tolist()
    if isinstance(cell, (list, tuple, dict, set)):
        items = sorted(cell, key=str) if isinstance(cell, set) else cell
        return json.dumps(items, default=cell_text, ensure_ascii=False)
    return str(cell)


def _is_missing(cell: Any) -> bool:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return True
    return type(cell).__name__ in ("NAType", "NaTType")


def rows_of(frame: pd.DataFrame, n_rows: int | None = None) -> Iterator[tuple[str, list[Any]]]:
    """Yield every RowID with its cells; an image cell is decoded only when its row comes."""
    columns = [frame.iloc[:, index].array for index in range(frame.shape[1])]
    for row, name in enumerate(frame.index[:n_rows]):
        yield str(name), [column[row] for column in columns]


def thumbnail(image: Any) -> str:
    """Return a small picture as a ``data:`` address, grey values stretched to the visible range."""
    import numpy as np
    from PIL import Image

    if image.mode not in ("1", "L", "RGB", "RGBA"):
        pixels = np.asarray(image, dtype=np.float32)  # (Y, X)
        low, high = float(pixels.min()), float(pixels.max())
        scaled = (pixels - low) * (255 / (high - low) if high > low else 0)
        image = Image.fromarray(scaled.astype(np.uint8))
    small = image.copy()
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    with io.BytesIO() as buffer:
        small.save(buffer, format="PNG")
        return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
