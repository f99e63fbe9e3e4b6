"""From a model file to its recipe and its network, computed by ONNX Runtime or by PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from microshot.data.normalize import Normalization
from microshot.device import Device, choose_device, quickened, why_no_cuda, wished_threads
from microshot.libraries import load
from microshot.progress import Progress, silent
from microshot.tasks import task_named
from microshot.tasks.base import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from microshot.bundle import Bundle, Card
    from microshot.inference.onnx_network import OnnxNetwork
    from microshot.inference.predictor import TorchNetwork
    from microshot.nn.onnx_graph import Graph

#: ONNX files end at 2 GiB, weights of 32 bits each.
MAX_GRAPH_BYTES = 1 << 30


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


def _check_fit(bundle: Bundle, expected: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse weights other than those a network has."""
    found = {k: tuple(v.shape) for k, v in bundle.weights.items()}
    wrong = sorted(k for k in expected.keys() | found.keys() if expected.get(k) != found.get(k))
    if wrong:
        raise ValueError(
            f'Model "{bundle.card.name}": {len(wrong)} tensors do not fit its architecture (first: '
            f"{wrong[0]}, expected {expected.get(wrong[0])}, found {found.get(wrong[0])}); "
            "the file is damaged, copy it again."
        )


def skeleton_of(bundle: Bundle) -> nn.Module:
    """Return the network a model file names, without weights and without memory for them.

    Raises
    ------
    ValueError
        If the file's weights do not fit it.
    """
    from microshot.nn.skeletons import skeleton

    task, architecture = task_named(bundle.card.task), recipe_of(bundle.card).architecture
    model = skeleton(lambda: task.build(architecture, 0))
    _check_fit(bundle, {k: tuple(v.shape) for k, v in model.state_dict().items()})
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
    """Return the network of a model file as a function of arrays, computed by PyTorch.

    Raises
    ------
    ValueError
        If the weights do not fit the architecture the file names.
    """
    from microshot.inference.predictor import TorchNetwork

    return TorchNetwork(module_of(bundle), device)


def graph_of(bundle: Bundle) -> Graph | None:
    """Return the network of a model file as ONNX operators, without its weights.

    None if it is written down for PyTorch only, or too large for an ONNX file.

    Raises
    ------
    ValueError
        If the file's weights do not fit it.
    """
    graph = task_named(bundle.card.task).graph(recipe_of(bundle.card).architecture)
    if graph is None:
        return None
    _check_fit(bundle, graph.expected)
    small = 4 * sum(v.size for v in bundle.weights.values()) < MAX_GRAPH_BYTES
    return graph if small else None


def ready(
    bundle: Bundle,
    wish: str,
    *,
    inspected: bool = False,
    half: bool = False,
    progress: Progress = silent,
) -> TorchNetwork | OnnxNetwork:
    """Return a model file's network on the device to predict on.

    A processor computes with ONNX Runtime, without PyTorch, which is faster and starts sooner;
    PyTorch is asked only where it may see a graphics card.

    Parameters
    ----------
    wish : ``auto``, ``cpu``, ``cuda`` or ``mps``.
    inspected : whether layers of the network are to be looked at, which PyTorch alone allows.
    half : whether layers are to compute in bfloat16 where the device has instructions for it, which
        PyTorch alone does.

    Raises
    ------
    ValueError
        If the weights do not fit, or the wished device is not there.
    Cancelled
        If cancelled while PyTorch is loaded.
    """
    graph = None if inspected else graph_of(bundle)
    reason = "chosen by the user" if wish == "cpu" else why_no_cuda() if wish == "auto" else ""
    if graph is None or half or not reason:
        load(progress, "torch")
        device = choose_device(wish)
        if half:
            device = quickened(device)
        if graph is None or device.half or device.name != "cpu":
            return network_of(bundle, device)
        reason = device.reason
    from microshot.inference.onnx_network import OnnxNetwork, runtime

    device = Device("cpu", reason, wished_threads(), runtime())
    return OnnxNetwork(graph.model(bundle.weights), device)
