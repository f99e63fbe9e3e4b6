"""Batches and loss of the density counter, and the network's start."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, map_coordinates

import discs
from microshot.data.augment import STRENGTHS, Augmenter
from microshot.data.dataset import Sample
from microshot.data.image import Image
from microshot.data.objects import centroids
from microshot.nn.density import DensityNetwork, density_loss
from microshot.settings import TrainSettings
from microshot.tasks.counting import density as count_density
from microshot.tasks.counting import density_training
from microshot.tasks.counting.density_training import Batches, dots_of, moved
from microshot.tasks.lesson import Lesson

SETTINGS = TrainSettings(task="count")


def batches(samples, synthetic=(), **changes) -> Batches:
    recipe = count_density.recipe(samples, SETTINGS, None)
    hyper = dataclasses.replace(count_density.hyper(samples, SETTINGS, None), **changes)
    first, second = (
        [count_density.prepare(s, recipe) for s in some] for some in (samples, synthetic)
    )
    return Batches(Lesson(recipe, hyper, first, second, seed=3))


def known(sample: Sample, what: str) -> Sample:
    """Keep only labels, points or the count of a sample with labels."""
    points = centroids(sample.labels)
    n = float(len(points))
    return {
        "labels": sample,
        "points": dataclasses.replace(sample, labels=None, points=points),
        "count": dataclasses.replace(sample, labels=None, count=n),
    }[what]


SAMPLES = list(discs.samples(3, shape=(80, 104)))


@pytest.mark.parametrize("name", ["counting", "standard", "heavy"])
@pytest.mark.parametrize("what", ["labels", "points"])
def test_patches_hold_their_count(name, what) -> None:
    draw = batches([known(s, what) for s in SAMPLES], augmentation=name)
    for step in range(3):
        batch = draw(step)
        total = (batch["density"] * batch["weight"]).sum((1, 2))
        torch.testing.assert_close(total, batch["count"])
        torch.testing.assert_close(total, total.round(), atol=2e-3, rtol=0)
        assert batch["placed"].tolist() == [1] * 4
        again = draw(step)
        assert all(torch.equal(batch[k], again[k]) for k in batch)


def test_whole_images_keep_their_count_and_know_their_edge() -> None:
    draw = batches([known(s, "count") for s in SAMPLES])
    batch = draw(0)
    counts = {float(np.unique(s.labels).size - 1) for s in SAMPLES}
    assert set(batch["count"].tolist()) <= counts
    assert batch["placed"].tolist() == [0] * 4
    assert batch["image"].shape[2:] == (112, 112)  # 104 up to the next multiple of 16
    assert batch["weight"].sum((1, 2)).tolist() == [40 * 52] * 4


def test_labels_points_and_counts_are_mixed_in_proportion() -> None:
    mixed = [known(SAMPLES[0], "labels"), known(SAMPLES[1], "points"), known(SAMPLES[2], "count")]
    draw = batches(mixed)
    placed = [float(draw(step)["placed"].mean()) for step in range(60)]
    assert set(placed) == {0.0, 1.0}
    assert 0.5 < np.mean(placed) < 0.85
    only = batches([known(s, "count") for s in SAMPLES], SAMPLES, synthetic_fraction=0.25)
    assert 0.1 < np.mean([float(only(i)["placed"].mean()) for i in range(60)]) < 0.45


@pytest.mark.parametrize("most", [4096, 40])
@pytest.mark.parametrize("name", ["none", "standard", "heavy"])
def test_points_move_with_the_image(name, most, monkeypatch) -> None:
    monkeypatch.setattr(density_training, "_MOST_PLACES", most)
    rng = np.random.default_rng(0)
    still = dataclasses.replace(
        STRENGTHS[name],
        gain=(1, 1),
        offset=0,
        gamma=(1, 1),
        noise=0,
        blur_px=0,
        shading=0,
        invert=0,
    )
    augment, size = Augmenter(still, 0.0), 48
    side = size + 2 * augment.margin(size)
    dots = (rng.random((side, side)) < 0.005).astype(np.int32)
    image = gaussian_filter(dots.astype(np.float32), 1.5)[None] * 2 * np.pi * 1.5**2
    source, block = density_training.places(side)
    assert (block > 1) == (most < side)
    seen = 0
    for _ in range(4):
        changed, where = augment(image, source, size, rng)
        points = moved(dots_of(dots), where, side, block)
        inner = points[((points > 2) & (points < size - 3)).all(1)]
        seen += len(inner)
        assert map_coordinates(changed[0], inner.T, order=1).min(initial=1) > 0.7
    assert seen > 10


def test_several_points_in_one_pixel_stay_several() -> None:
    image = Image(np.zeros((1, 40, 40), np.uint8))
    sample = Sample("a", image, points=np.array([[5.0, 5.0], [5.2, 4.9], [30.0, 7.0]]))
    recipe = count_density.recipe([sample], SETTINGS, None)
    made = count_density.prepare(sample, recipe)
    assert made.known == "points"
    assert len(dots_of(made.field.labels)) == 3


def test_several_points_in_one_pixel_stay_several_in_a_batch() -> None:
    image = Image(np.zeros((1, 64, 64), np.uint8))
    sample = Sample("a", image, points=np.array([[20.0, 20.0], [20.2, 19.9], [40.0, 30.0]]))
    draw = batches([sample], augmentation="none", patch_px=64)
    assert draw(0)["count"].tolist() == pytest.approx([3.0] * 4)


def test_images_are_drawn_alike_within_their_kind_and_kinds_as_wished() -> None:
    """One image in four of a tenth is drawn each, and the other kind in six of ten."""
    made = [
        Sample(f"{n}", Image(np.full((1, 64, 64), 5, np.uint8)), points=np.full((n, 2), 32.0))
        for n in (1, 2, 3, 4, 9)
    ]
    draw = batches(
        made[:4], made[4:], augmentation="none", patch_px=64, batch_size=100, synthetic_fraction=0.6
    )
    counts = torch.cat([draw(step)["count"] for step in range(10)]).round().tolist()
    shares = [counts.count(n) / len(counts) for n in (1, 2, 3, 4, 9)]
    assert shares == pytest.approx([0.1] * 4 + [0.6], abs=0.04)


def test_pixels_that_are_not_annotated_count_for_nothing() -> None:
    labels = np.array(SAMPLES[0].labels)
    labels[:, 50:] = -1
    draw = batches([dataclasses.replace(SAMPLES[0], labels=labels)])
    assert 0 < float(draw(0)["weight"].mean()) < 1


def loss(output, density, weight=None, placed=1.0, count=None, unit=0.1, count_weight=0.5):
    weight = torch.ones_like(output) if weight is None else weight
    count = (density * weight).sum((1, 2)) if count is None else torch.tensor([count])
    return density_loss(
        output, density, weight, count, torch.tensor([placed]), unit=unit,
        count_weight=count_weight,
    )  # fmt: skip


def test_the_loss_of_a_hand_example() -> None:
    density, output = torch.zeros(1, 4, 4), torch.zeros(1, 4, 4)
    density[0, 1, 1], output[0, 2, 2] = 1.0, 0.5
    found = loss(output, density)
    assert float(found["map_loss"]) == pytest.approx(2 * 1.25 / (0.1 * 2))
    count = 4 * (0.875**0.5 - 1.375**0.5) ** 2
    assert float(found["loss"]) == pytest.approx(12.5 + 0.5 * count, rel=1e-5)
    assert float(found["count_error"]) == pytest.approx(0.5)
    assert float(loss(density, density)["loss"]) == pytest.approx(0, abs=1e-6)


def test_with_a_count_only_the_place_does_not_matter() -> None:
    output = torch.rand(1, 6, 6)
    moved_output = output.flip(1, 2)
    a, b = (loss(o, torch.zeros_like(o), placed=0.0, count=7.0) for o in (output, moved_output))
    assert float(a["loss"]) == pytest.approx(float(b["loss"]), rel=1e-5)
    assert float(a["map_loss"]) == 0
    assert float(a["loss"]) == pytest.approx(float(a["count_loss"]))
    full = 4 * ((float(output.sum()) + 0.375) ** 0.5 - 7.375**0.5) ** 2
    assert float(a["loss"]) == pytest.approx(full, rel=1e-4)  # whatever `count_weight` is


def test_the_network_begins_near_the_mean_density_and_is_never_negative() -> None:
    samples = [discs.sample(str(i), i, n=40, radius=(3, 4)) for i in range(2)]
    recipe = count_density.recipe(samples, SETTINGS, None)
    network = count_density.build(recipe.architecture, 0)
    assert isinstance(network, DensityNetwork)
    field = count_density.prepare(samples[0], recipe).field
    side = np.array(field.image.shape[1:]) // 16 * 16
    x = torch.from_numpy(field.image[None, :, : side[0], : side[1]])
    y = network(x).detach()
    assert y.shape == (1, 1, side[0] // 2, side[1] // 2)
    assert float(y.min()) >= 0
    assert 10 < float(y.sum()) < 160
    assert float(network(x * 1000 - 500).detach().min()) >= 0
