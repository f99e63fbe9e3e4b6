"""The network for nuclei that learns from masks which only the training images have."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from microshot.nn.dense_unet import DenseBlock, DenseEncoder
from microshot.nn.stain_head import StainHead
from microshot.nn.translator_geometry import ATTENTIONS
from microshot.nn.upsampling import PixelShuffleUp


@dataclass(frozen=True)
class LupiOutput:
    """What the network says while it learns."""

    image: torch.Tensor
    """(N, T, Y, X) stains."""
    logits: torch.Tensor
    """(N, 2, Y, X) background and nucleus."""
    sides: tuple[torch.Tensor, ...]
    """Stains at reduced size, coarsest first: (N, T, Y / 2**k, X / 2**k)."""


class LupiUNet(nn.Module):
    """Dense encoder with one decoder for the mask and one for the stain that attends to it.

    (N, in_channels, Y, X) float32 to (N, out_channels + 1, Y, X): the stains, then the
    probability that a pixel belongs to a nucleus. Masks are needed for training only. The
    defaults have 1,602,166 parameters with 7 planes and one stain.

    Before each doubling but the first (where both decoders begin with the same features) the
    stain decoder takes in the mask decoder's features of that level: their sum (as in the
    released code), their product (as in the report's text), or a gate, the sigmoid of a 1×1
    convolution of the mask features, to multiply with.

    References
    ----------
    .. [1] Vapnik & Izmailov 2015, JMLR 16:2023 (learning using privileged information).
    .. [2] Gu et al. 2019, arXiv:1906.11437 (loss-weight modules).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 1,
        *,
        width: int = 32,
        growth: int = 12,
        layers: int = 4,
        depth: int = 4,
        dropout: float = 0.2,
        output: str = "scaled-tanh",
        attention: str = "sum",
    ) -> None:
        super().__init__()
        if attention not in ATTENTIONS:
            raise ValueError(
                f"Network: expected one of {', '.join(ATTENTIONS)} as attention, found {attention!r:.60}."
            )
        n = growth * layers

        def block(n_in: int, *, keep_input: bool) -> DenseBlock:
            return DenseBlock(n_in, growth, layers, dropout, keep_input=keep_input)

        levels = list(reversed(range(depth)))
        self.stem = nn.Conv2d(in_channels, width, 3, padding=1)
        self.encoder = DenseEncoder(width, growth, layers, depth, dropout)
        self.bottleneck = block(self.encoder.out_channels, keep_input=False)
        self.mask_up = nn.ModuleList(PixelShuffleUp(n, n) for _ in levels)
        self.mask_decoder = nn.ModuleList(block(n, keep_input=level == 0) for level in levels)
        self.mask_head = nn.Conv2d(2 * n, 2, 1)
        self.up = nn.ModuleList(PixelShuffleUp(n, n) for _ in levels)
        skips = self.encoder.skip_channels
        self.decoder = nn.ModuleList(
            block(n + skips[level], keep_input=level == 0) for level in levels
        )
        gated = depth - 1 if attention == "gated" else 0
        self.gates = nn.ModuleList(nn.Conv2d(n, n, 1) for _ in range(gated))
        self.sides = nn.ModuleList(StainHead(n, out_channels, output) for _ in levels[:-1])
        self.last = DenseBlock(
            2 * n + skips[0], growth=2, n_layers=2, dropout=dropout, keep_input=True
        )
        self.head = StainHead(self.last.out_channels, out_channels, output)
        self.attention = attention

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, in_channels, Y, X) to (N, out_channels + 1, Y, X)."""
        out = self.outputs(x)
        return torch.cat([out.image, mask_probability(out.logits)], dim=1)

    def outputs(self, x: torch.Tensor) -> LupiOutput:
        """Return stains, mask logits and the stains of the coarser levels."""
        x, skips = self.encoder(self.stem(x))
        x = self.bottleneck(x)
        mask, before = x, []
        for up, block in zip(self.mask_up, self.mask_decoder, strict=True):
            before.append(mask)
            mask = block(up(mask))
        sides = []
        for level, (up, block) in enumerate(zip(self.up, self.decoder, strict=True)):
            if level > 0:
                x = self._attended(x, before[level], level - 1)
            x = block(torch.cat([up(x), skips.pop()], dim=1))
            if level < len(self.sides):
                sides.append(self.sides[level](x))
        image = self.head(self.last(x))
        return LupiOutput(image, self.mask_head(mask), tuple(sides))

    def _attended(self, x: torch.Tensor, mask: torch.Tensor, index: int) -> torch.Tensor:
        if self.attention == "sum":
            return x + mask
        if self.attention == "multiply":
            return x * mask
        return x * torch.sigmoid(self.gates[index](mask))


def mask_probability(logits: torch.Tensor) -> torch.Tensor:
    """Return the probability of a nucleus, (N, 1, Y, X), from two logits (N, 2, Y, X).

    Both are trained as probabilities of their own; the mean of what they say is above one half
    exactly where the nucleus has the larger logit.
    """
    background, nucleus = torch.sigmoid(logits.float()).split(1, dim=1)
    return (nucleus + 1 - background) / 2
