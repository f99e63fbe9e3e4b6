"""Bands of rows, in which large arrays are worked on, so that what is made in passing stays small.

Memory that was never used before takes longer to get than most work on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

#: Values of a band.
AT_ONCE = 1 << 16


def bands(values: np.ndarray, at_once: int = AT_ONCE) -> Iterator[slice]:
    """Yield slices of the first axis of an array, in order, that hold some `at_once` values each."""
    n = len(values)
    step = max(1, at_once * n // max(1, values.size))
    for begin in range(0, n, step):
        yield slice(begin, begin + step)
