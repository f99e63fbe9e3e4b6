"""Networks written down for ONNX Runtime say the same as PyTorch's, with the same tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from microshot.device import Device
from microshot.inference.onnx_network import OnnxNetwork
from microshot.inference.predictor import TorchNetwork
from microshot.nn.geometry import UNETS
from microshot.tasks import task_named

CPU = Device("cpu", "test", 1)
SEGMENT = {
    "name": "segmenter", "backbone": "unet", "head": "stardist", "in_channels": 1, "width": 4,
    "head_features": 8, "depth": 2, "rays": 8, "grid": 2,
}  # fmt: skip
DENSITY = {
    **SEGMENT,
    "name": "density",
    "head": "foreground",
    "spread_px": 3.0,
    "initial_density": 0.1,
}
TRANSLATE = {
    "kind": "dense-unet", "in_channels": 3, "out_channels": 2, "width": 8, "growth": 3, "layers": 2,
    "depth": 2, "output": "scaled-tanh",
}  # fmt: skip
CASES = [
    *(("segment", {**SEGMENT, "backbone": b}) for b in (*UNETS, "resnet18", "resnet50")),
    *(("segment", {**SEGMENT, "head": h}) for h in ("foreground", "boundary")),
    *(("segment", {**SEGMENT, "grid": g, "in_channels": 3}) for g in (1, 4)),
    ("segment", {**SEGMENT, "depth": 4}),
    ("segment", {**SEGMENT, "depth": 1}),
    ("count", DENSITY),
    ("translate", TRANSLATE),
    ("translate", {**TRANSLATE, "output": "identity", "depth": 1, "layers": 1}),
    ("translate", {**TRANSLATE, "kind": "unet"}),
    ("translate", {**TRANSLATE, "kind": "res-unet"}),
]


def trained(task: str, architecture: dict) -> torch.nn.Module:
    """Return a network whose every tensor has something to say, as after training."""
    model = task_named(task).build(architecture, 0)
    generator = torch.Generator().manual_seed(1)
    for name, value in model.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2, generator=generator)
        elif name == "head.weight" and task == "count":
            value.mul_(30)  # softplus would hide how little it begins with
        elif value.ndim == 1:
            value.add_(0.3 * torch.randn(value.shape, generator=generator))
    return model


@pytest.mark.parametrize(("task", "architecture"), CASES)
def test_onnx_runtime_says_what_pytorch_says(task, architecture) -> None:
    model, graph = trained(task, architecture), task_named(task).graph(architecture)
    assert graph is not None
    weights = {k: v.numpy() for k, v in model.state_dict().items()}
    shape = (2, architecture["in_channels"], 64, 128)
    batch = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = TorchNetwork(model, CPU)(batch)
    network = OnnxNetwork(graph.model(weights), CPU)
    found = network(batch)
    network.rest(batch[:1])
    np.testing.assert_array_equal(network(batch), found)
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    greatest = np.abs(expected).max()
    assert np.abs(found - expected).max() <= 1e-4 * min(1, greatest)
    assert expected.std() > 1e-2 * greatest  # else the law above would be empty


@pytest.mark.parametrize(("task", "architecture"), CASES)
def test_a_graph_asks_for_the_tensors_that_pytorch_has(task, architecture) -> None:
    with torch.device("meta"):
        state = task_named(task).build(architecture, 0).state_dict()
    graph = task_named(task).graph(architecture)
    assert graph is not None
    assert graph.expected == {k: tuple(v.shape) for k, v in state.items()}


def test_weights_of_another_network_are_refused() -> None:
    graph = task_named("segment").graph(SEGMENT)
    assert graph is not None
    weights = {name: np.zeros(shape, np.float32) for name, shape in graph.expected.items()}
    weights["head.bias"] = np.zeros(7, np.float32)
    with pytest.raises(ValueError, match=r"1 tensors do not fit the graph \(first: head.bias\)"):
        graph.model(weights)


def test_senseless_architectures_are_refused() -> None:
    for task, wrong in (
        ("segment", {**SEGMENT, "grid": 3}),
        ("count", {**DENSITY, "backbone": "tree"}),
        ("translate", {**TRANSLATE, "growth": 0}),
    ):
        with pytest.raises(ValueError, match=r"^Network: expected"):
            task_named(task).graph(wrong)
