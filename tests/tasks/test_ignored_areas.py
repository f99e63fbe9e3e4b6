"""What is predicted where nobody looked changes no loss, no gradient and no score."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import discs
from microshot.data.dataset import Sample
from microshot.data.image import Image
from microshot.data.objects import centroids
from microshot.metrics.labels import match
from microshot.nn.density import density_loss
from microshot.settings import TrainSettings
from microshot.tasks.counting import density
from microshot.tasks.counting.base import true_count
from microshot.tasks.counting.density_training import Batches
from microshot.tasks.counting.task import CountTask
from microshot.tasks.lesson import Lesson
from microshot.tasks.segmenting.training import TARGETS, loss_of

SIDE = 64
LABELS = next(iter(discs.samples(1, shape=(SIDE, SIDE)))).labels
assert LABELS is not None


def partly(labels: np.ndarray) -> np.ndarray:
    """Mark the right third as not annotated."""
    made = labels.copy()
    made[:, 40:] = -1
    return made


def changed_there(output: torch.Tensor, ignored: np.ndarray) -> torch.Tensor:
    """Return another prediction, different only in the area to be ignored."""
    other = output.detach().clone()
    there = torch.from_numpy(ignored).expand(other.shape)
    other[there] = torch.randn(int(there.sum()), generator=torch.Generator().manual_seed(1)) * 9
    return other.requires_grad_()


@pytest.mark.parametrize(
    ("head", "channels"), [("stardist", 9), ("foreground", 1), ("boundary", 3)]
)
@pytest.mark.parametrize("grid", [1, 2])
def test_segmentation_does_not_see_what_is_predicted_there(head, channels, grid):
    labels = partly(LABELS)
    made = TARGETS[head](labels, {"rays": 8, "grid": grid})
    batch = {name: torch.from_numpy(np.ascontiguousarray(v))[None] for name, v in made.items()}
    ignored = labels[::grid, ::grid] < 0
    output = torch.randn(1, channels, *ignored.shape, generator=torch.Generator().manual_seed(0))
    first, second = output.requires_grad_(), changed_there(output, ignored)
    for prediction in (first, second):
        loss_of(prediction, batch, head)["loss"].backward()
    a, b = (loss_of(p, batch, head)["loss"] for p in (first, second))
    assert torch.equal(a, b)
    assert a > 0
    assert first.grad is not None
    assert second.grad is not None
    assert torch.equal(first.grad, second.grad)
    there = torch.from_numpy(ignored)
    assert not first.grad[..., there].any()
    assert first.grad[..., ~there].any()


def counted(what: str) -> Sample:
    """Return a sample with labels or points, partly not annotated, and a count of the whole."""
    image = Image(np.random.default_rng(0).integers(0, 255, (1, SIDE, SIDE)).astype(np.uint8))
    labels, n = partly(LABELS), float(LABELS.max())
    if what == "labels":
        return Sample("a", image, labels=labels, count=n)
    points = centroids(labels)
    kept = points[labels[tuple(np.rint(points).astype(int).T)] >= 0]
    return Sample("a", image, points=kept, ignore=labels < 0, count=n)


@pytest.mark.parametrize("what", ["labels", "points"])
@pytest.mark.parametrize("augmentation", ["none", "heavy"])
def test_a_density_counter_does_not_see_what_is_predicted_there(what, augmentation):
    sample = counted(what)
    settings = TrainSettings(task="count")
    recipe = density.recipe([sample], settings, None)
    hyper = dataclasses.replace(density.hyper([sample], settings, None), augmentation=augmentation)
    batch = Batches(Lesson(recipe, hyper, [density.prepare(sample, recipe)], seed=3))(0)
    weight = batch["weight"]
    assert 0 < float(weight.mean()) < 1
    ignored = (weight == 0).numpy()
    output = torch.rand(weight.shape, generator=torch.Generator().manual_seed(0))
    first, second = output.requires_grad_(), changed_there(output, ignored)
    losses = [
        density_loss(
            p, batch["density"], weight, batch["count"], batch["placed"], unit=0.1, count_weight=0.2
        )["loss"]
        for p in (first, second)
    ]
    for loss in losses:
        loss.backward()
    assert torch.equal(*losses)
    assert first.grad is not None
    assert second.grad is not None
    assert torch.equal(first.grad, second.grad)
    assert not first.grad[torch.from_numpy(ignored)].any()
    assert first.grad.any()


@pytest.mark.parametrize("what", ["labels", "points"])
def test_a_count_of_a_part_is_no_count_of_the_image(what):
    sample = counted(what)
    assert true_count(sample) == LABELS.max()
    alone = dataclasses.replace(sample, count=None)
    assert true_count(alone) is None
    assert not CountTask().is_labelled(alone)
    whole = dataclasses.replace(alone, labels=np.maximum(partly(LABELS), 0), points=None)
    assert true_count(whole) is not None


def test_scores_do_not_see_what_is_predicted_there():
    truth = partly(LABELS)
    found = LABELS.copy()
    found[:, 44:] = 0
    more = found.copy()
    more[5:15, 46:60] = 99
    assert match(truth, found, 0.5) == match(truth, more, 0.5)
