"""Growth curves: exact ones are found, zeros and scatter are borne, little is not over-read."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microshot.metrics.growth import growth
from microshot.report.growth_views import growth_section
from tiny_images import page_text


@given(st.floats(-3, 3).filter(lambda r: abs(r) > 0.05), st.floats(1, 500), st.floats(-50, 50))
def test_an_exact_curve_is_found_in_any_unit_and_from_any_origin(doublings, start, origin):
    times = np.linspace(0, 10, 12) + origin
    counts = start * 2 ** (doublings * (times - origin) / 10)
    found = growth(times.tolist(), counts.tolist())
    assert found.doubling == pytest.approx(10 / doublings, rel=1e-3)
    assert found.at(origin) == pytest.approx(start, rel=1e-3)
    assert found.start == pytest.approx(found.at(0.0))
    later = growth((times * 60).tolist(), counts.tolist())
    assert later.doubling == pytest.approx(60 * found.doubling, rel=1e-3)


@pytest.mark.parametrize(("origin", "unit"), [(45000, 1 / 24), (1.7e9, 3600), (2024, 1 / 8760)])
@pytest.mark.parametrize("doublings", [2.4, -2.4])
def test_days_seconds_and_years_of_a_calendar_are_times(origin, unit, doublings):
    times = origin + np.arange(0, 48, 4) * unit
    counts = 50 * 2.0 ** (doublings * np.arange(12) / 11)
    found = growth(times.tolist(), counts.tolist())
    assert found.doubling == pytest.approx(44 * unit / doublings, rel=1e-3)
    assert found.at(times[0]) == pytest.approx(50, rel=1e-3)
    assert found.start is None
    rows = [
        {"time": t, "count": c, "group": g}
        for g in "ab"
        for t, c in zip(times, counts, strict=True)
    ]
    assert "<td" in (page := growth_section(rows))
    assert "nan" not in page


@pytest.mark.parametrize(("n", "scatter"), [(3, 1), (3, 4), (6, 1)])
def test_the_interval_holds_the_true_rate_as_often_as_promised(n, scatter):
    rng, times, true = np.random.default_rng(n + scatter), np.linspace(0, 40, n), math.log(2) / 20
    mean = 40 * np.exp(true * times)
    inside = 0
    for _ in range(600):
        drawn = rng.gamma(mean / (scatter - 1), scatter - 1) if scatter > 1 else mean
        found = growth(times.tolist(), rng.poisson(drawn).tolist())
        inside += found.rate_low <= true <= found.rate_high
    assert 0.92 <= inside / 600 <= 0.98


def test_counts_exactly_on_a_curve_scatter_as_chance_makes_them():
    found = growth([0, 1, 2], [5, 10, 20])
    assert (found.rate_low, found.rate_high) == pytest.approx((0.24, 1.15), abs=0.01)
    same = growth([0, 1, 2], [10, 10, 10])
    assert same.rate_low < 0 < same.rate_high
    once = growth([0, 1, 2], [0, 0, 5])
    assert once.rate_low < 0 < once.rate_high


def test_zeros_are_counts_and_constant_counts_do_not_grow():
    falling = growth([0, 1, 2, 3, 4, 5] * 2, [64, 30, 17, 8, 4, 0] * 2)
    assert -1.2 < falling.doubling < -0.8
    assert f"halves every {-falling.doubling:.3g} h (95 % interval" in falling.sentence("h")
    flat = growth([0, 1, 2, 3, 4], [10, 11, 9, 10, 10])
    assert "No growth or decay" in flat.sentence()


@pytest.mark.parametrize(
    ("times", "counts", "why"),
    [
        ([0, 1], [1, 2], "3 or more times"),
        ([0, 1, 2], [0, 0, 0], "all counts are 0"),
        ([], [], "0"),
    ],
)
def test_too_little_is_refused(times, counts, why):
    with pytest.raises(ValueError, match=why):
        growth(times, counts)


def test_the_page_tells_every_group_and_what_could_not_be_fitted():
    rows = [
        {"time": float(t), "count": n * 2.0 ** (t / 5), "group": g}
        for g, n in (("drug", 3), ("control", 20)) for t in range(0, 20, 2)
    ]  # fmt: skip
    rows += [{"time": 0.0, "count": 4.0, "group": "lone"}, {"time": None, "count": 4.0}]
    text = page_text(f"<main>{growth_section(rows, 'hours')}</main>")
    assert (
        "control: The count doubles every 5 (95 % interval 4.56 to 5.53; 10 images at 10 times)."
        in text
    )
    assert "lone: A growth curve needs counts at 3 or more times, found 1" in text
    assert "hours" in text
    assert growth_section([{"time": None, "count": 3.0}]) == ""
