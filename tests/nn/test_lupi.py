"""The network with privileged masks: parts, attention, and what prediction needs."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

from microshot.nn.lupi import LupiUNet, mask_probability


def small(**options: object) -> LupiUNet:
    torch.manual_seed(0)
    return LupiUNet(2, width=4, growth=3, layers=2, depth=2, **options).eval()  # type: ignore[arg-type]


def test_the_published_network_has_its_number_of_parameters() -> None:
    assert sum(p.numel() for p in LupiUNet(7).parameters()) == 1_602_166
    assert sum(p.numel() for p in LupiUNet(7, width=48).parameters()) == 1_687_878


def test_widths_are_as_published() -> None:
    net = LupiUNet(7)
    assert net.encoder.skip_channels == [80, 128, 176, 224]
    inputs = [net.decoder[i].layers[0].conv.in_channels for i in range(4)]
    assert inputs == [272, 224, 176, 128]
    assert [block.out_channels for block in net.mask_decoder] == [48, 48, 48, 96]
    assert (net.last.out_channels, net.head.in_channels) == (180, 180)
    assert [side.in_channels for side in net.sides] == [48, 48, 48]


def test_prediction_needs_no_mask_and_gives_stain_and_mask() -> None:
    net = small(out_channels=2)
    assert list(inspect.signature(net.forward).parameters) == ["x"]
    out = net(torch.rand(3, 2, 12, 16))
    assert out.shape == (3, 3, 12, 16)
    assert bool(((out[:, 2] >= 0) & (out[:, 2] <= 1)).all())


def test_side_outputs_are_stains_at_reduced_size() -> None:
    out = LupiUNet(1, width=4, growth=2, layers=1, depth=3).eval().outputs(torch.rand(1, 1, 16, 24))
    assert [tuple(s.shape) for s in out.sides] == [(1, 1, 4, 6), (1, 1, 8, 12)]
    assert out.logits.shape == (1, 2, 16, 24)


def test_attention_is_sum_product_or_gate_of_the_mask_features() -> None:
    x, mask = torch.rand(1, 6, 4, 4), torch.rand(1, 6, 4, 4)
    assert torch.equal(small(attention="sum")._attended(x, mask, 0), x + mask)
    assert torch.equal(small(attention="multiply")._attended(x, mask, 0), x * mask)
    gated = small(attention="gated")
    assert len(gated.gates) == 1
    nn.init.zeros_(gated.gates[0].weight)
    nn.init.zeros_(gated.gates[0].bias)
    assert torch.equal(gated._attended(x, mask, 0), x / 2)


def test_on_the_first_level_both_decoders_begin_with_the_same_features() -> None:
    x = torch.rand(1, 1, 8, 8)
    found = []
    for attention in ("sum", "multiply"):
        torch.manual_seed(0)
        net = LupiUNet(1, width=4, growth=2, layers=1, depth=1, attention=attention).eval()
        found.append(net(x))
    assert torch.equal(*found)


@pytest.mark.parametrize("attention", ["sum", "multiply", "gated"])
def test_the_stain_depends_on_the_mask_decoder(attention) -> None:
    net = small(attention=attention)
    x = torch.rand(1, 2, 8, 8)
    before = net.outputs(x).image
    for p in net.mask_decoder[0].parameters():
        nn.init.constant_(p, 0.5)
    assert not torch.equal(before, net.outputs(x).image)


def test_an_unknown_attention_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of sum, multiply, gated"):
        small(attention="product")


def test_the_mask_probability_passes_one_half_where_the_nucleus_is_likelier() -> None:
    logits = torch.randn(1, 2, 50, 50)
    likelier = logits[:, 1] > logits[:, 0]
    assert torch.equal(mask_probability(logits)[:, 0] > 0.5, likelier)
    assert mask_probability(torch.zeros(1, 2, 1, 1)).item() == 0.5
