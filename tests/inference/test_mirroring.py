"""Answers to mirrored images, averaged: nothing changes for a network that does not care."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from microshot import api
from microshot.data.dataset import Sample
from microshot.data.image import Image
from microshot.inference.mirroring import Mirrored
from microshot.settings import PredictSettings
from microshot.tasks.segmenting import stardist
from tiny_images import discs
from tiny_models import field, model

RNG = np.random.default_rng(0)


class Truthful:
    """Answers with StarDist's own targets of a label image given as an image."""

    device: Any = "here"

    def __init__(self, rays: int, grid: int) -> None:
        self.rays, self.grid, self.seen = rays, grid, 0

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.seen += len(batch)
        made = []
        for one in batch:
            probability, distance = stardist.targets(one[0].astype(np.int32), self.rays, self.grid)
            made.append(np.concatenate([probability[None], distance]))
        return np.stack(made).astype(np.float32)


class OneSided:
    """Weighs every place of an image differently."""

    device: Any = None

    def __init__(self, n: int, side: int) -> None:
        self.weights = RNG.normal(size=(1, n, side, side)).astype(np.float32)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        return batch * self.weights


@pytest.mark.parametrize(("rays", "views"), [(32, 4), (8, 4), (7, 2)])
@pytest.mark.parametrize("grid", [1, 2, 4])
def test_a_network_that_answers_the_same_from_every_side_is_not_changed(rays, views, grid):
    labels = np.zeros((64, 48), np.float32)
    labels[8:56, 8:40] = np.pad(discs(side=64, n=5, seed=2)[1], 0)[8:56, 8:40]
    network = Truthful(rays, grid)
    mirrored = Mirrored(network, grid=grid, rays=rays)
    plain, mean = network(labels[None, None]), mirrored(labels[None, None])
    assert network.seen == 1 + views
    assert mirrored.device == "here"
    np.testing.assert_allclose(mean[:, 0], plain[:, 0], atol=1e-5)
    # rays are followed in steps of a pixel, so that either side may come to another one
    assert np.abs(mean - plain).max() <= 1.0
    assert np.abs(mean - plain).mean() < 0.1


def test_points_of_a_grid_are_mirrored_onto_points_of_the_grid() -> None:
    seen = []

    class Kept:
        device: Any = None

        def __call__(self, batch: np.ndarray) -> np.ndarray:
            seen.append(batch[0, 0, 0].astype(int).tolist())
            return batch[:, :, :, ::3]

    row = np.arange(6, dtype=np.float32)[None, None, None].repeat(3, 2)
    Mirrored(Kept(), grid=3)(row)
    turned = [3, 2, 1, 0, 1, 2]  # points 0 and 3 have changed places; behind 0 as in a mirror
    assert seen == [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5], turned, turned]


@pytest.mark.parametrize("n", [1, 3])
def test_maps_of_other_heads_lie_where_they_were(n):
    image = RNG.normal(size=(2, 1, 8, 12)).astype(np.float32)

    class Thinned:
        device: Any = None

        def __call__(self, batch: np.ndarray) -> np.ndarray:
            return np.repeat(batch[:, :, ::2, ::2], n, 1)

    mirrored = Mirrored(Thinned(), grid=2)
    np.testing.assert_allclose(mirrored(image), Thinned()(image), atol=1e-6)


def test_the_mean_of_all_views_is_the_same_for_a_mirrored_image():
    mirrored = Mirrored(OneSided(1, 16))
    image = RNG.normal(size=(1, 1, 16, 16)).astype(np.float32)
    for axes in ((2,), (3,), (2, 3)):
        there = np.flip(mirrored(np.flip(image, axes)), axes)
        np.testing.assert_allclose(there, mirrored(image), atol=1e-6)


def test_outputs_that_are_to_stay_plain_are_those_of_the_image_as_it_lies():
    network = OneSided(3, 8)
    image = RNG.normal(size=(2, 1, 8, 8)).astype(np.float32)
    found, all_of_it = Mirrored(network, plain=1)(image), Mirrored(network)(image)
    np.testing.assert_array_equal(found[:, 2], network(image)[:, 2])
    np.testing.assert_array_equal(found[:, :2], all_of_it[:, :2])


def test_a_predictor_looks_at_mirror_images_where_asked():
    sample = field(3)
    plain = api.Predictor(model(), PredictSettings(device="cpu"))
    asked = api.Predictor(model(), PredictSettings(device="cpu", mirrored=True))
    assert asked.device == plain.device
    turned = Sample("t", Image(sample.image.pixels[:, :, ::-1].copy()))
    found, other = asked(sample), asked(turned)
    assert found.labels.shape == sample.image.shape
    assert np.isfinite(found.probability).all()
    assert abs(found.n_objects - other.n_objects) <= 1
