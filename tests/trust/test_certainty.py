"""Confidence means how often objects are right."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microshot.trust.certainty import (
    Curve,
    calibrated,
    calibration_error,
    curve_of,
    fitted,
    reliability,
)


def objects(seed: int, n: int, sharpen: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities that say too much, and which objects are right."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0.5, 1.2, n)
    right = rng.random(n) < 1 / (1 + np.exp(-odds))
    return 1 / (1 + np.exp(-sharpen * odds)), right


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), sharpen=st.floats(0.3, 5))
def test_confidence_on_new_objects_is_how_often_they_are_right(seed, sharpen):
    curve = fitted(*objects(seed, 2000, sharpen))
    p, right = objects(seed + 5000, 4000, sharpen)
    assert calibration_error(curve(p), right) < 0.04
    assert curve.slope == pytest.approx(1 / sharpen, rel=0.3)


@settings(max_examples=25, deadline=None)
@given(slope=st.floats(0, 20), offset=st.floats(-20, 20))
def test_a_greater_probability_never_means_less_confidence(slope, offset):
    found = Curve(slope, offset)(np.linspace(0, 1, 50))
    assert (np.diff(found) >= 0).all()
    assert 0 <= found.min() <= found.max() <= 1


def test_the_curve_of_two_probabilities_goes_through_their_softened_parts():
    """With 8 right and 12 wrong objects, right ones count as 9/10 and wrong ones as 1/14."""
    p = [0.2] * 10 + [0.8] * 10
    right = [True] * 2 + [False] * 8 + [True] * 6 + [False] * 4
    parts = [(2 * 0.9 + 8 / 14) / 10, (6 * 0.9 + 4 / 14) / 10]
    assert fitted(p, right)([0.2, 0.8]) == pytest.approx(parts, abs=1e-5)


def test_no_probability_is_quite_nothing_or_certain():
    assert Curve(1.0, 0.0)([0.0, 0.3, 1.0]) == pytest.approx([1e-4, 0.3, 1 - 1e-4])


def test_probabilities_that_mislead_give_one_confidence_for_all():
    p, right = objects(0, 500)
    curve = fitted(1 - p, right)
    assert curve.slope == 0
    assert curve([0.1, 0.9]) == pytest.approx([right.mean()] * 2, abs=0.01)


def test_a_model_keeps_the_curve_and_how_good_it_is_on_images_it_left_out():
    images = [objects(seed, 60) for seed in range(8)]
    kept = json.loads(json.dumps(calibrated(images)))
    assert (kept["n_objects"], kept["n_images"]) == (480, 8)
    assert kept["after"]["error"] < kept["before"]["error"]
    assert sum(kept["after"]["n"]) == 480
    assert curve_of({"confidence": kept}) == Curve(kept["slope"], kept["offset"])
    assert kept["slope"] == pytest.approx(
        1 / 3, rel=0.3
    )  # the probabilities say three times too much
    p, right = (np.concatenate(parts) for parts in zip(*images, strict=True))
    assert kept["before"] == {**reliability(p, right), "error": calibration_error(p, right)}


def test_how_good_a_curve_is_shows_on_images_that_it_has_not_seen():
    (p, right), other = objects(0, 60), objects(1, 90, sharpen=0.5)
    unseen = np.concatenate([fitted(*other)(p), fitted(p, right)(other[0])])
    after = calibrated([(p, right), ([], []), other])["after"]
    truth = np.concatenate([right, other[1]])
    assert after == {**reliability(unseen, truth), "error": calibration_error(unseen, truth)}


@pytest.mark.parametrize(
    "images",
    [[], [objects(0, 200)], [objects(0, 10), objects(1, 10)],
     [(np.full(50, 0.9), np.ones(50, bool))] * 3],
)  # fmt: skip
def test_too_few_objects_or_none_wrong_give_no_curve_but_a_reason(images):
    kept = calibrated(images)
    assert kept["note"].startswith("Confidence was not calibrated: it takes at least 40 objects")
    assert curve_of({"confidence": kept}) is None


@pytest.mark.parametrize(
    ("n", "n_wrong", "enough"), [(40, 5, True), (39, 5, False), (40, 4, False)]
)
def test_forty_objects_with_five_wrong_are_enough(n, n_wrong, enough):
    p, right = np.linspace(0.1, 0.9, n), np.arange(n) >= n_wrong
    for truth in (right, ~right):
        kept = calibrated([(p[::2], truth[::2]), (p[1::2], truth[1::2])])
        assert ("slope" in kept) == enough == ("note" not in kept)


def test_the_reason_counts_images_with_objects_only():
    kept = calibrated([objects(0, 200), ([], [])])
    assert (kept["n_objects"], kept["n_images"]) == (200, 1)
    assert "there were 200 objects in 1 image, " in kept["note"]
    assert "there was 1 object in 1 image, " in calibrated([objects(0, 1)])["note"]


def test_the_calibration_error_is_the_mean_gap():
    p = [0.15] * 10 + [0.95] * 30
    right = [True] * 4 + [False] * 6 + [True] * 27 + [False] * 3
    assert calibration_error(p, right) == pytest.approx((10 * 0.25 + 30 * 0.05) / 40)
    assert reliability(p, right) == {"n": [10, 30], "confidence": [0.15, 0.95], "right": [0.4, 0.9]}
    assert np.isnan(calibration_error([], []))


def test_confidences_fall_into_ten_bars_and_certainty_into_the_last():
    p = [tenth / 10 + more for tenth in range(10) for more in (0.005, 0.095)]
    assert reliability([*p, 1.0], [True] * 21)["n"] == [2] * 9 + [3]


@pytest.mark.parametrize(
    "change", [{"slope": -1}, {"slope": "1"}, {"offset": None}, {"offset": 1e9}]
)
def test_senseless_numbers_in_a_model_file_are_refused(change):
    with pytest.raises(ValueError, match="changed by another program"):
        Curve.from_json({"slope": 1.0, "offset": 0.0} | change)
