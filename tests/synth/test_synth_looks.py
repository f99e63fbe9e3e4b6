"""Looks: from a scene to light."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from microshot.synth import counts, fields, optics
from microshot.synth.camera import camera
from microshot.synth.presets import LOOKS
from microshot.synth.scene import SceneLaw, sample_scene
from microshot.synth.shapes import KINDS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("size", [(64, 80), (1, 1)])
def test_every_look_of_every_shape_is_finite_and_in_range(look, kind, size):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        law = SceneLaw(size_px=size, count=counts.fixed(6), kinds=((kind, 1.0, 1.0),), radius_px=9)
        scene = sample_scene(rng, law)
        drawn = LOOKS[look](rng, None)
        image = drawn.render(scene, rng)
        assert image.dtype == np.float32
        assert image.shape == size
        assert np.isfinite(image).all()
        assert image.min() >= 0
        assert image.max() < 12
        for bits, dtype in ((8, np.uint8), (12, np.uint16), (16, np.uint16)):
            pixels = camera("low", transmitted=drawn.transmitted, bits=bits).expose(image, rng)
            assert pixels.dtype == dtype
            assert pixels.max() < 2**bits


@pytest.mark.parametrize("look", ["phase-contrast", "bright-field"])
def test_the_empty_field_of_transmitted_light_is_one(look):
    law = SceneLaw(count=counts.fixed(0))
    for seed in range(5):
        rng = np.random.default_rng(seed)
        image = LOOKS[look](rng, None).render(sample_scene(rng, law), rng)
        assert np.median(image) == pytest.approx(1.0, abs=0.12)


def test_nuclei_are_brighter_than_the_background_and_differ_in_brightness():
    rng = np.random.default_rng(5)
    scene = sample_scene(rng, SceneLaw(count=counts.fixed(20)))
    image = LOOKS["fluorescence"](rng, None).render(scene, rng)
    means = [image[scene.labels == i + 1].mean() for i in range(scene.count)]
    assert min(means) > np.median(image[scene.labels == 0])
    assert np.std(means) > 0.02


@pytest.mark.parametrize(("brighter", "sign"), [(False, -1), (True, 1)])
def test_phase_contrast_has_the_polarity_asked_for(brighter, sign):
    differences = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        law = SceneLaw(count=counts.fixed(8), kinds=(("adherent", 1.0, 1.0),), radius_px=16)
        scene = sample_scene(rng, law)
        image = LOOKS["phase-contrast"](rng, brighter).render(scene, rng)
        depth = fields.depth_inside(scene.labels)
        rim = (depth > 1) & (depth < 5)
        near = (scene.labels == 0) & (fields.blurred((depth > 0).astype(np.float32), 2) > 0.1)
        differences.append(image[rim].mean() - image[near].mean())
    assert sign * float(np.median(differences)) > 0


def test_phase_contrast_matches_its_thin_object_formula():
    phase = np.zeros((64, 64), dtype=np.float32)
    phase[28:36, 28:36] = 0.01
    image = optics.phase_contrast(phase, halo_px=6, ring_transmission=0.5, positive=True)
    direct = 0.65 * ndimage.gaussian_filter(phase, 6) + 0.35 * ndimage.gaussian_filter(
        phase, 6 * 6**0.5
    )
    assert np.allclose(image, (1 - (phase - direct) / 0.5) ** 2, atol=1e-3)
    assert image[31, 31] < 0.97 < 1.002 < image[24, 31]
    negative = optics.phase_contrast(phase, halo_px=6, ring_transmission=0.5, positive=False)
    assert np.allclose(image + negative, 2, atol=2e-3)


def test_bright_field_contrast_of_a_pure_phase_object_flips_with_focus_and_vanishes_in_it():
    y, x = np.indices((64, 64)) - 31.5
    phase = (0.2 * np.exp(-(x**2 + y**2) / 50)).astype(np.float32)

    def centre(defocus: float) -> float:
        image = optics.bright_field(phase, absorption=0, defocus_px2=defocus, blur_px=0.3)
        return float(image[31, 31]) - 1

    assert abs(centre(0)) < 1e-3
    assert centre(8) == pytest.approx(-centre(-8), rel=0.1)
    assert abs(centre(8)) > 0.01


def test_depth_is_the_distance_to_the_nearest_foreign_pixel():
    labels = np.zeros((9, 12), dtype=np.int32)
    labels[2:7, 1:6] = 1
    labels[2:7, 6:11] = 2
    depth = fields.depth_inside(labels)
    assert (depth[labels == 0] == 0).all()
    assert depth[4, 1] == 1
    assert depth[4, 5] == depth[4, 6] == 0.5
    assert depth[4, 3] == 2
    assert fields.depth_inside(np.ones((4, 6), dtype=np.int32)).min() == 6


@pytest.mark.parametrize("sigma", [0.1, 1.5, 9.0, 30.0])
def test_blurring_keeps_size_and_mean_level(sigma):
    image = np.random.default_rng(0).random((61, 83)).astype(np.float32)
    smooth = fields.blurred(image, sigma)
    assert smooth.shape == image.shape
    assert smooth.mean() == pytest.approx(image.mean(), abs=0.02)
    assert smooth.std() <= image.std() + 1e-6


@pytest.mark.parametrize("grain", [1.0, 5.0, 40.0])
@pytest.mark.parametrize("shape", [(64, 64), (37, 53), (1, 1), (1, 90)])
def test_textures_have_mean_0_and_spread_1(shape, grain):
    field = fields.texture(np.random.default_rng(1), shape, grain)
    assert field.shape == shape
    assert abs(float(field.mean())) < 1e-4
    if min(shape) > 8:
        assert float(field.std()) == pytest.approx(1, abs=1e-3)


def test_spots_have_the_wanted_height():
    image = fields.spots((40, 40), np.array([[20.0, 20.0], [99.0, 0.0]]), np.array([3.0, 1.0]), 2.0)
    assert image[20, 20] == pytest.approx(3.0, rel=0.05)
    assert image[0, 0] == 0
