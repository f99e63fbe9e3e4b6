"""The discriminator that judges patches of a stain beside the bright-field planes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    import torch


class PatchGAN(nn.Module):
    """Convolutional patch discriminator: (N, in_channels, Y, X) to scores (N, 1, Y', X').

    `in_channels` counts planes and stains together, for it sees what the stain was made from.
    With 4 strided layers, as in the released code, a score looks at 142 × 142 px, with 3 at
    the 70 × 70 px of the text. 8 channels and 4 layers have 1,746,337 parameters. Scores are
    unbounded (least-squares losses).

    References
    ----------
    .. [1] Isola et al. 2017, doi:10.1109/CVPR.2017.632 (PatchGAN).
    """

    def __init__(self, in_channels: int, *, width: int = 32, n_layers: int = 4) -> None:
        super().__init__()
        body: list[nn.Module] = [
            nn.Conv2d(in_channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
        ]
        n = width
        for layer in range(1, n_layers + 1):
            n_out = width * min(2**layer, 8)
            stride = 2 if layer < n_layers else 1
            body += [
                nn.Conv2d(n, n_out, 4, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(n_out),
                nn.LeakyReLU(0.2),
            ]
            n = n_out
        body.append(nn.Conv2d(n, 1, 4, padding=1))
        self.body = nn.Sequential(*body)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, in_channels, Y, X) to scores (N, 1, Y', X')."""
        return self.body(x)
