"""Several processes that train one network together, each on batches of its own.

All take the same steps: gradients are averaged over the processes, and what time, losses or the user
decide is decided by the first one. That is what PyTorch's `DistributedDataParallel` does, but for its
wrapper, which would have to know every player's way to call the network.
"""

from __future__ import annotations

import atexit
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import distributed

from microshot.device import rank_and_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import nn

    from microshot.device import Device
    from microshot.training.trainer import Stage


#: Between the seeds of two processes; seeds of whole trainings are closer to one another.
_APART = 1_000_003


@dataclass(frozen=True)
class Team:
    """The processes of one training, seen by one of them; alone unless told otherwise."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"
    """Where numbers are exchanged."""

    def seed(self, seed: int) -> int:
        """Return the seed of the batches of this process: no two learn from the same ones."""
        return seed + _APART * self.rank

    def begin(self, model: nn.Module, stages: Iterable[Stage]) -> None:
        """Give all processes the weights of the first one, also those of an adversary."""
        if self.size > 1:
            players = [player for stage in stages for player in stage.players]
            every = [*model.state_dict().values(), *(p for one in players for p in one.parameters)]
            own = [t for t in every if t.is_floating_point()]
            flat = _flat(own)
            distributed.broadcast(flat, 0)
            _write(flat, own)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give all processes the mean gradients; a process without one counts as 0.

        Batches may show a part of the network to some processes only, such as one of two domains.
        """
        if self.size == 1:
            return
        own = [p for p in parameters if p.requires_grad]
        there = torch.tensor([float(p.grad is not None) for p in own], device=self.device)
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in own]
        self.average([*grads, there])
        for parameter, grad, part in zip(own, grads, there.tolist(), strict=True):
            parameter.grad = grad if part > 0 else None

    def average(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace tensors, of the same shapes everywhere, by their means over the processes."""
        if self.size > 1 and tensors:
            flat = _flat(tensors)
            distributed.all_reduce(flat)
            _write(flat / self.size, tensors)

    def agreed(self, value: float) -> float:
        """Return the number that the first process has."""
        if self.size == 1:
            return value
        told = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.broadcast(told, 0)
        return float(told)

    def any(self, *, flag: bool) -> bool:
        """Say whether `flag` is set in any process."""
        if self.size == 1:
            return flag
        told = torch.tensor([float(flag)], device=self.device)
        distributed.all_reduce(told)
        return float(told) > 0


#: The only process of a training.
ALONE = Team()


def _flat(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return all numbers one after the other, (n,) float32."""
    return torch.cat([t.detach().reshape(-1).float() for t in tensors])


@torch.no_grad()
def _write(flat: torch.Tensor, tensors: Sequence[torch.Tensor]) -> None:
    """Put the numbers of `_flat` back."""
    parts = flat.split([t.numel() for t in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view(tensor.shape))


def team_of(device: Device) -> Team:
    """Return the processes that ``torchrun`` has started, connected; else this one alone.

    They exchange numbers by NCCL between CUDA devices, by gloo otherwise.
    """
    rank, size = rank_and_size()
    if size == 1:
        return ALONE
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.name == "cuda" else "gloo")
        atexit.register(distributed.destroy_process_group)
    return Team(rank, size, "cuda" if device.name == "cuda" else "cpu")
