"""What a retrained model takes over from its start: weights by name, frozen and new parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from microshot.nn.channels import adapt_input_channels, differs_in_channels

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    import torch
    from torch import nn


@dataclass
class Takeover:
    """Names of the tensors that were copied, adapted to another channel count, or kept new."""

    copied: list[str] = field(default_factory=list)
    adapted: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)


def in_parts(name: str, parts: Iterable[str], prefixes: Mapping[str, tuple[str, ...]]) -> bool:
    """Say whether the parameter `name` belongs to one of the named `parts`.

    Raises
    ------
    ValueError
        If a part is unknown; the message lists the parts there are.
    """
    for part in parts:
        if part not in prefixes:
            raise ValueError(f'Unknown part "{part}" of the network; it has {", ".join(prefixes)}.')
        if name.startswith(prefixes[part]):
            return True
    return False


def take_over(
    model: nn.Module,
    weights: Mapping[str, torch.Tensor],
    *,
    renew: Sequence[str] = (),
    prefixes: Mapping[str, tuple[str, ...]],
) -> Takeover:
    """Copy `weights` into `model` where names and shapes agree.

    Parts named in `renew` keep their fresh initialisation, as does every tensor without a
    partner of its shape. A first convolution that differs only in its input channels
    is adapted (see `nn.channels.adapt_input_channels`).
    """
    report = Takeover()
    state = model.state_dict()
    for name, own in state.items():
        old = weights.get(name)
        if old is None or in_parts(name, renew, prefixes):
            report.new.append(name)
        elif old.shape == own.shape:
            state[name] = old.to(own.dtype)
            report.copied.append(name)
        elif differs_in_channels(old, own) and not report.adapted:
            state[name] = adapt_input_channels(old, own.shape[1]).to(own.dtype)
            report.adapted.append(name)
        else:
            report.new.append(name)
    model.load_state_dict(state)
    return report


def freeze(
    model: nn.Module,
    parts: Sequence[str],
    prefixes: Mapping[str, tuple[str, ...]],
    *,
    anew: Collection[str] = (),
) -> list[str]:
    """Stop learning in `parts`, start it in all others; return the frozen parameters' names.

    Parameters named in `anew` learn wherever they are. Batch normalisation in a frozen part also
    keeps its running statistics (the trainer leaves such layers in evaluation mode).
    """
    frozen = []
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in anew or not in_parts(name, parts, prefixes))
        if not parameter.requires_grad:
            frozen.append(name)
    return frozen


#: Parts that stop learning, by strategy.
FROZEN = {"all": (), "freeze-encoder": ("stem", "encoder"), "head": ("stem", "encoder", "decoder")}
#: Step-by-step thawing: from which fraction of the training on which parts are still frozen.
THAW = (
    (0.0, ("stem", "encoder", "decoder")),
    (0.2, ("stem", "encoder")),
    (0.4, ("stem",)),
    (0.6, ()),
)


def apply_strategy(
    model: nn.Module,
    strategy: str,
    prefixes: Mapping[str, tuple[str, ...]],
    frozen: Mapping[str, tuple[str, ...]] = FROZEN,
    thaw: Sequence[tuple[float, tuple[str, ...]]] = THAW,
    *,
    anew: Collection[str] = (),
) -> Callable[[float], None] | None:
    """Freeze what `strategy` says; return what is to be called with the fraction over, or None.

    Parameters named in `anew`, of which nothing fitting was taken over, learn from the beginning:
    a first layer for other channels, or random weights, must not stay as they are. Parts that the
    task's network does not have are left out. `frozen` and `thaw` are the tables of networks with
    other parts than the usual ones, of the form of `FROZEN` and `THAW`.

    Raises
    ------
    ValueError
        If the network knows no such strategy.
    """
    if strategy in frozen:
        freeze(model, [p for p in frozen[strategy] if p in prefixes], prefixes, anew=anew)
        return None
    if strategy != "thaw":
        raise ValueError(
            f'"What may change" is "{strategy}", which this network does not know; expected one of '
            f"{', '.join(frozen)}, thaw."
        )
    stage = [-1]

    def go_on(fraction: float) -> None:
        reached = max(i for i, (begin, _) in enumerate(thaw) if fraction >= begin)
        if reached != stage[0]:
            stage[0] = reached
            freeze(model, [p for p in thaw[reached][1] if p in prefixes], prefixes, anew=anew)
            training_mode(model)

    go_on(0.0)
    return go_on


def training_mode(model: nn.Module) -> None:
    """Put `model` into training mode, but keep frozen normalisation layers as they are.

    A module whose own parameters are all frozen stays in evaluation mode, so that the
    running statistics of a frozen batch normalisation do not move.
    """
    model.train()
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if own and not any(p.requires_grad for p in own):
            module.eval()
