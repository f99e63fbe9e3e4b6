"""Pixel scores: cases by hand and laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microshot.metrics.images import data_range, guarded_median, med_mae, pearson, psnr, ssim


def picture(seed: int = 0, shape: tuple[int, int] = (24, 20)) -> np.ndarray:
    return np.random.default_rng(seed).integers(100, 4000, shape).astype(np.uint16)


def test_med_mae_pools_all_images() -> None:
    truth = [np.array([[1, 2], [3, 4]]), np.array([[10, 10]])]
    prediction = [np.array([[2, 2], [3, 2]]), np.array([[10, 16]])]
    # errors 1 + 2 + 6 over 6 pixels; the median of 1 2 3 4 10 10 is 3.5
    assert med_mae(truth, prediction) == pytest.approx(9 / 6 / 3.5)


def test_a_black_background_does_not_divide_by_zero() -> None:
    truth = np.zeros((10, 10))
    truth[0, 0] = 500.0
    assert guarded_median(truth) == 0.5
    assert med_mae([truth], [truth + 1]) == pytest.approx(2.0)
    assert math.isnan(med_mae([np.zeros((2, 2))], [np.ones((2, 2))]))


def test_unsigned_numbers_do_not_wrap_around() -> None:
    truth = np.array([[0, 10]], np.uint16)
    assert med_mae([truth], [np.array([[1, 9]], np.uint16)]) == pytest.approx(1 / 5)


@given(st.floats(0.1, 50), st.floats(-500, 500))
def test_pearson_does_not_mind_gain_and_offset(gain, offset) -> None:
    truth = picture()
    assert pearson(truth, truth * gain + offset) == pytest.approx(1.0)
    assert pearson(truth, -truth * gain + offset) == pytest.approx(-1.0)


def test_pearson_by_hand_and_where_it_is_undefined() -> None:
    assert pearson(np.array([1, 2, 3]), np.array([1, 3, 2])) == pytest.approx(0.5)
    assert pearson(picture(), np.full((24, 20), 7.0)) == 0.0
    assert math.isnan(pearson(np.full((24, 20), 7.0), picture()))


@pytest.mark.parametrize("grey", [0.1, 0.3, 123.456])
def test_pearson_of_constants_does_not_depend_on_rounding(grey) -> None:
    constant = np.full((33, 47), grey)  # its mean is another number
    assert math.isnan(pearson(constant, 1.7 * constant))
    assert math.isnan(pearson(constant, picture(shape=(33, 47))))
    assert pearson(picture(shape=(33, 47)), constant) == 0.0


def test_psnr_by_hand() -> None:
    truth = np.tile(np.array([0.0, 100.0]), (100, 50))
    assert data_range(truth) == 100
    assert psnr(truth, truth + 10) == pytest.approx(20.0)
    assert psnr(truth, truth) == math.inf
    assert math.isnan(psnr(np.ones((3, 3)), np.zeros((3, 3))))


def test_a_hot_pixel_does_not_set_the_range() -> None:
    truth = picture(shape=(100, 100)).astype(float)
    hot = truth.copy()
    hot[0, 0] = 1e6
    assert data_range(hot) == pytest.approx(data_range(truth), rel=0.01)
    one = np.zeros((100, 100))
    one[0, 0] = 5
    assert data_range(one) == 5


def test_ssim_is_one_for_equals_and_falls_with_noise() -> None:
    truth = picture().astype(np.float32)
    noise = np.random.default_rng(1).normal(0, 300, truth.shape)
    assert ssim(truth, truth) == pytest.approx(1.0)
    assert ssim(truth, truth + 3 * noise) < ssim(truth, truth + noise) < 1
    assert math.isnan(ssim(truth[:10], truth[:10]))


def test_ssim_is_that_of_the_publication() -> None:
    """Wang et al. 2004, Eq. 13: Gaussian window of 11 px with sd 1.5 px, population covariance."""
    from scipy.ndimage import gaussian_filter

    truth, other = picture(0).astype(float), picture(1).astype(float)

    def mean(values: np.ndarray) -> np.ndarray:
        return gaussian_filter(values, 1.5, truncate=3.5)[5:-5, 5:-5]  # windows that lie inside

    t, p = mean(truth), mean(other)
    apart = mean(truth * other) - t * p
    spread = mean(truth**2) - t**2 + mean(other**2) - p**2
    c1, c2 = (0.01 * data_range(truth)) ** 2, (0.03 * data_range(truth)) ** 2
    map_ = (2 * t * p + c1) * (2 * apart + c2) / ((t**2 + p**2 + c1) * (spread + c2))
    assert ssim(truth, other) == pytest.approx(map_.mean())
    assert math.isfinite(ssim(truth[:11], other[:11]))
