"""Retraining: old against new on images left out, which of them is passed on, lineage."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microshot import api
from microshot.bundle import Bundle
from microshot.data.dataset import Dataset, Sample
from microshot.data.image import Image
from microshot.learning.comparing import subsets
from microshot.progress import Cancelled
from microshot.settings import PredictSettings
from microshot.tasks import task_named
from tiny_models import (
    RETRAIN,
    TRAIN,
    CancelWhen,
    Watch,
    any_size,
    changed,
    field,
    fields,
    model,
    synthetic,
    unlabelled,
    with_card,
)

SEGMENT = task_named("segment")


def test_every_image_is_left_out_once() -> None:
    data = Dataset((*fields(3), unlabelled(field(70))))
    result = api.retrain(model(), data, changed(RETRAIN, keep_better=False))
    assert [e.sample.name for e in result.comparison] == ["field0", "field1", "field2"]
    assert all(e.held_out and "f1" in e.scores and "f1" in e.old_scores for e in result.comparison)
    assert [e.old.labels.shape for e in result.comparison] == [(64, 72)] * 3
    assert set(result.bundle.card.thresholds) == {"probability", "overlap"}
    assert result.kept == "new"
    assert result.notes == []
    card = result.bundle.card
    assert card.scores["images"] == "held out"
    assert card.scores["n_images"] == 3
    assert card.scores["verdict"] == result.verdict
    old = SEGMENT.summarize([e.old_scores for e in result.comparison])["f1"]
    assert card.scores["old_f1"] == old


def test_generated_images_are_judged_without_being_told_the_size_of_their_objects() -> None:
    own = [field(n, shape=(120, 120), radius=radius) for n, radius in enumerate((4, 7, 11, 16))]
    still = changed(RETRAIN, training__learning_rate=1e-12)
    verdicts = []
    for domain in ("natural", "synthetic"):
        data = Dataset.of(dataclasses.replace(s, domain=domain) for s in own)
        verdicts.append(api.retrain(model(), data, still).verdict)
    assert verdicts[0] == verdicts[1]


def test_more_than_eight_images_are_left_out_in_five_groups(monkeypatch) -> None:
    from microshot.learning.fitting import Fitting

    sizes: list[int] = []
    fit = Fitting.fit

    def counted(self: Fitting, natural: Dataset, *rest: Any) -> Any:
        sizes.append(len(natural))
        return fit(self, natural, *rest)

    monkeypatch.setattr(Fitting, "fit", counted)
    settings = changed(RETRAIN, training__steps_per_epoch=1)
    result = api.retrain(model(), fields(9, shape=(40, 40)), settings)
    assert [e.sample.name for e in result.comparison] == [f"field{i}" for i in range(9)]
    assert sizes == [7, 7, 7, 7, 8, 9]  # five groups of two or one, then all


def test_an_image_is_judged_by_a_model_that_has_not_seen_it() -> None:
    """Other labels of an image do not change what the check predicts on it."""
    data = fields(2)
    labels = np.zeros((64, 72), np.int32)
    labels[20:40, 20:40] = 1
    other = dataclasses.replace(data[0], labels=labels)
    settings = changed(RETRAIN, images__diameter_px=14.0)
    first = api.retrain(model(), data, settings)
    second = api.retrain(model(), Dataset((other, data[1])), settings)
    a, b = first.comparison[0], second.comparison[0]
    assert a.prediction.n_objects
    assert np.array_equal(a.prediction.labels, b.prediction.labels)
    assert np.array_equal(a.old.labels, b.old.labels)
    assert a.scores != b.scores
    a, b = first.comparison[1], second.comparison[1]
    assert not np.array_equal(a.prediction.probability, b.prediction.probability)


def test_thresholds_are_set_on_images_the_judged_model_has_seen_and_pooled_for_the_user(
    monkeypatch,
) -> None:
    from microshot.tasks.segmenting.task import SegmentTask

    start, calls = model(), []

    def calibrate(
        self: Any, raw: Any, samples: Any, *rest: Any, held_out: bool = True
    ) -> dict[str, float]:
        calls.append(len(samples))
        assert held_out == (len(samples) == 3)
        assert len(raw) == len(samples)
        return {"probability": 0.3 if len(samples) == 3 else 0.9999, "overlap": 0.4}

    monkeypatch.setattr(SegmentTask, "calibrate", calibrate)
    result = api.retrain(start, fields(3), changed(RETRAIN, keep_better=False))
    assert calls == [2, 2, 2, 3]  # the final model takes over the thresholds of the check
    assert result.bundle.card.thresholds["probability"] == 0.3
    assert not any(e.prediction.n_objects for e in result.comparison)
    assert all(e.prediction.n_objects for e in result.examples)


def test_one_labelled_image_is_enough_but_nothing_is_compared() -> None:
    result = api.retrain(model(), fields(1), RETRAIN)
    assert result.comparison == []
    assert result.kept == "new"
    assert result.verdict == "The retrained model was not compared with the old one."
    assert result.notes == [
        "With one labelled image nothing can be left out: the models are not compared."
    ]
    card = result.bundle.card
    assert card.scores["images"] == "training images"
    assert "verdict" not in card.scores
    assert card.name == "tiny, retrained on 1 image"
    assert card.id != model().card.id


def test_without_a_check_all_goes_into_the_final_model() -> None:
    watch = Watch()
    result = api.retrain(model(), fields(2), changed(RETRAIN, check="none"), progress=watch)
    assert result.comparison == []
    assert result.notes == []
    assert len(result.examples) == 2
    assert not any("check" in m for m in watch.messages)
    assert watch.fractions[0] < 0.1


def test_retraining_repeats_exactly() -> None:
    a, b = (api.retrain(model(), fields(2), changed(RETRAIN, keep_better=False)) for _ in range(2))
    assert a.bundle.card.id == b.bundle.card.id
    assert a.verdict == b.verdict


def test_the_final_model_does_not_depend_on_the_check() -> None:
    checked, plain = (
        api.retrain(model(), fields(2), changed(RETRAIN, check=check, keep_better=False)).bundle
        for check in ("leave-one-out", "none")
    )
    for name, value in plain.weights.items():
        assert np.array_equal(value, checked.weights[name]), name


def test_training_begins_with_the_old_weights() -> None:
    still = changed(RETRAIN, training__learning_rate=1e-12, check="none")
    kept = api.retrain(model(), fields(2), still).bundle.weights
    for name, value in model().weights.items():
        assert np.allclose(value, kept[name], atol=1e-6), name
    new_head = api.retrain(model(), fields(2), changed(still, new_head=True)).bundle.weights
    assert not np.allclose(new_head["head.weight"], model().weights["head.weight"], atol=1e-4)
    stem = "stem.0.weight"
    assert np.allclose(new_head[stem], model().weights[stem], atol=1e-6)


@pytest.mark.parametrize(
    ("strategy", "still"),
    [("head", ("stem.", "backbone.")), ("freeze-encoder", ("stem.", "backbone.encoder."))],
)
def test_frozen_parts_stay_bit_for_bit(strategy, still) -> None:
    settings = changed(RETRAIN, strategy=strategy, check="none")
    weights = api.retrain(model(), fields(2), settings).bundle.weights
    for name, value in model().weights.items():
        if name.startswith(still):
            assert np.array_equal(value, weights[name]), name
    assert not np.array_equal(model().weights["head.weight"], weights["head.weight"])


def test_the_first_layer_for_other_channels_learns_whatever_is_frozen() -> None:
    """Else the network sees nothing but the mean of the channels, for ever."""
    two = Dataset.of(field(seed, n_channels=2) for seed in range(2))
    weights = api.retrain(
        model(), two, changed(RETRAIN, strategy="head", check="none")
    ).bundle.weights
    first = weights["stem.0.weight"]
    assert not np.allclose(first[:, 0], first[:, 1], atol=1e-6)
    name = "backbone.bottleneck.0.0.weight"
    assert np.array_equal(weights[name], model().weights[name])


def test_thawing_runs_through() -> None:
    settings = changed(RETRAIN, strategy="thaw", check="none", training__steps_per_epoch=6)
    weights = api.retrain(model(), fields(2), settings).bundle.weights
    assert not np.array_equal(model().weights["stem.0.weight"], weights["stem.0.weight"])


def test_synthetic_images_can_be_added() -> None:
    result = api.retrain(
        model(), fields(2), changed(RETRAIN, keep_better=False), synthetic=synthetic(3)
    )
    assert result.bundle.card.data["n_images"] == 5
    assert len(result.comparison) == 2
    alone = api.retrain(model(), fields(2), changed(RETRAIN, keep_better=False))
    assert alone.bundle.card.id != result.bundle.card.id


def test_lineage_goes_back_to_the_first_model() -> None:
    first = model()
    settings = changed(RETRAIN, check="none")
    second = api.retrain(first, fields(1, seed=1), settings).bundle
    third = api.retrain(second, fields(1, seed=2), settings).bundle
    assert [one["id"] for one in third.card.lineage] == [first.card.id, second.card.id]
    assert [one["name"] for one in third.card.lineage] == [first.card.name, second.card.name]
    assert third.card.lineage[0]["data"] == first.card.data["fingerprint"]
    assert third.card.lineage[0]["licence"] == third.card.licence == "CC0"
    again = Bundle.from_bytes(third.to_bytes()).card
    assert again.lineage == third.card.lineage


def test_a_retrained_model_keeps_network_and_normalisation_and_takes_the_new_diameter() -> None:
    start = model().card
    data = fields(2, radius=12)
    card = api.retrain(model(), data, changed(RETRAIN, check="none")).bundle.card
    assert card.architecture == start.architecture
    assert card.normalization == start.normalization
    assert card.preparation["working_diameter_px"] == start.preparation["working_diameter_px"]
    assert card.preparation["image_diameter_px"] > 1.4 * start.preparation["image_diameter_px"]
    given = api.retrain(
        model(), data, changed(RETRAIN, check="none", images__diameter_px=33.0)
    ).bundle.card
    assert given.preparation["image_diameter_px"] == 33


def test_images_with_other_channels_are_retrained_on_but_not_compared() -> None:
    data = fields(2, n_channels=3)
    result = api.retrain(model(), data, RETRAIN)
    assert result.bundle.card.architecture["in_channels"] == 3
    assert result.notes == [
        "The old model takes 1 channel and these images have 3: the models are not compared."
    ]
    assert api.Predictor(result.bundle)(data[0]).labels.shape == (64, 72)


def in_colour(sample: Sample) -> Sample:
    """The same image as programs export it that write nothing but colours."""
    image = sample.image
    pixels = np.repeat(image.pixels, 3, axis=0)
    return dataclasses.replace(sample, image=Image(pixels, image.pixel_size_um, is_colour=True))


def test_grey_images_saved_in_colour_are_retrained_on_and_compared_as_grey_ones() -> None:
    grey, saved = fields(3), Dataset.of(map(in_colour, fields(3)))
    expected, result = (api.retrain(model(), data, RETRAIN) for data in (grey, saved))
    assert result.verdict == expected.verdict
    assert result.bundle.card.id == expected.bundle.card.id
    assert result.notes == [
        "3 of 3 images are grey but saved in colour: one channel is used.",
        *expected.notes,
    ]


def test_grey_images_saved_in_colour_stay_as_they_are_for_a_model_of_three_channels() -> None:
    saved = Dataset.of(map(in_colour, fields(2)))
    other = dataclasses.replace(saved[0], image=coloured(saved[0].image))
    start = api.train(Dataset((other, saved[1])), TRAIN).bundle
    assert start.card.architecture["in_channels"] == 3
    assert api.retrain(start, saved, RETRAIN).bundle.card.architecture["in_channels"] == 3
    assert len(api.Predictor(start)(saved[0]).labels) == 64


def coloured(image: Image) -> Image:
    return dataclasses.replace(
        image, pixels=image.pixels // np.array([[[1]], [[2]], [[3]]], np.uint16)
    )


def among_others(sample: Sample) -> Sample:
    """The same image as the second of three named channels."""
    rng, image = np.random.default_rng(0), sample.image
    noise = rng.integers(0, 60000, (2, *image.shape)).astype(np.uint16)
    pixels = np.stack([noise[0], image.pixels[0], noise[1]])
    channels = ("GFP", "DAPI", "RFP")
    return dataclasses.replace(sample, image=Image(pixels, image.pixel_size_um, channels))


@pytest.mark.parametrize("wanted", ["2", "dapi"])
def test_one_channel_of_several_is_learned_from_and_remembered(wanted) -> None:
    data = Dataset.of(map(among_others, fields(3)))
    expected = api.retrain(model(), fields(3), RETRAIN)
    result = api.retrain(model(), data, changed(RETRAIN, images__channel=wanted))
    assert result.verdict == expected.verdict
    for name, value in expected.bundle.weights.items():
        assert np.array_equal(result.bundle.weights[name], value), name
    again = api.Predictor(result.bundle)
    alone = api.Predictor(expected.bundle)(fields(3)[1]).labels
    assert np.array_equal(again(data[1]).labels, alone)  # without being told
    assert np.array_equal(again(fields(3)[1]).labels, alone)  # and of the channel alone
    second = api.retrain(result.bundle, data, RETRAIN)
    assert second.bundle.card.architecture["in_channels"] == 1
    assert second.comparison


def test_without_being_told_the_channel_is_asked_for() -> None:
    told = r'found 3; say which one as "Channel" \(on the command line: --set channel=1\)\.$'
    with pytest.raises(ValueError, match=told):
        api.Predictor(model())(among_others(field(1)))
    wish = PredictSettings(channel="DAPI")
    found = api.Predictor(model(), wish)(among_others(field(1)))
    seen = api.Predictor(model(), wish).seen(among_others(field(1)))
    assert np.array_equal(seen.image.pixels, field(1).image.pixels)
    assert np.array_equal(found.labels, api.Predictor(model())(field(1)).labels)
    with pytest.raises(
        ValueError, match=r'expected a channel "Hoechst", found 3 channels \(GFP, D'
    ):
        api.Predictor(model(), PredictSettings(channel="Hoechst"))(among_others(field(1)))


def test_progress_never_goes_back() -> None:
    watch = Watch()
    api.retrain(model(), fields(3), changed(RETRAIN, training__steps_per_epoch=5), progress=watch)
    assert watch.fractions == sorted(watch.fractions)
    assert 0.95 < watch.fractions[-1] <= 1
    assert any(m.startswith("check: 1 of 3, training, step 1") for m in watch.messages)
    assert any(m.startswith("check: 3 of 3, ") for m in watch.messages)


# ----------------------------------------------------------------------------------- cancel


@pytest.mark.parametrize(
    "moment", ["check: 1 of 2, training", "check: 2 of 2, predicting", "check: setting"]
)
def test_a_cancel_during_the_check_stops_everything(moment) -> None:
    with pytest.raises(Cancelled):
        api.retrain(model(), fields(2), RETRAIN, progress=CancelWhen(moment))


def test_a_cancel_in_the_final_training_keeps_its_best_model(monkeypatch) -> None:
    from microshot.training import trainer

    monkeypatch.setattr(trainer, "throttled", lambda progress: progress)

    class Final(CancelWhen):
        def __call__(self, fraction: float, message: str = "") -> None:
            super().__call__(fraction, "" if message.startswith("check") else message)

    settings = changed(RETRAIN, keep_better=False)
    result = api.retrain(model(), fields(2), settings, progress=Final("training, step 3"))
    assert result.stopped == "cancelled"
    assert len(result.comparison) == 2
    assert result.bundle.card.training["stopped"] == "cancelled"
    assert result.bundle.card.training["steps"] == 2
    assert api.Predictor(result.bundle)(field(3)).labels.shape == (64, 72)
    whole = api.retrain(model(), fields(2), settings)
    assert result.bundle.card.thresholds == whole.bundle.card.thresholds  # those of the check


# ----------------------------------------------------------------------------- learning curve


def test_a_learning_curve_goes_from_the_old_model_to_all_but_one_image(monkeypatch) -> None:
    from microshot.learning.fitting import Fitting

    fits: list[tuple[tuple[str, ...], float]] = []
    fit = Fitting.fit

    def noted(
        self: Fitting, natural: Dataset, extra: Any, out: Any, seconds: float, *rest: Any
    ) -> Any:
        fits.append((tuple(s.name for s in natural), seconds))
        return fit(self, natural, extra, out, seconds, *rest)

    start = model()
    monkeypatch.setattr(Fitting, "fit", noted)
    settings = changed(RETRAIN, learning_curve=True, minutes=16, training__steps_per_epoch=1)
    watch = Watch()
    result = api.retrain(start, fields(4, shape=(40, 40)), settings, progress=watch)
    assert [(p.n_images, p.n_models, p.n_scored) for p in result.curve] == [
        (0, 1, 4), (1, 2, 6), (2, 2, 4), (3, 4, 4)
    ]  # fmt: skip
    assert [len(names) for names, _ in fits] == [3] * 4 + [1, 1, 2, 2, 4]
    assert {seconds for _, seconds in fits[:-1]} == {60.0}  # half of 16 min, shared by eight
    assert fits[-1][1] == 480
    chosen = [set(names) for names, _ in fits[4:8]]
    assert chosen[0] < chosen[2]
    assert chosen[1] < chosen[3]
    assert not chosen[2] & chosen[3]
    for point, scores in ((result.curve[0], "old_scores"), (result.curve[-1], "scores")):
        pooled = SEGMENT.summarize([getattr(e, scores) for e in result.comparison])
        assert point.score == pooled["f1"]
    assert math.isnan(result.curve[0].step_error)
    assert all(p.step_error >= 0 for p in result.curve[1:])
    assert watch.fractions == sorted(watch.fractions)
    assert any("fewer images, 4 of 4" in m for m in watch.messages)


def test_without_being_asked_for_there_is_no_learning_curve() -> None:
    assert not RETRAIN.learning_curve
    settings = changed(RETRAIN, learning_curve=True, check="none")
    assert api.retrain(model(), fields(3, shape=(40, 40)), settings).curve == []


@given(n=st.integers(2, 60), seed=st.integers(0, 9))
def test_images_of_a_learning_curve_are_nested_and_leave_some_out(n: int, seed: int) -> None:
    largest = n - max(1, -(-n // 5) if n > 8 else 1)
    made = subsets(n, largest, seed)
    assert all(sorted(set(one)) == one and 0 < len(one) < max(largest, 2) for one in made)
    assert all(0 <= i < n for one in made for i in one)
    assert [len(one) for one in made] == sorted(len(one) for one in made)
    for small, large in zip(made, made[2:], strict=False):
        assert set(small) < set(large)
    assert made == subsets(n, largest, seed)


# ------------------------------------------------------------------------------ the better one


@pytest.fixture
def hopeless(monkeypatch) -> None:
    """Every comparison ends with the old model."""
    monkeypatch.setattr(api, "judge", lambda task, comparison: ("No better.", not comparison))


@pytest.mark.usefixtures("hopeless")
def test_the_old_model_is_passed_on_where_the_new_one_is_no_better() -> None:
    result = api.retrain(model(), fields(2), RETRAIN)
    assert result.kept == "old"
    for name, value in model().weights.items():
        assert np.array_equal(value, result.bundle.weights[name])
    asked = api.retrain(model(), fields(2), changed(RETRAIN, keep_better=False))
    assert asked.kept == "new"
    assert asked.bundle.card.id != result.bundle.card.id
    assert api.retrain(model(), fields(1), RETRAIN).kept == "new"  # nothing was compared


@pytest.mark.usefixtures("hopeless")
def test_an_old_model_that_is_passed_on_predicts_as_it_was_compared() -> None:
    """It is told the size of the new objects; everything else about it stays as it was."""
    data = fields(2, radius=12)
    result = api.retrain(model(), data, RETRAIN)
    card, start = result.bundle.card, model().card
    assert card.preparation["image_diameter_px"] > 1.4 * start.preparation["image_diameter_px"]
    for name in ("name", "licence", "thresholds", "architecture", "normalization", "scores", "data",
                 "training", "preview", "created", "channels", "pixel_size_um"):  # fmt: skip
        assert getattr(card, name) == getattr(start, name), name
    assert [one["id"] for one in card.lineage] == [start.id]
    assert card.id != start.id
    assert [n for n in result.notes if "passed on with the object size of these images" in n]
    predict = api.Predictor(Bundle.from_bytes(result.bundle.to_bytes()))
    for one in result.comparison:
        assert np.array_equal(predict(one.sample).labels, one.old.labels)


@pytest.mark.usefixtures("hopeless")
def test_an_old_model_for_objects_of_any_size_is_told_the_size_of_these() -> None:
    result = api.retrain(any_size(model()), fields(2), RETRAIN)
    assert result.kept == "old"
    assert result.bundle.card.preparation["each_image"] is False
    assert [n for n in result.notes if "passed on with the object size of these images" in n]
    predict = api.Predictor(result.bundle)
    for one in result.comparison:
        assert np.array_equal(predict(one.sample).labels, one.old.labels)


@pytest.mark.usefixtures("hopeless")
def test_an_old_model_for_objects_of_this_size_is_passed_on_as_it_is() -> None:
    diameter = model().card.preparation["image_diameter_px"]
    result = api.retrain(model(), fields(2), changed(RETRAIN, images__diameter_px=diameter))
    assert result.bundle is model()
    assert not [n for n in result.notes if "passed on" in n]


# ---------------------------------------------------------------------------------- bad input


def test_images_that_can_teach_nothing_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"The only image is not labelled; .*: label some, or check"
    ):
        api.retrain(model(), Dataset((unlabelled(field(1)),)), RETRAIN)
    with pytest.raises(ValueError, match="synthetic table alone is not enough"):
        api.retrain(model(), Dataset((unlabelled(field(1)),)), RETRAIN, synthetic=synthetic(1))
    empty = dataclasses.replace(field(1), labels=np.zeros((64, 72), np.int32))
    with pytest.raises(ValueError, match="no object at all"):
        api.retrain(model(), Dataset((empty,)), RETRAIN)


def test_a_model_of_another_task_is_refused() -> None:
    with pytest.raises(ValueError, match='Unknown task "juggle"; this version of Microshot has'):
        api.retrain(with_card(task="juggle"), fields(1), RETRAIN)


def test_weights_that_do_not_fit_are_never_replaced_by_random_ones() -> None:
    wider = with_card(architecture={**model().card.architecture, "width": 12})
    with pytest.raises(ValueError, match=r'Model "tiny": \d+ tensors do not fit') as caught:
        api.retrain(wider, fields(1), RETRAIN)
    assert str(caught.value).endswith("the file is damaged, copy it again.")
    few = dict(model().weights)
    del few["head.bias"]
    with pytest.raises(ValueError, match=r"1 tensors do not fit .*head.bias, .* found None"):
        api.retrain(Bundle(model().card, few), fields(1), changed(RETRAIN, check="none"))


def test_a_model_without_optional_numbers_can_be_retrained() -> None:
    bare = with_card(preparation={}, tile={}, thresholds={}, data={})
    result = api.retrain(bare, fields(2), changed(RETRAIN, keep_better=False))
    assert result.bundle.card.preparation["working_diameter_px"] == 24
    assert result.bundle.card.lineage[-1]["data"] == ""
