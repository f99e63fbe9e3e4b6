"""From a model file to its recipe and its network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from microshot.data.normalize import Normalization
from microshot.tasks import task_named
from microshot.tasks.base import Recipe

if TYPE_CHECKING:
    from torch import nn

    from microshot.bundle import Bundle, Card
    from microshot.device import Device
    from microshot.inference.predictor import TorchNetwork


def recipe_of(card: Card) -> Recipe:
    """Return the recipe a model file carries, what is optional filled in.

    Raises
    ------
    ValueError
        If the task is unknown, or the network or a number in the recipe makes no sense.
    """
    given = Recipe(
        card.architecture,
        Normalization.from_json(card.normalization),
        card.preparation,
        card.tile,
        card.thresholds,
    )
    return task_named(card.task).checked(given)


def skeleton_of(bundle: Bundle) -> nn.Module:
    """Return the network a model file names, without weights and without memory for them.

    Raises
    ------
    ValueError
        If the file's weights do not fit it.
    """
    import torch

    with torch.device("meta"):
        model = task_named(bundle.card.task).build(bundle.card.architecture, 0)
    expected = {k: tuple(v.shape) for k, v in model.state_dict().items()}
    found = {k: tuple(v.shape) for k, v in bundle.weights.items()}
    if expected != found:
        wrong = sorted(k for k in expected.keys() | found.keys() if expected.get(k) != found.get(k))
        raise ValueError(
            f'Model "{bundle.card.name}": {len(wrong)} tensors do not fit its architecture (first: '
            f"{wrong[0]}, expected {expected.get(wrong[0])}, found {found.get(wrong[0])}); "
            "the file is damaged, copy it again."
        )
    return model


def module_of(bundle: Bundle) -> nn.Module:
    """Return the network of a model file with its weights, as float32 on the CPU.

    Raises
    ------
    ValueError
        If the weights do not fit the architecture the file names.
    """
    import torch

    model = skeleton_of(bundle)
    state = {
        k: torch.from_numpy(np.array(v, np.float32 if v.dtype.kind == "f" else v.dtype))
        for k, v in bundle.weights.items()
    }
    model.load_state_dict(state, assign=True)
    return model


def network_of(bundle: Bundle, device: Device) -> TorchNetwork:
    """Return the network of a model file as a function of arrays.

    Raises
    ------
    ValueError
        If the weights do not fit the architecture the file names.
    """
    from microshot.inference.predictor import TorchNetwork

    return TorchNetwork(module_of(bundle), device)
