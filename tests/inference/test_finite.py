"""What is no number comes out of no network, whatever computes it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from microshot import api
from microshot.bundle import Bundle
from microshot.inference.finite import NotFinite, finite
from microshot.settings import PredictSettings, TranslateSettings
from models_of_all_kinds import made
from tasks_of_all_kinds import little_of
from tiny_models import field


def test_numbers_are_handed_on_as_they_are() -> None:
    output = np.array([[0.0, -3e38]], np.float32)
    assert finite(output) is output


@pytest.mark.parametrize("inspected", [False, True])
@pytest.mark.parametrize("kind", ["stardist", "foreground", "density", "twin-vae", "unet-stains"])
def test_a_model_whose_weights_are_too_large_predicts_nothing(kind, inspected) -> None:
    good = made(kind)
    large = {k: v * np.float32(1e30) if v.dtype.kind == "f" else v for k, v in good.weights.items()}
    settings = (TranslateSettings if good.card.task == "translate" else PredictSettings)(
        device="cpu"
    )
    predict = api.Predictor(Bundle(good.card, large), settings, inspected=inspected)
    with pytest.raises(NotFinite, match="lower learning rate"):
        predict(field(1, n_channels=good.card.architecture.get("in_channels", 1)))


@pytest.mark.parametrize("task", ["count", "twin-vae", "translate"])
def test_a_training_that_went_wrong_is_told(task, monkeypatch) -> None:
    fit = api.Fitting.fit

    def broken(self, *args):
        found = fit(self, *args)
        found.state = {k: v * 1e30 if v.is_floating_point() else v for k, v in found.state.items()}
        return found

    monkeypatch.setattr(api.Fitting, "fit", broken)
    settings, data = little_of(task)
    made = api.train(data, settings)
    assert [note for note in made.notes if note.startswith("The trained model cannot be used. ")]
    assert not made.examples
    assert dataclasses.asdict(made.bundle.card)["scores"]["n_images"] == 0
