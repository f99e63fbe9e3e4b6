"""Tables for the toy extension and their content in a form that can be compared."""

from __future__ import annotations

import hashlib
from typing import Any


def frame(name: str) -> Any:
    """Return a data frame for the input of a node; PIL images in the column ``Image``."""
    import knime.extension as knext
    import numpy as np
    import pandas as pd
    from PIL import Image

    if name == "text":
        return pd.DataFrame({"Text": ["a", None, "c"], "N": [1, 2, 3]})
    n = {"empty": 0, "one": 1, "five": 5}[name]
    images = [Image.fromarray(np.full((3, 2), 1000 * i, np.uint16)) for i in range(n)]
    data = pd.DataFrame(
        {
            "N": np.arange(n, dtype="int64"),
            "X": np.linspace(0, 1, n),
            "Text": pd.array([f"t{i}" for i in range(n)], dtype="string"),
            "Kind": pd.Categorical([f"k{i % 2}" for i in range(n)]),
            "Image": pd.Series(images, dtype=object),
        },
        index=[f"id {i}" for i in range(n)],
    )
    if n == 0:
        data["Kind"] = data["Kind"].astype("string")
    data.index = data.index.astype(object)
    data["Image"] = pd.Series(images, index=data.index, dtype=object).astype(
        knext.logical(Image.Image).to_pandas()
    )
    return data


def content(data: Any) -> dict[str, list]:
    """Return the cells of a data frame as plain values, images as mode, size and hash."""
    columns = {"<RowID>": [str(one) for one in data.index]}
    for name in data.columns:
        columns[str(name)] = [_plain(one) for one in data[name]]
    return columns


def _plain(value: Any) -> Any:
    missing = isinstance(value, float) and value != value
    if value is None or missing or type(value).__name__ == "NAType":
        return None
    if hasattr(value, "mode"):
        return [value.mode, list(value.size), hashlib.sha256(value.tobytes()).hexdigest()]
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if hasattr(value, "tolist"):
        return value.tolist()
    return value
