"""Finding nuclei, cells, droplets and their defects."""

from __future__ import annotations

import numpy as np
import pytest
from stain_scenes import adipocytes, discs

from microshot.metrics import stain_objects as objects
from microshot.metrics.stain_objects import GreyScale

NUCLEI = [(30.0, 30.0, 14.0), (80.0, 30.0, 14.0), (40.0, 85.0, 12.0), (90.0, 90.0, 16.0)]


def noisy(light: np.ndarray, sd: float = 0.03, seed: int = 0) -> np.ndarray:
    made = 0.1 + 0.8 * light + np.random.default_rng(seed).normal(0, sd, light.shape)
    return np.clip(made, 0, 1)


def n(labels: np.ndarray) -> int:
    return len(np.unique(labels)) - 1


def test_every_nucleus_is_found_with_its_area() -> None:
    labels = objects.find_nuclei(noisy(discs(NUCLEI)), 28)
    areas = np.sort(np.bincount(labels.ravel())[1:])
    assert areas == pytest.approx(np.sort([np.pi * r**2 for _, _, r in NUCLEI]), rel=0.25)


def test_touching_nuclei_are_parted_by_their_shape() -> None:
    labels = objects.find_nuclei(noisy(discs([(60, 45, 16), (60, 74, 16)])), 32)
    assert n(labels) == 2
    assert labels[60, 45] != labels[60, 74]


def test_what_is_far_smaller_or_larger_than_a_nucleus_is_none() -> None:
    assert n(objects.find_nuclei(noisy(discs([(30, 30, 5), (70, 70, 14)])), 28)) == 1
    assert n(objects.find_nuclei(noisy(discs([(60, 60, 45)])), 28)) == 0


@pytest.mark.parametrize("seed", range(4))
def test_noise_and_constant_images_hold_nothing(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(500, 20, (150, 140))
    for image in (noise, np.full((150, 140), 7.0), np.zeros((150, 140))):
        grey = GreyScale.of(image)(image)
        assert n(objects.find_nuclei(grey, 30)) == 0
        assert n(objects.find_droplets(grey, 30)) == 0


def test_a_local_threshold_stays_near_that_of_the_whole_image() -> None:
    """From 0.7 to 1.5 times it: a glimmer far from nuclei is none, and all of a bright haze is."""
    dim, bright = (discs([(40, x, 20)], (80, 160)) for x in (40, 120))
    found = objects.find_nuclei(0.02 + 0.08 * dim + 0.9 * bright, 40)
    assert n(found) == 1
    assert found[40, 120]
    dim, bright = discs([(40, 40, 15)], (80, 160)), discs([(25, 105, 15)], (80, 160))
    haze = 0.15 * (np.arange(160) >= 80)
    found = objects.find_nuclei(0.02 + haze + 0.3 * dim + 0.78 * bright, 40)
    assert (found[:, 100:] > 0).all()


def test_the_typical_nucleus_is_measured_and_small_specks_do_not_make_it_smaller() -> None:
    specks = [(float(y), float(x), 2.0) for y, x in ((5, 60), (60, 60), (115, 60), (60, 5))]
    truth = noisy(discs(NUCLEI + specks)) * 1000
    assert objects.nucleus_diameter([truth]) == pytest.approx(28, abs=2.5)
    assert objects.nucleus_diameter([np.zeros((9, 9))]) == objects.NUCLEUS_PX


def test_half_of_the_nuclei_s_area_is_wider_than_the_typical_one() -> None:
    stain = np.zeros((80, 120))
    for left in (5, 30, 55):
        stain[10:22, left : left + 12] = 1.0  # three together are smaller than the large one
    stain[40:66, 40:66] = 1.0
    assert objects.nucleus_diameter([stain]) == pytest.approx(2 * 26 / np.pi**0.5, rel=0.1)


def test_cells_keep_their_nucleus_number_and_share_the_body() -> None:
    nuclei = objects.find_nuclei(noisy(discs([(60, 35, 12), (60, 85, 12)])), 24)
    body = noisy(discs([(60, 35, 24), (60, 85, 24)]))
    cells = objects.find_cells(nuclei, body, 24)
    assert np.array_equal(cells[nuclei > 0], nuclei[nuclei > 0])
    assert np.bincount(cells.ravel())[1:] == pytest.approx([np.pi * 24**2] * 2, rel=0.15)


def test_objects_at_the_edge_are_left_out_and_others_keep_their_id() -> None:
    labels = np.zeros((9, 9), np.int32)
    labels[0:2, 3:5], labels[4:6, 4:6], labels[3:5, 8] = 1, 2, 3
    assert set(np.unique(objects.without_edge(labels))) == {0, 2}


def test_droplets_of_all_sizes_are_found() -> None:
    """Four pixels to twenty-four across, with nuclei 40 px wide."""
    places = [(20, 20, 2.5), (20, 60, 4), (60, 25, 6), (70, 80, 12), (25, 100, 3), (105, 30, 5)]
    found = objects.find_droplets(noisy(discs(places), 0.01), 40)
    assert n(found) == len(places)
    assert all(found[round(y), round(x)] > 0 for y, x, _ in places)


def test_a_hole_makes_a_defect_and_the_gap_between_droplets_does_not() -> None:
    whole = discs([(30, 30, 10), (30, 51, 10), (48, 40, 10), (85, 85, 10)])
    holed = whole * (1 - 0.7 * discs([(85, 85, 3)]))
    for light, defective in ((whole, False), (holed, True)):
        stain = noisy(light, 0.005)
        droplets = objects.find_droplets(stain, 40)
        depth = objects.defect_depth(stain, droplets, 40)
        assert (depth[80:91, 80:91].sum() >= objects.least_defect(40)) == defective
        assert depth[:70].sum() < objects.least_defect(40)
        assert 0 <= depth.min() <= depth.max() <= 0.85


@pytest.mark.parametrize("seed", [2, 3])
def test_generated_adipocytes_with_more_defects_are_found_to_have_more(seed: int) -> None:
    sums = []
    for part in (0.0, 0.3, 0.8):
        stain = adipocytes(seed, defects=part)[1]
        grey = GreyScale.of(stain)(stain)
        droplets = objects.find_droplets(grey, 40)
        sums.append(float(objects.defect_depth(grey, droplets, 40).sum()))
    assert sums[0] < 0.2 * sums[1]
    assert sums[1] < sums[2]


def test_generated_nuclei_are_counted() -> None:
    for seed in range(3):
        stain = adipocytes(seed, n=5)[0]
        found = objects.find_nuclei(GreyScale.of(stain)(stain), 40)
        assert 4 <= n(found) <= 6


def test_a_grey_scale_is_the_truths_and_survives_what_is_constant() -> None:
    truth = np.arange(1001.0).reshape(7, 143)
    scale = GreyScale.of(truth)
    assert scale(truth).min() == 0
    assert scale(truth).max() == 1
    assert scale(np.full((2, 2), 500.0)) == pytest.approx(np.full((2, 2), 0.5), abs=1e-3)
    spot = np.zeros((50, 50))
    spot[0, 0] = 3  # percentiles of almost nothing are both 0
    assert GreyScale.of(spot)(spot).max() == 1
    assert np.isfinite(GreyScale.of(np.full((4, 4), 3.0), np.full((4, 4), 3.0))(spot)).all()
    assert GreyScale.of(np.zeros((7, 143)), truth) == scale
