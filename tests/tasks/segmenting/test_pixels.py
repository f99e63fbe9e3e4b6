"""Pixel heads: targets by hand, ignored regions, and objects back from perfect maps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discs import disc_labels
from microshot.metrics.labels import match
from microshot.tasks.segmenting.pixels import (
    BACKGROUND,
    BOUNDARY,
    INTERIOR,
    borders,
    boundary_targets,
    foreground_targets,
    mean_by_object,
    objects_from_boundary,
    objects_from_foreground,
    probabilities,
)

TOUCHING = np.array(
    [
        [0, 0, 0, 0, 0, 0],
        [0, 1, 1, 2, 2, 0],
        [0, 1, 1, 2, 2, 0],
        [0, 0, 0, 0, 0, 0],
    ]
)


def two_squares(size: int = 8) -> np.ndarray:
    """Two touching squares in the middle of an image."""
    labels = np.zeros((size + 6, 2 * size + 6), np.int32)
    labels[3:-3, 3 : 3 + size] = 1
    labels[3:-3, 3 + size : -3] = 2
    return labels


def test_borders_by_hand() -> None:
    border, separation = borders(TOUCHING)
    assert np.array_equal(border, TOUCHING > 0)  # every pixel of a square of two is at its edge
    assert separation.astype(int).tolist() == [
        [0, 0, 0, 0, 0, 0],
        [0, 0, 1, 1, 0, 0],
        [0, 0, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]


def test_both_of_two_touching_objects_have_a_border() -> None:
    border, separation = borders(two_squares())
    assert separation[5, 10]
    assert separation[5, 11]
    assert separation.sum() == 2 * 8
    assert not border[7, 7]


def test_the_edge_of_the_image_is_no_border_and_ignored_pixels_are_no_object() -> None:
    border, _ = borders(np.full((4, 4), 3))
    assert not border.any()
    border, separation = borders(np.array([[-1, -1, 2, 2], [-1, -1, 2, 2]]))
    assert border.astype(int).tolist() == [[0, 0, 1, 0]] * 2
    assert not separation.any()


def test_foreground_targets_by_hand() -> None:
    labels = two_squares()
    target, weight = foreground_targets(labels)
    assert target.sum() == 2 * 6 * 6
    assert not target[:, 10:12].any()
    assert target.dtype == weight.dtype == np.float32
    assert weight[7, 7] < weight[3, 7] < weight[7, 10]
    far = foreground_targets(np.pad(labels, 20))[1]
    assert far[0, 0] == 1
    # a straight border far from anything else: 1 + 6 of a line blurred with sd 1 px
    line = np.zeros((41, 41), np.int32)
    line[:21] = 1
    _, weight = foreground_targets(line)
    profile = np.exp(-0.5 * np.arange(-4, 5) ** 2)
    profile /= profile.sum()
    assert weight[16:25, 20] == pytest.approx(1 + 6 * profile, rel=1e-3)
    # two objects that meet: both rows of border, and of separation
    line[21:] = 2
    _, weight = foreground_targets(line)
    expected = 1 + (6 + 20) * (profile[4] + profile[5])
    assert weight[20, 20] == pytest.approx(expected, rel=1e-3)


def test_boundary_targets_by_hand() -> None:
    classes, weight = boundary_targets(two_squares())
    row = classes[7].tolist()
    assert row == [0, 0, 0, 2, 2, 1, 1, 1, 1, 2, 2, 2, 2, 1, 1, 1, 1, 2, 2, 0, 0, 0]
    assert classes.dtype == np.int64
    assert weight.dtype == np.float32
    assert set(zip(classes.ravel().tolist(), weight.ravel().tolist(), strict=True)) == {
        (BACKGROUND, 1.0),
        (INTERIOR, 1.0),
        (BOUNDARY, 3.0),
    }


def test_small_objects_keep_an_interior_where_they_can() -> None:
    labels = np.zeros((9, 18), np.int32)
    labels[2:5, 2:5] = 1  # 3 px: a boundary of two pixels would fill it
    labels[2:8, 8:14] = 2
    classes, _ = boundary_targets(labels)
    assert (classes[labels == 1] == INTERIOR).sum() == 1
    assert (classes[labels == 2] == INTERIOR).sum() == 4


def test_ignored_pixels_have_no_weight() -> None:
    labels = two_squares()
    labels[:, :9] = np.where(labels[:, :9] > 0, -1, labels[:, :9])
    for make in (foreground_targets, boundary_targets):
        target, weight = make(labels)
        assert not weight[labels < 0].any()
        assert (weight[labels >= 0] > 0).all()
        assert not target[labels < 0].any()


def maps_of(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interior and background as a perfect boundary network gives them."""
    classes, _ = boundary_targets(labels)
    return (classes == INTERIOR).astype(np.float32), (classes == BACKGROUND).astype(np.float32)


def test_touching_objects_are_separated() -> None:
    labels = two_squares()
    foreground = objects_from_foreground(foreground_targets(labels)[0], 0.5)
    boundary = objects_from_boundary(*maps_of(labels), 0.5)
    for found in (foreground, boundary):
        assert found.max() == 2
        result = match(labels, found, 0.9)
        assert result.tp == 2


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_objects_survive_the_way_to_targets_and_back(seed) -> None:
    labels = disc_labels((80, 80), 12, np.random.default_rng(seed), radius=(6, 10))
    sizes = np.bincount(labels.ravel())[1:]
    truth = np.where(np.isin(labels, 1 + np.flatnonzero(sizes < 40)), -1, labels)
    foreground = objects_from_foreground(foreground_targets(labels)[0], 0.5)
    boundary = objects_from_boundary(*maps_of(labels), 0.5)
    for found in (foreground, boundary):
        result = match(truth, found, 0.7)
        assert result.f1 >= 0.95
        assert found.dtype == np.int32
        assert np.unique(found).tolist() == list(range(found.max() + 1))


@pytest.mark.parametrize("border_px", [1.0, 2.0, 3.5])
def test_regions_grow_back_by_the_border_they_lack(border_px) -> None:
    from scipy.ndimage import distance_transform_edt

    y, x = np.mgrid[:60, :60]
    inner = np.hypot(y - 30, x - 30) < 12
    found = objects_from_foreground(inner.astype(np.float32), 0.5, border_px)
    assert np.array_equal(found == 1, np.asarray(distance_transform_edt(~inner)) <= border_px)


def test_regions_meet_over_edges_only() -> None:
    diagonal = np.zeros((6, 6), np.float32)
    diagonal[:3, :3] = diagonal[3:, 3:] = 1
    assert objects_from_foreground(diagonal, 0.5).max() == 2
    assert objects_from_boundary(diagonal, 1 - diagonal, 0.5).max() == 2


def test_nothing_above_the_threshold_gives_nothing() -> None:
    empty = np.zeros((7, 5), np.float32)
    assert not objects_from_foreground(empty, 0.5).any()
    assert not objects_from_boundary(empty, empty, 0.5).any()
    assert len(mean_by_object(np.zeros((7, 5), np.int32), empty)) == 0


def test_background_without_an_interior_makes_no_object() -> None:
    interior = np.zeros((8, 8), np.float32)
    interior[2:4, 2:4] = 1
    background = np.ones((8, 8), np.float32)
    background[1:5, 1:5] = 0
    background[6:, 6:] = 0  # boundary far from any interior
    found = objects_from_boundary(interior, background, 0.5)
    assert found[6:, 6:].sum() == 0
    assert (found > 0).sum() == 16


def test_what_is_just_at_a_threshold_is_no_object() -> None:
    half, background = np.full((3, 3), 0.5, np.float32), np.zeros((3, 3), np.float32)
    assert not objects_from_foreground(half, 0.5).any()
    assert not objects_from_boundary(half, background, 0.5).any()
    seed = np.zeros((3, 3), np.float32)
    seed[1, 1] = 1
    assert objects_from_boundary(seed, half, 0.5).sum() == 1


def test_means_are_taken_over_each_object() -> None:
    labels = np.array([[0, 1, 1], [2, 2, 3]])
    values = np.array([[9.0, 1.0, 3.0], [5.0, 7.0, 9.0]])
    assert mean_by_object(labels, values).tolist() == [2.0, 6.0, 9.0]


def test_logits_become_probabilities_without_overflow() -> None:
    one = probabilities(np.array([[[-1e4, 0.0, 1e4]]], np.float32))
    assert one.ravel().tolist() == [0.0, 0.5, 1.0]
    three = probabilities(np.array([[1e4, 0], [-1e4, 1e4], [1e4, 0]], np.float32)[:, None])
    assert three[:, 0].T.tolist() == [[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]
    assert one.dtype == three.dtype == np.float32
