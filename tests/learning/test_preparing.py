"""A setting that a training does not heed is named, and no other."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from microshot import api, knobs, starters
from microshot.bundle import Bundle
from microshot.data.dataset import Dataset
from microshot.data.image import Image
from microshot.learning.preparing import prepare
from microshot.progress import silent
from microshot.settings import RetrainSettings, TrainSettings
from microshot.settings.density import CountSettings
from microshot.tasks import task_named
from tasks_of_all_kinds import little_of, one_of_each
from tiny_models import fields, model, synthetic

#: Knobs of every section, none as it stands by default, that go together in every task.
TURNED = {
    "network.width": "4", "network.depth": "1", "network.rays": "16", "images.rescale": "no",
    "images.diameter_px": "9", "images.normalization": "minmax", "images.high_percentile": "99",
    "images.patch_px": "32", "images.augmentation": "none", "images.validation_fraction": "0.3",
    "count.density.spread": "0.5", "twin_vae.noise": "0", "twin_vae.generate": "mixed",
    "translation.width": "4", "translation.adversary_rate": "0.1", "training.learning_rate": "0.1",
    "training.patience": "5", "training.seed": "1", "training.device": "cpu",
}  # fmt: skip
HIDDEN = {"images.high_percentile"}  # while the normalisation is another
OF_COUNTING = {"count.density.spread", "twin_vae.noise", "twin_vae.generate"}
OF_STAINS = {"translation.width", "translation.adversary_rate"}
OF_TWIN_VAE = {"twin_vae.noise", "twin_vae.generate"}
OF_NETWORK = {"network.width", "network.depth", "network.rays"}
SCALE = {"images.rescale", "images.diameter_px"}
JUDGING = {"images.validation_fraction", "training.patience"}
LEARNED = {"images.patch_px", "images.augmentation", "training.learning_rate"}


def turned(settings: Any, wish: dict[str, str]) -> Any:
    there = knobs.by_path(type(settings))
    for path, text in wish.items():
        if path in there:
            settings = knobs.assign(settings, path, text)
    return settings


def in_vain(
    settings: Any, data: Dataset, start: Bundle | None = None, extra: Dataset | None = None
) -> set[str]:
    """Return the paths that the notes of a prepared training name."""
    task = task_named(start.card.task if start else settings.task)
    prepared = prepare(task, start, data, extra, settings, None, silent)
    notes = [note for note in prepared.notes if note.startswith("Settings without effect")]
    assert len(notes) <= 1
    return {path for note in notes for path in re.findall(r'" \(([^)]*)\)', note)}


@pytest.mark.parametrize(
    ("task", "way", "expected"),
    [
        ("segment", "auto", OF_COUNTING | OF_STAINS),
        ("count", "density", OF_STAINS | OF_TWIN_VAE | {"network.rays"}),
        (
            "count", "twin-vae",
            OF_STAINS | OF_NETWORK | SCALE
            | {"images.patch_px", "count.density.spread", "twin_vae.noise"},
        ),
        (
            "count", "watershed", {*TURNED} - {"training.seed", "training.device"},
        ),
        ("translate", "auto", OF_COUNTING | OF_NETWORK | SCALE | {"translation.adversary_rate"}),
    ],
)  # fmt: skip
def test_a_training_names_the_settings_that_it_does_not_heed(task, way, expected) -> None:
    data = little_of("translate")[1]
    settings = dataclasses.replace(TrainSettings(), task=task)
    settings = turned(settings, {"count.architecture": way} if task == "count" else {})
    assert in_vain(settings, data) == set()
    assert in_vain(turned(settings, TURNED), data) == expected | HIDDEN | JUDGING


def test_a_start_model_keeps_its_network_and_its_preset() -> None:
    start = Bundle.load(starters.path_of("nuclei-fluorescence-fast"))
    wish = {"start": "nuclei-fluorescence-fast", "preset": "faithful", **TURNED}
    kept = {"preset", "images.rescale", "images.normalization"}
    expected = OF_COUNTING | OF_STAINS | OF_NETWORK | HIDDEN | JUDGING | kept
    assert in_vain(turned(TrainSettings(), wish), fields(1), start) == expected


def test_a_twin_vae_that_draws_nothing_names_what_says_how_to_draw() -> None:
    data = little_of("count")[1]
    wish = {"task": "count", "count.architecture": "twin-vae", "twin_vae.reconstruction": "bce",
            "twin_vae.reconstruction_factor": "3", "twin_vae.reconstruction_decay": "0.1"}  # fmt: skip
    of_drawing = {path for path in wish if "reconstruction" in path}
    assert in_vain(turned(TrainSettings(), wish), data) == of_drawing
    assert in_vain(turned(TrainSettings(), {**wish, "twin_vae.decoder": "yes"}), data) == set()


def test_the_part_of_counted_images_matters_beside_others_in_every_step() -> None:
    data = little_of("count")[1]
    uncounted = dataclasses.replace(data[0], name="more", labels=None, count=None, points=None)
    wish = {"task": "count", "count.architecture": "twin-vae", "twin_vae.decoder": "yes",
            "twin_vae.labelled_share": "0.5"}  # fmt: skip
    settings, both = turned(TrainSettings(), wish), data + Dataset((uncounted,))
    assert in_vain(settings, data) == {"twin_vae.labelled_share"}
    assert in_vain(settings, both) == set()
    alternating = turned(settings, {"twin_vae.batches": "alternating"})
    assert in_vain(alternating, both) == {"twin_vae.labelled_share"}


PERCENTILES = {"images.low_percentile": "3", "images.high_percentile": "98"}


@pytest.mark.parametrize(
    ("wish", "turned_off", "heeded_with"),
    [
        ({"task": "segment"}, PERCENTILES, {"images.normalization": "percentile"}),
        ({"task": "count"}, PERCENTILES, {"images.normalization": "percentile"}),
        ({"task": "translate"}, PERCENTILES, {"images.normalization": "percentile"}),
        (
            {"count.architecture": "twin-vae", "images.augmentation": "none"},
            {
                "twin_vae.crop_fraction": "1", "twin_vae.rotate_deg": "9", "twin_vae.shifted_share": "0",
                "twin_vae.noise": "0",
            },
            {"images.augmentation": "light"},
        ),
        (
            {"count.architecture": "twin-vae", "images.augmentation": "shapes"},
            {"twin_vae.noise": "0"},
            {"images.augmentation": "light"},
        ),
        (
            {
                "count.architecture": "twin-vae", "twin_vae.decoder": "yes",
                "twin_vae.reconstruction_factor": "0",
            },
            {"twin_vae.reconstruction": "bce", "twin_vae.reconstruction_decay": "0.1"},
            {"twin_vae.reconstruction_factor": "3"},
        ),
    ],
)  # fmt: skip
def test_what_another_setting_switches_off_is_named(wish, turned_off, heeded_with) -> None:
    data = little_of("translate")[1]
    settings = turned(TrainSettings(), {"task": "count", **wish, **turned_off})
    assert in_vain(settings, data) == {*turned_off}
    assert in_vain(turned(settings, heeded_with), data) == set()


@pytest.mark.parametrize(
    ("wish", "mixing"),
    [
        ({"task": "segment"}, {"images.synthetic_fraction": "0.3"}),
        ({"task": "count"}, {"images.synthetic_fraction": "0.3"}),
        (
            {"task": "count", "count.architecture": "twin-vae", "twin_vae.decoder": "yes"},
            {
                "twin_vae.synthetic_ratio": "2", "twin_vae.begin_with": "synthetic",
                "twin_vae.cross_feed": "true",
            },
        ),
    ],
)  # fmt: skip
def test_how_images_are_mixed_is_in_vain_where_there_is_one_kind(wish, mixing) -> None:
    data = little_of("translate")[1]
    settings = turned(TrainSettings(), {**wish, **mixing})
    assert in_vain(settings, data) == {*mixing}
    assert in_vain(settings, data, extra=synthetic(2)) == set()
    assert in_vain(settings, synthetic(4)) == {*mixing} - {"twin_vae.cross_feed"}


@pytest.mark.parametrize(
    "by", [{"twin_vae.synthetic_ratio": "2"}, {"twin_vae.batches": "alternating"}]
)
def test_a_twin_vae_mixes_by_one_number(by) -> None:
    data, extra = little_of("translate")[1], synthetic(2)
    settings = TrainSettings(task="count", count=CountSettings(architecture="twin-vae"))
    settings = turned(settings, {"images.synthetic_fraction": "0.3"})
    assert in_vain(settings, data, extra=extra) == set()
    assert in_vain(turned(settings, by), data, extra=extra) == {"images.synthetic_fraction"}


def test_a_retraining_names_the_settings_of_other_models() -> None:
    wish = {"check": "none", "keep_better": "false", "twin_vae.noise": "0", "images.patch_px": "32"}
    settings = turned(RetrainSettings(), wish)
    assert in_vain(settings, fields(1), model()) == {"keep_better", "twin_vae.noise"}


def test_a_counter_that_learns_no_weights_has_no_parts_that_could_be_kept() -> None:
    settings = turned(TrainSettings(task="count"), {"count.architecture": "watershed"})
    start = api.train(fields(2), settings).bundle
    wish = {"strategy": "head", "new_head": "true"}
    assert in_vain(turned(RetrainSettings(), wish), fields(2), start) == {*wish}
    assert in_vain(turned(RetrainSettings(), wish), fields(2), one_of_each("count")[0]) == set()


def test_where_nothing_is_held_out_nothing_is_judged_by_it() -> None:
    start, data = one_of_each("translate")
    many = Dataset.of(
        dataclasses.replace(s, name=f"{s.name} {i}", image=Image(s.image.pixels + np.uint16(i)))
        for s in data
        for i in range(3)
    )
    wish = {"training.patience": "5", "translation.selection": "feature"}
    train = turned(TrainSettings(), {"task": "translate", **wish})
    half, none = (turned(train, {"images.validation_fraction": part}) for part in ("0.5", "0"))
    assert in_vain(train, many) == in_vain(half, many) == set()
    assert in_vain(none, many) == in_vain(none, data) == in_vain(train, data) == {*wish}
    assert in_vain(half, data) == {*wish, "images.validation_fraction"}
    assert in_vain(turned(RetrainSettings(), wish), many, start) == {*wish}
