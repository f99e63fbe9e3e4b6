"""Segmentation learns from images that stay on a device what it learns from patches cut before."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from microshot.data.augment import STRENGTHS
from microshot.device import Device
from microshot.tasks import task_named
from microshot.tasks.lesson import Lesson
from microshot.tasks.resident import Resident, n_bytes
from microshot.tasks.segmenting.training import stage
from microshot.training.trainer import Plan, fit
from tiny_models import TRAIN, changed, fields, synthetic

if TYPE_CHECKING:
    from microshot.training.trainer import Stage

SEGMENT = task_named("segment")
CPU = torch.device("cpu")
PLENTY = 1 << 40


def prepared(n_channels: int = 1, seed: int = 0, **changes: Any) -> Lesson[Any, Any]:
    """Return natural and synthetic fields of different sizes, and how to learn from them."""
    settings = changed(
        TRAIN, **{"network__head": "stardist", "images__diameter_px": 14.0,
                  "training__batch_size": 6, **changes}
    )  # fmt: skip
    data = fields(1, n_channels=n_channels) + fields(1, 3, n_channels=n_channels, shape=(40, 130))
    recipe = SEGMENT.recipe(data.samples, settings, None)
    natural = [SEGMENT.prepare(sample, recipe) for sample in data]
    natural[1].labels[:20] = -1
    made = [SEGMENT.prepare(s, recipe) for s in synthetic(1, n_channels=n_channels)]
    hyper = SEGMENT.hyper(data.samples, settings, None)
    return Lesson(recipe, hyper, natural, made, seed=seed)


def staged(**changes: Any) -> Stage:
    lesson = prepared(**changes)
    return stage(SEGMENT.build(lesson.recipe.architecture, 0), lesson)


def on_device(one: Stage) -> Stage:
    """Return a stage as a card would have it."""
    found = one.keep(CPU, PLENTY)
    assert found is not None
    return dataclasses.replace(one, draw=found[0], make=found[1])


@pytest.mark.parametrize("n_channels", [1, 3])
def test_patches_that_are_only_mirrored_and_turned_make_the_very_same_batches(n_channels) -> None:
    """So the same images, places and objects are drawn with the same probabilities."""
    here = staged(n_channels=n_channels)
    there = on_device(here)
    for step in range(6):
        expected, found = (one.make(one.draw(step)) for one in (here, there))
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert torch.equal(found[key], value), key


def test_what_is_drawn_depends_on_seed_and_step_alone_and_is_small() -> None:
    first, again, other = (
        on_device(staged(seed=seed, images__augmentation="heavy")) for seed in (0, 0, 1)
    )
    first.draw(0)
    for key, value in first.draw(5).items():
        assert torch.equal(value, again.draw(5)[key])
        assert value.numel() <= 6 * 4
    assert not torch.equal(first.draw(5)["back"], first.draw(6)["back"])
    assert not torch.equal(first.draw(5)["back"], other.draw(5)["back"])
    made = []
    for one in (first, again):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)  # as the trainer does, for noise
            made.append(one.make(one.draw(5)))
    assert all(torch.equal(value, made[1][key]) for key, value in made[0].items())


@pytest.mark.parametrize("name", STRENGTHS)
def test_labels_and_ignored_areas_move_like_the_image(name) -> None:
    lesson = prepared()
    shown, made = (
        [dataclasses.replace(f, image=np.sign(f.labels[None]).astype(np.float32)) for f in fields]
        for fields in (lesson.natural, lesson.synthetic)
    )
    lesson = dataclasses.replace(lesson, natural=shown, synthetic=made)
    resident = Resident(lesson, STRENGTHS[name], CPU)
    seen: set[int] = set()
    for step in range(5):
        image, labels = resident.cut(resident(step))
        seen |= set(labels.unique().tolist())
        assert image.shape == (6, 1, 48, 48)
        assert image.is_contiguous(memory_format=torch.channels_last)
        assert ((image[:, 0].round() == labels.clamp(-1, 1)).float().mean()) > 0.95
        for i, which in enumerate(resident(step)["which"]):
            assert set(labels[i].unique().tolist()) <= set(np.unique([*shown, *made][which].labels))
    assert {-1, 0, 1} < seen


@pytest.mark.parametrize("name", STRENGTHS)
def test_grey_values_follow_the_law_of_patches_cut_before(name) -> None:
    """Two samples differ by less than they do by chance once in 10,000 times."""
    from scipy.stats import ks_2samp

    here = staged(images__augmentation=name, images__patch_px=16)
    found = []
    for one in (here, on_device(here)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            found.append(torch.cat([one.make(one.draw(step))["image"] for step in range(30)]))
    for trait in (torch.mean, torch.std, torch.amin, torch.amax):
        drawn = [trait(image, dim=(1, 2, 3)).numpy() for image in found]
        assert ks_2samp(*drawn).pvalue > 1e-4, trait


def test_a_field_that_is_there_twice_is_kept_once() -> None:
    lesson = prepared()
    natural, made = lesson.natural, lesson.synthetic
    again = dataclasses.replace(lesson, natural=natural * 3, synthetic=[*made, natural[0]])
    resident = Resident(again, STRENGTHS["none"], CPU)
    pixels = sum(f.labels.size for f in (*natural, *made))
    assert resident.images.pixels.shape == (pixels, 1)
    assert n_bytes(again) == 8 * pixels
    one = next(step for step in range(9) if 1 in resident(step)["which"])
    assert resident.cut(resident(one))[0].isfinite().all()


def test_images_that_do_not_fit_and_other_heads_are_cut_by_the_processor() -> None:
    one = staged()
    needed = n_bytes(prepared())
    assert one.keep(CPU, needed) is not None
    assert one.keep(CPU, needed - 1) is None
    for head in ("foreground", "boundary"):
        assert staged(network__head=head).keep(CPU, PLENTY) is None


def test_a_network_learns_as_much_from_images_that_stay_on_the_device() -> None:
    lesson = prepared(
        images__augmentation="standard", training__learning_rate=5e-3, training__batch_size=3,
        images__patch_px=32, network__width=4,
    )  # fmt: skip
    lesson = dataclasses.replace(lesson, validation=lesson.natural)
    plan = Plan(steps=60, steps_per_epoch=30, warmup_steps=5, ema=0.9)
    losses = []
    for where in (lambda one: one, on_device):
        model = SEGMENT.build(lesson.recipe.architecture, 0)
        one = where(stage(model, lesson))
        with torch.no_grad():
            before = one.validate(model.eval())["loss"]
        fitted = fit(model, [one], plan, Device("cpu", "a test", 1))
        losses.append(fitted.history[-1]["validation_loss"] / before)
    assert max(losses) < 0.7
    assert losses[1] == pytest.approx(losses[0], rel=0.15)
