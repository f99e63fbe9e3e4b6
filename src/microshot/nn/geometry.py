"""Facts about the networks that need no torch: strides, receptive fields, names of parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: ResNet encoders: (bottleneck blocks?, blocks per stage); He et al. 2016, Table 1.
RESNETS = {
    "resnet18": (False, (2, 2, 2, 2)),
    "resnet34": (False, (3, 4, 6, 3)),
    "resnet50": (True, (3, 4, 6, 3)),
}

#: Output channels of the pixel heads; the StarDist head has 1 + rays.
HEAD_CHANNELS = {"foreground": 1, "boundary": 3}

#: Parts that can be frozen, re-initialised or thawed by name: prefix of their parameter names.
PARTS = {
    "stem": ("stem.",),
    "encoder": ("backbone.encoder.", "backbone.bottleneck."),
    "decoder": ("backbone.decoder.", "backbone.up."),
    "head": ("features.", "head."),
}


def side_multiple(architecture: Mapping[str, Any]) -> int:
    """Return what the sides of the network's input must be divisible by."""
    halvings = 5 if architecture["backbone"] in RESNETS else int(architecture["depth"])
    return int(architecture["grid"]) * 2**halvings


def receptive_radius(architecture: Mapping[str, Any]) -> int:
    """Return how many px of the input an output pixel may look at to either side, at most.

    Sum over all layers of half the kernel times the stride at which the layer works, with one
    stride more for every pooling and every upsampling: never less than the true radius.
    """
    grid, backbone = int(architecture["grid"]), architecture["backbone"]
    stem = sum(3 * 2**level for level in range(grid.bit_length() - 1))
    head = grid
    if backbone in RESNETS:
        bottleneck, blocks = RESNETS[backbone]
        convolutions = 1 if bottleneck else 2
        strides = (4, 8, 16, 32)
        inside = 3 + 2 + 4  # 7×7 convolution, pooling
        inside += sum(n * convolutions * s for n, s in zip(blocks, strides, strict=True))
        inside += sum(3 * s for s in (16, 8, 4, 2, 1))
        return stem + grid * inside + head
    depth = int(architecture["depth"])
    inside = 0
    for level in range(depth):
        residual_blocks = 3 if level == 1 else 2
        convolutions = 2 if backbone == "unet" else residual_blocks
        inside += (2 * convolutions + 2 + (backbone != "unet")) * 2**level  # down and up
    inside += 2 * 2**depth
    return stem + grid * inside + head
