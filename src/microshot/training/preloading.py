"""Importing this module loads all that PyTorch loads later by itself, when training begins.

PyTorch imports its compiler when the first optimizer is made, which takes as long as PyTorch
itself. Nothing here is used by others; `libraries.load` imports it where the user can cancel.
"""

from __future__ import annotations

import torch

torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
