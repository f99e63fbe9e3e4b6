"""The last layer of networks that predict stains."""

from __future__ import annotations

import pytest
import torch

from microshot.nn.stain_head import StainHead, scaled_tanh


def test_dark_stains_keep_value_and_gradient_where_networks_compute_in_bfloat16() -> None:
    head = StainHead(1, 1, "scaled-tanh")
    with torch.no_grad():
        head.weight.fill_(1.0)
        head.bias.fill_(-3.5)  # type: ignore[union-attr]
    x = torch.zeros(1, 1, 1, 1, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        y = head(x)
    y.sum().backward()
    assert y.dtype == torch.float32
    assert y.item() == pytest.approx(torch.sigmoid(torch.tensor(-7.0)).item(), rel=1e-4)
    assert head.bias.grad.item() == pytest.approx(2 * y.item(), rel=0.01)  # type: ignore[union-attr]


def test_scaled_tanh_by_hand() -> None:
    x = torch.tensor([-30.0, 0.0, 0.5, 30.0])
    assert scaled_tanh(x).tolist() == pytest.approx([0.0, 0.5, torch.sigmoid(x[2] * 2).item(), 1.0])
