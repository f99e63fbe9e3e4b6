"""Predicting and scoring: models from files, images of any size, tiles, senseless models."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from microshot import api
from microshot.bundle import Bundle
from microshot.data.dataset import Sample
from microshot.data.image import Image
from microshot.device import choose_device
from microshot.metrics.labels import match
from microshot.opening import network_of, recipe_of
from microshot.progress import Cancelled
from microshot.settings import PredictSettings
from tiny_models import (
    RETRAIN,
    TRAIN,
    CancelWhen,
    Watch,
    changed,
    field,
    fields,
    model,
    same_objects,
    unlabelled,
    with_card,
)

HEADS = ("stardist", "foreground", "boundary")


def bare(pixels: np.ndarray, name: str = "image") -> Sample:
    return Sample(name, Image(pixels))


@pytest.mark.parametrize("head", HEADS)
def test_a_trained_model_finds_the_discs_of_an_image_it_has_not_seen(head) -> None:
    sample = field(99, shape=(128, 150))
    found = api.Predictor(model(head=head))(sample)
    assert match(sample.labels, found.labels, 0.5).f1 > 0.8
    assert found.labels.dtype == np.int32
    assert found.probability.shape == (found.n_objects,)
    assert 0 < found.confidence <= 1
    if head == "stardist":
        assert found.outlines.shape == (found.n_objects, 8, 2)


@pytest.mark.parametrize("head", HEADS)
def test_a_model_predicts_the_same_after_a_round_trip(head) -> None:
    sample = field(5)
    again = Bundle.from_bytes(model(head=head).to_bytes())
    a, b = api.Predictor(model(head=head))(sample), api.Predictor(again)(sample)
    assert np.array_equal(a.labels, b.labels)
    assert np.array_equal(a.probability, b.probability)


@pytest.mark.parametrize("backbone", ["res-unet", "plain-unet"])
def test_networks_with_batch_normalisation_can_be_saved_and_read(backbone) -> None:
    made = api.train(fields(1), changed(TRAIN, network__backbone=backbone)).bundle
    again = Bundle.from_bytes(made.to_bytes())
    a, b = api.Predictor(made)(field(5)), api.Predictor(again)(field(5))
    assert np.array_equal(a.labels, b.labels)
    retrained = api.retrain(again, fields(1), RETRAIN).bundle
    assert Bundle.from_bytes(retrained.to_bytes()).card.id == retrained.card.id


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("diameter", [0.0, 20.0])
def test_tiles_give_the_same_objects_as_the_whole_image(head, diameter) -> None:
    sample = field(8, shape=(201, 170))
    tiled, whole = PredictSettings(tile_px=128), PredictSettings(tile_px=16384)
    watch = Watch()
    tiled = dataclasses.replace(tiled, diameter_px=diameter)
    whole = dataclasses.replace(whole, diameter_px=diameter)
    a = api.Predictor(model(head=head), tiled)(sample, watch)
    b = api.Predictor(model(head=head), whole)(sample)
    assert any(m.startswith("tile 4 of") for m in watch.messages)
    assert a.n_objects == b.n_objects > 10
    assert same_objects(a.labels, b.labels)


def test_the_network_never_sees_more_than_a_tile() -> None:
    sides: list[int] = []
    predictor = api.Predictor(model(), PredictSettings(tile_px=192))
    network = predictor.network

    def watched(batch: np.ndarray) -> np.ndarray:
        sides.extend(batch.shape[2:])
        assert batch.shape[:2] == (1, 1)
        return network(batch)

    predictor.network = watched
    predictor(field(1, shape=(300, 700)))
    assert len(sides) > 10
    assert max(sides) <= 192


@pytest.mark.parametrize("shape", [(1, 1), (1, 60), (60, 1), (2, 3), (7, 300), (65, 33)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_images_of_any_size_and_type_are_predicted(shape, dtype) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (1, *shape)).astype(dtype)
    for head in HEADS:
        found = api.Predictor(model(head=head))(bare(pixels))
        assert found.labels.shape == shape


@pytest.mark.parametrize("value", [0, 255])
def test_an_even_image_is_predicted(value) -> None:
    found = api.Predictor(model())(bare(np.full((1, 40, 40), value, np.uint8)))
    assert found.labels.shape == (40, 40)


def test_brightness_and_gain_of_the_camera_do_not_matter() -> None:
    sample = field(4)
    other = bare((sample.image.pixels * 0.5 + 300).astype(np.float32))
    predict = api.Predictor(model())
    assert np.array_equal(predict(sample).labels, predict(other).labels)


def test_objects_of_twice_the_size_are_found_when_their_diameter_is_given() -> None:
    sample = field(6, shape=(160, 160), radius=14)
    scale = model().card.preparation["image_diameter_px"]
    found = api.Predictor(model(), PredictSettings(diameter_px=2 * scale))(sample)
    assert match(sample.labels, found.labels, 0.5).f1 > 0.7


def test_higher_thresholds_find_fewer_objects_and_small_ones_can_be_left_out() -> None:
    sample = field(5, shape=(128, 128))
    few, many = (api.Predictor(model(), PredictSettings(probability=p))(sample) for p in (0.8, 0.2))
    assert few.n_objects < many.n_objects
    areas = np.bincount(many.labels.ravel())[1:]
    least = int(np.median(areas))
    settings = PredictSettings(probability=0.2, least_area_px=least)
    kept = api.Predictor(model(), settings)(sample)
    assert kept.n_objects == (areas >= least).sum()
    assert np.array_equal(kept.labels > 0, np.isin(many.labels, 1 + np.flatnonzero(areas >= least)))


def test_a_cancel_between_tiles_stops_the_prediction() -> None:
    predict = api.Predictor(model(), PredictSettings(tile_px=128))
    with pytest.raises(Cancelled):
        predict(field(1, shape=(300, 300)), CancelWhen("tile 2 of"))


# --------------------------------------------------------------------- what is refused, and how


def test_other_channels_than_in_training_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^photo: expected 1 channel .* found 3; say"):
        api.Predictor(model())(bare(np.zeros((3, 20, 20), np.uint8), "photo"))


def test_models_of_other_tasks_are_refused() -> None:
    with pytest.raises(ValueError, match=r'^Unknown task "juggle"; this version of Microshot has'):
        api.Predictor(with_card(task="juggle"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architecture": {}}, "expected one of unet.* as backbone, found None"),
        ({"normalization": {"kind": "magic"}}, "Normalisation: expected one of"),
        ({"thresholds": {"probability": 2.0}}, "probability must be a number from 0 to 1"),
        ({"tile": {"halo_px": -1}}, "halo_px must be a number from 0"),
        ({"preparation": {"image_diameter_px": 0}}, "image_diameter_px must be a number"),
    ],
)
def test_senseless_models_are_refused_at_the_door(changes, words) -> None:
    with pytest.raises(ValueError, match=words):
        api.Predictor(with_card(**changes))


def test_what_is_optional_in_a_model_file_is_filled_in() -> None:
    document = {
        k: v
        for k, v in model().card.to_json().items()
        if k in ("schema", "task", "architecture", "normalization")
    }
    card = type(model().card).from_json(document)
    found = api.Predictor(Bundle(card, model().weights))(field(5))
    assert found.labels.shape == (64, 72)
    recipe = recipe_of(card)
    assert recipe.thresholds == {"probability": 0.5, "overlap": 0.4}
    assert recipe.tile["halo_px"] > 0


def test_weights_that_do_not_fit_the_architecture_are_refused() -> None:
    wrong = with_card(architecture={**model().card.architecture, "rays": 16})
    with pytest.raises(ValueError, match=r"2 tensors do not fit .*head.bias, .*\(17,\).*\(9,\)"):
        network_of(wrong, choose_device("cpu"))


def test_a_small_file_cannot_ask_for_a_huge_network() -> None:
    """The widest network that can be named would need tens of gigabytes."""
    huge = {**model().card.architecture, "width": 512, "depth": 6, "head_features": 4096}
    with pytest.raises(ValueError, match="do not fit its architecture"):
        api.Predictor(with_card(architecture=huge))


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match='"Tile size'):
        api.Predictor(model(), PredictSettings(tile_px=-1))


# ------------------------------------------------------------------------------------- score


def test_scores_come_one_row_per_image_and_all_together() -> None:
    data = fields(2)
    predict = api.Predictor(model())
    predictions = [predict(s) for s in data]
    rows, summary = api.score("segment", predictions, data)
    assert [r["name"] for r in rows] == ["field0", "field1"]
    hits = sum(r["true_positives"] for r in rows)
    wrong = sum(r["false_positives"] + r["false_negatives"] for r in rows)
    assert summary["f1"] == pytest.approx(2 * hits / (2 * hits + wrong))
    assert summary["average_precision"] == np.mean([r["average_precision"] for r in rows])
    strict = api.score("segment", predictions, data, threshold=0.99)[1]
    assert strict["f1"] < summary["f1"]


def test_the_truth_scores_one_and_nothing_scores_nothing() -> None:
    data = fields(1)
    truth = dataclasses.replace(api.Predictor(model())(data[0]), labels=data[0].labels)
    assert api.score("segment", [truth], data)[1]["f1"] == 1
    assert api.score("segment", [], fields(0)) == ([], {})


def test_scoring_needs_truth_and_a_known_task() -> None:
    prediction = api.Predictor(model())(field(1))
    with pytest.raises(ValueError, match="field1: has no label image to compare with"):
        api.score("segment", [prediction], fields(0) + type(fields(0))((unlabelled(field(1)),)))
    with pytest.raises(ValueError, match='Unknown task "juggle"'):
        api.score("juggle", [], fields(0))
