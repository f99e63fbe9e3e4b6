"""The camera."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from microshot.synth.camera import NOISE_LEVELS, Camera, camera, like_reference, varied


@pytest.mark.parametrize("transmitted", [True, False])
def test_the_signal_to_noise_ratio_falls_from_low_to_high_noise(transmitted):
    image = np.zeros((128, 128), dtype=np.float32)
    image[:, 64:] = 1
    ratios = []
    for noise in NOISE_LEVELS:
        device = camera(noise, transmitted=transmitted, bits=12)
        pixels = device.expose(image, np.random.default_rng(0)).astype(float)
        dark, light = pixels[:, :60], pixels[:, 68:]
        ratios.append((light.mean() - dark.mean()) / light.std())
    low, medium, high = ratios
    assert low > 1.8 * medium > 3 * high > 1


def test_exposures_are_those_of_the_published_noise_levels():
    assert [camera(n, transmitted=True).exposure_ms for n in NOISE_LEVELS] == [500, 100, 20]


def test_mean_and_noise_are_those_of_the_sensor():
    device = camera("medium", transmitted=False, bits=12)
    pixels = device.expose(np.ones((200, 200), np.float32), np.random.default_rng(1)).astype(float)
    assert pixels.mean() == pytest.approx(140 + 540 / 6, abs=0.5)
    assert pixels.std() == pytest.approx(np.sqrt(540 + 19**2 + 3) / 6, rel=0.03)


def test_grey_values_are_stretched_from_black_to_white():
    device = replace(
        camera("low", transmitted=True, bits=16), white=2.0, black=0.1, read_noise_e=1.0
    )
    rng = np.random.default_rng(2)
    for value, grey in ((0.0, 0.1), (1.0, 0.55), (2.0, 1.0)):
        pixels = device.expose(np.full((64, 64), value, np.float32), rng)
        assert pixels.mean() / 65_535 == pytest.approx(grey, abs=0.01)


def test_a_pixel_holds_no_more_than_the_full_well():
    device = Camera(exposure_ms=500, bits=12, read_noise_e=0)
    pixels = device.expose(np.full((8, 8), 50, np.float32), np.random.default_rng(0))
    assert pixels.max() == 140 + 18_000 / 6


def test_vignetting_darkens_the_corners():
    light = Camera(vignetting=0.4).illumination((65, 65), np.random.default_rng(0))
    assert light[32, 32] == pytest.approx(1)
    assert light[0, 0] == pytest.approx(0.6)
    assert Camera(vignetting=0.4, uneven=0.2).illumination(
        (1, 1), np.random.default_rng(0)
    ).shape == (1, 1)


def test_hot_pixels_are_as_many_as_asked_for():
    device = replace(camera("low", transmitted=False, bits=12), hot_pixels=0.01)
    pixels = device.expose(np.zeros((200, 200), np.float32), np.random.default_rng(3))
    assert 250 < (pixels > 140 + 30).sum() < 550


def test_varied_cameras_stay_between_the_noise_levels():
    rng = np.random.default_rng(4)
    for noise in NOISE_LEVELS:
        device = camera(noise, transmitted=True)
        for _ in range(50):
            ratio = varied(device, rng, transmitted=True).exposure_ms / device.exposure_ms
            assert 0.7 < ratio < 1.41


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_images_like_a_reference_have_its_noise_and_type(dtype):
    image = np.full((200, 200), 100.0, dtype=np.float32)
    pixels = like_reference(
        image, np.random.default_rng(0), noise_sd=4.0, level=100.0, dtype=np.dtype(dtype)
    )
    assert pixels.dtype == dtype
    assert pixels.std() == pytest.approx(4.0, rel=0.05)
    assert pixels.mean() == pytest.approx(100, abs=0.2)


def test_values_beyond_the_type_are_clamped_and_never_wrap():
    image = np.array([[-50.0, 900.0]], dtype=np.float32)
    pixels = like_reference(
        image, np.random.default_rng(0), noise_sd=0.1, level=100.0, dtype=np.dtype(np.uint8)
    )
    assert pixels.tolist() == [[0, 255]]


def test_an_unknown_noise_level_is_refused():
    with pytest.raises(ValueError, match='Unknown noise level "loud": choose one of low'):
        camera("loud", transmitted=True)
