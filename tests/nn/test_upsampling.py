"""Sub-pixel convolution: sizes, blur, and a start without checkerboards."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from microshot.nn.upsampling import PixelShuffleUp, icnr_


def test_sides_double() -> None:
    assert PixelShuffleUp(3, 5)(torch.rand(2, 3, 4, 6)).shape == (2, 5, 8, 12)


def test_a_fresh_layer_repeats_pixels() -> None:
    weight = icnr_(torch.empty(12, 2, 3, 3))
    shuffled = F.pixel_shuffle(F.conv2d(torch.rand(1, 2, 5, 5), weight), 2)
    assert torch.allclose(shuffled[..., ::2, ::2], shuffled[..., 1::2, 1::2], atol=1e-5)
    assert torch.allclose(shuffled[..., ::2, ::2], shuffled[..., ::2, 1::2], atol=1e-5)
    assert not torch.equal(weight[0], weight[4])
    many = icnr_(torch.zeros(1600, 8, 3, 3))
    assert abs(float(many.std()) / (2 / 72) ** 0.5 - 1) < 0.03  # He: 72 values go into each


def test_the_blur_averages_with_the_pixels_above_and_to_the_left() -> None:
    up = PixelShuffleUp(1, 1)
    torch.nn.init.zeros_(up.conv.weight)
    with torch.no_grad():
        up.conv.bias.copy_(torch.tensor([1.0, 3.0, 5.0, 7.0]))
    out = up(torch.zeros(1, 1, 1, 1))[0, 0]  # shuffled: 1 3 over 5 7
    assert out.tolist() == [[1.0, 2.0], [3.0, 4.0]]
