"""Scores of stains: the formulas of one image, and means over a data set."""

from __future__ import annotations

import numpy as np
import pytest

from microshot.metrics import images
from microshot.metrics.stain_scoring import HEADINGS, StainScores, stain_scores


def stain(seed: int) -> np.ndarray:
    """Return a measured stain (24, 30) uint16."""
    return np.random.default_rng(seed).integers(100, 900, (24, 30)).astype(np.uint16)


def test_scores_are_those_of_the_formulas():
    truth, found = stain(0), stain(0) + np.uint16(50)
    values = stain_scores(truth, found)
    assert values.keys() == HEADINGS.keys()
    assert values["pearson"] == pytest.approx(1)
    assert values["med_mae"] == pytest.approx(50 / np.median(truth))
    assert values["psnr"] == pytest.approx(20 * np.log10(images.data_range(truth) / 50))
    assert values["ssim"] == pytest.approx(images.ssim(truth, found))


def test_a_summary_is_the_mean_over_the_images():
    scores = StainScores()
    for name, shift in (("a", 10), ("b", 40)):
        scores.add(name, stain(1), stain(1) + np.uint16(shift))
    rows = [row for _, row in scores.rows]
    assert [name for name, _ in scores.rows] == ["a", "b"]
    for heading, value in scores.summary().items():
        assert value == pytest.approx(np.mean([row[heading] for row in rows]))


def test_what_does_not_exist_is_none_and_left_out_of_the_mean():
    scores = StainScores()
    flat = np.full((24, 30), 7, np.uint16)
    assert scores.add("flat", flat, stain(0))["Pearson r"] is None
    assert scores.add("perfect", stain(0), stain(0))["PSNR (dB)"] is None
    assert scores.summary()["Pearson r"] == pytest.approx(1)
    assert scores.summary()["PSNR (dB)"] is None
    assert set(StainScores().summary().values()) == {None}


def test_stains_of_different_size_are_refused():
    with pytest.raises(ValueError, match=r"a: expected the size .* 24 x 30 px, found 23 x 30 px"):
        StainScores().add("a", stain(0), stain(0)[1:])
