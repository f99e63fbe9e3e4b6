"""Synthetic images that are made where a counter wants some and the user has none."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from microshot import knobs
from microshot.data.dataset import Dataset, Sample
from microshot.data.image import Image
from microshot.learning.supplying import LEAST, supplied
from microshot.settings import SCENES, RetrainSettings, TrainSettings
from microshot.settings.counting import GENERATED, TwinVaeSettings, TwinVaeTraining
from microshot.settings.density import CountSettings
from tiny_images import discs


def data(n: int = 3, *, n_channels: int = 1) -> Dataset:
    made = []
    for i in range(n):
        pixels, _ = discs(side=48, n=2 + i, seed=i, dtype=np.uint8)
        made.append(Sample(f"{i}", Image(np.stack([pixels] * n_channels)), count=2.0 + i))
    return Dataset.of(made)


def settings(kind: str = "phase-contrast", **own: Any) -> TrainSettings:
    made = TrainSettings(
        task="count", count=CountSettings(architecture="twin-vae"),
        twin_vae=TwinVaeSettings(generate=kind),
    )  # fmt: skip
    return knobs.check(dataclasses.replace(made, **own))


def test_every_kind_is_one_of_the_generators() -> None:
    assert set(GENERATED) - {"none"} <= set(SCENES)


@pytest.mark.parametrize("n_channels", [1, 3])
def test_generated_images_have_the_size_type_and_number_of_objects_of_the_users(n_channels) -> None:
    own = data(n_channels=n_channels)
    made, (told,) = supplied(own, None, settings())
    assert made is not None
    assert len(made) == LEAST
    assert told.startswith("100 synthetic images of the kind phase-contrast were generated")
    assert {s.domain for s in made} == {"synthetic"}
    assert {s.image.pixels.shape for s in made} == {(n_channels, 48, 48)}
    assert {s.image.pixels.dtype for s in made} == {np.dtype(np.uint8)}
    counts = [s.count for s in made]
    assert None not in counts
    assert np.mean([c or 0 for c in counts]) == pytest.approx(3, abs=1)
    again, _ = supplied(own, Dataset(), settings())
    assert again is not None
    assert all(
        np.array_equal(a.image.pixels, b.image.pixels) for a, b in zip(made, again, strict=True)
    )


def test_nothing_is_generated_where_it_is_not_wished_or_not_needed() -> None:
    given = Dataset.of(dataclasses.replace(s, domain="synthetic") for s in data())
    assert supplied(data(), None, settings("none")) == (None, [])
    told = ["No synthetic images were generated, because some were given."]
    assert supplied(data(), given, settings()) == (given, told)
    assert supplied(given, None, settings()) == (None, told)
    assert supplied(data(), given, settings("none")) == (given, [])
    assert supplied(data(), None, settings(count=CountSettings())) == (None, [])
    assert supplied(data(), None, settings(task="segment")) == (None, [])


def test_retraining_generates_for_a_twin_vae_only() -> None:
    from microshot.bundle import Card

    wish = RetrainSettings(twin_vae=TwinVaeTraining(generate="bright-field"))
    for name, n in (("twin-vae", LEAST), ("density", 0)):
        card = Card(task="count", name="x", architecture={"name": name}, normalization={},
                    channels=("a",))  # fmt: skip
        made, _ = supplied(data(), None, wish, card)
        assert len(made or ()) == n
