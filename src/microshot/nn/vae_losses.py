"""Loss terms of variational autoencoders that count, with the reductions of the Twin-VAE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

if TYPE_CHECKING:
    import torch


def reconstruction_loss(logits: torch.Tensor, image: torch.Tensor, kind: str) -> torch.Tensor:
    """Compare a reconstruction with its image, both (N, 1, Y, X), the image within 0 to 1.

    ``mse``: mean squared error over all pixels of the batch (paper, phase contrast).
    ``bce``: mean binary cross-entropy (paper, bright field; its printed formula is garbled, this is
    the usual one). ``bce-sum``: its sum over pixels and batch, as in the released code.

    Parameters
    ----------
    logits : the reconstruction before its sigmoid.
    """
    logits = logits.float()
    if kind == "mse":
        return F.mse_loss(logits.sigmoid(), image)
    reduction = {"bce": "mean", "bce-sum": "sum"}[kind]
    return F.binary_cross_entropy_with_logits(logits, image, reduction=reduction)


def divergence(mu: torch.Tensor, logvar: torch.Tensor, n_pixels: int) -> torch.Tensor:
    """Return the Kullback-Leibler divergence of N(mu, e^logvar) from N(0, 1), both (N, L).

    Summed over the latent variables, averaged over the batch and divided by the number of
    pixels of an image, as in the released code: -1/2 Σ(1 + logvar - mu² - e^logvar) / (N n). N is the
    size of the batch at hand; there, a last, smaller one is divided by the size of the others.

    References
    ----------
    .. [1] Kingma & Welling 2014, arXiv:1312.6114, appendix B.
    """
    mu, logvar = mu.float(), logvar.float()
    total = -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum()
    return total / (len(mu) * n_pixels)


def counting_loss(
    predicted: torch.Tensor, count: torch.Tensor, *, masked: bool = True
) -> torch.Tensor:
    """Return the mean squared error of counts (N,); NaN = not counted, which teaches nothing.

    Masked: the mean over the counted images; 0 if there are none. Otherwise diluted as in the
    released code: their sum divided by N, so that few counted images weigh little.
    """
    known = ~count.isnan()
    squares = (predicted.float() - count.nan_to_num()).square() * known
    n = known.sum().clamp_min(1) if masked else len(count)
    return squares.sum() / n


def decayed(factor: float, decay: float, epoch: int) -> float:
    """Return factor · (1 - decay)^epoch; the paper has a decay of 3e-5 for bright field."""
    return factor * (1 - decay) ** epoch
