"""What the signature of an image depends on, and on what it does not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from microshot.data.scale import resize_image
from microshot.metrics.texture import CONTRAST, ENERGY, N_NUMBERS, inverted, sharpness, signature


def image(seed: int, side: int = 96, radius: float = 7) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    pixels = np.zeros((side, side))
    for cy, cx in rng.uniform(0, side, (14, 2)):
        pixels[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = 1
    return 100 + 1000 * gaussian_filter(pixels, 0.8)[None] + rng.normal(0, 5, (1, side, side))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 50), gain=st.floats(0.01, 50), offset=st.floats(-200, 5000))
def test_gain_and_offset_do_not_change_it(seed, gain, offset):
    one = image(seed)
    found = signature(one)
    assert found is not None
    assert found.shape == (N_NUMBERS,)
    np.testing.assert_allclose(found, signature(one * gain + offset), atol=0.01)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 50))
def test_an_inverted_image_has_the_inverted_signature(seed):
    one = image(seed)
    found, expected = signature(one.max() - one), inverted(signature(one))
    np.testing.assert_allclose(found, expected, atol=0.02)
    assert signature(one)[CONTRAST] > 0.3 > -0.3 > found[CONTRAST]


@pytest.mark.parametrize("seed", range(4))
def test_blurring_lowers_the_sharpness_and_resizing_does_not(seed):
    one = image(seed, 192, radius=9)
    same = sharpness(signature(one))
    blurred = sharpness(signature(np.stack([gaussian_filter(one[0], 4)])))
    larger = sharpness(signature(resize_image(one[:, :96, :96], (192, 192))))
    assert blurred < same - 1
    assert abs(larger - same) < 0.6 * abs(blurred - same)


def test_energies_of_a_wave_are_those_of_the_blurs_of_each_octave():
    """A blur of sd s leaves exp(-2 π² s² / λ²) of a wave of length λ; an octave is what two blurs leave."""
    wave = np.broadcast_to(np.cos(2 * np.pi * (np.arange(512) + 0.5) / 16), (1, 512, 512))
    left = [0.9258, 0.7346, 0.2912, 0.0072, 0.0, 0.0]  # after blurs of 1, 2, 4, 8, 16 and 32 px
    energies = np.square(np.diff(left))
    found = np.exp2(signature(wave)[ENERGY])
    np.testing.assert_allclose(found, energies / energies.sum(), atol=0.01)


def test_energies_are_parts_of_one():
    assert np.exp2(signature(image(3))[ENERGY]).sum() == pytest.approx(1)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 200), (3, 40, 40)])
def test_images_of_any_size_have_a_signature_or_none(shape):
    assert signature(np.full(shape, 7, np.uint16)) is None
    pixels = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    found = signature(pixels)
    assert found is None or np.isfinite(found).all()
