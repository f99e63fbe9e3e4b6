"""The objects of a label image: ids, sizes, middles."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import center_of_mass

from microshot.data.objects import (
    centroids,
    id_counts,
    median_diameter,
    object_areas,
    renumbered,
    selected,
)


def test_some_objects_are_numbered_anew() -> None:
    labels = np.array([[0, 3, 1], [2, 2, 3]])
    assert selected(labels, np.array([True, False, True])).tolist() == [[0, 2, 1], [0, 0, 2]]


def test_areas_are_counted_by_id() -> None:
    labels = np.array([[0, 0, 3, 3], [-1, -1, 3, 9], [0, 9, 9, 9]])
    assert object_areas(labels).tolist() == [3, 4]
    assert object_areas(np.zeros((4, 4), int)).tolist() == []
    assert object_areas(np.full((2, 2), -5)).tolist() == []


def test_pixels_of_every_id_are_counted_band_by_band() -> None:
    labels = np.random.default_rng(0).integers(-2, 900, (700, 300))
    expected = np.bincount(np.maximum(labels, 0).ravel(), minlength=1000)
    assert id_counts(labels, 1000).tolist() == expected.tolist()
    assert len(id_counts(labels)) == 900
    assert id_counts(np.zeros((0, 5), int), 2).tolist() == [0, 0]


def test_areas_of_very_large_ids_need_no_memory_for_all_the_ids_between() -> None:
    labels = np.array([[0, 2**31 - 1], [2**31 - 1, 2**30]], np.int32)
    assert sorted(object_areas(labels)) == [1, 2]


def test_the_diameter_is_that_of_a_circle_of_the_median_area() -> None:
    y, x = np.mgrid[:80, :80]
    disc = ((y - 40) ** 2 + (x - 40) ** 2 < 15**2).astype(np.int32)
    assert median_diameter([disc]) == pytest.approx(30, abs=0.5)
    assert median_diameter([disc, np.zeros((5, 5), int)]) == pytest.approx(30, abs=0.5)
    assert median_diameter([np.zeros((5, 5), int)]) is None
    assert median_diameter([]) is None
    three = np.array([[1, 0, 2, 2, 0, 3, 3, 3, 3]])
    assert median_diameter([three]) == pytest.approx((4 * 2 / np.pi) ** 0.5)


def test_centroids_are_the_centres_of_mass_whatever_the_ids() -> None:
    labels = np.random.default_rng(3).integers(-1, 6, (20, 30))
    labels[labels == 2] = 0
    expected = center_of_mass(labels > 0, labels, [1, 3, 4, 5])
    np.testing.assert_allclose(centroids(labels), expected)
    np.testing.assert_allclose(centroids(np.where(labels > 3, labels + 2**40, labels)), expected)
    assert centroids(np.zeros((5, 5), np.int32)).shape == (0, 2)


def test_objects_are_numbered_in_the_order_of_their_ids() -> None:
    labels = np.array([[0, 2**31 - 1, 5], [-3, 7, 2**31 - 1]], np.int64)
    assert renumbered(labels).tolist() == [[0, 3, 1], [-3, 2, 3]]
    assert renumbered(np.array([[0, 4, 1], [-1, 1, 0]])).tolist() == [[0, 2, 1], [-1, 1, 0]]
