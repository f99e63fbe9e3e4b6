"""Where stains lie against planes: known shifts and stretches of generated pairs are recovered."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from microshot.data.dataset import Sample
from microshot.data.image import Image
from microshot.data.registration import (
    LEAST_EVIDENCE,
    Mapping,
    common_stretch,
    corrected,
    features_of,
    offset_of,
)
from microshot.synth.generator import GenerateOptions, generate_one

LIPIDS = 1


def pair(i: int, size: int = 256):
    return generate_one("adipocyte-stack", i, 9, GenerateOptions(size_px=(size, size)))


def moved(stain: np.ndarray, stretch: np.ndarray, shift: tuple[float, float]) -> np.ndarray:
    """Return a stain recorded at p + stretch (p - middle) + shift of where it is."""
    inverse = np.linalg.inv(np.eye(2) + stretch)
    middle = (np.array(stain.shape) - 1) / 2
    start = middle - inverse @ (middle + np.asarray(shift))
    return affine_transform(stain.astype(float), inverse, start, order=3, mode="nearest")


@pytest.mark.parametrize("shift", [(0, 0), (8, -6), (-2.5, 3.25)])
def test_a_known_shift_is_found_to_a_quarter_of_a_pixel(shift) -> None:
    sample = pair(0)
    assert sample.target is not None
    stain = moved(sample.target.pixels[LIPIDS], np.zeros((2, 2)), shift)
    found = offset_of(features_of(sample.image.pixels), stain)
    assert found is not None
    assert found.is_sure
    assert found.shift == pytest.approx(shift, abs=0.25)


def test_flat_parts_of_a_stain_are_left_out_without_a_warning() -> None:
    sample = pair(0)
    assert sample.target is not None
    stain = moved(sample.target.pixels[LIPIDS], np.zeros((2, 2)), (3, -4))
    stain[: stain.shape[0] // 2 + 40] = 0.0
    stain[0, 0] = 1e4  # in a corner, which the window takes away
    features = features_of(sample.image.pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = offset_of(features, stain)
    assert found is not None
    assert np.isfinite(found.local).all()
    assert (found.places[:, 0] > 0).all()
    assert found.shift == pytest.approx((3, -4), abs=0.5)


def test_a_stretch_of_a_thousandth_is_found() -> None:
    stretch = np.array([[0.001, 0.0], [0.0, 0.001]])
    found = []
    for i in range(2):
        sample = pair(i, 512)
        assert sample.target is not None
        stain = moved(sample.target.pixels[LIPIDS], stretch, (0.5, 0))
        found.append(offset_of(features_of(sample.image.pixels[::3]), stain))
    assert common_stretch(found) == pytest.approx(stretch, abs=4e-4)


def test_planes_that_say_nothing_of_the_stain_are_never_sure() -> None:
    planes = pair(0, 192).image.pixels
    for seed in range(4):
        other = generate_one("adipocyte-stack", 5, seed, GenerateOptions(size_px=(192, 192)))
        assert other.target is not None
        found = offset_of(features_of(planes), other.target.pixels[LIPIDS])
        assert found is None or not found.is_sure
    assert offset_of(features_of(planes), np.zeros((192, 192), np.uint16)) is None
    assert offset_of(features_of(np.full_like(planes, 777)), planes[0]) is None
    assert offset_of(features_of(planes[:, :40, :40]), planes[0, :40, :40]) is None


def test_a_chance_likeness_in_a_corner_of_a_small_image_is_not_believed() -> None:
    options = GenerateOptions(size_px=(128, 128), diameter_px=20.0)
    found = []
    for i in range(8):
        sample = generate_one("adipocyte-stack", i, 3, options)
        assert sample.target is not None
        features = features_of(sample.image.pixels)
        found += [offset_of(features, stain) for stain in sample.target.pixels]
    known = [offset for offset in found if offset is not None]
    assert any(o.evidence >= LEAST_EVIDENCE and o.distance > 3 for o in known)
    sure = [o for o in known if o.is_sure]
    assert len(sure) >= 6
    assert all(o.distance < 1 for o in sure)


def test_correcting_undoes_shift_and_stretch_and_cuts_off_what_was_not_recorded() -> None:
    sample = pair(1)
    assert sample.target is not None
    assert sample.labels is not None
    stretch, shift = np.array([[0.01, 0.004], [-0.004, 0.01]]), (6.0, -3.0)
    stains = np.stack([moved(s, stretch, shift) for s in sample.target.pixels])
    wrong = dataclasses.replace(
        sample,
        target=dataclasses.replace(sample.target, pixels=stains.clip(0).round().astype(np.uint16)),
    )
    right = corrected(wrong, Mapping(shift, stretch))
    assert right.image.shape == right.target.shape == right.labels.shape
    assert 240 <= min(right.image.shape) < 256
    top, left = (
        int(v) for v in np.argwhere(sample.image.pixels[0] == right.image.pixels[0, 0, 0])[0]
    )
    rows, columns = (slice(s, s + n) for s, n in zip((top, left), right.image.shape, strict=True))
    truth = sample.target.pixels[LIPIDS][rows, columns].astype(float)
    got = right.target.pixels[LIPIDS].astype(float)
    assert right.target.pixels.dtype == np.uint16
    assert np.corrcoef(truth.ravel(), got.ravel())[0, 1] > 0.99


def test_points_and_areas_to_be_ignored_go_with_the_stains() -> None:
    ignore = np.zeros((64, 64), bool)
    ignore[40:50, 20:30] = True
    sample = Sample(
        "a",
        Image(np.zeros((2, 64, 64), np.uint8)),
        points=np.array([[30.0, 20.0], [3.0, 10.0], [63.0, 63.0]]),
        ignore=ignore,
        target=Image(np.zeros((1, 64, 64), np.uint16)),
    )
    right = corrected(sample, Mapping((8.0, -4.0), np.zeros((2, 2))))
    assert right.image.shape == (56, 60)
    np.testing.assert_allclose(right.points, [[22.0, 20.0]])  # columns are cut by as much
    assert right.ignore is not None
    np.testing.assert_array_equal(np.argwhere(right.ignore)[0], [32, 20])
    assert right.ignore.sum() == 100
