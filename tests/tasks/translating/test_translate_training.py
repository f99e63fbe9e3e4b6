"""Batches, the two players, and what each step changes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from translation_scenes import TRAIN, scene, scenes

from microshot.device import choose_device
from microshot.nn.dense_unet import DenseLayer
from microshot.tasks.lesson import Lesson
from microshot.tasks.translating.task import TranslateTask
from microshot.tasks.translating.training import Batches, stages
from microshot.training.trainer import Plan, fit
from tiny_models import changed

TASK = TranslateTask()
SMALL = {"translation__growth": 2, "translation__layers": 2, "translation__width": 4}


def prepared(data, **settings):
    """Return a network and what it learns from with settings."""
    wish = changed(TRAIN, **SMALL | settings)
    made = TASK.recipe(data, wish, None)
    items = [TASK.prepare(s, made) for s in data]
    return TASK.build(made.architecture, 0), Lesson(made, TASK.hyper(data, wish, None), items)


def with_hyper(lesson, **values):
    """Return a lesson with other training values."""
    return dataclasses.replace(lesson, hyper=dataclasses.replace(lesson.hyper, **values))


def test_planes_and_stains_are_cut_and_turned_alike() -> None:
    """With the first plane as stain, both stay equal through every change of shape."""
    sample = scene(0, (80, 80))
    same = dataclasses.replace(sample, target=dataclasses.replace(sample.image, channels=()))
    _, lesson = prepared([same], images__augmentation="standard")
    (item,) = lesson.natural
    twice = dataclasses.replace(item, image=np.concatenate([item.image[:3]] * 2))
    silent = with_hyper(lesson, augmentation="rotation", batch_size=6)
    batch = Batches(dataclasses.replace(silent, natural=[twice]))(0)
    assert torch.allclose(batch["image"], batch["target"], atol=1e-5)


def test_grey_values_change_in_the_planes_only() -> None:
    data = scenes(1, shape=(32, 32)).samples  # the crop is the whole image, in one of 8 positions
    _, lesson = prepared(data, images__augmentation="light")
    batch = Batches(lesson)(0)
    image = lesson.natural[0].image
    stain = np.sort(image[3:].ravel())
    assert np.allclose(np.sort(batch["target"][0].numpy().ravel()), stain)
    assert not np.allclose(np.sort(batch["image"][0].numpy().ravel()), np.sort(image[:3].ravel()))


def test_moved_patches_are_as_sharp_from_the_processor_as_from_a_device() -> None:
    model, lesson = prepared([scene(0, (128, 128))], images__augmentation="shapes")
    (item,) = lesson.natural
    noise = np.random.default_rng(0).normal(size=item.image.shape).astype(np.float32)
    noisy = [dataclasses.replace(item, image=noise)]
    (stage, *_) = stages(model, dataclasses.replace(lesson, natural=noisy))
    draw, make = stage.keep(torch.device("cpu"), 1 << 30)
    for key in ("image", "target"):
        here, there = (
            torch.cat([batch(step)[key] for step in range(10)]).std().item()
            for batch in (stage.draw, lambda step: make(draw(step)))
        )
        assert here == pytest.approx(there, rel=0.03)
        assert here > 0.8  # straight lines between pixels leave two thirds


def test_images_that_stay_on_a_device_make_the_very_same_batches_of_unmoved_patches() -> None:
    data = [scene(0, n_stains=2), scene(1, (40, 90), n_stains=2, labels=False)]
    model, lesson = prepared(data, images__augmentation="none", preset="nuclei")
    first, second = lesson.natural
    lesson = dataclasses.replace(lesson, natural=[first], synthetic=[second])
    (stage, *_) = stages(model, lesson)
    draw, make = stage.keep(torch.device("cpu"), 1 << 30)
    for step in range(8):
        expected, found = stage.draw(step), make(draw(step))
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert found[key].dtype == value.dtype
            assert torch.equal(found[key], value), key
    assert stage.keep(torch.device("cpu"), 1000) is None


def test_on_a_device_planes_and_stains_move_alike_and_only_planes_change_in_brightness() -> None:
    sample = scene(0, (80, 80))
    same = dataclasses.replace(sample, target=dataclasses.replace(sample.image, channels=()))
    _, lesson = prepared([same], images__augmentation="standard")
    (item,) = lesson.natural
    item = dataclasses.replace(item, image=np.concatenate([item.image[:3]] * 2))
    lesson = dataclasses.replace(lesson, natural=[item])
    found = {}
    for name in ("rotation", "standard"):
        draws = Batches(with_hyper(lesson, augmentation=name))
        draw, make = draws.keep(torch.device("cpu"), 1 << 30)
        found[name] = make(draw(0))
        assert found[name]["image"].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found["rotation"]["image"], found["rotation"]["target"])
    assert not torch.allclose(found["standard"]["image"], found["standard"]["target"], atol=0.1)
    assert found["standard"]["target"].min() >= item.image.min() - 1e-5
    assert found["standard"]["target"].max() <= item.image.max() + 1e-5


def test_masks_are_one_zero_or_unknown() -> None:
    _, lesson = prepared([scene(0), scene(1, labels=False)])
    alone = [dataclasses.replace(lesson, natural=[item]) for item in lesson.natural]
    assert [Batches(one)(0)["mask"].unique().tolist() for one in alone] == [[0, 1], [-1]]


def test_crops_lie_around_nuclei() -> None:
    sample = scene(0, (200, 200))
    assert sample.labels is not None
    only = np.where(sample.labels == 1, 1, 0).astype(np.int32)
    _, lesson = prepared([dataclasses.replace(sample, labels=only)], preset="nuclei")
    draw = Batches(with_hyper(lesson, patch_px=32, foreground_fraction=1.0))
    assert all(bool((draw(step)["mask"] == 1).flatten(1).any(1).all()) for step in range(5))
    assert len(lesson.natural[0].foreground) == 1


def test_scaled_tanh_gets_stains_from_zero_to_one() -> None:
    data = [scene(0)]
    faithful, fast = (prepared(data, preset=p)[1].natural[0].image[3:] for p in ("lipids", "fast"))
    assert faithful.min() == 0
    assert faithful.max() == 1
    assert fast.max() > 1  # percentiles leave a few pixels outside


def test_a_step_of_the_contest_moves_the_adversary_first_and_then_the_network() -> None:
    model, lesson = prepared(scenes(2).samples, preset="lipids")
    pretraining, contest = stages(model, lesson)
    assert [p.name for p in pretraining.players] == ["network"]
    adversary, network = contest.players
    assert (adversary.name, network.name) == ("adversary", "network")
    assert adversary.learning_rate < network.learning_rate
    batch = contest.draw(0)
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    adversary.loss(batch)["loss"].backward()
    assert all(p.grad is not None for p in adversary.parameters)
    assert all(p.grad is None for p in network.parameters)
    before = [p.grad.clone() for p in adversary.parameters if p.grad is not None]
    losses = network.loss(batch)
    losses["loss"].backward()
    assert len(calls) == 1  # one forward pass serves both
    assert all(p.grad is not None for p in network.parameters)
    after = [p.grad for p in adversary.parameters]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    expected = losses["med_mae"] + 10 * losses["gradient"] + 0.01 * losses["adversarial"]
    assert losses["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_adversary_sees_planes_and_stain() -> None:
    model, lesson = prepared(scenes(1).samples, preset="lipids")
    contest = stages(model, lesson)[-1]
    assert contest.players[0].parameters[0].shape[1] == 3 + 1
    fewer = stages(model, with_hyper(lesson, adversary_layers=3))[-1]
    assert len(fewer.players[0].parameters) < len(contest.players[0].parameters)


def test_before_the_adversary_comes_in_the_loss_is_that_of_logarithms() -> None:
    model, lesson = prepared(scenes(2).samples, preset="lipids")
    first, _ = stages(model, lesson)
    batch = first.draw(0)
    assert set(first.players[0].loss(batch)) == {"loss", "lsl"}


def test_stages_share_the_time_as_the_report_says() -> None:
    for preset, expected in (("lipids", 1 / 6), ("cytoplasm", 1 / 4)):
        first, last = stages(*prepared(scenes(1).samples, preset=preset))
        assert first.share / (first.share + last.share) == pytest.approx(expected)


@pytest.mark.parametrize("objective", ["nuclei", "l1"])
def test_a_network_with_two_decoders_learns_stain_and_mask(objective) -> None:
    settings = {"preset": "nuclei", "translation__objective": objective}
    model, lesson = prepared(scenes(2).samples, **settings)
    lesson = with_hyper(lesson, patch_px=32, batch_size=2, learning_rate=3e-3)
    (stage,) = stages(model, dataclasses.replace(lesson, validation=lesson.natural))
    plan = Plan(steps=30, steps_per_epoch=10, schedule="constant", warmup_steps=0, ema=0.0)
    history = fit(model, [stage], plan, choose_device("cpu")).history
    assert history[-1]["mask_bce"] < history[0]["mask_bce"]
    assert history[-1]["validation_loss"] < history[0]["validation_loss"]


def test_memory_is_saved_where_wished() -> None:
    for wish, expected in (("yes", True), ("no", False)):
        settings = {"preset": "lipids", "translation__save_memory": wish}
        model, lesson = prepared(scenes(1).samples, **settings)
        stages(model, lesson)
        frugal = {m.frugal for m in model.modules() if isinstance(m, DenseLayer)}
        assert frugal == {expected}
