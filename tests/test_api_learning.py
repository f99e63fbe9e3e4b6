"""Short real trainings on generated images: models learn, and retraining helps."""

from __future__ import annotations

import dataclasses
from functools import cache

import pytest

from microshot import api
from microshot.data.dataset import Dataset
from microshot.data.image import Image
from microshot.synth.generator import generate
from tiny_models import RETRAIN, TRAIN, changed

SETTINGS = changed(
    TRAIN, network__head="stardist", network__rays=16, images__patch_px=64,
    images__augmentation="light", training__steps_per_epoch=250, training__batch_size=4,
    training__learning_rate=3e-3,
)  # fmt: skip


@cache
def images(kind: str, n: int, seed: int) -> Dataset:
    return generate(kind, n, seed, size_px=(128, 128), diameter_px=16, noise="low")


def f1(bundle, data: Dataset) -> float:
    predict = api.Predictor(bundle)
    return api.score("segment", [predict(s) for s in data], data)[1]["f1"]


@pytest.fixture(scope="module")
def pretrained() -> api.Trained:
    return api.train(images("fluorescence-nuclei", 6, 1), SETTINGS)


def test_a_trained_model_is_far_better_than_an_untrained_one(pretrained) -> None:
    unseen = images("fluorescence-nuclei", 3, 77)
    untrained = api.train(
        images("fluorescence-nuclei", 6, 1), changed(SETTINGS, training__steps_per_epoch=1)
    )
    assert f1(untrained.bundle, unseen) < 0.2
    assert f1(pretrained.bundle, unseen) > 0.6
    assert pretrained.history[-1]["loss"] < 1.5


def dark(data: Dataset) -> Dataset:
    """Return the images with bright and dark exchanged, as if from another technique."""
    return Dataset.of(
        dataclasses.replace(s, image=Image(255 - s.image.pixels), domain="natural") for s in data
    )


def test_a_retrained_model_is_better_on_another_look(pretrained) -> None:
    few = dark(images("fluorescence-nuclei", 2, 5))
    unseen = dark(images("fluorescence-nuclei", 3, 88))
    settings = changed(
        RETRAIN, images__patch_px=64, images__augmentation="light", training__batch_size=4,
        training__steps_per_epoch=120, training__learning_rate=3e-3,
    )  # fmt: skip
    result = api.retrain(pretrained.bundle, few, settings)
    assert result.kept == "new"
    assert result.verdict.endswith("(2 of 2 better): use it.")
    card = result.bundle.card
    assert card.scores["f1"] > card.scores["old_f1"] + 0.2
    assert f1(result.bundle, unseen) > f1(pretrained.bundle, unseen) + 0.2
