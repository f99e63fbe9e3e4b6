"""The losses: hand-computed values, ignored pixels, finite gradients."""

from __future__ import annotations

import math

import pytest
import torch

from microshot.nn.losses import masked_mean, stardist_loss, weighted_bce, weighted_cross_entropy


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_masked_mean_by_hand() -> None:
    values = torch.tensor([1.0, 2.0, 4.0])
    assert masked_mean(values, torch.tensor([1.0, 0.0, 3.0])).item() == pytest.approx(13 / 4)
    assert masked_mean(values, torch.zeros(3)).item() == 0.0


def test_stardist_loss_by_hand() -> None:
    # two pixels with two rays: p = 0.5 with distances (4, 6), background with none
    output = torch.tensor([[[[0.0, -1.0]], [[3.0, 0.5]], [[8.0, -1.5]]]])  # (1, 3, 1, 2)
    probability = torch.tensor([[[0.5, 0.0]]])
    distance = torch.tensor([[[[4.0, 0.0]], [[6.0, 0.0]]]])
    bce, dist = stardist_loss(output, probability, distance)
    assert bce.item() == pytest.approx((math.log(2) + softplus(-1.0)) / 2, rel=1e-6)
    error = 0.5 * (1 + 2) / 2 / 0.5
    background = (0.5 * (3 + 8) / 2 + 1.0 * (0.5 + 1.5) / 2) / 2
    assert dist.item() == pytest.approx(0.2 * (error + 1e-4 * background), rel=1e-6)


def test_weighted_bce_by_hand() -> None:
    output = torch.tensor([[[0.0, 2.0, -3.0]]])
    target = torch.tensor([[[1.0, 1.0, 0.0]]])
    weight = torch.tensor([[[1.0, 3.0, 0.0]]])
    expected = (softplus(0.0) + 3 * softplus(-2.0)) / 4
    assert weighted_bce(output, target, weight).item() == pytest.approx(expected, rel=1e-6)


def test_weighted_cross_entropy_by_hand() -> None:
    output = torch.tensor([[[[0.0, 1.0]], [[0.0, 2.0]], [[0.0, 3.0]]]])  # (1, 3, 1, 2)
    target = torch.tensor([[[0, 2]]])
    weight = torch.tensor([[[1.0, 3.0]]])
    second = -math.log(math.exp(3) / (math.exp(1) + math.exp(2) + math.exp(3)))
    expected = (math.log(3) + 3 * second) / 4
    loss = weighted_cross_entropy(output, target, weight)
    assert loss.item() == pytest.approx(expected, rel=1e-6)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def test_ignored_pixels_contribute_nothing_to_the_stardist_loss(generator) -> None:
    """The loss of an image equals that of the part that is not ignored, whatever lies there."""
    output = torch.randn(1, 5, 6, 8, generator=generator)
    probability = torch.rand(1, 6, 8, generator=generator)
    distance = 10 * torch.rand(1, 4, 6, 8, generator=generator)
    ignored = probability.clone()
    ignored[:, :, 4:] = -1
    output.requires_grad_()
    whole = stardist_loss(output, ignored, distance)
    part = stardist_loss(output[..., :4], probability[..., :4], distance[..., :4])
    for a, b in zip(whole, part, strict=True):
        assert a.item() == pytest.approx(b.item(), rel=1e-6)
    sum(whole).backward()
    assert output.grad is not None
    assert not output.grad[..., 4:].any()
    assert output.grad[..., :4].all()


def test_pixels_of_no_weight_contribute_nothing_to_the_pixel_losses(generator) -> None:
    output = torch.randn(2, 3, 5, 5, generator=generator, requires_grad=True)
    weight = torch.ones(2, 5, 5)
    weight[:, 2:] = 0
    classes = torch.randint(0, 3, (2, 5, 5), generator=generator)
    loss = weighted_cross_entropy(output, classes, weight)
    loss = loss + weighted_bce(output[:, 0], (classes > 0).float(), weight)
    loss.backward()
    assert output.grad is not None
    assert not output.grad[:, :, 2:].any()
    other = classes.clone()
    other[:, 2:] = 2 - other[:, 2:]
    again = weighted_cross_entropy(output, other, weight)
    again = again + weighted_bce(output[:, 0], (other > 0).float(), weight)
    assert again.item() == loss.item()


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("kind", ["objects", "background", "ignored"])
def test_gradients_are_finite(generator, size, kind) -> None:
    output = (size * torch.randn(2, 9, 4, 4, generator=generator)).requires_grad_()
    probability = torch.rand(2, 4, 4, generator=generator)
    if kind != "objects":
        probability = torch.full((2, 4, 4), 0.0 if kind == "background" else -1.0)
    distance = torch.rand(2, 8, 4, 4, generator=generator)
    bce, dist = stardist_loss(output, probability, distance)
    weight = (probability >= 0).float()
    target = (probability > 0.5).float()
    loss = bce + dist + weighted_bce(output[:, 0], target, weight)
    loss = loss + weighted_cross_entropy(output[:, :3], target.long(), weight)
    loss.backward()
    assert torch.isfinite(loss)
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()
    if kind == "ignored":
        assert loss.item() == 0.0
