"""The state of a training between two steps, as tensors and numbers, so that it can be gone on with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

    from microshot.training.stage_run import StageRun
    from microshot.training.trainer import Run

Tensors = dict[str, torch.Tensor]
#: Numbers of a run, and of its present stage, that are kept as they are.
_OF_FIT = ("steps", "history", "notes", "at_once")
_OF_STAGE = ("step", "rate", "sums", "n_summed", "last_row", "best", "best_step")


def captured(stage: StageRun) -> tuple[Tensors, dict[str, Any]]:
    """Return what is needed to go on with a training after its last step.

    Batches depend on nothing but seed and step, so they are not kept; nor is what a loss
    remembers of earlier batches (the adversary's pool of scores), which fills up again.
    """
    run = stage.run
    tensors = {f"model/{k}": v for k, v in run.model.state_dict().items()}
    tensors |= {f"best/{k}": v for k, v in run.fit.state.items()}
    if run.average:
        tensors |= {f"average/{k}": v for k, v in run.average.state.items()}
    tensors |= {f"own/{name}": p.detach() for name, p in _own_parameters(stage)}
    for name, parameter, optimizer in _steered(stage):
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer/{name}/{key}"] = value
    tensors |= {f"random/{k}": v for k, v in _random_states(run).items()}
    values: dict[str, Any] = {
        "stage": run.stage_index,
        "elapsed": run.elapsed(),
        "average_steps": run.average.steps if run.average else 0,
        "plateau": vars(stage.plateau) if stage.plateau else {},
        "fit": {name: getattr(run.fit, name) for name in _OF_FIT},
        "now": {name: getattr(stage, name) for name in _OF_STAGE},
    }
    return {k: v.detach().to("cpu", copy=True).contiguous() for k, v in tensors.items()}, values


def restore(stage: StageRun, tensors: Tensors, values: Mapping[str, Any]) -> None:
    """Bring a training that has just been set up into a state that `captured` returned."""
    run = stage.run
    run.model.load_state_dict(_below(tensors, "model/"))
    run.fit.state = _below(tensors, "best/")
    if run.average:
        for key, value in _below(tensors, "average/").items():
            run.average.state[key].copy_(value)
        run.average.steps = values["average_steps"]
    own = _below(tensors, "own/")
    with torch.no_grad():
        for name, parameter in _own_parameters(stage):
            parameter.copy_(own[name])
    for name, parameter, optimizer in _steered(stage):
        kept = _below(tensors, f"optimizer/{name}/")
        if kept:
            optimizer.state[parameter] = {k: _like(parameter, v, k) for k, v in kept.items()}
    _set_random_states(run, _below(tensors, "random/"))
    run.start = run.clock() - values["elapsed"]
    for holder, kept in ((run.fit, values["fit"]), (stage, values["now"])):
        for name, value in kept.items():
            setattr(holder, name, value)
    for name, value in values["plateau"].items():
        setattr(stage.plateau, name, value)


def _below(tensors: Tensors, prefix: str) -> Tensors:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _like(parameter: nn.Parameter, value: torch.Tensor, key: str) -> torch.Tensor:
    """Return a number of an optimiser where and how it keeps those of `parameter`."""
    if key == "step":
        return value
    return torch.empty_like(parameter, requires_grad=False).copy_(value)


def _steered(stage: StageRun) -> Iterator[tuple[str, nn.Parameter, torch.optim.Optimizer]]:
    """Yield every parameter that is trained with a name of its own and its optimiser."""
    for number, (player, optimizer) in enumerate(
        zip(stage.stage.players, stage.optimizers, strict=True)
    ):
        for index, parameter in enumerate(player.parameters):
            yield f"{number}/{index}", parameter, optimizer


def _own_parameters(stage: StageRun) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield parameters that are trained but no part of the model, such as an adversary's."""
    known = {id(parameter) for parameter in stage.run.model.parameters()}
    for name, parameter, _ in _steered(stage):
        if id(parameter) not in known:
            yield name, parameter


def _random_states(run: Run) -> Tensors:
    found = {"cpu": torch.get_rng_state()}
    if run.device.name == "cuda":
        found["cuda"] = torch.cuda.get_rng_state()
    return found


def _set_random_states(run: Run, kept: Tensors) -> None:
    torch.set_rng_state(kept["cpu"])
    if run.device.name == "cuda" and "cuda" in kept:
        torch.cuda.set_rng_state(kept["cuda"])
