"""The last layer of networks that predict stains."""

from __future__ import annotations

import torch
from torch import nn


def scaled_tanh(x: torch.Tensor) -> torch.Tensor:
    """Return (1 + tanh x) / 2, from 0 to 1; equal to sigmoid(2x)."""
    return (1 + torch.tanh(x)) / 2


#: What may come after the last convolution.
ACTIVATIONS = {"scaled-tanh": scaled_tanh, "identity": nn.Identity()}


class StainHead(nn.Conv2d):
    """1×1 convolution and activation in 32 bits, also where the network computes in bfloat16.

    Most of a stain is dark, and what lies below a scaled tanh of 0.002 would be 0 there and have no
    gradient.
    """

    def __init__(self, n_in: int, n_stains: int, activation: str) -> None:
        super().__init__(n_in, n_stains, 1)
        self.activation = ACTIVATIONS[activation]

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - PyTorch's name
        """Map (N, n_in, Y, X) of any format to (N, n_stains, Y, X) float32."""
        with torch.autocast(input.device.type, enabled=False):
            return self.activation(super().forward(input.float()))
