"""The segmentation network: stem, backbone, head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from microshot.nn.geometry import HEAD_CHANNELS, RESNETS, check_architecture
from microshot.nn.resnet import ResNetUNet
from microshot.nn.unet import BACKBONES

if TYPE_CHECKING:
    from collections.abc import Mapping


class Segmenter(nn.Module):
    """Network of the task *segment*: (N, C, Y, X) float32 to (N, K, Y/g, X/g) float32.

    K is 1 + rays for the StarDist head (logit of the object probability, then the distances
    in px of the input to the border along each ray), 1 for ``foreground`` (logit) and 3
    for ``boundary`` (logits of background, interior, boundary). g is the grid: the
    stem halves the sides log2(g) times before the backbone.

    References
    ----------
    .. [1] Schmidt et al. 2018, doi:10.1007/978-3-030-00934-2_30 (StarDist: head and
       128-feature layer before it; grid as in the released code).
    """

    def __init__(self, architecture: Mapping[str, Any]) -> None:
        check_architecture(architecture)
        super().__init__()
        a = architecture
        grid, width, n = int(a["grid"]), int(a["width"]), int(a["in_channels"])
        stem: list[nn.Module] = []
        for _ in range(grid.bit_length() - 1):
            for _ in range(2):
                stem += [nn.Conv2d(n, width, 3, padding=1), nn.ReLU(inplace=True)]
                n = width
            stem.append(nn.MaxPool2d(2))
        self.stem = nn.Sequential(*stem)
        if a["backbone"] in RESNETS:
            self.backbone: Any = ResNetUNet(n, a["backbone"])
        else:
            self.backbone = BACKBONES[a["backbone"]](n, width, int(a["depth"]))
        features = int(a.get("head_features", 128))
        out = 1 + int(a["rays"]) if a["head"] == "stardist" else HEAD_CHANNELS[a["head"]]
        self.features = nn.Sequential(
            nn.Conv2d(int(self.backbone.out_channels), features, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Conv2d(features, out, 1)
        _initialise(self, self.head, a)
        self.grid = grid

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, Y, X), sides divisible by `geometry.side_multiple`, to (N, K, Y/g, X/g)."""
        return self.head(self.features(self.backbone(self.stem(x))))


def _initialise(model: nn.Module, head: nn.Conv2d, architecture: Mapping[str, Any]) -> None:
    """Draw fresh weights: He's normal distribution, and a head that begins with a fair guess.

    Without normalisation layers the default of PyTorch (a third of He's variance) lets signals
    fade, and training idles for hundreds of steps. The head starts with "no object" as the
    likelier answer (logit -2) and distances of a third of the working diameter.

    References
    ----------
    .. [1] He et al. 2015, doi:10.1109/ICCV.2015.123, Eq. 10.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    nn.init.normal_(head.weight, 0.0, 0.01)
    if architecture["head"] == "stardist":
        with torch.no_grad():
            bias = head.bias
            assert bias is not None
            bias[0] = -2.0
            bias[1:] = float(architecture.get("initial_distance_px", 8.0))
