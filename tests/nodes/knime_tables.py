"""Input tables for the nodes, made alike in KNIME's process and in ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tiny_images import discs

ROOT = Path(__file__).parents[2]
NEW = ROOT / "workflows" / "few-shot-segmentation" / "data" / "new" / "images"
N = 5


def frame(name: str) -> Any:
    """Return a data frame by its name: what it holds, and "empty", "one" or "holes"."""
    kind, _, how = name.partition(", ")
    n = {"empty": 0, "one": 1}.get(how, N)
    columns = _COLUMNS[kind](n)
    if how == "holes":
        for at, column in enumerate(columns):
            values = columns[column]
            columns[column] = [None if i % N == at % N else v for i, v in enumerate(values)]
    return _frame(columns, [f"row {i}" for i in range(n)])


def _discs(n: int) -> dict[str, list]:
    made = [discs(n=1 + i, seed=i) for i in range(n)]
    return {
        "Image": [_picture(image) for image, _ in made],
        "Label": [_picture(labels) for _, labels in made],
        "Count": [int(labels.max()) for _, labels in made],
        "Hours": [float(i) for i in range(n)],
        "Note": [f"Präparat {i}, «ü»" for i in range(n)],
        "Profile": [[0.5 * i, 1.0] for i in range(n)],
        "Good": [i % 2 == 0 for i in range(n)],
        "Slide": ["a"] * n,
    }


def _stacks(n: int) -> dict[str, list]:
    made = [discs(side=40, n=2, seed=i) for i in range(n)]
    planes = {
        f"z{z}": [_picture((image // (1 + z)).astype(np.uint16)) for image, _ in made]
        for z in range(3)
    }
    return {**planes, "DAPI": [_picture((1000 * (lab > 0)).astype(np.uint16)) for _, lab in made]}


def _large(n: int) -> dict[str, list]:
    made = [discs(side=512, n=200, seed=i) for i in range(n)]
    return {
        "Image": [_picture(image) for image, _ in made],
        "Label": [_picture(labels) for _, labels in made],
    }


def _large_stacks(n: int) -> dict[str, list]:
    made = [discs(side=512, n=200, seed=i)[0] for i in range(n)]
    planes = {f"z{z}": [_picture(image // (1 + z)) for image in made] for z in range(7)}
    return {**planes, "DAPI": [_picture(image) for image in made]}


def _of_no_image(n: int) -> dict[str, list]:
    return {"Number": list(range(n)), "Flag": [True] * n}


def _texts(n: int) -> dict[str, list]:
    return {"Image": [f"/no/such/image {i}.tif" for i in range(n)], "Label": ["x.tif"] * n}


def _colours(n: int) -> dict[str, list]:
    made = [discs(n=2, seed=i, dtype=np.uint8) for i in range(n)]
    return {
        "Image": [_picture(np.stack([image, image // 2, image], axis=2)) for image, _ in made],
        "Label": [_picture(labels) for _, labels in made],
    }


def _unlike(n: int) -> dict[str, list]:
    images = [discs(side=48 + 16 * (i % 2), n=2, seed=i)[0] for i in range(n)]
    labels = [discs(side=48, n=2, seed=i)[1] for i in range(n)]
    return {"Image": [_picture(v) for v in images], "Label": [_picture(v) for v in labels]}


def _files(n: int) -> dict[str, list]:
    found = sorted(str(path) for path in NEW.iterdir() if path.suffix in (".jpg", ".png", ".tif"))
    return {"Path": [found[i % len(found)] for i in range(n)], "Group": ["a"] * n}


_COLUMNS = {
    "discs": _discs,
    "stacks": _stacks,
    "large": _large,
    "large stacks": _large_stacks,
    "no image": _of_no_image,
    "texts": _texts,
    "colours": _colours,
    "unlike": _unlike,
    "files": _files,
}
#: pandas types of columns by the type of their values.
_TYPES = {str: "string", int: "Int64", float: "Float64", bool: "boolean"}
#: Types of columns without a value.
_NAMED = {
    "Count": int, "Number": int, "Hours": float, "Note": str, "Path": str, "Group": str,
    "Slide": str, "Good": bool, "Flag": bool, "Profile": list,
}  # fmt: skip


def _frame(columns: dict[str, list], ids: list[str]) -> Any:
    import knime.extension as knext
    import pandas as pd
    import pyarrow as pa
    from PIL import Image

    index = pd.Index(ids, dtype=object)
    made = {}
    for name, values in columns.items():
        first = next((type(v) for v in values if v is not None), _NAMED.get(name, Image.Image))
        if first in _TYPES:
            made[name] = pd.Series(pd.array(values, dtype=_TYPES[first]), index=index)
        elif first is list:
            kind = pd.ArrowDtype(pa.list_(pa.float64()))
            made[name] = pd.Series(pd.array(values, dtype=kind), index=index)
        else:
            cells = pd.Series(values, index=index, dtype=object)
            made[name] = cells.astype(knext.logical(Image.Image).to_pandas())
    return pd.DataFrame(made, index=index)


def _picture(pixels: np.ndarray) -> Any:
    from PIL import Image

    return Image.fromarray(pixels.astype(np.uint16) if pixels.dtype.kind == "i" else pixels)
