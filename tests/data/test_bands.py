"""Bands hold every row once, in order, and about as many values as asked for."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from microshot.data.bands import bands


@given(st.lists(st.integers(0, 50), min_size=1, max_size=3), st.integers(1, 500))
def test_bands_hold_every_row_once_and_few_values(shape, at_once) -> None:
    values = np.zeros(shape)
    rows = [row for band in bands(values, at_once) for row in range(shape[0])[band]]
    assert rows == list(range(shape[0]))
    for band in bands(values, at_once):
        assert values[band].size <= max(at_once, values.size // shape[0])


def test_large_arrays_are_cut_and_small_ones_are_not() -> None:
    assert len(list(bands(np.zeros((256, 1024))))) == 4
    assert list(bands(np.zeros((256, 256)))) == [slice(0, 256)]
