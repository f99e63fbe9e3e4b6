"""Sub-pixel convolution: sizes, blur, and a start without checkerboards."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from microshot.nn.upsampling import PixelShuffleUp, StainHead, icnr_, scaled_tanh


def test_sides_double() -> None:
    assert PixelShuffleUp(3, 5)(torch.rand(2, 3, 4, 6)).shape == (2, 5, 8, 12)


def test_a_fresh_layer_repeats_pixels() -> None:
    weight = icnr_(torch.empty(12, 2, 3, 3))
    shuffled = F.pixel_shuffle(F.conv2d(torch.rand(1, 2, 5, 5), weight), 2)
    assert torch.allclose(shuffled[..., ::2, ::2], shuffled[..., 1::2, 1::2], atol=1e-5)
    assert torch.allclose(shuffled[..., ::2, ::2], shuffled[..., ::2, 1::2], atol=1e-5)
    assert not torch.equal(weight[0], weight[4])


def test_the_blur_averages_with_the_pixels_above_and_to_the_left() -> None:
    up = PixelShuffleUp(1, 1)
    torch.nn.init.zeros_(up.conv.weight)
    with torch.no_grad():
        up.conv.bias.copy_(torch.tensor([1.0, 3.0, 5.0, 7.0]))
    out = up(torch.zeros(1, 1, 1, 1))[0, 0]  # shuffled: 1 3 over 5 7
    assert out.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_dark_stains_keep_value_and_gradient_where_networks_compute_in_bfloat16() -> None:
    head = StainHead(1, 1)
    with torch.no_grad():
        head.weight.fill_(1.0)
        head.bias.fill_(-3.5)  # type: ignore[union-attr]
    x = torch.zeros(1, 1, 1, 1, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        y = scaled_tanh(head(x))
    y.sum().backward()
    assert y.dtype == torch.float32
    assert y.item() == pytest.approx(torch.sigmoid(torch.tensor(-7.0)).item(), rel=1e-4)
    assert head.bias.grad.item() == pytest.approx(2 * y.item(), rel=0.01)  # type: ignore[union-attr]


def test_scaled_tanh_by_hand() -> None:
    x = torch.tensor([-30.0, 0.0, 0.5, 30.0])
    assert scaled_tanh(x).tolist() == pytest.approx([0.0, 0.5, torch.sigmoid(x[2] * 2).item(), 1.0])
