"""The score over features: by hand, and what must hold for any images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from stain_scenes import adipocytes

from microshot.metrics.feature_scoring import FeatureScores, feature_errors, feature_score

NAN = float("nan")
STAINS = ("nuclei", "lipids", "cytoplasm")


def errors(*pairs: tuple[float, float]) -> list[float]:
    """Errors of one feature; pairs are (truth, prediction) of one image each."""
    made = feature_errors([{"a": t} for t, _ in pairs], [{"a": p} for _, p in pairs])
    return [one.error for one in made]


def test_errors_by_hand() -> None:
    """The notebook's formula: mean of |p / m - t / m|, m = median of t."""
    truth = [{"a": 1.0, "b": 10.0}, {"a": 2.0, "b": 20.0}, {"a": 6.0, "b": 20.0}]
    prediction = [{"a": 2.0, "b": 10.0}, {"a": 2.0, "b": 20.0}, {"a": 3.0, "b": 50.0}]
    table = feature_errors(truth, prediction)
    assert [one.error for one in table] == pytest.approx([(1 + 0 + 3) / 3 / 2, 30 / 3 / 20])
    assert (table[0].truth, table[0].prediction) == pytest.approx((3, 7 / 3))
    assert feature_score(table) == pytest.approx((2 / 3 + 0.5) / 2)


def test_a_median_of_zero_gives_way_to_the_mean() -> None:
    assert errors((0, 0), (0, 0), (0, 3), (4, 4)) == pytest.approx([3 / 4 / 1])
    assert errors((-4, -2)) == pytest.approx([0.5])  # by its size


def test_where_the_truth_is_always_zero_wrong_images_count_one() -> None:
    assert errors((0, 0), (0, 0)) == [0]
    assert errors((0, 7), (0, 0)) == [0.5]


def test_shares_of_light_are_not_divided_by_next_to_nothing() -> None:
    made = feature_errors([{"x (%)": 0.01}, {"x (%)": 0.03}], [{"x (%)": 0.5}, {"x (%)": 0.03}])
    assert made[0].error == pytest.approx(0.49 / 2 / 1.0)
    assert feature_errors([{"x (%)": 0.0}], [{"x (%)": 0.2}])[0].error == pytest.approx(0.2)


def test_what_one_side_lacks_counts_as_nothing_there() -> None:
    assert errors((5, NAN), (5, 5)) == [0.5]
    assert errors((NAN, 5), (5, 5)) == [0.5]
    assert errors((NAN, NAN), (5, 5)) == [0]
    assert errors((NAN, NAN)) == []
    assert errors((NAN, 3)) == [1]
    assert np.isnan(feature_score([]))


numbers = st.floats(0.01, 1e6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=8), st.floats(0.01, 100))
def test_units_and_order_of_images_do_not_matter(pairs: list[tuple], factor: float) -> None:
    first = errors(*pairs)
    assert first[0] >= 0
    assert errors(*reversed(pairs)) == pytest.approx(first)
    assert errors(*[(factor * t, factor * p) for t, p in pairs]) == pytest.approx(first)
    assert errors(*[(t, t) for t, _ in pairs]) == [0]


def scored(truth: np.ndarray, prediction: np.ndarray) -> FeatureScores:
    made = FeatureScores(STAINS, 40)
    made.add("field", truth, prediction)
    return made


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 50))
def test_identical_images_have_no_error(seed: int) -> None:
    stains = adipocytes(seed)
    found = scored(stains, stains.copy())
    assert found.score() == 0
    assert {one.error for one in found.errors()} == {0}


def test_the_score_grows_with_blur_and_with_lost_light() -> None:
    truth = adipocytes(3, defects=0.2)
    by_blur = [scored(truth, gaussian_filter(truth, (0, s, s))).score() for s in (0.5, 1.5, 4)]
    assert 0 < by_blur[0] < by_blur[1] < by_blur[2]
    by_light = [scored(truth, f * truth).score() for f in (0.95, 0.7, 0.3)]
    assert 0 < by_light[0] < by_light[1] < by_light[2]


def test_turning_both_images_changes_little() -> None:
    """Only where blocks and ties fall; turning one of them changes much."""
    truth, other = adipocytes(4), adipocytes(5)
    straight = scored(truth, other).score()
    turned = scored(truth[:, ::-1, ::-1], other[:, ::-1, ::-1]).score()
    assert turned == pytest.approx(straight, rel=0.1)


def test_empty_predictions_and_empty_truths_are_scored() -> None:
    stains = adipocytes(3)
    nothing = np.full_like(stains, 100)
    lost = scored(stains, nothing)
    assert {e.error for e in lost.errors() if e.truth and "(%)" not in e.name} == {1.0}
    assert 0.7 < lost.score() <= 1
    assert np.isfinite(scored(nothing, stains).score())
    assert scored(nothing, nothing).score() == 0


def test_missed_nuclei_show_in_their_number() -> None:
    truth = adipocytes(3)
    prediction = truth.copy()
    prediction[0, :, :96] = truth[0].min()
    by_name = {one.name: one for one in scored(truth, prediction).errors()}
    number = by_name["Nuclei: number"]
    assert number.prediction < number.truth
    assert number.error == pytest.approx(1 - number.prediction / number.truth)
    assert by_name["Droplets: number"].error == 0


def test_the_table_has_plain_headings_and_the_worst_first() -> None:
    truth = adipocytes(3)
    found = scored(truth, 0.8 * truth)
    table = found.table()
    assert list(table[0]) == ["Feature", "Measured", "Predicted", "Error"]
    values = [row["Error"] for row in table]
    assert values == sorted(values, reverse=True)
    assert len(table) == len(found.errors())
    assert FeatureScores(STAINS).table() == []


def test_stains_must_be_those_measured() -> None:
    with pytest.raises(
        ValueError, match=r"field: expected .* of 3 stains .* found 2 of 9 x 9 px and 3 of"
    ):
        scored(np.zeros((2, 9, 9)), np.zeros((3, 9, 9)))


@pytest.mark.parametrize("value", [NAN, np.inf])
@pytest.mark.parametrize("rows", [2, 96])
def test_a_prediction_without_numbers_counts_as_nothing_found(value: float, rows: int) -> None:
    """Measured, such pixels would end the process within scikit-image."""
    truth = adipocytes(3, n=3, size=96).astype(np.float32)
    broken = truth.copy()
    broken[:, :rows] = value
    scores, nothing = FeatureScores(STAINS), FeatureScores(STAINS)
    scores.add("a", truth, broken)
    nothing.add("a", truth, np.zeros_like(truth))
    assert list(scores.prediction[0]) == list(nothing.prediction[0])
    assert all(np.isnan(v) for v in scores.prediction[0].values())
    assert 0.5 < scores.score() <= 1
    with pytest.raises(ValueError, match=f"b: expected measured stains of numbers, found {value}"):
        scores.add("b", broken, truth)
    assert scores.images == ["a"]
