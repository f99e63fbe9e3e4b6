"""Statistics of reference images."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import ndimage

from microshot.synth.blobs import blob_diameters, noise_sd
from microshot.synth.reference import background_image, fit_reference


def discs(radius: float, seed: int, height: float = 60.0, level: float = 90.0):
    """One image of separate discs on a flat background, with its labels."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((160, 160))
    labels = np.zeros((160, 160), dtype=np.int32)
    for i, (cy, cx) in enumerate([(40, 40), (40, 120), (120, 40), (120, 120)], 1):
        cy, cx = cy + rng.uniform(-5, 5), cx + rng.uniform(-5, 5)
        labels[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = i
    image = ndimage.gaussian_filter(np.where(labels > 0, level + height, level), 1.0)
    image = image + rng.normal(0, 2.0, image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)[None], labels


def test_the_background_is_exactly_the_mean_of_the_images_with_few_objects():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (2, 9, 11), dtype=np.uint8) for _ in range(7)]
    counts = [0, 4, 5, 30, None, 2, 4.9]
    few = np.stack([images[i] for i in (0, 1, 5, 6)])
    assert np.array_equal(background_image(images, counts), np.mean(few, axis=0, dtype=np.float64))


def test_without_images_of_few_objects_the_background_is_exactly_the_median():
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 65_536, (1, 6, 5), dtype=np.uint16) for _ in range(5)]
    for counts in (None, [None] * 5, [5, 9, 12, 7, 30]):
        assert np.array_equal(background_image(images, counts), np.median(np.stack(images), axis=0))


@pytest.mark.parametrize("radius", [6, 12, 20])
@pytest.mark.parametrize("height", [60, -60])
def test_labelled_references_are_measured(radius, height):
    pairs = [discs(radius, seed, height) for seed in range(3)]
    found = fit_reference([p[0] for p in pairs], [p[1] for p in pairs])
    assert found.diameter_px == pytest.approx(2 * radius, rel=0.05)
    assert found.background_level == pytest.approx(90, abs=1)
    assert found.contrast == pytest.approx(60, rel=0.15)
    assert found.brighter is (height > 0)
    assert found.noise_sd == pytest.approx(2, rel=0.25)
    assert found.counts == (4.0, 4.0, 4.0)
    assert found.dtype == np.uint8
    assert found.background is None


@pytest.mark.parametrize("radius", [6, 12, 20])
def test_unlabelled_references_are_estimated(radius):
    found = fit_reference([discs(radius, seed)[0] for seed in range(3)])
    assert found.diameter_px == pytest.approx(2 * radius, rel=0.3)
    assert found.contrast == pytest.approx(60, rel=0.35)
    assert found.brighter is True
    assert found.counts == ()


def test_many_sparse_references_give_their_background():
    images = [discs(8, seed)[0] for seed in range(24)]
    found = fit_reference(images, counts=[4] * 24)
    assert found.background is not None
    assert np.array_equal(found.background, np.mean(np.stack(images)[:, 0].astype(float), axis=0))


def test_blank_references_have_no_objects():
    found = fit_reference([np.full((1, 40, 50), 77, dtype=np.uint16)])
    assert found.diameter_px is None
    assert found.contrast == 0
    assert found.brighter is None
    assert found.background_level == 77
    assert found.noise_sd == 0


@pytest.mark.parametrize("shape", [(1, 1), (2, 7), (37, 53)])
def test_references_of_any_size_can_be_measured(shape):
    rng = np.random.default_rng(0)
    found = fit_reference([rng.integers(0, 255, (1, *shape), dtype=np.uint8)])
    assert np.isfinite([found.background_level, found.noise_sd, found.low, found.high]).all()


@pytest.mark.parametrize("sd", [1.0, 7.0])
def test_the_noise_estimate_ignores_smooth_content(sd):
    y, x = np.indices((150, 150))
    image = 100 + 40 * np.sin(y / 20) + 0.5 * x
    image = image + np.random.default_rng(0).normal(0, sd, image.shape)
    assert noise_sd(image) == pytest.approx(sd, rel=0.1)


def test_blobs_of_a_blank_image_are_none():
    assert len(blob_diameters(np.zeros((30, 30)))) == 0


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: fit_reference([]), "at least one reference image, found none"),
        (lambda: fit_reference([np.zeros((4, 4))]), "axes .channel, y, x., found shape"),
        (
            lambda: fit_reference([np.zeros((1, 4, 4))], counts=[1, 2]),
            "counts must be as many, found 1 and 2",
        ),
        (
            lambda: fit_reference([np.zeros((1, 4, 4))], [np.zeros((3, 4), int)]),
            "Reference image 1: the label image must have its size",
        ),
        (lambda: background_image([]), "at least one image, found none"),
        (
            lambda: background_image([np.zeros((1, 4, 4)), np.zeros((1, 4, 5))]),
            "images of one size, found 1 x 4 x 4 and 1 x 4 x 5 px",
        ),
    ],
)
def test_references_that_do_not_fit_together_are_refused(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_measuring_takes_little_memory_beside_the_images():
    images = [np.full((1, 256, 512), i, np.uint8) for i in range(40)]
    tracemalloc.start()
    try:
        assert fit_reference(images, counts=[9] * 40).background is not None
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 8 * sum(image.nbytes for image in images)
