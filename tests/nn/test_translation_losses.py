"""Losses of the task translate: values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from microshot.nn.lupi import LupiOutput
from microshot.nn.translation_losses import (
    RelativisticLoss,
    ScorePool,
    foreground_l1,
    gradient_loss,
    l1,
    l2,
    lsl,
    mask_bce,
    med_mae,
    nuclei_loss,
    pixel_weights,
    side_losses,
    weighted_med_mae,
)


def picture(*rows: list[float]) -> torch.Tensor:
    return torch.tensor([[list(rows)]])


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_lsl_by_hand() -> None:
    x, y = picture([0.5, 0.2]), picture([0.25, 0.2])
    assert lsl(x, y).item() == pytest.approx(math.log(2) ** 2 / 2, rel=1e-5)
    black = lsl(picture([0.01]), picture([0.0]))
    assert black.item() == pytest.approx(math.log(1e6) ** 2, rel=1e-3)  # 191
    assert lsl(picture([0.0]), picture([0.0])).item() == 0.0
    assert lsl(picture([0.01]), picture([0.0]), floor=1e-3).item() == pytest.approx(
        math.log(11) ** 2, rel=1e-5
    )


def test_med_mae_by_hand() -> None:
    x, y = picture([0.1, 0.4, 0.9]), picture([0.2, 0.4, 0.6])
    assert med_mae(x, y).item() == pytest.approx((0.1 + 0 + 0.3) / 3 / 0.4, rel=1e-5)


def test_a_median_of_zero_does_not_divide_by_zero() -> None:
    x = picture([0.0, 0.1, 0.0, 0.0]).requires_grad_()
    loss = med_mae(x, picture([0.0, 0.0, 0.0, 0.5]))
    loss.backward()
    assert loss.item() == pytest.approx((0.1 + 0.5) / 4 / 1e-3, rel=1e-5)
    assert x.grad is not None
    assert bool(torch.isfinite(x.grad).all())


def test_gradient_loss_by_hand() -> None:
    x, y = picture([0.0, 1.0], [0.0, 0.0]), picture([0.0, -3.0], [0.0, 0.0])
    # along x: |1 - 3|, 0; along y: 0, |1 - 3|; of 2 · 4 values
    assert gradient_loss(x, y).item() == pytest.approx(4 / 8)
    assert gradient_loss(x, y, signed=True).item() == pytest.approx(8 / 8)
    assert gradient_loss(x, -x).item() == 0.0


def test_l1_l2_and_foreground_l1_by_hand() -> None:
    x, y = picture([0.5, 0.5]), picture([0.0, 1.0])
    assert l1(x, y).item() == 0.5
    assert l2(x, y).item() == 0.25
    x = picture([0.1, 0.5])  # errors 0.1 and 0.5 with weights 1 and 5
    assert foreground_l1(x, y).item() == pytest.approx((0.1 + 2.5) / 6, rel=1e-6)
    assert foreground_l1(x, y, gain=0).item() == pytest.approx(0.3, rel=1e-6)


def test_mask_bce_by_hand_and_without_unannotated_pixels() -> None:
    logits = torch.tensor([[[[2.0, 0.0, 9.0]], [[-1.0, 3.0, 9.0]]]])  # (1, 2, 1, 3)
    bce, counts = mask_bce(logits, torch.tensor([[[0, 1, -1]]]))
    assert bce[0, 0, 0].item() == pytest.approx((softplus(-2) + softplus(-1)) / 2, rel=1e-5)
    assert bce[0, 0, 1].item() == pytest.approx((softplus(0) + softplus(-3)) / 2, rel=1e-5)
    assert counts.tolist() == [[[1.0, 1.0, 0.0]]]


def test_wrong_pixels_weigh_twice() -> None:
    logits = torch.tensor([[[[1.0, 1.0, 0.0, 0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0, 1.0, 0.0, 1.0]]]])
    weights = pixel_weights(logits, torch.tensor([[[0, 1, 1, 0, -1, -1]]]))
    assert weights.tolist() == [[[[1.0, 2.0, 1.0, 2.0, 1.0, 1.0]]]]


def test_side_losses_take_the_nearest_pixel() -> None:
    y = picture([0.2, 9.0, 0.4, 9.0], [9.0, 9.0, 9.0, 9.0])
    weight = picture([2.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0])
    side = picture([0.3, 0.3])  # |0.1| · 2 and |0.1| · 1; the median of 0.2, 0.4 is 0.2
    assert side_losses((side,), y, weight).item() == pytest.approx(0.3 / 2 / 0.2, rel=1e-5)
    assert side_losses((), y, weight).item() == 0.0


def test_nuclei_loss_is_the_stated_sum() -> None:
    y, x = picture([0.2, 0.6], [0.2, 0.2]), picture([0.3, 0.4], [0.2, 0.2])
    mask = torch.tensor([[[0, 1], [0, 0]]])
    logits = torch.tensor([[[[1.0, 1.0], [1.0, 1.0]], [[-1.0, -1.0], [-1.0, -1.0]]]])
    side = picture([0.5])
    terms = nuclei_loss(LupiOutput(x, logits, (side,)), y, mask)
    right, wrong = softplus(-1), softplus(1)
    plain_bce, hard_bce = (3 * right + wrong) / 4, (3 * right + 2 * wrong) / 4
    stain, hard_stain = (0.1 + 0.2) / 4 / 0.2, (0.1 + 0.4) / 4 / 0.2
    sides = 0.3 / 0.2
    expected = 0.5 * hard_stain + hard_bce + 0.1 * sides + plain_bce + 0.5 * stain
    assert terms["loss"].item() == pytest.approx(expected, rel=1e-5)
    assert terms["mask_bce"].item() == pytest.approx(plain_bce, rel=1e-5)
    weight = pixel_weights(logits, mask)
    assert weighted_med_mae(x, y, weight).item() == pytest.approx(hard_stain, rel=1e-5)


def test_the_pool_holds_the_last_fifty_maps() -> None:
    pool = ScorePool()
    pool.add(torch.arange(30.0).view(30, 1, 1, 1))
    assert pool.mean().item() == pytest.approx(14.5)
    pool.add(torch.full((40, 1, 2, 2), 100.0, requires_grad=True))
    assert len(pool.means) == 50
    assert pool.mean().item() == pytest.approx((10 * 24.5 + 40 * 100) / 50)
    assert not pool.mean().requires_grad


def test_relativistic_losses_by_hand() -> None:
    loss = RelativisticLoss()
    real, made = torch.tensor([[[[2.0, 0.0]]]]), torch.tensor([[[[1.0, -1.0]]]])
    real.requires_grad_()
    made.requires_grad_()
    # r = 1, f = 0: D (2-0-1)², (0-0-1)² and (1-1+1)², (-1-1+1)²
    assert loss.discriminator(real, made).item() == pytest.approx((1 + 1) / 2)
    # G: (2-0+1)², (0-0+1)² and (1-1-1)², (-1-1-1)²
    assert loss.generator(real, made).item() == pytest.approx(((9 + 1) / 2 + (1 + 9) / 2) / 2)


@given(st.floats(0.5, 5))
def test_each_side_of_the_game_gains_by_its_own_move(step) -> None:
    """The discriminator by setting real above made, the generator by raising its scores."""
    low, high = torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), step)
    loss = RelativisticLoss()
    apart, level = loss.discriminator(high, low), RelativisticLoss().discriminator(low, low)
    if step < 2:
        assert apart < level
    raised = low + 0.1
    assert loss.generator(high, raised) < loss.generator(high, low)
