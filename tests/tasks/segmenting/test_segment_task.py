"""The task as a whole: what it accepts, prepares, draws batches of, and how it scores."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from microshot.nn.star_targets import star_targets
from microshot.settings import PredictSettings
from microshot.tasks import task_named
from microshot.tasks.batches import MAX_VALIDATION_PATCHES
from microshot.tasks.lesson import Lesson
from microshot.tasks.segmenting.segmentation import Options, Segmentation
from microshot.tasks.segmenting.training import Batches, loss_of, stage
from tiny_models import TRAIN, changed, field, fields, synthetic, unlabelled

SEGMENT = task_named("segment")
HEADS = ("stardist", "foreground", "boundary")


def segmentation(labels: np.ndarray) -> Segmentation:
    return Segmentation(labels, np.full(int(labels.max()), 0.5, np.float32))


def test_unknown_tasks_are_refused_with_those_there_are() -> None:
    with pytest.raises(
        ValueError, match='Unknown task "juggle"; this version of Microshot has seg'
    ):
        task_named("juggle")


def test_a_label_image_teaches_also_an_empty_one() -> None:
    empty = dataclasses.replace(field(1), labels=np.zeros((64, 72), np.int32))
    assert SEGMENT.is_labelled(field(1))
    assert SEGMENT.is_labelled(empty)
    assert not SEGMENT.is_labelled(unlabelled(field(1)))


def test_suspicious_labels_are_noted() -> None:
    empty = dataclasses.replace(field(1), labels=np.zeros((64, 72), np.int32))
    whole = dataclasses.replace(field(2), labels=np.full((64, 72), 3, np.int32))
    assert SEGMENT.check(fields(3).samples) == []
    assert SEGMENT.check([empty, empty, field(1)]) == ["2 of 3 label images hold no object."]
    generated = [dataclasses.replace(one, domain="synthetic") for one in (empty, whole)]
    assert SEGMENT.check([*generated, field(1)]) == []
    (note,) = SEGMENT.check([whole, field(1)])
    assert (
        note == "field2: one object covers 100% of the image; is this a mask of the field of view?"
    )
    with pytest.raises(ValueError, match="check that labels and images were not swapped"):
        SEGMENT.check([empty])


# -------------------------------------------------------------------------------- preparation


def test_images_are_prepared_at_the_scale_and_range_of_the_network() -> None:
    sample = field(1, radius=6)
    settings = changed(TRAIN, images__diameter_px=12.0)
    recipe = SEGMENT.recipe([sample], settings, None)
    item = SEGMENT.prepare(sample, recipe)
    assert item.image.shape == (1, 128, 144)
    assert item.labels.shape == (128, 144)
    assert item.image.dtype == np.float32
    assert item.image.mean() == pytest.approx(0, abs=1e-2)
    assert item.image.std() == pytest.approx(1, abs=1e-2)
    inside = item.image[0][item.labels > 0].mean() - item.image[0][item.labels == 0].mean()
    assert inside > 1  # labels lie on their objects
    with pytest.raises(ValueError, match="field1: has no label image"):
        SEGMENT.prepare(unlabelled(sample), recipe)


def test_adapted_recipes_know_the_diameter_of_the_other_images() -> None:
    small = SEGMENT.recipe(fields(1).samples, TRAIN, None)
    large = SEGMENT.recipe(fields(1, radius=14).samples, changed(TRAIN, network__width=4), None)
    adapted = SEGMENT.adapted(small, large)
    assert adapted.preparation["image_diameter_px"] == large.preparation["image_diameter_px"]
    assert adapted.architecture == small.architecture
    back = dataclasses.replace(adapted, preparation=small.preparation)
    assert back == small
    assert SEGMENT.adapted(small, small) == small


# ------------------------------------------------------------------------------------ batches


def batches(head: str = "foreground", seed: int = 0, **changes):
    settings = changed(TRAIN, network__head=head, images__diameter_px=24.0, **changes)
    recipe = SEGMENT.recipe(fields(2).samples, settings, None)
    hyper = SEGMENT.hyper(fields(2).samples, settings, None)
    natural = [SEGMENT.prepare(s, recipe) for s in fields(2)]
    made = [SEGMENT.prepare(s, recipe) for s in synthetic(2)]
    bright = [dataclasses.replace(item, image=np.full_like(item.image, 99)) for item in made]
    return Batches(Lesson(recipe, hyper, natural, bright, seed=seed))


@pytest.mark.parametrize("head", HEADS)
def test_batches_hold_images_and_the_targets_of_their_head(head) -> None:
    draw = batches(head)
    batch = draw.make(draw(0))
    n, side = draw.hyper.batch_size, draw.hyper.patch_px
    grid = draw.architecture["grid"]
    assert batch["image"].shape == (n, 1, side, side)
    for key, value in batch.items():
        if key not in ("image", "distance"):
            assert value.shape == (n, side // grid, side // grid), key
    if head == "stardist":
        assert batch["distance"].shape == (n, 32, side // grid, side // grid)
    model = SEGMENT.build(draw.architecture, 0)
    losses = loss_of(model(batch["image"]), batch, head)
    assert torch.isfinite(losses["loss"])


def test_a_card_makes_the_targets_that_the_processor_makes() -> None:
    draw = batches("stardist", images__augmentation="standard")
    here = draw.make(draw(0))
    rays, grid = (int(draw.architecture[key]) for key in ("rays", "grid"))
    probability, distance = star_targets(draw(0)["labels"], rays, grid)
    assert (here["probability"] > 0).any()
    torch.testing.assert_close(probability, here["probability"], rtol=0, atol=1e-6)
    torch.testing.assert_close(distance, here["distance"], rtol=0, atol=1e-4)


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    first = batches(images__augmentation="heavy")
    again = batches(images__augmentation="heavy")
    first(0)
    for key, value in first(5).items():
        assert torch.equal(value, again(5)[key])
    assert not torch.equal(first(5)["image"], first(6)["image"])
    other = batches(seed=1, images__augmentation="heavy")
    assert not torch.equal(first(5)["image"], other(5)["image"])


@pytest.mark.parametrize(("part", "low", "high"), [(0.0, 0, 0), (0.3, 0.2, 0.4), (0.95, 0.88, 1)])
def test_so_many_crops_are_synthetic_as_asked_for(part, low, high) -> None:
    draw = batches(images__synthetic_fraction=part, training__batch_size=300, images__patch_px=16)
    made = (draw(0)["image"].amax((1, 2, 3)) > 50).float().mean()
    assert low <= made <= high


def test_without_one_kind_of_images_all_crops_are_of_the_other() -> None:
    lesson = batches(images__synthetic_fraction=0.0).lesson
    only = Batches(dataclasses.replace(lesson, natural=[]))
    assert (only(0)["image"] > 50).any()
    hyper = dataclasses.replace(lesson.hyper, synthetic_fraction=0.95)
    none = Batches(dataclasses.replace(lesson, hyper=hyper, synthetic=[]))
    assert (none(0)["image"] < 50).all()


def test_a_stage_draws_synthetic_images_as_often_as_asked_for() -> None:
    draw = batches(images__synthetic_fraction=0.0)
    made = stage(SEGMENT.build(draw.architecture, 0), draw.lesson)
    assert made.validate is None
    assert all((made.draw(step)["image"] < 50).all() for step in range(5))


@pytest.mark.parametrize("head", ["foreground", "boundary"])
def test_a_network_that_is_sure_and_right_has_no_loss_and_one_that_is_wrong_has(head) -> None:
    labels = torch.zeros(1, 8, 8, dtype=torch.int64)
    labels[0, 2:6, 2:6] = 1
    target = labels.float() if head == "foreground" else labels
    batch = {"target": target, "weight": torch.ones(1, 8, 8)}
    sign = 2.0 * labels - 1
    maps = [sign] if head == "foreground" else [-sign, sign, -torch.ones_like(sign)]
    right = 40 * torch.stack(maps, dim=1)
    assert loss_of(right, batch, head)["loss"] == pytest.approx(0, abs=1e-6)
    assert loss_of(-right, batch, head)["loss"] > 20


@pytest.mark.parametrize("head", HEADS)
def test_validation_is_repeatable_unchanged_and_bounded(head) -> None:
    draw = batches(head)
    model = SEGMENT.build(draw.architecture, 0)
    own = dataclasses.replace(draw.lesson, validation=draw.lesson.natural)
    (stage,) = SEGMENT.stages(model, own)
    assert stage.validate is not None
    model.eval()
    with torch.no_grad():
        first, second = stage.validate(model), stage.validate(model)
    assert first == second
    assert first["loss"] > 0
    assert SEGMENT.stages(model, draw.lesson)[0].validate is None
    assert 2 * draw.hyper.batch_size <= MAX_VALIDATION_PATCHES


# ------------------------------------------------------------------------------------- scores


def test_scores_count_hits_and_misses() -> None:
    sample = field(1)
    assert sample.labels is not None
    labels = sample.labels.copy()
    n = int(labels.max())
    perfect = SEGMENT.score(segmentation(labels), sample)
    assert perfect["f1"] == perfect["panoptic_quality"] == perfect["average_precision"] == 1
    labels[labels == n] = 0
    fewer = SEGMENT.score(segmentation(labels), sample)
    assert fewer["true_positives"] == n - 1
    assert fewer["false_negatives"] == 1
    assert fewer["f1"] == pytest.approx(2 * (n - 1) / (2 * (n - 1) + 1))
    labels[0, 0] = n
    assert SEGMENT.score(segmentation(labels), sample)["false_positives"] == 1
    assert SEGMENT.score(segmentation(labels), sample, border_px=1)["false_positives"] == 0


def test_summaries_pool_objects_and_average_precision() -> None:
    a, b = field(1), field(2)
    assert a.labels is not None
    assert b.labels is not None
    scores = [
        SEGMENT.score(segmentation(a.labels), a),
        SEGMENT.score(segmentation(np.zeros_like(b.labels)), b),
    ]
    n, m = int(a.labels.max()), int(b.labels.max())
    summary = SEGMENT.summarize(scores)
    assert summary["true_positives"] == n
    assert summary["false_negatives"] == m
    assert summary["f1"] == pytest.approx(2 * n / (2 * n + m))
    assert summary["average_precision"] == 0.5
    assert SEGMENT.primary in summary


def test_options_are_what_the_task_knows_of_the_settings() -> None:
    settings = PredictSettings(
        0.7, 0.2, diameter_px=9.0, size_found="once", least_area_px=5, tile_px=512
    )
    assert SEGMENT.options(settings) == Options(0.7, 0.2, 9.0, "once", 5, 512)
    assert SEGMENT.options(PredictSettings()) == Options()


def test_seeds_make_networks() -> None:
    a = SEGMENT.recipe(fields(1).samples, TRAIN, None).architecture
    first, same, other = (SEGMENT.build(a, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[k], same[k]) for k in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])
    fresh = SEGMENT.fresh(a, TRAIN, 1).state_dict()
    assert all(torch.equal(first[k], fresh[k]) for k in first)


def test_parts_name_every_parameter_once() -> None:
    a = SEGMENT.recipe(fields(1).samples, TRAIN, None).architecture
    for name, _ in SEGMENT.build(a, 0).named_parameters():
        assert sum(name.startswith(prefixes) for prefixes in SEGMENT.parts.values()) == 1, name


def test_a_prediction_without_objects_has_no_confidence() -> None:
    assert segmentation(np.zeros((4, 4), np.int32)).confidence is None
    assert segmentation(np.eye(4, dtype=np.int32)).confidence == 0.5
