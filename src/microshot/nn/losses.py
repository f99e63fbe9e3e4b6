"""Loss functions on tensors, each a plain function of (prediction, target)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

if TYPE_CHECKING:
    import torch


def masked_mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return sum(values * weight) / sum(weight); 0 where the weights are all zero."""
    return (values * weight).sum() / weight.sum().clamp_min(1e-6)


def stardist_loss(
    output: torch.Tensor, probability: torch.Tensor, distance: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss terms of StarDist: (binary cross-entropy, weighted distance loss).

    Parameters
    ----------
    output : (N, 1 + R, Y, X) logits of the object probability, then distances in px.
    probability : (N, Y, X) target in 0..1, negative where the pixel is to be ignored.
    distance : (N, R, Y, X) target distances in px.

    Notes
    -----
    L = BCE + 0.2 [ sum(p |d - d'|) / sum(p) + 1e-4 mean((1 - p) |d'|) ], the distance
    mask being the target probability p; all means are over the pixels that are not ignored.

    References
    ----------
    .. [1] Schmidt et al. 2018, doi:10.1007/978-3-030-00934-2_30, Eq. 1; mask normalisation
       and background term as in the released code (train_background_reg).
    """
    keep = (probability >= 0).float()
    p = probability.clamp_min(0)
    bce = F.binary_cross_entropy_with_logits(output[:, 0], p, reduction="none")
    loss_probability = masked_mean(bce, keep)
    predicted = output[:, 1:]
    mask = (p * keep).unsqueeze(1)  # (N, 1, Y, X)
    error = (predicted - distance).abs().mean(dim=1, keepdim=True)  # (N, 1, Y, X)
    loss_distance = masked_mean(error, mask)
    size = predicted.abs().mean(dim=1)  # (N, Y, X)
    background = masked_mean((1 - p) * size, keep)
    return loss_probability, 0.2 * (loss_distance + 1e-4 * background)


def weighted_bce(output: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of logits (N, Y, X) with one weight per pixel (0 = ignore)."""
    return masked_mean(F.binary_cross_entropy_with_logits(output, target, reduction="none"), weight)


def weighted_cross_entropy(
    output: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy of logits (N, K, Y, X) against classes (N, Y, X), one weight per pixel."""
    return masked_mean(F.cross_entropy(output, target, reduction="none"), weight)
