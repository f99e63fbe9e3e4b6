"""The networks of `nn.segmenter`, and those that end like them, as ONNX operators."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from microshot.nn.geometry import HEAD_CHANNELS, RESNETS, SHARPNESS, check_architecture
from microshot.nn.onnx_graph import INPUT, Graph

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: As in `nn.unet.Bottleneck`.
_EPS = 1.001e-5


def segmenter(architecture: Mapping[str, Any]) -> Graph:
    """Return the graph of `nn.segmenter.Segmenter`.

    Raises
    ------
    ValueError
        If there is no such network.
    """
    check_architecture(architecture)
    a = architecture
    width, n = int(a["width"]), int(a["in_channels"])
    graph, x = Graph(n), INPUT
    for halving in range(int(a["grid"]).bit_length() - 1):
        for layer in (0, 2):
            x, n = graph.relu(graph.conv(x, f"stem.{5 * halving + layer}", n, width)), width
        x = graph.pool(x)
    x, n = backbone(graph, x, n, a)
    features = int(a.get("head_features", 128))
    out = 1 + int(a["rays"]) if a["head"] == "stardist" else HEAD_CHANNELS[a["head"]]
    x = graph.relu(graph.conv(x, "features.0", n, features))
    graph.output = graph.conv(x, "head", features, out, 1)
    return graph


def density_network(architecture: Mapping[str, Any]) -> Graph:
    """Return the graph of `nn.density.DensityNetwork`.

    Raises
    ------
    ValueError
        If there is no such network.
    """
    graph = segmenter(architecture)
    spread = float(architecture["spread_px"]) / int(architecture["grid"])
    sharp = graph.op("Mul", graph.output, graph.constant(SHARPNESS))
    soft = graph.op("Softplus", sharp)
    scale = 1 / (2 * math.pi * spread**2) / SHARPNESS
    graph.output = graph.op("Mul", soft, graph.constant(scale))
    return graph


def backbone(graph: Graph, x: str, n: int, architecture: Mapping[str, Any]) -> tuple[str, int]:
    """Add the encoder-decoder that `architecture` names; return its output and its channels."""
    kind = architecture["backbone"]
    if kind in RESNETS:
        return _resnet_unet(graph, x, n, kind)
    return _UNETS[kind](graph, x, n, int(architecture["width"]), int(architecture["depth"]))


def _unet(graph: Graph, x: str, n: int, width: int, depth: int) -> tuple[str, int]:
    widths = [width * 2**level for level in range(depth + 1)]

    def pair(x: str, name: str, n: int, inner: int, out: int) -> str:
        x = graph.relu(graph.conv(x, f"backbone.{name}.0.0", n, inner))
        return graph.relu(graph.conv(x, f"backbone.{name}.1.0", inner, out))

    skips = []
    for level, w in enumerate(widths[:-1]):
        x, n = pair(x, f"encoder.{level}", n, w, w), w
        skips.append(x)
        x = graph.pool(x)
    x, n = pair(x, "bottleneck", n, widths[-1], widths[depth - 1]), widths[depth - 1]
    for step, level in enumerate(reversed(range(depth))):
        w, after = widths[level], widths[max(level - 1, 0)]
        x = graph.join(graph.double(x), skips.pop())
        x, n = pair(x, f"decoder.{step}", n + w, w, after), after
    return x, n


def _bottleneck(
    graph: Graph, x: str, name: str, n: int, features: int, *, project: bool, residual: bool
) -> str:
    out, y = 4 * features, x
    for index, (a, b, kernel) in enumerate(
        ((n, features, 1), (features, features, 3), (features, out, 1))
    ):
        y = graph.conv(y, f"{name}.body.{3 * index}", a, b, kernel)
        y = graph.norm(y, f"{name}.body.{3 * index + 1}", b, _EPS)
        if index < 2:
            y = graph.relu(y)
    if residual and project:
        x = graph.norm(
            graph.conv(x, f"{name}.shortcut.0", n, out, 1), f"{name}.shortcut.1", out, _EPS
        )
    return graph.relu(graph.add(y, x) if residual else y)


def _stack(
    graph: Graph, x: str, name: str, n: int, features: int, n_blocks: int, *, residual: bool
) -> str:
    for block in range(n_blocks):
        x = _bottleneck(
            graph, x, f"{name}.{block}", 4 * features if block else n, features,
            project=block == 0, residual=residual,
        )  # fmt: skip
    return x


def _res_unet(
    graph: Graph, x: str, n: int, width: int, depth: int, *, residual: bool
) -> tuple[str, int]:
    features = [width * 2**level for level in range(depth + 1)]
    blocks = [3 if level == 1 else 2 for level in range(depth)]
    skips = []
    for level in range(depth):
        f, name = features[level], f"backbone.encoder.{level}"
        x, n = _stack(graph, x, name, n, f, blocks[level], residual=residual), 4 * f
        skips.append(x)
        x = graph.pool(x)
    x = _stack(graph, x, "backbone.bottleneck", n, features[-1], 2, residual=residual)
    n = 4 * features[-1]
    for step, level in enumerate(reversed(range(depth))):
        f = features[level]
        x = graph.conv(graph.double(x), f"backbone.up.{step}", n, 4 * f, 2, pads=(0, 0, 1, 1))
        x = graph.join(x, skips.pop())
        name = f"backbone.decoder.{step}"
        x, n = _stack(graph, x, name, 8 * f, f, blocks[level], residual=residual), 4 * f
    return x, n


#: As `nn.unet.BACKBONES`.
_UNETS: Mapping[str, Callable[[Graph, str, int, int, int], tuple[str, int]]] = {
    "unet": _unet,
    "res-unet": partial(_res_unet, residual=True),
    "plain-unet": partial(_res_unet, residual=False),
}


def _resnet_block(
    graph: Graph, x: str, name: str, n: int, features: int, *, stride: int, bottleneck: bool
) -> str:
    out, y = features * (4 if bottleneck else 1), x
    layers = [(n, features, 3, stride), (features, out, 3, 1)]
    if bottleneck:
        layers = [(n, features, 1, 1), (features, features, 3, stride), (features, out, 1, 1)]
    for number, (a, b, kernel, step) in enumerate(layers, 1):
        y = graph.conv(y, f"{name}.conv{number}", a, b, kernel, stride=step, bias=False)
        y = graph.norm(y, f"{name}.bn{number}", b)
        if number < len(layers):
            y = graph.relu(y)
    if stride != 1 or n != out:
        x = graph.conv(x, f"{name}.downsample.0", n, out, 1, stride=stride, bias=False)
        x = graph.norm(x, f"{name}.downsample.1", out)
    return graph.relu(graph.add(y, x))


def _resnet_unet(graph: Graph, x: str, n: int, variant: str) -> tuple[str, int]:
    bottleneck, blocks = RESNETS[variant]
    root = "backbone.encoder"
    x = graph.conv(x, f"{root}.conv1", n, 64, 7, stride=2, bias=False)
    x, n = graph.relu(graph.norm(x, f"{root}.bn1", 64)), 64
    maps = [(x, n)]
    x = graph.pool(x, 3, 2, 1)
    for stage, (features, n_blocks) in enumerate(zip((64, 128, 256, 512), blocks, strict=True)):
        for block in range(n_blocks):
            x = _resnet_block(
                graph, x, f"{root}.layer{stage + 1}.{block}", n, features,
                stride=2 if block == 0 and stage > 0 else 1, bottleneck=bottleneck,
            )  # fmt: skip
            n = features * (4 if bottleneck else 1)
        maps.append((x, n))
    x, n = maps.pop()
    for level, width in enumerate((256, 128, 64, 32, 16)):
        x = graph.double(x)
        if maps:
            skip, more = maps.pop()
            x, n = graph.join(x, skip), n + more
        for layer in (0, 3):
            name = f"backbone.decoder.{level}"
            x = graph.conv(x, f"{name}.{layer}", n, width, bias=False)
            x, n = graph.relu(graph.norm(x, f"{name}.{layer + 1}", width)), width
    return x, n
