"""How numbers are written: digits, thousands, signs, and what is no number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microshot.data.dataset import Sample
from microshot.data.image import Image
from microshot.metrics.stain_scoring import stain_scores
from microshot.report import wording
from microshot.report.wording import THIN, difference, duration, number, plain, score_text
from microshot.tasks import task_named
from microshot.tasks.counting.base import CountPrediction, RawCount
from microshot.tasks.segmenting.segmentation import Segmentation


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7, "7"),
        (1204, f"1{THIN}204"),
        (1234567.0, f"1{THIN}234{THIN}567"),
        (0.8612, "0.861"),
        (12.345, "12.3"),
        (12345.6, f"12{THIN}346"),
        (-0.5, "−0.5"),
        (1.5e-7, "1.5×10⁻⁷"),
        (2e-5, "2×10⁻⁵"),
        (3e20, "3×10²⁰"),
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "–"),
        (np.float32(0.25), "0.25"),
        (np.int64(12000), f"12{THIN}000"),
    ],
)
def test_numbers_have_three_digits_and_thin_spaces(value, text) -> None:
    assert number(value) == text


@given(st.floats(1e-4, 1e14))
def test_a_written_number_is_near_the_number(value) -> None:
    assert float(number(value).replace(THIN, "")) == pytest.approx(value, rel=0.006)


def test_scores_are_written_as_their_kind_wants() -> None:
    assert score_text("f1", 0.861) == "0.86"
    assert score_text("f1", 0.9) == "0.90"
    assert score_text("true_positives", 1204.0) == f"1{THIN}204"
    assert score_text("mae", 2.3456) == "2.35"
    assert score_text("f1", None) == "–"
    assert score_text("f1", math.nan) == "–"
    assert score_text("my_own_score", 0.8612) == "0.861"
    assert score_text("error", -1.24) == "−1.2"
    assert score_text("error", -0.04) == "0.0"
    assert wording.score_of("my_own_score").label == "My own score"


@pytest.mark.parametrize(
    ("key", "values", "texts"),
    [
        ("mae", [7.6, 0.9, 2.0], ["7.6", "0.9", "2.0"]),
        ("rmse", [7.966, 1.3, -0.5], ["7.97", "1.30", "−0.50"]),
        ("mae", [3.0, 0.0, 1204.0], ["3", "0", f"1{THIN}204"]),
        ("mae", [123.4, 0.0123], ["123.40", "0.01"]),
        ("med_mae", [0.0312, 0.5, None], ["0.0312", "0.5000", "–"]),
        ("bias", [1e-7, 0.5], ["1×10⁻⁷", "0.5"]),
        ("f1", [0.9, 0.123], ["0.90", "0.12"]),
        ("warning", ["blurred", None], ["blurred", "–"]),
        ("mae", [], []),
    ],
)
def test_scores_of_one_column_have_as_many_decimals(key, values, texts) -> None:
    write = wording.writer(key, values)
    assert [write(value) for value in values] == texts
    columns = wording.writers([key], [{key: value} for value in values])
    assert [columns[key](value) for value in values] == texts


def test_a_difference_fits_the_two_numbers_beside_it() -> None:
    assert difference("f1", 0.636, 0.834) == "+0.19"  # 0.64 and 0.83
    assert difference("f1", 0.834, 0.636) == "−0.19"
    assert difference("f1", 0.861, 0.864) == "+0.003"
    assert difference("f1", 0.5, 0.5) == "0"
    assert difference("f1", 0.5, 0.50001) == "0"
    assert difference("mae", 3.0, 1.5) == "−1.5"
    assert difference("f1", None, 0.5) == "–"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.83, "0.8 s"), (45, "45 s"), (200, "3.3 min"), (7200, "2.0 h"), (None, "–")],
)
def test_durations(seconds, text) -> None:
    assert duration(seconds) == text


def test_any_value_can_be_written() -> None:
    assert plain(True) == "yes"
    assert plain(np.bool_(False)) == "no"
    assert plain([1, 2.5, "a"]) == "1, 2.5, a"
    assert plain({"patch_px": 128}) == "Patch (px): 128"
    assert plain("") == "–"
    assert plain(None) == "–"


def test_headings_from_keys() -> None:
    assert wording.words("image_diameter_px") == "Image diameter (px)"
    assert wording.words("n_channels") == "Number of channels"
    assert wording.words("area_um2") == "Area (µm²)"


def test_long_names_keep_both_ends() -> None:
    short = wording.shortened("plate_0001_well_A01_field_07_DAPI.ome.tif", 21)
    assert len(short) == 21
    assert short.startswith("plate_0001")
    assert short.endswith("ome.tif")
    assert wording.shortened("DAPI.tif", 21) == "DAPI.tif"


@pytest.mark.parametrize(
    ("better", "keys"),
    [(1, ["f1", "recall", "accuracy", "pearson", "ssim", "psnr", "mask_dice", "panoptic_quality"]),
     (-1, ["mae", "mae_unrounded", "mre", "rmse", "relative_error", "med_mae", "feature_score",
           "false_positives", "false_negatives", "unlike"]),
     (0, ["bias", "error", "coverage", "count", "true_count"])],
)  # fmt: skip
def test_it_is_known_whether_more_of_a_score_or_less_is_better(better, keys) -> None:
    assert [wording.score_of(key).better for key in keys] == [better] * len(keys)


def test_every_score_of_a_model_is_known() -> None:
    """One that is not would be shown under its name in the code, without a meaning."""
    labels = np.eye(8, dtype=np.int32)
    sample = Sample("a", Image(np.zeros((1, 8, 8), np.uint8)), labels)
    of_one: dict[str, dict[str, float]] = {"translate": stain_scores(np.eye(16), np.eye(16) + 1)}
    for task, found in (
        ("segment", Segmentation(labels, np.ones(1, np.float32))),
        ("count", CountPrediction(RawCount(1.0))),
    ):
        of_one[task] = task_named(task).score(found, sample)
    assert set(of_one["translate"]) == set(wording.PER_STAIN)
    assert set(task_named("translate").summarize([])) == set(wording.PER_STAIN)
    for task, scores in of_one.items():
        every = {**scores, **task_named(task).summarize([scores])}
        assert set(every) <= {*wording.SCORES, *wording.INTERNAL}, task


def test_internal_sums_are_not_shown_and_scores_come_before_counts() -> None:
    row = {"name": "a", "true_positives": 3, "iou_sum": 2.0, "f1": 0.5}
    keys = wording.by_kind(wording.shown_keys([row], ("name",)))
    assert keys == ["f1", "true_positives"]


def test_scores_of_single_stains_follow_that_of_all_in_the_order_of_the_stains() -> None:
    keys = ["psnr", "pearson_a", "pearson_lipids", "pearson_nuclei", "pearson"]
    ordered = ["pearson", "pearson_nuclei", "pearson_lipids", "pearson_a", "psnr"]
    assert wording.by_kind(keys, stains=("nuclei", "lipids")) == ordered


def test_scores_of_one_stain_are_written_as_that_score() -> None:
    own = wording.score_of("med_mae_lipids")
    assert own.label == "medMAE, lipids"
    assert own.better == -1


@pytest.mark.parametrize("names", [
    [f"2024-03-17_HeLa_well_{w}_field_{f:04d}_channel_0_denoised.tif" for w in ("A01", "B12") for f in range(4)],
    ["x" * 200 + letter + "y" * 200 for letter in "ab"],
    ["a" * 60, "a" * 61],
    ["same" * 20, "same" * 20],
    ["a.tif", "b.tif", ""],
    [],
])  # fmt: skip
def test_names_alike_at_both_ends_are_cut_to_where_they_differ(names) -> None:
    made = wording.differing(names, 26)
    assert len(set(made)) == len(set(names))
    assert all(len(name) <= 26 for name in made)


def test_names_that_differ_at_their_ends_keep_them() -> None:
    assert wording.differing(["short", "a" * 40 + "1"], 9) == ["short", "aaaa…aaa1"]
