"""Star-convex polygons: targets by a slow walk, the way back to labels, thresholds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from discs import disc_labels
from microshot.metrics.labels import match
from microshot.tasks.segmenting.stardist import (
    LEAST_PROBABILITY,
    OVERLAP_THRESHOLDS,
    Candidates,
    Objects,
    draw,
    least_threshold,
    optimize_thresholds,
    polygons,
    suppress,
    targets,
)

few = settings(max_examples=25, deadline=None)


def walked(labels: np.ndarray, y: int, x: int, angle: float) -> float:
    """Walk from a pixel in steps of 1 px until its object ends, as the method defines it."""
    dy, dx = np.float32(math.sin(angle)), np.float32(math.cos(angle))
    down, right = np.float32(0), np.float32(0)
    while True:
        down, right = np.float32(down + dy), np.float32(right + dx)
        row, column = math.floor(y + down + 0.5), math.floor(x + right + 0.5)
        outside = not (0 <= row < labels.shape[0] and 0 <= column < labels.shape[1])
        if outside or labels[row, column] != labels[y, x]:
            back = 1 - 0.5 / max(abs(dy), abs(dx))
            return math.hypot(down - back * dy, right - back * dx)


blocks = hnp.arrays(
    np.int32, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=st.integers(0, 3)
)


@few
@given(blocks, st.sampled_from([4, 8, 32]), st.sampled_from([1, 2]))
def test_distances_are_those_of_a_walk(block, rays, grid) -> None:
    labels = block.repeat(5, 0).repeat(4, 1)
    _, distance = targets(labels, rays, grid)
    assert distance.shape == (rays, -(-labels.shape[0] // grid), -(-labels.shape[1] // grid))
    rng = np.random.default_rng(0)
    inside = np.argwhere(labels[::grid, ::grid] > 0)
    for i, j in rng.permutation(inside)[:6]:
        for k in range(0, rays, 3):
            expected = walked(labels, i * grid, j * grid, 2 * math.pi * k / rays)
            assert distance[k, i, j] == pytest.approx(expected, abs=1e-3)
    assert not distance[:, labels[::grid, ::grid] == 0].any()


def test_distances_of_a_rectangle_by_hand() -> None:
    labels = np.zeros((9, 11), np.int32)
    labels[2:7, 3:10] = 1  # rows 2 to 6, columns 3 to 9
    _, distance = targets(labels, 4, 1)
    # right, down, left, up from the pixel (3, 5): to the outer edge of the last pixel
    assert distance[:, 3, 5] == pytest.approx([4.5, 3.5, 2.5, 1.5])


def test_probability_is_the_depth_relative_to_the_deepest_point() -> None:
    labels = np.zeros((9, 20), np.int32)
    labels[2:7, 2:7] = 1
    labels[3:6, 10:13] = 2
    probability, _ = targets(labels, 8, 1)
    assert probability[4, 4] == pytest.approx(1)
    assert probability[2, 2:7] == pytest.approx([1 / 3] * 5)
    assert probability[3, 3] == pytest.approx(2 / 3)
    assert probability[4, 11] == pytest.approx(1)
    assert probability[3, 10] == pytest.approx(1 / 2)
    assert not probability[labels == 0].any()


@few
@given(blocks, st.sampled_from([1, 2, 4]))
def test_probability_is_1_somewhere_in_every_object_and_0_outside(block, grid) -> None:
    labels = block.repeat(8, 0).repeat(8, 1)
    probability, _ = targets(labels, 4, grid)
    sampled = labels[::grid, ::grid]
    assert probability.dtype == np.float32
    for one in np.unique(sampled[sampled > 0]):
        assert probability[sampled == one].max() == pytest.approx(1)
        assert probability[sampled == one].min() > 0
    assert not probability[sampled == 0].any()


def test_negative_labels_are_ignored() -> None:
    labels = np.zeros((8, 8), np.int32)
    labels[:4] = -1
    labels[5:7, 2:6] = -7
    labels[5:7, 0] = 3
    for grid in (1, 2):
        probability, distance = targets(labels, 8, grid)
        negative = labels[::grid, ::grid] < 0
        assert (probability[negative] == -1).all()
        assert (probability[~negative] >= 0).all()
        assert not distance[:, negative].any()


def test_a_patch_inside_one_object_warns_of_nothing() -> None:
    probability, distance = targets(np.full((8, 8), 5, np.int32), 4, 1)
    assert probability.max() == pytest.approx(1)
    assert probability[0, 0] < probability[3, 3]
    assert (distance > 0).all()


def test_an_empty_patch_has_no_targets() -> None:
    probability, distance = targets(np.zeros((8, 8), np.int32), 4, 2)
    assert not probability.any()
    assert not distance.any()


def test_ids_beyond_16_bits_do_not_wrap_around() -> None:
    labels = np.zeros((12, 24), np.int32)
    labels[2:10, 2:10] = 1
    labels[2:10, 10:18] = 2
    labels[0] = -1
    small = targets(labels, 8, 1)
    table = np.array([0, 65536, 65537 + 65536, -1])  # both would become 0 and 1
    large = targets(table[labels].astype(np.int32), 8, 1)
    for a, b in zip(small, large, strict=True):
        assert np.array_equal(a, b)


def test_the_first_id_beyond_16_bits_is_an_object() -> None:
    labels = np.zeros((8, 8), np.int32)
    labels[2:6, 2:6] = 1
    for large, small in zip(targets(65536 * labels, 8, 1), targets(labels, 8, 1), strict=True):
        assert np.array_equal(large, small)


# --------------------------------------------------------------------------- and back again


def candidates_of(
    labels: np.ndarray, rays: int = 32, grid: int = 1, cuts: tuple[int, ...] = ()
) -> Candidates:
    """Return what a perfect network would say, given in bands of rows cut at `cuts`."""
    probability, distance = targets(labels, rays, grid)
    logit = np.log(
        np.clip(probability, 1e-6, 1 - 1e-6) / (1 - np.clip(probability, 1e-6, 1 - 1e-6))
    )
    output = np.concatenate([logit[None], distance])
    found = Candidates()
    edges = [0, *cuts, output.shape[1]]
    bands = list(zip(edges, edges[1:], strict=False))  # noqa: RUF007
    for top, bottom in reversed(bands):
        found.add(output[:, top:bottom], (top * grid, 0), grid, LEAST_PROBABILITY)
    return found


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 2]))
def test_discs_survive_the_way_to_targets_and_back(seed, grid) -> None:
    labels = disc_labels((96, 128), 20, np.random.default_rng(seed), radius=(5, 10))
    found = suppress(candidates_of(labels, grid=grid), labels.shape, (1.0, 1.0), 0.5, 0.4)
    drawn, _ = draw(found, labels.shape)
    whole = np.bincount(labels.ravel())[1:]
    truth = np.where(
        np.isin(labels, 1 + np.flatnonzero(whole < 20)), -1, labels
    )  # slivers at the edge
    result = match(truth, drawn, 0.5)
    assert result.f1 >= 0.95
    assert result.panoptic_quality > 0.8 * result.f1  # the mean IoU of the found ones


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 63), max_size=4, unique=True).map(sorted))
def test_how_the_image_was_cut_does_not_matter(seed, cuts) -> None:
    labels = disc_labels((64, 64), 12, np.random.default_rng(seed))
    whole = suppress(candidates_of(labels), labels.shape, (1.0, 1.0), 0.3, 0.4)
    tiled = suppress(candidates_of(labels, cuts=tuple(cuts)), labels.shape, (1.0, 1.0), 0.3, 0.4)
    assert np.array_equal(whole.points, tiled.points)
    assert np.array_equal(whole.distance, tiled.distance)


def test_equal_probabilities_are_ordered_by_place() -> None:
    found = Candidates()
    output = np.full((1 + 4, 3, 3), 2.0, np.float32)
    found.add(output, (3, 0), 1, 0.5)
    found.add(output, (0, 0), 1, 0.5)
    points, _, _ = found.merged()
    assert points.tolist() == sorted(points.tolist())


def test_candidates_know_their_place_in_the_whole_image() -> None:
    output = np.full((1 + 4, 4, 4), -9.0, np.float32)
    output[0, 1, 2] = 3.0
    output[1:, 1, 2] = [1, 2, 3, 4]
    found = Candidates()
    found.add(output, (16, 32), 2, 0.5)
    points, probability, distance = found.merged()
    assert points.tolist() == [[18, 36]]
    assert probability[0] == pytest.approx(1 / (1 + math.exp(-3)))
    assert distance.tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize("higher", [n for n in range(9) if n != 4])
def test_a_pixel_beside_a_likelier_one_is_no_candidate(higher) -> None:
    output = np.full((1 + 4, 3, 3), 1.0, np.float32)
    output[0] = -9.0
    output[0, 1, 1] = 3.0
    output[0, higher // 3, higher % 3] = 3.0001
    found = Candidates()
    found.add(output, (0, 0), 1, 0.5)
    assert found.merged()[0].tolist() == [[higher // 3, higher % 3]]


def test_extreme_logits_overflow_nowhere() -> None:
    output = np.zeros((1 + 4, 1, 2), np.float32)
    output[0, 0] = [-1e4, 1e4]
    found = Candidates()
    found.add(output, (0, 0), 1, 0.5)
    assert found.merged()[1].tolist() == [1.0]


@pytest.mark.parametrize("scale", [0.5, 0.31, 1.7, 2.0])
def test_coordinates_come_back_at_the_scale_of_the_image(scale) -> None:
    """A disc found in the resampled image lies where it is in the original."""
    shape = (121, 87)
    inner = (round(shape[0] * scale), round(shape[1] * scale))
    factor = (inner[0] / shape[0], inner[1] / shape[1])
    centre, radius = np.array([80.2, 51.7]), 18.0
    y, x = np.mgrid[: inner[0], : inner[1]]
    y, x = (y + 0.5) / factor[0] - 0.5, (x + 0.5) / factor[1] - 0.5
    labels = ((y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2).astype(np.int32)
    found = suppress(candidates_of(labels), shape, factor, 0.5, 0.4)
    assert len(found.points) == 1
    drawn, _ = draw(found, shape)
    assert np.abs(np.argwhere(drawn).mean(0) - centre).max() < 1
    assert drawn.sum() == pytest.approx(math.pi * radius**2, rel=0.08)


def test_scales_that_differ_along_y_and_x_stretch_the_polygon() -> None:
    objects = Candidates()
    output = np.full((1 + 4, 9, 9), -9.0, np.float32)
    output[0, 4, 4] = 5.0
    output[1:, 4, 4] = 2.0
    objects.add(output, (0, 0), 1, 0.5)
    found = suppress(objects, (18, 9), (0.5, 1.0), 0.5, 0.4)
    assert found.points[0] == pytest.approx([8.5, 4.0])
    assert found.distance[0] == pytest.approx([2, 4, 2, 4])  # right, down, left, up


def test_points_of_an_enlarged_image_stay_within_it_and_no_ray_points_backwards() -> None:
    objects = Candidates()
    output = np.full((1 + 4, 18, 36), -9.0, np.float32)
    output[0, [0, 17], [0, 35]] = 5.0  # the first and the last pixel
    objects.add(output, (0, 0), 1, 0.5)
    found = suppress(objects, (9, 9), (2.0, 4.0), 0.5, 0.4)
    assert sorted(found.points.tolist()) == [[0, 0], [8, 8]]
    assert (found.distance > 0).all()


def test_rays_are_as_long_as_the_network_says_and_a_thousandth_of_a_pixel_at_least() -> None:
    output = np.full((1 + 4, 9, 9), -9.0, np.float32)
    output[:, 4, 4] = 5.0, 0.5, -1.0, 0.0, 3.0
    objects = Candidates()
    objects.add(output, (0, 0), 1, 0.5)
    found = suppress(objects, (9, 9), (1.0, 1.0), 0.5, 0.4)
    assert found.distance[0] == pytest.approx([0.5, 0.001, 0.001, 3.0])


def test_nothing_found_gives_an_empty_image() -> None:
    for candidates in (Candidates(), candidates_of(np.zeros((8, 8), np.int32))):
        found = suppress(candidates, (8, 8), (1.0, 1.0), 0.5, 0.4)
        labels, source = draw(found, (8, 8))
        assert not labels.any()
        assert labels.dtype == np.int32
        assert len(source) == len(found.probability) == 0
        assert polygons(found.points, found.distance).shape[0] == 0


def circles(places: list[tuple[float, float, float]]) -> Objects:
    points = np.array([p[:2] for p in places], np.float32)
    distance = np.array([[p[2]] * 32 for p in places], np.float32)
    return Objects(points, np.linspace(0.9, 0.5, len(places)).astype(np.float32), distance)


def test_hidden_objects_are_dropped_and_ids_have_no_gaps() -> None:
    places = [(20, 20, 8), (20, 21, 3), (20, 50, 6), (50, 20, 0.01), (50, 50, 5)]
    labels, source = draw(circles(places), (64, 64))  # the second lies under the first
    ids = np.unique(labels)
    assert ids.tolist() == list(range(len(source) + 1))
    assert 1 not in source
    assert {0, 2, 4} <= set(source.tolist())
    for number, index in enumerate(source, 1):
        y, x, _ = places[index]
        assert labels[round(y), round(x)] == number


def test_the_more_probable_object_lies_on_top() -> None:
    labels, source = draw(circles([(20, 20, 8), (20, 30, 8)]), (40, 50))
    assert source.tolist() == [0, 1]
    assert labels[20, 25] == 1


def test_objects_over_the_edge_are_cut_off() -> None:
    labels, source = draw(circles([(0, 0, 5), (39, 25, 30)]), (40, 50))
    assert labels.shape == (40, 50)
    assert len(source) == 2


def test_overlap_is_relative_to_the_smaller_object() -> None:
    output = np.full((1 + 32, 40, 60), -9.0, np.float32)
    output[:, 20, 20] = 8.0  # a disc of radius 8
    output[:, 20, 26] = 5.0  # a smaller one, half of it inside
    output[0, 20, 20], output[0, 20, 26] = 4.0, 3.0
    found = Candidates()
    found.add(output, (0, 0), 1, 0.5)
    for overlap, n in ((0.3, 1), (0.95, 2)):
        assert len(suppress(found, (40, 60), (1.0, 1.0), 0.5, overlap).points) == n


# ------------------------------------------------------------------------------- thresholds


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.05, 1.0))
def test_thresholds_are_never_worse_than_the_default(seed, greatest) -> None:
    rng = np.random.default_rng(seed)
    values: dict[tuple[float, float], float] = {}

    def score(probability: float, overlap: float) -> float:
        return values.setdefault((probability, overlap), float(rng.random()))

    probability, overlap, best = optimize_thresholds(score, greatest)
    assert best == score(probability, overlap)
    assert best >= score(0.5, 0.4)
    assert best == max(values.values())
    assert len(values) <= 1 + 3 * 22
    assert overlap in OVERLAP_THRESHOLDS
    assert 0 < probability <= max(greatest, 0.5)


def test_thresholds_find_the_peak_of_a_smooth_score() -> None:
    def score(probability: float, overlap: float) -> float:
        return -((probability - 0.62) ** 2) - (overlap - 0.3) ** 2

    probability, overlap, _ = optimize_thresholds(score, 0.95)
    assert probability == pytest.approx(0.62, abs=0.01)
    assert overlap == 0.3


@pytest.mark.parametrize(("greatest", "least"), [(0.9, 0.45), (0.22, 0.11), (0.18, 0.05)])
def test_thresholds_are_sought_from_half_the_greatest_probability_on(greatest, least) -> None:
    tried: list[float] = []
    optimize_thresholds(lambda p, o: tried.append(p) or p == 0.5, greatest)
    assert least_threshold(greatest) == least
    assert all(least <= p <= greatest for p in tried if p != 0.5)


def test_a_hopeless_network_keeps_the_default_thresholds() -> None:
    assert optimize_thresholds(lambda p, o: 0.0, 0.3) == (0.5, 0.4, 0.0)
