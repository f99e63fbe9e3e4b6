"""Targets of star-convex polygons made in bulk are those of the package `stardist`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from microshot.nn import star_targets as made
from microshot.tasks.segmenting.stardist import targets

#: Distances are sums of up to 60 steps in 32 bits; pixels are the same ones throughout.
CLOSE_PX = 1e-4


def compared(labels: np.ndarray, rays: int, grid: int) -> None:
    """Compare the targets of (N, Y, X) labels with those of each image by the package."""
    probability, distance = made.star_targets(torch.from_numpy(labels), rays, grid)
    for index, one in enumerate(labels):
        expected_probability, expected_distance = targets(one, rays, grid)
        np.testing.assert_allclose(probability[index].numpy(), expected_probability, atol=1e-6)
        np.testing.assert_allclose(distance[index].numpy(), expected_distance, atol=CLOSE_PX)


def scene(rng: np.random.Generator, shape: tuple[int, int], n: int) -> np.ndarray:
    """Return ellipses that cover one another, some of them to be ignored, (Y, X) int32."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int32)
    for number in rng.choice(np.arange(1, 900), n, replace=False):
        at, radius = rng.uniform(0, shape), rng.uniform(0.4, max(shape) / 2, 2)
        inside = ((y - at[0]) / radius[0]) ** 2 + ((x - at[1]) / radius[1]) ** 2 < 1
        labels[inside] = -1 if rng.random() < 0.1 else number
    return labels


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**31),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    rays=st.integers(3, 40),
    grid=st.sampled_from([1, 2, 4]),
    n=st.integers(0, 12),
)
def test_they_are_those_of_the_package(seed, shape, rays, grid, n) -> None:
    rng = np.random.default_rng(seed)
    compared(np.stack([scene(rng, shape, n) for _ in range(2)]), rays, grid)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**31), n_ids=st.integers(1, 5), grid=st.sampled_from([1, 2]))
def test_they_are_for_pixels_in_any_disorder(seed, n_ids, grid) -> None:
    rng = np.random.default_rng(seed)
    compared(rng.integers(-1, n_ids + 1, (3, 12, 9)).astype(np.int32), 8, grid)


@pytest.mark.parametrize("fill", [0, -1, 1, 7])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (17, 17), (16, 30)])
def test_they_are_where_one_thing_is_all_there_is(fill, shape) -> None:
    labels = np.full((2, *shape), fill, np.int32)
    labels[1] = np.abs(labels[1])
    compared(labels, 32, 1)
    compared(labels, 32, 2)


def test_large_images_far_from_the_origin_take_the_same_pixels() -> None:
    """Coordinates are rounded to 32 bits, and rays of 30 degrees meet two pixels at once."""
    rng = np.random.default_rng(0)
    labels = np.zeros((1, 420, 380), np.int32)
    labels[0, -60:, -60:] = scene(rng, (60, 60), 5)
    for rays in (12, 16):
        compared(labels, rays, 4)


def test_work_in_small_blocks_gives_the_same(monkeypatch) -> None:
    labels = torch.from_numpy(
        np.stack([scene(np.random.default_rng(i), (33, 47), 6) for i in (0, 1)])
    )
    whole = made.star_targets(labels, 16, 2)
    for at_once in (1, 40_000):
        monkeypatch.setattr(made, "_AT_ONCE", at_once)
        for one, other in zip(made.star_targets(labels, 16, 2), whole, strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.int64])
def test_whole_numbers_of_any_type_are_labels(dtype) -> None:
    labels = torch.from_numpy(scene(np.random.default_rng(3), (30, 30), 5)[None])
    whole = made.star_targets(labels, 8, 2)
    for one, other in zip(made.star_targets(labels.to(dtype), 8, 2), whole, strict=True):
        assert torch.equal(one, other)
