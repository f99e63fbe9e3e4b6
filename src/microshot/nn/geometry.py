"""Facts about the networks that need no torch: what there is, strides, receptive fields, parts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: ResNet encoders: (bottleneck blocks?, blocks per stage); He et al. 2016, Table 1.
RESNETS = {
    "resnet18": (False, (2, 2, 2, 2)),
    "resnet34": (False, (3, 4, 6, 3)),
    "resnet50": (True, (3, 4, 6, 3)),
}

#: Backbones that can start from published weights: the ResNets, and the plain U-Net.
STARTABLE = (*RESNETS, "unet")

#: U-Nets of configurable width and depth.
UNETS = ("unet", "res-unet", "plain-unet")

#: Output channels of the pixel heads; the StarDist head has 1 + rays.
HEAD_CHANNELS = {"foreground": 1, "boundary": 3}
HEADS = ("stardist", *HEAD_CHANNELS)

#: Sharpness of the density network's softplus. With the usual 1 the gradient fades long before the
#: output is small enough, and what is left of it all over an empty image adds up to objects.
SHARPNESS = 20.0

#: Least and greatest value of every number in an architecture.
LIMITS = {
    "in_channels": (1, 1024), "width": (1, 512), "depth": (1, 6), "rays": (3, 512), "grid": (1, 4),
    "head_features": (1, 4096),
}  # fmt: skip

#: Most numbers in one output of a layer, 256 MB. A power of two: that is what ONNX Runtime rounds up to.
MOST_NUMBERS = 2**26
#: Where less than this part of a tile is kept, it is made wider: less time for more memory.
LEAST_KEPT = 0.5
WIDER = 1.3
#: Side of the largest tile: of what is read of a large image, little belongs to another tile, too.
MOST_TILE_PX = 2048

#: Parts that can be frozen, re-initialised or thawed by name: prefix of their parameter names.
PARTS = {
    "stem": ("stem.",),
    "encoder": ("backbone.encoder.", "backbone.bottleneck."),
    "decoder": ("backbone.decoder.", "backbone.up."),
    "head": ("features.", "head."),
}


def check_words(architecture: Mapping[str, Any], allowed: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse an architecture in which an entry is none of the words `allowed` for it.

    Raises
    ------
    ValueError
        Naming the entry, what is allowed and what was found.
    """
    for name, words in allowed.items():
        found = architecture.get(name)
        if not isinstance(found, str) or found not in words:
            raise ValueError(
                f"Network: expected one of {', '.join(words)} as {name}, found {found!r:.60}."
            )


def check_numbers(architecture: Mapping[str, Any], limits: Mapping[str, tuple[int, int]]) -> None:
    """Refuse an architecture in which an entry is no whole number within its `limits`.

    Raises
    ------
    ValueError
        Naming the entry, what is allowed and what was found.
    """
    for name, (low, high) in limits.items():
        found = architecture.get(name)
        if type(found) is not int or not low <= found <= high:
            raise ValueError(
                f"Network: expected a whole number from {low} to {high} as {name}, found "
                f"{found!r:.60}."
            )


def check_architecture(architecture: Mapping[str, Any]) -> None:
    """Refuse an architecture that no network of this version can have, before it is built.

    Raises
    ------
    ValueError
        Naming the entry, what is allowed and what was found.
    """
    check_words(architecture, {"backbone": (*UNETS, *RESNETS), "head": HEADS})
    optional = "head_features"
    check_numbers(
        architecture, {k: v for k, v in LIMITS.items() if k != optional or k in architecture}
    )
    if architecture["grid"] == 3:
        raise ValueError("Network: expected 1, 2 or 4 as grid, found 3.")


def side_multiple(architecture: Mapping[str, Any]) -> int:
    """Return what the sides of the network's input must be divisible by."""
    halvings = 5 if architecture["backbone"] in RESNETS else int(architecture["depth"])
    return int(architecture["grid"]) * 2**halvings


def receptive_radius(architecture: Mapping[str, Any]) -> int:
    """Return how many px of the input an output pixel may look at to either side, at most.

    Sum over all layers of half the kernel times the stride at which the layer works, with one
    stride more for a pooling and the upsampling back to it. For U-Nets this is the true radius, for
    ResNet encoders never less.
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
    inside = unet_radius(backbone, int(architecture["depth"]))
    return stem + grid * inside + head


def unet_radius(backbone: str, depth: int) -> int:
    """Return how many px of the input an output pixel of one of `UNETS` may look at to either side."""
    inside = 2 * 2**depth
    for level in range(depth):
        residual_blocks = 3 if level == 1 else 2
        convolutions = 2 if backbone == "unet" else residual_blocks
        inside += (2 * convolutions + 1 + (backbone != "unet")) * 2**level  # down and up
    return inside


def halo_px(architecture: Mapping[str, Any]) -> int:
    """Return how many px of a tile's edge are of no use: one grid point beyond the receptive field.

    So the grid points around the inner part, which local maxima are compared with, are right, too.
    """
    return receptive_radius(architecture) + int(architecture["grid"])


def tile_px(architecture: Mapping[str, Any]) -> int:
    """Return the side of the largest tile of which no layer makes more than `MOST_NUMBERS` numbers.

    That is 1448 px with StarDist's own network. It is `WIDER` where more than half of it would be
    read for its neighbours' sake; and at most 2048 px, as with the default network.
    """
    width, backbone = int(architecture["width"]), architecture["backbone"]
    joined = 32 if backbone in RESNETS else {"unet": 2}.get(backbone, 8) * width  # in the decoder
    inside = max(joined, int(architecture.get("head_features", 0)))
    widest = max(width, inside / int(architecture["grid"]) ** 2)
    side = math.sqrt(MOST_NUMBERS / widest)
    if 1 - 2 * halo_px(architecture) / side < math.sqrt(LEAST_KEPT):
        side *= WIDER
    return min(int(side), MOST_TILE_PX)
