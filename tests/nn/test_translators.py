"""Networks from the architecture of a model file: what is built, what is refused."""

from __future__ import annotations

import pytest
import torch

from microshot.nn.translator_geometry import (
    KINDS,
    PARTS,
    check_translator,
    has_mask,
    receptive_radius,
    side_multiple,
)
from microshot.nn.translators import build_translator

SMALL = {
    "in_channels": 2, "out_channels": 2, "width": 4, "depth": 2, "growth": 2, "layers": 2,
    "output": "identity",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_maps_planes_to_stains_of_the_same_size(kind) -> None:
    a = {"kind": kind, **SMALL}
    net = build_translator(a).eval()
    assert side_multiple(a) == 4
    assert net(torch.rand(1, 2, 12, 8)).shape == (1, 2 + has_mask(a), 12, 8)


def test_dense_networks_have_the_growth_layers_and_dropout_they_are_to_have() -> None:
    for dropout in (0.0, 0.3):
        net = build_translator({"kind": "dense-unet", **SMALL, "dropout": dropout})
        assert [len(block.layers) for block in net.encoder.blocks] == [2, 2]
        assert {layer.conv.out_channels for layer in net.bottleneck.layers} == {2}
        assert {m.p for m in net.modules() if isinstance(m, torch.nn.Dropout)} == {dropout}


@torch.inference_mode()
@pytest.mark.parametrize(("depth", "layers"), [(1, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("kind", KINDS)
def test_the_receptive_radius_is_the_true_one(kind, depth, layers) -> None:
    """Where all weights are positive an output differs from 0 if it can see the one px that does."""
    a = {"kind": kind, **SMALL, "depth": depth, "layers": layers, "in_channels": 1}
    net = build_translator(a).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.fill_(1.0)
            module.bias.zero_() if module.bias is not None else None
    multiple = side_multiple(a)
    half = -(-(receptive_radius(a) + 1) // multiple) * multiple
    farthest = 0
    for place in range(half, half + multiple):
        x = torch.zeros(1, 1, multiple, 2 * half + multiple)
        x[..., place] = 1e-6
        seen = torch.nonzero(net(x)[0, :2].sum((0, 1))).ravel()
        farthest = max(farthest, int((seen - place).abs().max()))
    assert farthest == receptive_radius(a)


def test_plain_networks_begin_with_a_dark_stain() -> None:
    torch.manual_seed(0)
    net = build_translator({"kind": "unet", **SMALL, "width": 32})
    first = net.backbone.encoder[0][0][0]
    assert float(first.weight.detach().std()) == pytest.approx(
        (2 / 18) ** 0.5, rel=0.1
    )  # He: 2 planes, 3 x 3
    assert not first.bias.any()
    with torch.no_grad():
        stain = net(torch.randn(1, 2, 64, 64))
    assert stain.abs().max() < 0.7  # 1 is the brightest


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_belongs_to_one_part(kind) -> None:
    for name, _ in build_translator({"kind": kind, **SMALL}).named_parameters():
        assert sum(name.startswith(prefixes) for prefixes in PARTS.values()) == 1, name


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("kind", "transformer", "as kind, found 'transformer'"),
        ("output", None, "as output, found None"),
        ("attention", "x", "as attention"),
        ("width", 0, "from 1 to 512 as width, found 0"),
        ("depth", 99, "from 1 to 6 as depth"),
        ("growth", True, "as growth, found True"),
        ("out_channels", 10**9, "as out_channels"),
        ("dropout", 1.0, "as dropout, found 1.0"),
    ],
)
def test_senseless_architectures_are_refused(entry, value, message) -> None:
    with pytest.raises(ValueError, match=message):
        check_translator({"kind": "dense-unet", **SMALL, entry: value})


def test_plain_networks_need_no_growth() -> None:
    check_translator({k: v for k, v in SMALL.items() if k != "growth"} | {"kind": "unet"})
