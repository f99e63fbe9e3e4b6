"""Confidence maps: hand cases, and the stated rate of errors on fresh images."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from microshot.metrics.conformal_maps import ConfidenceMaps, MaskCalibration, grown


def images(seed: int, n: int = 6) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return probabilities that are often wrong, and the truth."""
    rng = np.random.default_rng(seed)
    labels = [(rng.random((64, 64)) < 0.3).astype(np.int32) for _ in range(n)]
    noisy = [1 / (1 + np.exp(-rng.normal(2.0 * (2 * t - 1), 2.0))) for t in labels]
    return noisy, labels


@pytest.mark.parametrize("error", [0.01, 0.05, 0.2])
def test_errors_on_fresh_images_are_as_rare_as_stated_for_each_class(error) -> None:
    calibration = MaskCalibration.fit(*images(0))
    missed, n = np.zeros(2), np.zeros(2)
    for p, truth in zip(*images(1, 20), strict=True):
        classes = ConfidenceMaps(*calibration.p_values(p)).classes(error)
        for c in (0, 1):
            missed[c] += np.count_nonzero((truth == c) & ~(classes & (c + 1)).astype(bool))
            n[c] += np.count_nonzero(truth == c)
    assert (missed / n <= error + 0.01).all()
    assert (missed / n >= error - 0.02).all()  # and not by saying nothing


def test_p_values_by_hand() -> None:
    calibration = MaskCalibration(
        np.array([0.1, 0.2, 0.3], np.float32), np.array([0.05], np.float32)
    )
    background, nucleus = calibration.p_values(np.array([[0.2, 0.95, 0.0]]))
    assert background[0].tolist() == pytest.approx([3 / 4, 1 / 4, 1.0])
    assert nucleus[0].tolist() == pytest.approx([1 / 2, 1.0, 1 / 2])


def test_maps_by_hand() -> None:
    maps = ConfidenceMaps(
        np.array([[0.9, 0.01, 0.3, 0.01]], np.float32),
        np.array([[0.02, 0.8, 0.4, 0.02]], np.float32),
    )
    assert maps.classes(0.05).tolist() == [[1, 2, 3, 0]]
    assert maps.confidence[0].tolist() == pytest.approx([0.98, 0.99, 0.7, 0.99])
    assert maps.credibility[0].tolist() == pytest.approx([0.9, 0.8, 0.4, 0.02])
    assert maps.seeds(0.05).tolist() == [[0, 1, 0, 0]]


def test_pixels_that_are_not_annotated_are_left_out() -> None:
    probability = [np.array([[0.9, 0.1, 0.5]])]
    calibration = MaskCalibration.fit(probability, [np.array([[1, 0, -1]])])
    assert len(calibration.background) == len(calibration.nucleus) == 1


def test_a_class_without_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="pixels of nuclei, found none"):
        MaskCalibration.fit([np.zeros((4, 4))], [np.zeros((4, 4), int)])


def test_what_a_model_file_keeps_is_no_more_certain_than_what_was_found() -> None:
    found = MaskCalibration.fit(*images(0, 1))
    kept = MaskCalibration.from_json(json.loads(json.dumps(found.to_json())))
    probability = np.linspace(0, 1, 50)[None]
    for before, after in zip(found.p_values(probability), kept.p_values(probability), strict=True):
        assert (after >= before).all()
        np.testing.assert_allclose(after, before, atol=0.002)


@pytest.mark.parametrize(
    "wrong", [None, [], ["a"], [0.5, 0.2], [0, math.nan, 1], [-0.1], [1.2], [True]]
)
def test_a_memory_that_makes_no_sense_is_refused(wrong) -> None:
    with pytest.raises(ValueError, match="ascending numbers from 0 to 1"):
        MaskCalibration.from_json({"background": [0.5], "nucleus": wrong})


def test_nuclei_grow_from_sure_seeds_over_the_mask_alone() -> None:
    probability = np.array([[0.1, 0.6, 0.99, 0.6, 0.4, 0.6, 0.98, 0.6, 0.1, 0.7]])
    seeds = np.zeros(probability.shape, np.int32)
    seeds[0, 2], seeds[0, 6] = 1, 2
    mask = probability > 0.3  # the last region holds no seed
    assert grown(seeds, probability, mask)[0, [0, 1, 2, 3, 5, 6, 7, 8, 9]].tolist() == [
        0, 1, 1, 1, 2, 2, 2, 0, 0,
    ]  # fmt: skip
