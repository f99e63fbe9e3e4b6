"""What reports say of the confidence of objects and of where results come from."""

import numpy as np
import pytest

from microshot.bundle import Card
from microshot.report.record_views import recorded
from microshot.report.reliability_views import confidence_section
from microshot.trust.certainty import calibrated


def card(confidence) -> Card:
    return Card("segment", {}, {}, calibration={"confidence": confidence})


def test_the_reliability_of_a_calibrated_model_is_drawn():
    rng = np.random.default_rng(0)
    p = [rng.uniform(0, 1, 60) for _ in range(5)]
    kept = calibrated([(one, rng.random(60) < one**2) for one in p])
    text = str(confidence_section(card(kept)))
    assert "<svg" in text
    assert "300 objects in 5 images" in text
    assert f"{kept['after']['error']:.3f}, against {kept['before']['error']:.3f}" in text


def test_a_model_checked_on_too_few_objects_says_why_it_has_no_confidence():
    text = str(confidence_section(card(calibrated([([0.5], [True])]))))
    assert "at least 40 objects" in text
    assert "<svg" not in text


@pytest.mark.parametrize(
    "found", [None, 3, {}, {"slope": 1}, {"slope": 1, "before": {"n": "x"}, "after": {"n": [None]}}]
)
def test_old_models_and_senseless_numbers_draw_nothing(found):
    assert str(confidence_section(card(found))) == ""


def test_a_record_names_model_lineage_device_and_versions():
    model = {
        "name": "Mine <b>", "id": "abc", "task": "segment", "created": "2026", "licence": "CC0",
        "data": "dd", "lineage": [{"name": "First", "id": "001"}],
    }  # fmt: skip
    (text,) = recorded(
        {"models": [model], "versions": {"microshot": "0.1.0"}, "device": "CPU: why",
         "seconds": 3.2, "peak_memory_mb": 2048, "finished": "2026"}
    )  # fmt: skip
    for part in ("Mine &lt;b&gt; (abc)", "First (001)", "CPU: why", "2.0 GB", "microshot 0.1.0"):
        assert part in text
    assert recorded(None) == []


def test_a_model_whose_confidence_was_wrong_on_its_images_does_not_promise_it():
    bins = {"n": [50, 50], "confidence": [0.2, 0.9], "right": [0.1, 0.9]}
    kept = {"slope": 1.0, "intercept": 0.0, "n_objects": 100, "n_images": 4}
    for error, warned in ((0.05, False), (0.345, True)):
        after = {**bins, "error": error}
        text = str(
            confidence_section(card({**kept, "before": {**bins, "error": 0.3}, "after": after}))
        )
        assert f"{error:.3f}, against 0.300" in text
        assert ("do not rely on the confidences of this model" in text) == warned
