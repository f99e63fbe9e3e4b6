"""A counter retrained on counts alone finds out how large the objects are."""

from __future__ import annotations

import dataclasses

import pytest

from microshot import api, starters
from microshot.bundle import Bundle
from microshot.data.dataset import Dataset
from tiny_models import RETRAIN, TRAIN, changed, field

SHAPES = [(90, 90), (120, 190), (190, 250)]


def counted(radius: float) -> Dataset:
    """Return images of which only the number of discs is known."""
    made = [field(i, shape, radius=radius) for i, shape in enumerate(SHAPES)]
    return Dataset.of(
        dataclasses.replace(s, labels=None, count=float(s.labels.max()))  # type: ignore[union-attr]
        for s in made
    )


def test_objects_twice_as_large_are_recognised_by_their_counts() -> None:
    start = Bundle.load(starters.path_of("cells-density"))
    own = start.card.preparation["image_diameter_px"]
    data = counted(radius=own)  # twice the diameter
    made = api.retrain(start, data, changed(RETRAIN, check="none"))
    assert made.bundle.card.preparation["image_diameter_px"] == pytest.approx(2 * own, rel=0.3)
    assert any("Objects are taken to measure" in note for note in made.notes)
    told = changed(RETRAIN, check="none", images__diameter_px=own)
    card = api.retrain(start, data, told).bundle.card
    assert card.preparation["image_diameter_px"] == pytest.approx(own)


def test_objects_larger_than_counts_can_tell_are_as_large_as_they_look() -> None:
    start = Bundle.load(starters.path_of("cells-density"))
    own = start.card.preparation["image_diameter_px"]
    large = [s for s in counted(radius=2 * own) if s.image.shape == SHAPES[-1]]
    made = api.retrain(start, Dataset.of(large), changed(RETRAIN, check="none"))
    assert made.bundle.card.preparation["image_diameter_px"] == pytest.approx(4 * own, rel=0.3)
    assert any("Objects are taken to measure" in note for note in made.notes)


def test_training_from_a_starter_finds_the_size_too() -> None:
    start = Bundle.load(starters.path_of("cells-density"))
    own = start.card.preparation["image_diameter_px"]
    settings = changed(TRAIN, task="count", start="cells-density")
    made = api.train(counted(radius=own), settings)
    assert made.bundle.card.preparation["image_diameter_px"] > 1.4 * own
    assert any("Objects are taken to measure" in note for note in made.notes)
