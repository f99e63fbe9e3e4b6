"""Input tables, files and tiny settings for the tests of nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.headless import standin
from tiny_images import discs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from microshot.headless.standin import CanvasNode, Host, PortData, TableData

#: Short names of column types in specs.
KINDS = ("png", "path", "text", "number")
#: A network that learns discs in 150 steps.
TINY = {
    "network.width": 4,
    "network.depth": 1,
    "network.rays": 8,
    "images.patch_px": 32,
    "images.augmentation": "NONE",
    "training.learning_rate": 0.01,
    "training.device": "CPU",
}


def set_tiny(node: CanvasNode, *, epochs: int = 1, steps: int = 2) -> CanvasNode:
    """Set a training node to a network and a length that take a moment."""
    node.set("minutes", 0.0)
    node.set("training.epochs", epochs)
    node.set("training.steps_per_epoch", steps)
    for name, value in TINY.items():
        group, key = name.split(".")
        if key in node.settings.get(group, {}):
            node.set(name, value)
    return node


def card_of(model: PortData) -> dict[str, Any]:
    """Return the model card in the spec of a model."""
    return model.spec.data["data"]["card"]


def pil(pixels: np.ndarray | None) -> Any:
    """Return the pillow image of (Y, X) or (Y, X, 3) pixels; None stays None."""
    from PIL import Image

    if pixels is None:
        return None
    return Image.fromarray(pixels.astype(np.uint16) if pixels.dtype.kind == "i" else pixels)


class Tables:
    """Makes tables in batches of two rows."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def of(self, ids: Sequence[str] = (), /, **columns: Sequence[Any]) -> TableData:
        """Make a table of columns of arrays (PNG), texts, numbers or Path cells.

        None is missing; a column without any value has the type PNG. Underscores in names become
        spaces.
        """
        import pandas as pd

        n = len(next(iter(columns.values())))
        index = pd.Index([*ids] or [f"row {i}" for i in range(n)], dtype=object)
        made = {name.replace("_", " "): _series(values, index) for name, values in columns.items()}
        return standin.table_from_pandas(self.host, pd.DataFrame(made, index=index), 2)

    def images(self, n: int, *, seed: int = 0, **more: Sequence[Any]) -> TableData:
        """Make a table of `n` images with labels and further columns."""
        made = [discs(n=2 + i % 3, seed=seed + i) for i in range(n)]
        return self.of(Image=[m[0] for m in made], Label=[m[1] for m in made], **more)


def _series(values: Sequence[Any], index: Any) -> Any:
    import knime.extension as knext
    import pandas as pd
    import PIL.Image

    first = next((v for v in values if v is not None), None)
    simple = {str: "string", float: "Float64", int: "Int64"}
    if type(first) in simple:
        return pd.Series(list(values), index=index, dtype=simple[type(first)])
    if hasattr(first, "fs_category"):
        return pd.Series(list(values), index=index, dtype=object).astype(
            knext.logical(type(first)).to_pandas()
        )
    cells = pd.Series([pil(v) for v in values], index=index, dtype=object)
    return cells.astype(knext.logical(PIL.Image.Image).to_pandas())


def spec_of(**columns: str) -> Any:
    """Return the spec of a table from column names and their kinds."""
    import knime.extension as knext
    import PIL.Image
    from knime.types.builtin import FSLocationValue

    types = (
        knext.logical(PIL.Image.Image),
        knext.logical(FSLocationValue),
        knext.string(),
        knext.double(),
    )
    kinds = dict(zip(KINDS, types, strict=True))
    made = [knext.Column(kinds[kind], name.replace("_", " ")) for name, kind in columns.items()]
    return standin.Spec.of_schema(knext.Schema.from_columns(made))


def arrays(table: TableData, column: str) -> list[np.ndarray | None]:
    """Return the images of a column as arrays."""
    return [None if v is None else np.asarray(v) for v in table.to_pandas()[column]]


def cells(table: TableData, column: str) -> list[Any]:
    """Return the values of a column; missing ones as None."""
    import pandas as pd

    return [None if v is None or v is pd.NA or v != v else v for v in table.to_pandas()[column]]


def row_ids(table: TableData) -> list[str]:
    """Return the RowIDs of a table."""
    return [str(v) for v in table.to_pandas().index]


def write_png(path: Path, pixels: np.ndarray) -> Path:
    """Write (Y, X) or (Y, X, 3) pixels as an image file; the ending says which kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pil(pixels).save(path)
    return path


def write_tiff(path: Path, pixels: np.ndarray) -> Path:
    """Write pixels as TIFF as they are."""
    import tifffile

    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, photometric="minisblack")
    return path
