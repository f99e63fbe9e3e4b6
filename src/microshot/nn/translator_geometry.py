"""Facts about the networks of the task *translate* that need no torch: kinds, limits, parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microshot.nn.geometry import UNETS, check_numbers, check_words, unet_radius

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Kinds of network: dense, dense with a decoder for privileged masks, and plain ones to compare.
DENSE = ("dense-unet", "lupi-unet")
KINDS = (*DENSE, *UNETS)
OUTPUTS = ("scaled-tanh", "identity")
ATTENTIONS = ("sum", "multiply", "gated")

#: Parts that can be frozen, re-initialised or thawed by name: prefix of their parameter names.
PARTS = {
    "stem": ("stem.",),
    "encoder": ("encoder.", "bottleneck.", "backbone.encoder.", "backbone.bottleneck."),
    "decoder": (
        "decoder.", "up.", "gates.", "mask_decoder.", "mask_up.", "backbone.decoder.",
        "backbone.up.",
    ),
    "head": ("head.", "last.", "sides.", "mask_head."),
}  # fmt: skip

#: Least and greatest value of every number in an architecture; the last two of dense networks.
_LIMITS = {
    "in_channels": (1, 1024), "out_channels": (1, 64), "width": (1, 512), "depth": (1, 6),
    "growth": (1, 128), "layers": (1, 16),
}  # fmt: skip


def check_translator(architecture: Mapping[str, Any]) -> None:
    """Refuse an architecture that no network of this version can have, before it is built.

    Raises
    ------
    ValueError
        Naming the entry, what is allowed and what was found.
    """
    given = {"attention": "sum", **architecture}
    check_words(given, {"kind": KINDS, "output": OUTPUTS, "attention": ATTENTIONS})
    dense = architecture["kind"] in DENSE
    of_dense = ("growth", "layers")
    check_numbers(given, {k: v for k, v in _LIMITS.items() if dense or k not in of_dense})
    dropout = architecture.get("dropout", 0.0)
    if type(dropout) not in (int, float) or not 0 <= dropout < 1:
        raise ValueError(
            f"Network: expected a number from 0 to below 1 as dropout, found {dropout!r:.60}."
        )


def side_multiple(architecture: Mapping[str, Any]) -> int:
    """Return what the sides of the network's input must be divisible by."""
    return 2 ** int(architecture["depth"])


def receptive_radius(architecture: Mapping[str, Any]) -> int:
    """Return how many px of the input an output pixel may look at to either side, at most.

    The true radius. A dense network has at every level two blocks, and between them a pooling, an
    upsampling convolution at twice the stride, and a blur.
    """
    kind, depth = architecture["kind"], int(architecture["depth"])
    if kind in UNETS:
        return unet_radius(kind, depth)
    layers = int(architecture["layers"])
    levels = sum((2 * layers + 1 + 2 + 1) * 2**level for level in range(depth))
    last = 2 if has_mask(architecture) else 0
    return 1 + levels + layers * 2**depth + last


def has_mask(architecture: Mapping[str, Any]) -> bool:
    """Say whether the network also predicts where nuclei are."""
    return architecture["kind"] == "lupi-unet"
