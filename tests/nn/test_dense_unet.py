"""The Dense U-Net part by part: widths, sizes, parameter counts, memory-saving gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from microshot.nn.dense_unet import DenseBlock, DenseEncoder, DenseUNet, be_frugal, transition_down


def n_parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_published_network_has_its_number_of_parameters() -> None:
    assert n_parameters(DenseUNet(7)) == 1_230_913


def test_every_part_has_the_published_number_of_parameters() -> None:
    net = DenseUNet(7)
    assert n_parameters(net.stem) == 3_072
    assert [n_parameters(b) for b in net.encoder.blocks] == [29_088, 50_208, 71_328, 92_448]
    assert [n_parameters(d) for d in net.encoder.down] == [9_504, 21_168, 37_440, 58_320]
    assert n_parameters(net.bottleneck) == 113_568
    assert [n_parameters(u) for u in net.up] == [83_136] * 4
    assert [n_parameters(b) for b in net.decoder] == [134_688, 113_568, 92_448, 71_328]
    assert n_parameters(net.head) == 193


def test_features_of_every_level_are_as_published() -> None:
    net = DenseUNet(7).eval()
    x = net.stem(torch.zeros(1, 7, 32, 48))
    coarse, skips = net.encoder(x)
    assert [tuple(s.shape[1:]) for s in skips] == [
        (96, 32, 48), (144, 16, 24), (192, 8, 12), (240, 4, 6),
    ]  # fmt: skip
    assert coarse.shape == (1, 240, 2, 3)
    x = net.bottleneck(coarse)
    assert x.shape == (1, 48, 2, 3)
    widths = []
    for up, block, skip in zip(net.up, net.decoder, reversed(skips), strict=True):
        x = block(torch.cat([up(x), skip], dim=1))
        widths.append(x.shape[1])
    assert widths == [48, 48, 48, 192]


@pytest.mark.parametrize("planes", [1, 3, 7])
@pytest.mark.parametrize("stains", [1, 3])
def test_any_number_of_planes_gives_any_number_of_stains(planes, stains) -> None:
    net = DenseUNet(planes, stains, width=8, growth=4, layers=2, depth=2).eval()
    out = net(torch.rand(2, planes, 20, 12))
    assert out.shape == (2, stains, 20, 12)


def test_the_scaled_tanh_stays_within_zero_and_one_and_identity_does_not() -> None:
    for output, bounded in (("scaled-tanh", True), ("identity", False)):
        net = DenseUNet(1, width=4, growth=2, layers=1, depth=1, output=output).eval()
        nn.init.constant_(net.head.bias, 5.0)
        out = net(torch.rand(1, 1, 8, 8))
        assert bool((out <= 1).all()) == bounded


def test_a_dense_block_puts_its_input_first_or_leaves_it_out() -> None:
    x = torch.rand(1, 3, 4, 4)
    block = DenseBlock(3, 2, 2, 0.0, keep_input=True).eval()
    assert block(x).shape[1] == block.out_channels == 7
    assert torch.equal(block(x)[:, :3], x)
    block.keep_input = False
    assert block(x).shape[1] == 4


def test_dropout_acts_in_training_only() -> None:
    net = DenseUNet(1, width=4, growth=4, layers=2, depth=1)
    x = torch.rand(1, 1, 16, 16)
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))


def test_a_transition_halves_the_sides_and_keeps_the_width() -> None:
    assert transition_down(6, 0.2)(torch.rand(1, 6, 8, 10)).shape == (1, 6, 4, 5)
    assert DenseEncoder(4, 2, 3, 2, 0.0).out_channels == 4 + 2 * 3 * 2


def test_frugal_training_has_the_same_gradient_and_statistics() -> None:
    torch.manual_seed(0)
    plain = DenseUNet(2, width=4, growth=3, layers=2, depth=2, dropout=0.3)
    frugal = DenseUNet(2, width=4, growth=3, layers=2, depth=2, dropout=0.3)
    be_frugal(frugal, frugal=True)
    frugal.load_state_dict(plain.state_dict())
    x = torch.rand(2, 2, 16, 16)
    for net in (plain, frugal):
        torch.manual_seed(1)
        for _ in range(2):
            net(x).square().mean().backward()
    for (name, a), b in zip(plain.named_parameters(), frugal.parameters(), strict=True):
        assert a.grad is not None
        assert torch.allclose(a.grad, b.grad, atol=1e-6), name
    for (name, a), b in zip(plain.state_dict().items(), frugal.state_dict().values(), strict=True):
        assert torch.allclose(a.float(), b.float(), atol=1e-6), name


def test_without_a_gradient_the_network_says_the_same() -> None:
    torch.manual_seed(0)
    net = DenseUNet(3, 2, width=8, growth=4, layers=3, depth=2)
    for _ in range(3):  # running statistics and weights that are not 0 and 1
        net(torch.randn(4, 3, 16, 16) * 2 + 1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2.0)
            nn.init.uniform_(module.bias, -1.0, 1.0)
    net.eval()
    x = torch.randn(2, 3, 24, 20)
    kept = x.clone()
    with torch.no_grad():
        found = net(x)
    torch.testing.assert_close(found, net(x).detach(), rtol=1e-5, atol=1e-6)
    assert torch.equal(x, kept)
