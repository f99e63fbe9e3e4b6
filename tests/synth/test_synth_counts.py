"""Laws for the number of objects."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from microshot import knobs
from microshot.settings import GenerateSettings
from microshot.synth import counts


@pytest.mark.parametrize(
    ("law", "expected"),
    [
        (counts.uniform(2, 9), lambda n: np.full(n.shape, 1 / 8)),
        (counts.linear(), lambda n: (36 - n) / 615),
        (counts.poisson(7.5), lambda n: stats.poisson.pmf(n, 7.5)),
        (counts.geometric(4.0), lambda n: 0.2 * 0.8**n),
        (
            counts.empirical([3, 3, 5, 0]),
            lambda n: np.select([n == 3, n > 0, n == 0], [0.5, 0.25, 0.25]),
        ),
    ],
)
def test_drawn_counts_follow_the_law(law, expected):
    rng = np.random.default_rng(11)
    drawn = np.array([law.sample(rng) for _ in range(4000)])
    values = np.asarray(law.values)
    wanted = expected(values) * len(drawn)
    observed = np.array([(drawn == v).sum() for v in values])
    common = wanted >= 5
    observed = np.append(observed[common], observed[~common].sum())
    wanted = np.append(wanted[common], len(drawn) - wanted[common].sum())
    kept = wanted > 1e-6
    assert observed[~kept].sum() == 0
    chi2 = ((observed[kept] - wanted[kept]) ** 2 / wanted[kept]).sum()
    assert stats.chi2.sf(chi2, kept.sum() - 1) > 0.01


def test_the_linear_law_has_the_mean_of_the_published_one():
    assert counts.linear().mean == pytest.approx(11.8, abs=0.05)


def test_the_fixed_law_is_fixed():
    assert {counts.fixed(4).sample(np.random.default_rng(i)) for i in range(20)} == {4}


@pytest.mark.parametrize("name", counts.LAW_NAMES)
@pytest.mark.parametrize("mean", [0, 1, 2, 3, 5.5, 11.85, 20, 400, 10_000])
def test_named_laws_have_the_wanted_mean(name, mean):
    half_a_step = 0.5 if name == "fixed" else 0.25
    assert counts.named(name, mean).mean == pytest.approx(mean, rel=1e-4, abs=half_a_step)


def test_the_published_law_stretched_to_its_own_mean_is_itself():
    assert counts.named("linear", counts.linear().mean) == counts.linear()


def test_a_scaled_law_has_its_mean_in_proportion():
    assert counts.fixed(15).scaled(2) == counts.fixed(30)
    fewer = counts.fixed(15).scaled(0.25)
    assert fewer.values == (3, 4)
    assert fewer.mean == pytest.approx(3.75)
    assert counts.poisson(7).scaled(0.1).mean == pytest.approx(0.7)


def test_fractional_counts_are_shared_between_their_neighbours():
    law = counts.empirical([2.5])
    assert law.values == (2, 3)
    assert law.weights == (0.5, 0.5)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: counts.named("normal", 3), 'Unknown count law "normal": choose one of fixed'),
        (lambda: counts.named("poisson", -1), "must lie between 0 and 10000, found -1"),
        (lambda: counts.poisson(1e9), "must lie between 0 and 10000"),
        (lambda: counts.empirical([]), "one or more numbers of 0 or above"),
        (lambda: counts.empirical([1, float("nan")]), "one or more numbers of 0 or above"),
        (lambda: counts.CountLaw((1, 2), (1.0,)), "one weight per number"),
        (lambda: counts.CountLaw((1, 2), (0.0, 0.0)), "at least one weight above 0"),
    ],
)
def test_what_is_no_law_is_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_the_settings_allow_as_many_objects_as_the_laws():
    most = {name: knob.maximum for name, knob, _ in knobs.knobs(GenerateSettings)}
    assert most["mean_count"] == counts.MAX_MEAN
