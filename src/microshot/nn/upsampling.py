"""Doubling the sides of feature maps by sub-pixel convolution without checkerboard patterns."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class PixelShuffleUp(nn.Module):
    """3×3 convolution, ReLU, pixel shuffle by 2, blur: (N, n_in, Y, X) to (N, n_out, 2Y, 2X).

    The blur averages every pixel with its upper, left and upper-left neighbour (edges are
    repeated). The convolution starts with `icnr_`, so that a fresh layer upsamples by
    repeating pixels.

    References
    ----------
    .. [1] Shi et al. 2016, doi:10.1109/CVPR.2016.207 (sub-pixel convolution).
    .. [2] Aitken et al. 2017, arXiv:1707.02937 (ICNR).
    .. [3] Sugawara et al. 2018, doi:10.1109/ICIP.2018.8451141 (blur against checkerboards).
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, 4 * n_out, 3, padding=1)
        icnr_(self.conv.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, n_in, Y, X) to (N, n_out, 2Y, 2X)."""
        x = F.pixel_shuffle(F.relu(self.conv(x)), 2)
        return F.avg_pool2d(F.pad(x, (1, 0, 1, 0), mode="replicate"), 2, stride=1)


@torch.no_grad()
def icnr_(weight: torch.Tensor) -> torch.Tensor:
    """Fill convolution weights (4 n, m, k, k) so that pixels start out equal once shuffled to 2×2.

    He's normal distribution is drawn for n kernels, and each is used four times in a row.
    """
    n = weight.shape[0] // 4
    kernels = torch.empty(n, *weight.shape[1:], dtype=weight.dtype, device=weight.device)
    nn.init.kaiming_normal_(kernels)
    return weight.copy_(kernels.repeat_interleave(4, dim=0))
