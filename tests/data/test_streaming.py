"""Normalising an image seen block by block: the numbers are those of the whole image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microshot.data.normalize import Normalization
from microshot.data.streaming import fitted, percentiles


def blocks_of(image: np.ndarray, height: int):
    return lambda: (image[:, y : y + height] for y in range(0, image.shape[1], height))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(-(2.0**90), 2.0**90, width=32), min_size=1, max_size=60),
    st.integers(1, 20),
    st.tuples(st.floats(0, 100), st.floats(0, 100)),
)
def test_percentiles_are_exact_whatever_the_blocks(values, height, q) -> None:
    image = np.asarray(values, np.float32).reshape(1, -1, 1)
    (found,) = percentiles(blocks_of(image, height), q)
    expected = np.percentile(image.astype(np.float64), q)
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-30)


@pytest.mark.parametrize("kind", ["percentile", "minmax", "zscore"])
@pytest.mark.parametrize("what", ["camera", "constant", "nearly black", "negative"])
def test_the_numbers_are_those_of_the_whole_image(kind, what) -> None:
    rng = np.random.default_rng(0)
    image = {
        "camera": rng.integers(0, 65535, (2, 50, 40)),
        "constant": np.full((2, 50, 40), 7),
        "nearly black": (rng.random((2, 50, 40)) > 0.999) * 50,
        "negative": rng.normal(0, 1e-3, (2, 50, 40)),
    }[what].astype(np.float32)
    whole = Normalization(kind).for_image(image)
    parts = fitted(Normalization(kind), blocks_of(image, 7))
    assert np.allclose(parts.offset, whole.offset, rtol=1e-9)
    assert np.allclose(parts.scale, whole.scale, rtol=1e-9)


def test_known_numbers_are_kept_and_nothing_is_read() -> None:
    known = Normalization("zscore", offset=(1.0,), scale=(2.0,))
    assert fitted(known, lambda: pytest.fail("read")) is known
