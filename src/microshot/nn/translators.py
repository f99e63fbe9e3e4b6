"""The networks of the task *translate*, built from the architecture a model file names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from microshot.nn.dense_unet import DenseUNet
from microshot.nn.lupi import LupiUNet
from microshot.nn.stain_head import StainHead
from microshot.nn.translator_geometry import check_translator
from microshot.nn.unet import BACKBONES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch


class PlainTranslator(nn.Module):
    """U-Net without dense blocks: (N, in_channels, Y, X) to (N, out_channels, Y, X)."""

    def __init__(
        self, kind: str, in_channels: int, out_channels: int, *, width: int, depth: int, output: str
    ) -> None:
        super().__init__()
        self.backbone: Any = BACKBONES[kind](in_channels, width, depth)
        self.head = StainHead(int(self.backbone.out_channels), out_channels, output)
        for module in self.backbone.modules():
            if isinstance(module, nn.Conv2d):  # see `nn.segmenter`: PyTorch's default fades
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.head.weight, 0.0, 0.01)  # a dark image is a fair first guess
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, in_channels, Y, X) to (N, out_channels, Y, X)."""
        return self.head(self.backbone(x))


def build_translator(architecture: Mapping[str, Any]) -> nn.Module:
    """Return the network with fresh weights.

    Raises
    ------
    ValueError
        If there is no such network.
    """
    check_translator(architecture)
    a = architecture
    channels, shape = (a["in_channels"], a["out_channels"]), {"width": a["width"]}
    shape |= {"depth": a["depth"], "output": a["output"]}
    if a["kind"] not in ("dense-unet", "lupi-unet"):
        return PlainTranslator(a["kind"], *channels, **shape)
    shape |= {"growth": a["growth"], "layers": a["layers"], "dropout": a.get("dropout", 0.2)}
    if a["kind"] == "dense-unet":
        return DenseUNet(*channels, **shape)
    return LupiUNet(*channels, **shape, attention=a.get("attention", "sum"))
