"""The networks of `nn.translators` as ONNX operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.nn.onnx_graph import INPUT, Graph
from microshot.nn.onnx_segmenter import backbone
from microshot.nn.translator_geometry import check_translator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def translator(architecture: Mapping[str, Any]) -> Graph | None:
    """Return the graph of a network of the task *translate*; None of that with a mask decoder.

    Raises
    ------
    ValueError
        If there is no such network.
    """
    check_translator(architecture)
    a, graph = architecture, Graph(int(architecture["in_channels"]))
    if a["kind"] == "lupi-unet":
        return None
    if a["kind"] == "dense-unet":
        shape = (int(a[name]) for name in ("width", "growth", "layers", "depth"))
        x, n = _dense_unet(graph, *shape)
    else:
        x, n = backbone(graph, INPUT, graph.in_channels, {**a, "backbone": a["kind"]})
    x = graph.conv(x, "head", n, int(a["out_channels"]), 1)
    if a["output"] == "scaled-tanh":  # (1 + tanh x) / 2 = sigmoid(2 x)
        x = graph.op("Sigmoid", graph.op("Mul", x, graph.constant(2.0)))
    graph.output = x
    return graph


def _dense_block(
    graph: Graph, x: str, name: str, n: int, growth: int, n_layers: int, *, keep_input: bool
) -> tuple[str, int]:
    """Add `nn.dense_unet.DenseBlock`; return its output and its channels."""
    parts = [x]
    for layer in range(n_layers):
        inner, own = n + layer * growth, f"{name}.layers.{layer}"
        y = graph.relu(graph.norm(graph.join(*parts), f"{own}.norm", inner))
        parts.append(graph.conv(y, f"{own}.conv", inner, growth))
    kept: Sequence[str] = parts if keep_input else parts[1:]
    return graph.join(*kept), n_layers * growth + (n if keep_input else 0)


def _shuffle_up(graph: Graph, x: str, name: str, n: int) -> str:
    """Add `nn.upsampling.PixelShuffleUp` with as many channels out as in."""
    x = graph.relu(graph.conv(x, f"{name}.conv", n, 4 * n))
    x = graph.op("DepthToSpace", x, blocksize=2, mode="CRD")
    x = graph.op("Pad", x, graph.constant([0, 0, 1, 1, 0, 0, 0, 0], np.int64), mode="edge")
    return graph.op("AveragePool", x, kernel_shape=[2, 2], strides=[1, 1])


def _dense_unet(
    graph: Graph, width: int, growth: int, n_layers: int, depth: int
) -> tuple[str, int]:
    """Add `nn.dense_unet.DenseUNet` without its head; return its output and its channels."""
    x, n = graph.conv(INPUT, "stem", graph.in_channels, width), width
    skips = []
    for level in range(depth):
        name = f"encoder.blocks.{level}"
        x, n = _dense_block(graph, x, name, n, growth, n_layers, keep_input=True)
        skips.append((x, n))
        x = graph.relu(graph.norm(x, f"encoder.down.{level}.0", n))
        x = graph.pool(graph.conv(x, f"encoder.down.{level}.2", n, n, 1))
    x, n = _dense_block(graph, x, "bottleneck", n, growth, n_layers, keep_input=False)
    for step in range(depth):
        skip, more = skips.pop()
        x = graph.join(_shuffle_up(graph, x, f"up.{step}", n), skip)
        last = step == depth - 1
        x, n = _dense_block(
            graph, x, f"decoder.{step}", n + more, growth, n_layers, keep_input=last
        )
    return x, n
