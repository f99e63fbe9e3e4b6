"""A PyTorch network as an ONNX graph, and what it says, to compare the graph with."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from torch import nn

#: Version of the operators; read by onnxruntime from 1.14 (2023) on.
OPSET = 18


def onnx_graph(
    model: nn.Module,
    example: np.ndarray,
    outputs: Sequence[str],
    axes: Mapping[str, Mapping[int, str]],
) -> bytes:
    """Return `model` as ONNX, weights included.

    PyTorch's exporter that follows an example is used, not the newer one that analyses the code:
    our networks have no branches that depend on numbers in the image, and on the same network it
    takes a second instead of a minute.

    Parameters
    ----------
    example : (N, C, Y, X) float32, such as will be given; the input is called ``image``.
    outputs : names of what the model returns.
    axes : names of the axes whose length may differ, by tensor.
    """
    model = model.cpu().eval()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        file = Path(folder) / "model.onnx"
        warnings.simplefilter("ignore")  # that the exporter is the older one, and its hints
        torch.onnx.export(
            model, (torch.from_numpy(example),), file, dynamo=False, opset_version=OPSET,
            input_names=["image"], output_names=list(outputs), do_constant_folding=True,
            dynamic_axes={name: dict(named) for name, named in axes.items()},
        )  # fmt: skip
        return file.read_bytes()


def outputs_of(model: nn.Module, image: np.ndarray) -> list[np.ndarray]:
    """Return what `model` makes of (N, C, Y, X) float32, one array per output."""
    with torch.inference_mode():
        found = model.cpu().eval()(torch.from_numpy(image))
    parts = found if isinstance(found, tuple) else (found,)
    return [part.numpy() for part in parts]
