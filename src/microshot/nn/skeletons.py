"""Networks without memory for their weights: what is built to compare shapes (imports torch)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable


def skeleton(build: Callable[[], nn.Module]) -> nn.Module:
    """Return the network that `build` makes, its weights on the device ``meta``."""
    with torch.device("meta"), _Undrawn():
        return build()


class _Undrawn(TorchFunctionMode):
    """Draws no random numbers, for which PyTorch would load its compiler: one second and a half."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func in (torch.Tensor.normal_, nn.init.normal_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))
