"""The distance between sets of images."""

from __future__ import annotations

import numpy as np
import pytest

from microshot.metrics.sliced_wasserstein import LEVELS, pyramid, sliced_wasserstein


def noise(seed: int, n: int = 3, side: int = 48, scale: float = 1.0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [scale * rng.standard_normal((side, side)) for _ in range(n)]


def test_equal_sets_are_at_distance_zero_and_order_of_the_sets_does_not_matter():
    a, b = noise(0), noise(1, scale=3.0)
    assert sliced_wasserstein(a, a).levels == (0.0,) * LEVELS
    assert sliced_wasserstein(a, b) == sliced_wasserstein(b, a)


def test_the_same_seed_gives_the_same_number_and_other_seeds_nearly_the_same():
    a, b = noise(0), noise(1, scale=2.0)
    first = sliced_wasserstein(a, b, seed=4)
    assert first == sliced_wasserstein(a, b, seed=4)
    other = sliced_wasserstein(a, b, seed=5)
    assert other != first
    assert other.mean == pytest.approx(first.mean, rel=0.15)


def test_a_shift_of_one_dimensional_values_is_its_wasserstein_distance():
    # constant images: a level-3 patch of 49 equal values v projects to v * sum(direction)
    a, b = [np.zeros((32, 32))], [np.ones((32, 32))]
    found = sliced_wasserstein(a, b, seed=2, n_directions=5000)
    assert found.levels[:-1] == (0.0,) * (LEVELS - 1)
    # sd of zeros and ones together is 0.5; E|sum of a unit vector of 49| = sqrt(2 / pi) nearly
    assert found.levels[-1] == pytest.approx(np.sqrt(2 / np.pi) / 0.5, rel=0.04)


def test_more_alike_sets_are_nearer_and_the_grey_scale_does_not_matter():
    a = noise(0)
    near, far = (sliced_wasserstein(a, noise(9, scale=s)).mean for s in (1.2, 4.0))
    assert sliced_wasserstein(a, noise(9)).mean < near < far
    ten = sliced_wasserstein([10 * i for i in a], noise(9, scale=40.0)).mean
    assert ten == pytest.approx(far, rel=1e-5)


def test_images_of_any_size_and_number_can_be_compared():
    tiny = [np.arange(3.0)[None], np.ones((5, 2)), np.zeros((70, 41))]
    assert np.isfinite(sliced_wasserstein(tiny, noise(0, n=1)).mean)


def test_the_levels_of_the_pyramid_add_up_and_halve():
    image = noise(3, n=1, side=33)[0]
    levels = pyramid(image)
    assert [level.shape[0] for level in levels] == [33, 17, 9, 5]
    assert pyramid(np.full((9, 9), 7.0))[-1] == pytest.approx(np.full((2, 2), 7.0))


@pytest.mark.parametrize(
    ("images", "words"),
    [([], "is empty"), ([np.zeros((1, 4, 4))], "shape"), ([np.full((4, 4), np.nan)], "finite")],
)
def test_sets_that_cannot_be_compared_are_refused(images, words):
    with pytest.raises(ValueError, match=words):
        sliced_wasserstein(images, noise(0))
