"""The networks: sizes, shapes, names, receptive fields."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch

from microshot.nn.geometry import (
    HEADS,
    LEAST_KEPT,
    MOST_NUMBERS,
    MOST_TILE_PX,
    PARTS,
    RESNETS,
    UNETS,
    WIDER,
    check_architecture,
    halo_px,
    receptive_radius,
    side_multiple,
    tile_px,
)
from microshot.nn.segmenter import Segmenter

CHANNELS = {"stardist": 1 + 8, "foreground": 1, "boundary": 3}


def architecture(backbone: str = "unet", **changes: Any) -> dict[str, Any]:
    return {
        "backbone": backbone,
        "head": "stardist",
        "in_channels": 1,
        "width": 16 if backbone.endswith("-unet") else 32,
        "depth": 3,
        "rays": 32,
        "grid": 1,
        **changes,
    }


def n_parameters(a: dict[str, Any]) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in Segmenter(a).parameters())


@pytest.mark.parametrize(
    ("a", "n"),
    [
        (architecture("unet"), 1_406_689),  # StarDist 2D, Config2D defaults
        (architecture("unet", grid=2), 1_425_185),
        (architecture("res-unet"), 2_063_793),  # "2.06 M" in the thesis
    ],
)
def test_networks_have_as_many_parameters_as_the_published_ones(a, n) -> None:
    assert n_parameters(a) == n


def test_encoders_have_as_many_parameters_as_the_published_ones() -> None:
    # torchvision's totals without the classifier of 1000 classes
    published = {"resnet18": 11_176_512, "resnet34": 21_284_672, "resnet50": 23_508_032}
    for variant, n in published.items():
        with torch.device("meta"):
            encoder = Segmenter(architecture(variant, in_channels=3)).backbone.encoder
        assert sum(p.numel() for p in encoder.parameters()) == n


@pytest.mark.parametrize(
    ("variant", "shapes"),
    [
        (
            "resnet18",
            {
                "conv1.weight": (64, 3, 7, 7),
                "bn1.running_mean": (64,),
                "layer1.0.conv1.weight": (64, 64, 3, 3),
                "layer2.0.downsample.0.weight": (128, 64, 1, 1),
                "layer2.0.downsample.1.running_var": (128,),
                "layer4.1.bn2.bias": (512,),
            },
        ),
        ("resnet34", {"layer3.5.conv2.weight": (256, 256, 3, 3)}),
        (
            "resnet50",
            {
                "layer1.0.downsample.0.weight": (256, 64, 1, 1),
                "layer2.0.conv2.weight": (128, 128, 3, 3),
                "layer4.2.conv3.weight": (2048, 512, 1, 1),
                "layer4.2.bn3.running_var": (2048,),
            },
        ),
    ],
)
def test_tensors_of_the_encoders_have_the_published_names(variant, shapes) -> None:
    with torch.device("meta"):
        encoder = Segmenter(architecture(variant, in_channels=3)).backbone.encoder
    state = encoder.state_dict()
    assert {name: tuple(state[name].shape) for name in shapes} == shapes
    assert not any(name.startswith("fc") for name in state)
    # the stride is in the 3×3 convolution, as in the weights published by torchvision
    block = encoder.layer2[0]
    strided = block.conv2 if RESNETS[variant][0] else block.conv1
    assert strided.stride == (2, 2)


@pytest.mark.parametrize("backbone", [*UNETS, *RESNETS])
@pytest.mark.parametrize("grid", [1, 2, 4])
@pytest.mark.parametrize("head", HEADS)
def test_output_is_one_value_per_grid_point(backbone, grid, head) -> None:
    a = architecture(backbone, grid=grid, head=head, width=2, depth=2, rays=8, in_channels=3)
    multiple = side_multiple(a)
    with torch.device("meta"):
        model = Segmenter(a).eval()
        y = model(torch.zeros(2, 3, multiple, 2 * multiple))
    assert y.shape == (2, CHANNELS[head], multiple // grid, 2 * multiple // grid)


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("backbone", UNETS)
def test_depth_sets_the_number_of_halvings(backbone, depth) -> None:
    a = architecture(backbone, width=1, depth=depth)
    assert side_multiple(a) == 2**depth
    with torch.device("meta"):
        y = Segmenter(a).eval()(torch.zeros(1, 1, 2**depth, 2**depth))
    assert y.shape == (1, 33, 2**depth, 2**depth)


def test_sides_that_are_no_multiple_do_not_pass() -> None:
    for backbone, grid in product(("unet", "res-unet", "resnet18"), (1, 2)):
        a = architecture(backbone, grid=grid, width=2)
        with torch.device("meta"), pytest.raises(RuntimeError):
            Segmenter(a).eval()(torch.zeros(1, 1, side_multiple(a) // 2 * 3, side_multiple(a)))


def all_positive(model: Segmenter) -> Segmenter:
    """Make every output that can see an impulse positive, and all others zero."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.weight.uniform_(0.5, 1.0)
                if module.bias is not None:
                    module.bias.zero_()
    return model.double().eval()


def measured_radius(a: dict[str, Any], phases: list[int]) -> int:
    """Return how far from an impulse an output still changes, over positions of the impulse."""
    multiple, radius = side_multiple(a), receptive_radius(a)
    half = -(-(radius + 1) // multiple) * multiple
    torch.manual_seed(0)
    model = all_positive(Segmenter(a))
    farthest = 0
    for phase in phases:
        x = torch.zeros(1, a["in_channels"], multiple, 2 * half + multiple, dtype=torch.float64)
        x[..., half + phase] = 1.0
        with torch.inference_mode():
            seen = model(x)[0].sum((0, 1)) > 0
        positions = torch.nonzero(seen).ravel() * a["grid"]
        assert positions.min() > 0  # the response ends inside the image
        assert positions.max() < x.shape[-1] - a["grid"]
        farthest = max(farthest, int((positions - (half + phase)).abs().max()))
    return farthest


@pytest.mark.parametrize(("depth", "grid"), [(1, 1), (1, 2), (1, 4), (2, 2), (3, 1)])
@pytest.mark.parametrize("backbone", ["unet", "res-unet"])
def test_receptive_radius_of_u_nets_is_the_true_one(backbone, depth, grid) -> None:
    with torch.random.fork_rng(devices=[]):
        a = architecture(backbone, width=1, depth=depth, grid=grid, rays=8)
        true = measured_radius(a, list(range(side_multiple(a))))
        assert receptive_radius(a) == true
        # the points around a tile's inner part are right, too: maxima are compared with them
        assert halo_px(a) >= true + grid


@pytest.mark.parametrize("variant", ["resnet18", pytest.param("resnet50", marks=pytest.mark.slow)])
def test_receptive_radius_of_resnets_is_never_less_than_the_true_one(variant) -> None:
    with torch.random.fork_rng(devices=[]):
        a = architecture(variant, rays=3, head_features=1)
        true = measured_radius(a, [0])
    assert true <= receptive_radius(a) <= 1.25 * true


def test_every_parameter_belongs_to_exactly_one_part() -> None:
    for backbone, grid in product((*UNETS, *RESNETS), (1, 2)):
        with torch.device("meta"):
            model = Segmenter(architecture(backbone, grid=grid))
        for name, _ in model.named_parameters():
            owners = [part for part, prefixes in PARTS.items() if name.startswith(prefixes)]
            assert len(owners) == 1, name


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"backbone": "vgg"}, "unet, res-unet"),
        ({"backbone": ["unet"]}, "as backbone"),
        ({"head": "mask"}, "stardist, foreground, boundary as head, found 'mask'"),
        ({"grid": 3}, "1, 2 or 4 as grid, found 3"),
        ({"grid": 8}, "from 1 to 4 as grid, found 8"),
        ({"depth": 10**6}, "as depth, found 1000000"),
        ({"depth": 2.0}, "as depth, found 2.0"),
        ({"depth": True}, "as depth, found True"),
        ({"width": 10**9}, "as width"),
        ({"rays": 2}, "from 3 to 512 as rays"),
        ({"in_channels": 0}, "as in_channels, found 0"),
        ({"head_features": 0}, "as head_features"),
    ],
)
def test_impossible_architectures_are_refused_before_anything_is_built(change, told) -> None:
    a = architecture(**change) if "backbone" not in change else {**architecture(), **change}
    with pytest.raises(ValueError, match=told):
        check_architecture(a)
    with pytest.raises(ValueError, match=told):
        Segmenter(a)


def test_missing_entries_of_an_architecture_are_named() -> None:
    for name in ("backbone", "head", "in_channels", "width", "depth", "rays", "grid"):
        a = architecture()
        del a[name]
        with pytest.raises(ValueError, match=f"as {name}, found None"):
            check_architecture(a)


@pytest.mark.parametrize("grid", [1, 2, 4])
@pytest.mark.parametrize("backbone", [*UNETS, "resnet18", "resnet50"])
def test_in_the_largest_tile_no_layer_holds_more_numbers_than_are_allowed(backbone, grid) -> None:
    a = architecture(backbone, width=32, depth=2, grid=grid, head_features=32, rays=8)
    model, side, seen = Segmenter(a).eval(), 64 * -(-side_multiple(a) // 64), [0]

    def count(_: torch.nn.Module, given: tuple[torch.Tensor, ...], made: torch.Tensor) -> None:
        seen.append(max(made.numel(), *(x.numel() for x in given), 0))

    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    with torch.inference_mode():
        model(torch.zeros(1, a["in_channels"], side, side))
    widest = max(seen) / side**2
    allowed = min(MOST_NUMBERS, MOST_TILE_PX**2 * widest)
    assert 0.9 * allowed < tile_px(a) ** 2 * widest < 1.1 * WIDER**2 * allowed
    assert tile_px({**a, "width": 1, "head_features": 1, "backbone": "unet"}) == MOST_TILE_PX


def test_tiles_are_wider_where_most_of_them_is_halo() -> None:
    stardist = architecture(width=32, depth=3, grid=2, head_features=128, rays=32)
    default = {**stardist, "width": 16, "head_features": 64}
    deep = {**stardist, "depth": 4}
    narrow = math.isqrt(MOST_NUMBERS // 32)
    assert 0.7 < (1 - 2 * halo_px(stardist) / narrow) ** 2 < 0.75
    assert tile_px(stardist) == narrow == 1448
    assert tile_px(default) == MOST_TILE_PX
    assert (1 - 2 * halo_px(deep) / narrow) ** 2 < LEAST_KEPT
    assert tile_px(deep) == pytest.approx(WIDER * narrow, abs=1)
