"""The granular spectrum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stain_scenes import discs

from microshot.metrics.granularity import granularity


def square(side: int, size: int = 64) -> np.ndarray:
    image = np.zeros((size, size))
    image[20 : 20 + side, 20 : 20 + side] = 5.0
    return image


@pytest.mark.parametrize(("side", "entry"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (7, 4)])
def test_all_light_of_a_square_lies_at_its_width(side: int, entry: int) -> None:
    """A cross takes one pixel off each side: a square of 2i - 1 or 2i px is gone after i steps."""
    spectrum = granularity(square(side), subsample=1.0)
    assert spectrum[entry - 1] == pytest.approx(100)
    assert spectrum.sum() == pytest.approx(100)


def test_two_grains_share_by_their_light() -> None:
    image = square(1)
    image[40:43, 40:43] = 5.0
    assert granularity(image, subsample=1.0)[:2] == pytest.approx([10, 90])


def test_grains_wider_than_the_background_disc_are_background() -> None:
    assert not granularity(np.ones((64, 64)) * 7, subsample=1.0).any()
    stripe = np.zeros((64, 64))
    stripe[:, 20:50] = 3.0
    assert not granularity(stripe, subsample=1.0, background_radius=3).any()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), gain=st.floats(0.5, 50), offset=st.floats(0, 100))
def test_gain_and_a_constant_offset_change_nothing(seed: int, gain: float, offset: float) -> None:
    image = np.random.default_rng(seed).random((40, 44))
    first = granularity(image)
    assert np.allclose(first, granularity(gain * image + offset), atol=1e-6)
    assert (first >= 0).all()
    assert first.sum() <= 100 + 1e-9


def test_blurred_grains_count_as_larger_ones() -> None:
    small = discs([(30, 30, 6), (80, 70, 6), (40, 90, 6)])
    large = discs([(30, 30, 16), (80, 70, 16)])
    centre = [float(g @ np.arange(1, 17) / g.sum()) for g in map(granularity, (small, large))]
    assert centre[0] < centre[1]


def test_tiny_images_have_a_spectrum() -> None:
    assert granularity(np.arange(6.0).reshape(2, 3)).shape == (16,)
    assert not granularity(np.zeros((1, 1))).any()
