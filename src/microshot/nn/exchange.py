"""Networks as other programs get them: ready values under plain names, no packing of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from microshot.nn.twin_vae import TwinVAE


class StarDistOutputs(nn.Module):
    """Probability (N, 1, Y/g, X/g) and distances in px (N, R, Y/g, X/g)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map a normalised image (N, C, Y, X)."""
        out = self.model(image)
        return torch.sigmoid(out[:, :1]), out[:, 1:]


class PixelOutputs(nn.Module):
    """Probabilities (N, K, Y/g, X/g): of the object for one logit, of classes for several."""

    def __init__(self, model: nn.Module, n_logits: int) -> None:
        super().__init__()
        self.model, self.n_logits = model, n_logits

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Map a normalised image (N, C, Y, X)."""
        out = self.model(image)
        return torch.sigmoid(out) if self.n_logits == 1 else torch.softmax(out, dim=1)


class PlainOutput(nn.Module):
    """What the network says, as it says it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Map a normalised image (N, C, Y, X)."""
        return self.model(image)


class NumberOutput(nn.Module):
    """One number per image, (N, 1), of a network that returns (N, 1, 1, 1)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Map a normalised image (N, C, Y, X)."""
        return self.model(image).flatten(1)


class TwinVaeOutputs(nn.Module):
    """Count (N, 1) and latent means (N, L) of natural images; reader, core and regressor only."""

    def __init__(self, model: TwinVAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map a normalised image (N, 1, S, S)."""
        mu, _ = self.model.encode(image, "natural")
        return self.model.count(mu)[:, None], mu


class StainOutputs(nn.Module):
    """Stains (N, T, Y, X) in the network's range and the mask's probability (N, 1, Y, X)."""

    def __init__(self, model: nn.Module, n_stains: int) -> None:
        super().__init__()
        self.model, self.n_stains = model, n_stains

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map normalised planes (N, C, Y, X)."""
        out = self.model(image)
        return out[:, : self.n_stains], out[:, self.n_stains :]
