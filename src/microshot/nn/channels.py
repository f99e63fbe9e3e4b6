"""Make a first convolution take another number of input channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def adapt_input_channels(weight: torch.Tensor, n_channels: int) -> torch.Tensor:
    """Make a first convolution (F, C, h, w) take `n_channels` instead of C.

    Every new channel gets the mean over the old ones, scaled so that an image repeated in
    all channels gives the same response as before.
    """
    n_old = weight.shape[1]
    mean = weight.mean(dim=1, keepdim=True)  # (F, 1, h, w)
    return mean.repeat(1, n_channels, 1, 1) * (n_old / n_channels)


def differs_in_channels(old: torch.Tensor, new: torch.Tensor) -> bool:
    """Say whether two convolutions' weights differ in nothing but their input channels."""
    return (
        old.ndim == new.ndim == 4
        and old.shape[0] == new.shape[0]
        and old.shape[2:] == new.shape[2:]
        and old.shape[1] != new.shape[1]
    )
