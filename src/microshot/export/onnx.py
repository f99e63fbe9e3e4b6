"""Models as ONNX files, which many programs run without PyTorch and without Microshot."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot import __version__
from microshot.data.normalize import Normalization
from microshot.inference.onnx_network import onnx_runtime
from microshot.opening import module_of, recipe_of
from microshot.progress import Progress, each, silent, span
from microshot.tasks.exchange import Interface, interface

if TYPE_CHECKING:
    from microshot.bundle import Bundle
    from microshot.tasks.base import Recipe

#: Greatest difference to PyTorch, in units of the output or, of large outputs, relative to it.
TOLERANCE = 1e-4
#: Key of the file's metadata that holds a JSON document.
METADATA = "microshot"


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """An ONNX file's content and what is known of it."""

    content: bytes
    interface: Interface
    recipe: Recipe
    difference: float
    """Greatest difference to PyTorch, measured as `TOLERANCE` says."""


def to_onnx(bundle: Bundle, progress: Progress = silent) -> OnnxModel:
    """Return a model as ONNX, compared with PyTorch on images of three sizes.

    Batch, height and width are free where the network allows it. The file's metadata tell how
    images are to be prepared, under `METADATA` as JSON, and the essentials as text.

    Raises
    ------
    ValueError
        If the model has no network, its weights do not fit it, or onnxruntime's outputs differ from
        PyTorch's by more than `TOLERANCE`.
    """
    import onnx

    from microshot.inference.torch_export import onnx_graph

    progress(0.0, "writing the network as ONNX")
    recipe = recipe_of(bundle.card)
    known = interface(bundle.card.task, recipe)
    model = known.wrap(module_of(bundle))
    names = [output.name for output in known.outputs]
    graph = onnx.load_from_string(onnx_graph(model, _noise(known, 2), names, _axes(known)))
    graph.producer_name, graph.producer_version = "microshot", __version__
    graph.doc_string = bundle.card.name
    onnx.helper.set_model_props(graph, _metadata(bundle, known))
    onnx.checker.check_model(graph, full_check=True)
    content = graph.SerializeToString()
    return OnnxModel(
        content,
        known,
        recipe,
        _compared(content, model, known, bundle.card.name, span(progress, 0.6, 1.0)),
    )


def run_onnx(content: bytes, image: np.ndarray) -> list[np.ndarray]:
    """Return what an ONNX network makes of (N, C, Y, X) float32, on one thread of the CPU."""
    onnxruntime = onnx_runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return [np.asarray(part) for part in session.run(None, {"image": image})]


def _axes(known: Interface) -> dict[str, dict[int, str]]:
    """Return names of the axes whose length is free, by tensor."""
    axes = {"image": {0: "batch"} | ({} if known.side else {2: "height", 3: "width"})}
    for output in known.outputs:
        axes[output.name] = {0: "batch"}
        if output.stride:
            suffix = "" if output.stride == 1 else f"_by_{output.stride}"
            axes[output.name] |= {2: f"height{suffix}", 3: f"width{suffix}"}
    return axes


def _noise(known: Interface, n: int, height: int = 3, width: int = 2) -> np.ndarray:
    """Return `n` images of noise whose sides are so many times the least ones."""
    step = known.side or max(known.multiple, 16)
    sides = (step, step) if known.side else (height * step, width * step)
    rng = np.random.default_rng([n, height, width])
    return rng.normal(0.5, 0.5, (n, known.n_channels, *sides)).astype(np.float32)


def _compared(content: bytes, model: Any, known: Interface, name: str, progress: Progress) -> float:
    """Return the greatest difference between onnxruntime and PyTorch; refuse more than allowed."""
    from microshot.inference.torch_export import outputs_of

    worst = 0.0
    sizes_tried = ((2, 3, 2), (1, 2, 4), (3, 1, 1))
    for sizes in each(sizes_tried, len(sizes_tried), progress, "comparing with PyTorch, size"):
        image = _noise(known, *sizes)
        for output, there, here in zip(
            known.outputs, run_onnx(content, image), outputs_of(model, image), strict=True
        ):
            if there.shape != here.shape:
                raise ValueError(
                    f'Model "{name}": its ONNX form returns {output.name} of shape {there.shape} '
                    f"instead of {here.shape}; the model was not exported."
                )
            scale = max(1.0, float(np.abs(here).max()))
            difference = float(np.abs(there - here).max()) / scale
            if not difference <= TOLERANCE:
                raise ValueError(
                    f'Model "{name}": its ONNX form differs from PyTorch by {difference:.2g} in '
                    f"{output.name} (allowed {TOLERANCE:g}); the model was not exported."
                )
            worst = max(worst, difference)
    return worst


def about(bundle: Bundle, known: Interface) -> dict[str, Any]:
    """Return what a program must know to use the network, as JSON values."""
    card = bundle.card.to_json()
    normalization = Normalization.from_json(card["normalization"]).to_json()
    if normalization["kind"] == "minmax":
        normalization |= {"low": 0.0, "high": 100.0}
    kept = ("name", "id", "task", "licence", "channels", "targets", "pixel_size_um", "thresholds",
            "preparation", "architecture", "lineage", "created")  # fmt: skip
    return {
        **{name: card[name] for name in kept},
        "normalization": normalization,
        "sides_multiple_of": known.multiple,
        "side": known.side or None,
        "halo_px": known.halo_px,
        "outputs": {
            o.name: {"meaning": o.meaning, "stride": o.stride, "channels": o.n_channels}
            for o in known.outputs
        },
        "microshot": __version__,
    }


def _metadata(bundle: Bundle, known: Interface) -> dict[str, str]:
    """Return the metadata of the ONNX file: the whole as JSON, the essentials to read."""
    card = bundle.card
    return {
        METADATA: json.dumps(about(bundle, known), sort_keys=True, ensure_ascii=False),
        "task": card.task,
        "licence": card.licence or "not stated",
        "input": how_to_prepare(bundle, known),
        **{f"output {o.name}": o.meaning for o in known.outputs},
    }


def how_to_prepare(bundle: Bundle, known: Interface) -> str:
    """Say in one sentence how an image is brought to the network."""
    n = bundle.card.normalization
    of = "data set (numbers in the metadata)" if n.get("offset") else "image"
    kind = {
        "zscore": f"minus the mean, divided by the standard deviation of each channel of the {of}",
        "minmax": f"minimum to 0 and maximum to 1 in each channel of the {of}",
    }.get(
        str(n.get("kind")),
        f"percentile {n.get('low', 1.0):g} to 0 and percentile {n.get('high', 99.8):g} to 1 in each "
        f"channel of the {of}",
    )
    sides = f"sides {known.side} px" if known.side else f"sides divisible by {known.multiple}"
    return f"float32 (batch, {known.n_channels}, height, width), {sides}; {kind}."
