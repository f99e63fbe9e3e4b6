"""Numbers and texts in table cells, as they were typed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from microshot.nodes.tables import is_missing

if TYPE_CHECKING:
    import knime.extension as knext


def cells_of(batch: knext.Table, column: str) -> Any:
    """Return the numbers or texts in a column of one batch; missing is None, and NaN stays NaN.

    (`to_pandas` makes NaN of what is missing, and decimal numbers of whole ones.)
    """
    import numpy as np

    values = batch[[column]].to_pyarrow().column(1).to_pylist()
    made = np.empty(len(values), object)
    made[:] = values
    return made


def count_of(value: Any, where: str) -> float | None:
    """Return a count; None where it is missing.

    Raises
    ------
    ValueError
        If the number is negative, has a fraction or is not finite; `where` names the cell.
    """
    if value is None:
        return None
    if not (0 <= value < math.inf and float(value).is_integer()):
        raise ValueError(
            f"{where}: expected a whole number of objects from 0 on, found {value:g}; correct it, "
            "or leave it missing if the image was not counted."
        )
    return float(value)


def size_of(value: Any, where: str) -> float | None:
    """Return the size of a pixel in µm; None where it is missing or 0, not known.

    Raises
    ------
    ValueError
        If it is no finite number of 0 or above; `where` names the cell.
    """
    if is_missing(value):
        return None
    try:
        size = float(value)
    except (TypeError, ValueError):
        size = math.nan
    if not 0 <= size < math.inf:
        raise ValueError(
            f'{where}: expected the size of a pixel in µm as a number greater than 0, found "{value}"; '
            "correct it (such as 0.5), or leave it missing if it is not known."
        )
    return size or None
