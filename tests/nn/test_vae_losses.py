"""Losses of the Twin-VAE, computed by hand."""

from __future__ import annotations

import math

import pytest
import torch

from microshot.nn.vae_losses import counting_loss, decayed, divergence, reconstruction_loss

NAN = float("nan")


def test_reconstruction_by_hand() -> None:
    image = torch.tensor([0.0, 1.0, 0.5, 0.25]).reshape(1, 1, 2, 2)
    drawn = torch.tensor([0.5, 0.75, 0.5, 0.25])
    logits = torch.logit(drawn).reshape(1, 1, 2, 2)
    assert reconstruction_loss(logits, image, "mse").item() == pytest.approx((0.25 + 0.0625) / 4)
    pairs = zip(image.flatten().tolist(), drawn.tolist(), strict=True)
    by_hand = [-(x * math.log(y) + (1 - x) * math.log(1 - y)) for x, y in pairs]
    assert reconstruction_loss(logits, image, "bce").item() == pytest.approx(sum(by_hand) / 4)
    assert reconstruction_loss(logits, image, "bce-sum").item() == pytest.approx(sum(by_hand))


def test_cross_entropy_stays_finite_where_the_drawing_is_certain_and_wrong() -> None:
    logits = torch.full((1, 1, 2, 2), 200.0)
    assert reconstruction_loss(logits, torch.zeros(1, 1, 2, 2), "bce").item() == pytest.approx(200)


def test_divergence_by_hand_is_summed_over_latents_and_divided_by_batch_and_pixels() -> None:
    mu = torch.tensor([[1.0, 0.0, -2.0], [0.0, 0.5, 0.0]])
    logvar = torch.tensor([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    pairs = zip(mu.flatten().tolist(), logvar.flatten().tolist(), strict=True)
    total = sum(-0.5 * (1 + v - m**2 - math.exp(v)) for m, v in pairs)
    assert divergence(mu, logvar, 128 * 128).item() == pytest.approx(total / (2 * 16384), rel=1e-6)
    assert divergence(torch.zeros(4, 8), torch.zeros(4, 8), 64).item() == 0


def test_the_published_factor_of_two_is_a_32nd_of_the_mean_divergence_per_latent() -> None:
    mu, logvar = torch.randn(5, 256), torch.randn(5, 256)
    per_latent = (-0.5 * (1 + logvar - mu**2 - logvar.exp())).mean()
    assert 2 * divergence(mu, logvar, 128 * 128).item() == pytest.approx(
        0.03125 * per_latent.item()
    )


def test_counting_loss_by_hand_masked_and_diluted() -> None:
    predicted = torch.tensor([3.0, 10.0, 0.5, 7.0])
    count = torch.tensor([1.0, NAN, 0.0, NAN])
    assert counting_loss(predicted, count).item() == pytest.approx((4 + 0.25) / 2)
    assert counting_loss(predicted, count, masked=False).item() == pytest.approx((4 + 0.25) / 4)


@pytest.mark.parametrize("masked", [True, False])
def test_an_image_without_a_count_has_no_gradient_and_a_count_of_zero_has_one(
    *, masked: bool
) -> None:
    predicted = torch.tensor([3.0, 10.0, 0.5], requires_grad=True)
    counting_loss(predicted, torch.tensor([1.0, NAN, 0.0]), masked=masked).backward()
    assert predicted.grad is not None
    assert predicted.grad[1] == 0
    assert predicted.grad[2] > 0


@pytest.mark.parametrize("masked", [True, False])
def test_a_batch_without_counts_teaches_nothing(*, masked: bool) -> None:
    assert counting_loss(torch.ones(3), torch.full((3,), NAN), masked=masked).item() == 0


def test_the_factor_decays_by_a_part_per_epoch() -> None:
    assert decayed(100, 3e-5, 0) == 100
    assert decayed(100, 3e-5, 2) == pytest.approx(100 * (1 - 3e-5) ** 2)
    assert decayed(1, 3e-5, 50_000) == pytest.approx(0.22, abs=0.005)
