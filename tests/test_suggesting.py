"""Suggesting images: order, reasons, and what a model's doubt depends on."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microshot import suggesting
from microshot.data.dataset import Dataset, Sample
from microshot.data.image import Image
from microshot.progress import Cancelled
from microshot.settings.suggesting import CRITERIA, SuggestSettings
from microshot.suggesting import Look, Observer, ranked, suggest
from tasks_of_all_kinds import one_of_each
from tiny_models import CancelWhen, Watch, any_size, field, fields, model

CPU = SuggestSettings(device="cpu")


def looks(features, doubts, within=0.0):
    made = zip(np.asarray(features, np.float32), doubts, strict=True)
    return [
        Look(
            f"i{i}", float(d), "it wavers", np.atleast_1d(f), np.full_like(np.atleast_1d(f), within)
        )
        for i, (f, d) in enumerate(made)
    ]


def order(found):
    return [s.index for s in found]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.sampled_from(sorted(CRITERIA)))
def test_every_image_is_suggested_once_and_benefits_never_rise(doubts, criterion):
    rng = np.random.default_rng(len(doubts))
    made = looks(rng.normal(size=(len(doubts), 3)), doubts)
    found = ranked(made, SuggestSettings(criterion=criterion))
    assert sorted(order(found)) == list(range(len(doubts)))
    assert [s.rank for s in found] == list(range(1, len(doubts) + 1))
    benefit = [s.benefit for s in found]
    assert all(a >= b - 1e-6 for a, b in itertools.pairwise(benefit))
    assert all(0 <= b <= 1 + 1e-6 for b in benefit)
    assert all(s.reason for s in found)


def test_the_most_unsure_image_comes_first_where_only_doubt_counts():
    found = ranked(
        looks(np.zeros((4, 2)), [0.2, 0.9, 0.1, 0.5]), SuggestSettings(criterion="unsure")
    )
    assert order(found) == [1, 3, 0, 2]
    assert found[0].reason == "unsure: it wavers"
    found = ranked(looks(np.zeros((2, 2)), [0.0, 0.1]), SuggestSettings(criterion="unsure"))
    assert [s.reason for s in found] == ["unsure: it wavers", "the model is sure"]


def test_one_image_of_every_kind_comes_before_a_second_one():
    rng = np.random.default_rng(0)
    kinds = np.repeat(rng.normal(0, 10, (3, 40)), 5, axis=0) + rng.normal(0, 0.1, (15, 40))
    found = ranked(looks(kinds, np.full(15, 0.5)), SuggestSettings(criterion="different", n=3))
    assert sorted(i // 5 for i in order(found)) == [0, 1, 2]
    assert all(s.reason == "looks like 4 others" for s in found)


def test_of_two_kinds_the_one_the_model_is_unsure_of_comes_first():
    kinds = np.repeat([[0.0], [10.0]], 6, axis=0) + np.linspace(0, 0.5, 12)[:, None]
    doubts = np.r_[np.linspace(0.0, 0.1, 6), np.linspace(0.8, 0.9, 6)]
    found = ranked(looks(kinds, doubts), SuggestSettings(n=2))
    assert order(found)[0] >= 6 > order(found)[1]
    assert found[0].reason.startswith("unsure: it wavers; looks like ")


def test_an_image_unlike_all_others_is_called_so():
    features = np.r_[np.random.default_rng(1).normal(0, 0.1, (9, 2)), [[30, 30]]]
    found = ranked(looks(features, [0.9] * 9 + [0.0]), SuggestSettings())
    assert next(s for s in found if s.index == 9).reason == "unlike the others"


def test_images_of_one_kind_are_not_called_unlike_each_other():
    features = np.random.default_rng(2).normal(size=(12, 60))
    found = ranked(looks(features, [0.5] * 12), SuggestSettings())
    assert all(s.reason.startswith("looks like ") for s in found)
    few = ranked(looks(features[:2], [0.5] * 2), SuggestSettings())
    assert [s.reason for s in few] == ["too few images to compare"] * 2


def test_images_that_differ_more_than_the_halves_of_each_are_not_called_alike():
    features = np.random.default_rng(2).normal(size=(6, 60))
    of_one_kind = ranked(looks(features, [0.5] * 6, within=2.0), SuggestSettings())
    assert {s.reason for s in of_one_kind} == {"looks like 5 others"}
    all_different = ranked(looks(features, [0.5] * 6, within=0.5), SuggestSettings())
    assert {s.reason for s in all_different} == {"unlike the others"}
    assert order(of_one_kind) == order(all_different)


@pytest.mark.parametrize(
    ("criterion", "doubts", "expected", "benefits"),
    [("different", [0.5, 0.5, 0.5], [1, 2, 0], [18, 8, 2]),
     # weights 1, 0.1 and 0.55
     ("both", [0.9, 0.1, 0.5], [0, 2, 1], [10 + 0.6, 5.5, 0.2]),
     # two share the ranks 0 and 1/2: weights 0.325, 1 and 0.325
     ("both", [0.5, 0.9, 0.5], [1, 2, 0], [2.6 + 8 + 0.65, 2.6, 0.65])],
)  # fmt: skip
def test_benefits_by_hand(criterion, doubts, expected, benefits):
    """At 0, 2 and 10: at first they stand 10, 8 and 10 from the farthest image, later from the nearest chosen."""
    found = ranked(looks([[0.0], [2.0], [10.0]], doubts), SuggestSettings(criterion=criterion))
    assert order(found) == expected
    assert [s.benefit for s in found] == pytest.approx(
        [b / benefits[0] for b in benefits], abs=1e-6
    )


@pytest.mark.parametrize("features", [np.zeros((4, 2)), [[0.0], [0.0], [5.0], [5.0]]])
def test_images_with_equal_features_are_suggested_once_each(features):
    for criterion in CRITERIA:
        made = looks(features, [0.5, 0.9, 0.1, 0.3])
        assert sorted(order(ranked(made, SuggestSettings(criterion=criterion)))) == [0, 1, 2, 3]


def test_every_feature_counts_by_how_much_it_differs_between_images():
    """In units of the spread 0, 2, 10 and 0, 8, 10: the one between is √34 from both, and they 10 apart."""
    made = looks([[0.0, 0.0], [2.0, 8000.0], [10.0, 10000.0]], [0.5] * 3)
    found = ranked(made, SuggestSettings(criterion="different"))
    near = 34**0.5
    first = 2 * (10 - near) + near
    assert found[0].index == 1
    assert [s.benefit for s in found] == pytest.approx([1, near / first, near / first], abs=1e-5)


@pytest.mark.parametrize(
    ("apart", "told"), [(1.9, "looks like 1 other"), (2.1, "unlike the others")]
)
def test_images_are_alike_up_to_twice_the_usual_distance_to_the_nearest(apart, told):
    made = looks(np.array([[0, 1, 10, 11, 20, 20 + apart]]).T, [0.5] * 6)
    found = ranked(made, SuggestSettings(criterion="different"))
    reasons = {s.index: s.reason for s in found}
    assert [reasons[i] for i in range(6)] == ["looks like 1 other"] * 4 + [told] * 2


def test_images_after_those_chosen_one_by_one_follow_by_doubt(monkeypatch):
    monkeypatch.setattr(suggesting, "MOST_CHOSEN", 1)
    made = looks([[0.0], [1.0], [2.0], [30.0]], [0.3, 0.1, 0.9, 0.5])
    found = ranked(made, SuggestSettings())
    assert order(found) == [2, 3, 0, 1]
    assert [s.benefit for s in found] == [1, 0, 0, 0]


def test_no_image_more_than_wanted_is_suggested():
    made = looks(np.arange(5.0)[:, None], np.arange(5) / 5)
    assert len(ranked(made, SuggestSettings(n=2))) == 2
    assert len(ranked(made, SuggestSettings(n=99))) == 5
    assert ranked([], SuggestSettings()) == []


@pytest.mark.parametrize("head", ["stardist", "foreground"])
def test_noise_where_objects_were_learned_raises_doubt(head):
    observer = Observer(model(head=head), CPU)
    clear = field(3)
    rng = np.random.default_rng(0)
    faint = (
        1000 + 0.12 * (clear.image.pixels - 1000.0) + rng.normal(0, 400, (1, *clear.image.shape))
    )
    vague = dataclasses.replace(clear, image=Image(faint.clip(0, 65535).astype(np.uint16), 0.5))
    sure, unsure = observer(clear), observer(vague)
    assert 0 <= sure.doubt < unsure.doubt <= 1
    assert sure.features.shape == unsure.features.shape
    assert np.isfinite(sure.features).all()


@pytest.mark.parametrize("task", ["count", "twin-vae", "translate"])
def test_every_task_has_doubts_and_features(task):
    bundle, data = one_of_each(task)
    found = suggest(bundle, data, CPU)
    assert len(found) == len(data)
    assert all(0 <= s.doubt <= 1 for s in found)


def test_what_the_user_tells_of_the_images_is_what_the_model_is_told():
    wish = SuggestSettings(device="cpu", diameter_px=28.0, channel="2", tile_px=512)
    p = Observer(any_size(model()), wish).predictor
    assert (p.options.diameter_px, p.options.tile_px, p.recipe.channel) == (28, 512, "2")
    sample = field(5)
    two = np.concatenate([np.zeros_like(sample.image.pixels), sample.image.pixels])
    told = dataclasses.replace(wish, diameter_px=0.0, tile_px=0)
    one, other = Observer(model(), told)(Sample("two", Image(two))), Observer(model(), CPU)(sample)
    assert one.doubt == other.doubt


def test_the_truth_is_not_looked_at():
    observer = Observer(model(), CPU)
    sample = field(5)
    blind = Sample(sample.name, sample.image)
    one, other = observer(sample), observer(blind)
    assert (one.doubt, one.why) == (other.doubt, other.why)
    np.testing.assert_array_equal(one.features, other.features)


def test_progress_only_rises_also_where_the_size_of_objects_is_looked_for():
    watch = Watch()
    Observer(any_size(model()), CPU)(field(5), watch)
    assert watch.fractions == sorted(watch.fractions)


def test_no_images_and_cancelling():
    with pytest.raises(ValueError, match="no image to choose from"):
        suggest(model(), Dataset(), CPU)
    with pytest.raises(Cancelled):
        suggest(model(), fields(3), CPU, progress=CancelWhen("image 2 of 3"))
