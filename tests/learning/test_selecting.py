"""Which images take part in a training: counted, uncounted, generated ones."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from microshot import api
from microshot.bundle import Bundle
from microshot.data.dataset import Dataset, Sample
from microshot.data.image import Image
from microshot.data.normalize import Normalization
from microshot.learning.selecting import in_grey, labelled
from microshot.metrics.stain_features import kind_of
from microshot.settings import OptimizerSettings, RetrainSettings, TrainSettings
from microshot.settings.counting import TwinVaeSettings, TwinVaeTraining
from microshot.settings.density import CountSettings
from microshot.tasks import task_named
from microshot.tasks.base import Recipe
from microshot.tasks.translating.task import TranslateTask
from tiny_images import discs

KINDS = ["nuclei", "lipids", "cytoplasm"]
OPTIMIZER = OptimizerSettings(epochs=1, steps_per_epoch=2, batch_size=4, device="cpu")


def train_settings(preset: str = "fast", **own: Any) -> TrainSettings:
    return TrainSettings(
        task="count", preset=preset, minutes=0.0, training=OPTIMIZER,
        count=CountSettings(architecture="twin-vae"),
        twin_vae=TwinVaeSettings(side_px="64", width=0.0625, **own),
    )  # fmt: skip


def retrain_settings(**own: Any) -> RetrainSettings:
    twin_vae = TwinVaeTraining(**own.pop("twin_vae", {}))
    return RetrainSettings(minutes=0.0, training=OPTIMIZER, twin_vae=twin_vae, **own)


def image(seed: int, *, count: bool = True, domain: Any = "natural", side: int = 48) -> Sample:
    n = 1 + seed % 5
    pixels, _ = discs(side=side, n=n, seed=seed)
    return Sample(f"image{seed}", Image(pixels[None]), count=float(n) if count else None,
                  domain=domain)  # fmt: skip


def images(*seeds: int, **options: Any) -> Dataset:
    return Dataset.of(image(seed, **options) for seed in seeds)


def with_other_uncounted(data: Dataset) -> Dataset:
    """Return the data with other pixels in the uncounted images."""
    return Dataset.of(
        s if s.count is not None
        else dataclasses.replace(s, image=Image(s.image.pixels[:, ::-1].copy()))
        for s in data
    )  # fmt: skip


MIXED = images(1, 2, 3, 4) + images(11, 12, 13, count=False)


@pytest.mark.parametrize(("decoder", "take_part"), [("yes", True), ("no", False)])
def test_uncounted_images_teach_a_twin_vae_that_draws(decoder: str, take_part: bool) -> None:
    settings = train_settings(decoder=decoder)
    first, second = (
        api.train(data, settings).bundle for data in (MIXED, with_other_uncounted(MIXED))
    )
    same = all(np.array_equal(v, second.weights[k]) for k, v in first.weights.items())
    assert same != take_part
    assert first.card.data["n_images"] == (7 if take_part else 4)
    assert first.card.data["n_counted"] == 4


def test_uncounted_images_take_part_in_the_check_and_in_the_final_retraining() -> None:
    start = api.train(MIXED, train_settings(decoder="yes")).bundle
    few = images(5, 6) + images(14, 15, count=False)
    first, second = (
        api.retrain(start, data, retrain_settings(keep_better=False))
        for data in (few, with_other_uncounted(few))
    )
    assert [e.sample.name for e in first.comparison] == ["image5", "image6"]
    assert first.bundle.card.data["n_images"] == 4
    pairs = zip(first.comparison, second.comparison, strict=True)
    assert all(a.prediction.count != b.prediction.count for a, b in pairs)
    assert any(
        not np.array_equal(v, second.bundle.weights[k]) for k, v in first.bundle.weights.items()
    )


def test_uncounted_images_do_not_help_other_tasks_and_must_have_the_same_channels() -> None:
    counts = dataclasses.replace(train_settings(), count=CountSettings(architecture="density"))
    assert api.train(MIXED, counts).bundle.card.data["n_images"] == 4
    colour = Sample("colour", Image(np.zeros((3, 48, 48), np.uint8)))
    data = Dataset((*MIXED, colour))
    with pytest.raises(ValueError, match=r"colour: expected 1 channel as in image1, found 3"):
        api.train(data, train_settings(decoder="yes"))


def test_a_twin_vae_without_synthetic_images_says_so_in_one_sentence() -> None:
    (note,) = api.train(images(1, 2), train_settings()).notes
    assert "connect Generate Synthetic Images" in note
    assert "twin_vae.generate" in note
    made = images(21, 22, domain="synthetic")
    assert api.train(images(1, 2), train_settings(), synthetic=made).notes == []


def test_uncounted_images_that_are_not_used_are_said() -> None:
    made = images(21, 22, domain="synthetic")
    (note,) = api.train(MIXED, train_settings(), synthetic=made).notes
    assert note.startswith("3 images without a count left out")
    assert api.train(MIXED, train_settings(decoder="yes"), synthetic=made).notes == []


def test_more_than_thirty_objects_are_warned_of_in_the_published_setting_only() -> None:
    made = images(21, 22, domain="synthetic")
    many = Dataset((image(1), dataclasses.replace(image(2), count=31.0)))
    (note,) = api.train(many, train_settings("faithful"), synthetic=made).notes
    assert note.startswith("1 image holds more than 30 objects (most: 31, first: image2)")
    assert api.train(many, train_settings(), synthetic=made).notes == []
    thirty = Dataset((image(1), dataclasses.replace(image(2), count=30.0)))
    assert api.train(thirty, train_settings("faithful"), synthetic=made).notes == []


@pytest.mark.parametrize(("n", "bounded"), [(3, False), (4, True)])
def test_left_out_counts_have_the_interval_that_the_new_model_will_give(
    n: int, *, bounded: bool
) -> None:
    start = api.train(MIXED, train_settings()).bundle
    result = api.retrain(start, images(*range(30, 30 + n)), retrain_settings(keep_better=False))
    thresholds = result.bundle.card.thresholds
    assert thresholds["calibration_images"] == n
    for example in result.comparison:
        p = example.prediction
        assert math.isfinite(p.high) == bounded
        assert p.low <= p.n_objects <= p.high
        if bounded:  # the count lies in the middle on the scale of square roots
            half = thresholds["interval_80"]
            assert p.high <= (math.sqrt(p.count) + half) ** 2 + 3


def test_double_transfer_is_recorded_back_to_the_first_model(tmp_path) -> None:
    """Technique A, then B, then A again: three models in a row, each naming those before it."""
    first = api.train(images(1, 2, 3), dataclasses.replace(train_settings(), name="A")).bundle
    path = first.save(tmp_path / "a.microshot")
    settings = retrain_settings(check="none", twin_vae={"decoder": "no"})
    second = api.retrain(
        Bundle.load(path), images(7, 8, side=64), dataclasses.replace(settings, name="A to B")
    ).bundle
    path = second.save(tmp_path / "b.microshot")
    third = api.retrain(
        Bundle.load(path), images(1, 2, 3), dataclasses.replace(settings, name="A to B to A")
    ).bundle
    card = Bundle.load(third.save(tmp_path / "c.microshot")).card
    assert [one["name"] for one in card.lineage] == ["A", "A to B"]
    assert [one["id"] for one in card.lineage] == [first.card.id, second.card.id]
    data = [one["data"] for one in card.lineage]
    assert data[0] == card.data["fingerprint"] != data[1]


def stained(*stains: str, name: str = "a") -> Sample:
    """Return a sample whose stains hold the number of their kind: 0 nuclei, 1 lipids, 2 cytoplasm."""
    pixels = [
        np.full((2, 2), KINDS.index(kind_of(s)) if kind_of(s) else 9, np.uint16) for s in stains
    ]
    target = Image(np.stack(pixels), channels=stains)
    return Sample(name, Image(np.zeros((1, 2, 2), np.uint16)), target=target)


@pytest.mark.parametrize(
    ("stains", "called"),
    [
        (["lipids", "nuclei", "cytoplasm"], ("nuclei", "lipids", "cytoplasm")),
        (["Cytoplasm", "Lipids", "Nuclei"], ("Nuclei", "Lipids", "Cytoplasm")),
        (["BODIPY", "CellMask", "DAPI"], ("DAPI", "BODIPY", "CellMask")),
    ],
)
def test_stains_are_put_into_the_order_of_the_start_model_under_their_own_names(stains, called):
    made = Dataset((stained("cytoplasm", "nuclei", "lipids"),))
    own, extra, notes = labelled(TranslateTask(), Dataset((stained(*stains),)), made, KINDS)
    for table, names in ((own, called), (extra, KINDS)):
        (sample,) = table
        assert sample.target is not None
        assert sample.target.channels == tuple(names)
        assert sample.target.pixels[:, 0, 0].tolist() == [0, 1, 2]
    assert notes == []


def test_generated_stains_are_put_into_the_order_of_the_users_own():
    made = Dataset((stained("cytoplasm", "lipids", "nuclei"),))
    data = Dataset((stained("BODIPY", "CellMask", "DAPI"),))
    own, extra, notes = labelled(TranslateTask(), data, made)
    assert own[0] is data[0]
    assert extra[0].target is not None
    assert extra[0].target.channels == ("lipids", "cytoplasm", "nuclei")
    assert notes == []


def test_stains_that_names_do_not_tell_stay_and_are_told_once():
    data = Dataset((stained("red", "green"), stained("green", "red"), stained("DAPI", "BODIPY")))
    own, _, notes = labelled(TranslateTask(), data, None, ("nuclei", "lipids"))
    channels = [s.target.channels for s in own if s.target is not None]
    assert channels == [("red", "green"), ("red", "green"), ("DAPI", "BODIPY")]
    assert notes == [
        'Names do not tell which stain is which: stain 1 "red" is taken for "nuclei", stain 2 '
        '"green" is taken for "lipids"; if that is wrong, call them alike.'
    ]


def test_stains_of_another_number_are_taken_for_nothing():
    data = Dataset((stained("red", "green"), stained("blue")))
    own, _, notes = labelled(TranslateTask(), data, None)
    assert [s.target.channels for s in own if s.target is not None] == [("red", "green"), ("blue",)]
    assert notes == []


def pixels_of(*channels: int, colour: bool = False) -> Sample:
    """Return a sample whose channels hold one grey value each."""
    pixels = np.repeat(np.array(channels, np.uint8), 4).reshape(len(channels), 2, 2)
    return Sample(f"of {len(channels)}", Image(pixels, is_colour=colour), count=1.0)


def test_labelled_images_of_other_channels_are_refused_in_either_table():
    one, two = Dataset((pixels_of(1),)), Dataset((pixels_of(1, 2),))
    for own, made in ((one + two, None), (one, two)):
        with pytest.raises(ValueError, match=r"of 2: expected 1 channel as in of 1, found 2"):
            labelled(task_named("count"), own, made)


def test_grey_images_saved_in_colour_have_one_channel_where_all_images_are_grey():
    grey, saved = pixels_of(7), pixels_of(9, 9, 9, colour=True)
    own, made, (note,) = in_grey(Dataset((grey, saved)), Dataset((saved,)), None)
    assert made is not None
    assert [s.image.pixels[:, 0, 0].tolist() for s in (*own, *made)] == [[7], [9], [9]]
    assert [s.name for s in own] == ["of 1", "of 3"]
    assert note == "2 of 3 images are grey but saved in colour: one channel is used."
    alone = in_grey(Dataset((saved,)), None, None)
    assert alone[0][0].image.n_channels == 1
    assert alone[1] is None


def test_colour_images_and_those_for_a_model_of_colour_stay_as_they_are():
    saved, colour = pixels_of(9, 9, 9, colour=True), pixels_of(7, 80, 160, colour=True)
    for own, made in ((Dataset((saved, colour)), None), (Dataset((saved,)), Dataset((colour,)))):
        assert in_grey(own, made, None) == (own, made, [])
    own = Dataset((saved,))
    for n, kept in ((1, 1), (3, 3)):
        start = Recipe({"in_channels": n}, Normalization())
        assert in_grey(own, None, start)[0][0].image.n_channels == kept
    grey = Dataset((pixels_of(7),))
    assert in_grey(grey, None, None) == (grey, None, [])
