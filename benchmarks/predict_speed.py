"""What predicting an image costs: ours by ONNX Runtime and PyTorch, and StarDist with TensorFlow.

    sh benchmarks/peer_environment.sh ../peer
    python benchmarks/predict_speed.py --peer ../peer/bin/python --model MODEL.microshot

*half* is PyTorch in bfloat16, where the processor has instructions for it (else the same as *onnx*).
MODEL is a model trained with the default settings (`dsb2018.py` leaves one in `benchmarks/cache`).
*Same network* is that model blown up to StarDist's default (width 32, 128 features before the
head) by weights of 0, so it says the same at the full cost; StarDist gets the very same weights.
Each program runs in a process of its own; they take turns, and ratios are those of neighbours in
time. Everything from the camera's numbers to the label image counts. StarDist, which takes an image at
once unless told otherwise, gets tiles of at most 2048 px: 8192² px at once take some 40 GB. What is
there is measured anew with ``--again`` only.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from measuring import HERE, Results, Worker

if TYPE_CHECKING:
    from collections.abc import Mapping

ABOUT = (
    "One image predicted, normalisation and label image included; ms of processor time and of the "
    "clock. `ratios`: StarDist's time over ours, one per round (processor time with one thread, "
    "clock with two). `system_ms`: the part of the processor time in which memory is handed out, and the "
    "like. `gigaflops`: operations of the network over all processor time, suppression "
    "and drawing included; `matrix_gigaflops`: those of a large matrix product on one thread."
)
PROGRAMS = ("stardist", "onnx", "torch", "half")


#: Most objects in an image, and side of the scenes that larger images are put together from.
MOST_OBJECTS, SCENE_PX = 20_000, 2048


def picture(side: int) -> tuple[np.ndarray, float]:
    """Return a generated fluorescence image and the diameter of its nuclei."""
    from microshot.data.objects import median_diameter
    from microshot.synth.generator import generate

    each = min(side, SCENE_PX)
    across = -(-side // each)
    n = min(each * each / 1100, MOST_OBJECTS / across**2)
    made = generate(
        "fluorescence-nuclei", across**2, 0, size_px=(each, each), mean_count=n, diameter_px=22
    )
    scenes = [m.image.pixels[0] for m in made]
    pixels = np.block([scenes[i : i + across] for i in range(0, len(scenes), across)])
    labels = [m.labels for m in made if m.labels is not None]
    return pixels[:side, :side], median_diameter(labels) or 22.0


def default_model(start: Any, diameter: float) -> Any:
    """Return the model as it is for images with such objects, which are then not resampled."""
    from microshot.bundle import Bundle

    sizes = {"image_diameter_px": diameter, "working_diameter_px": diameter}
    card = dataclasses.replace(start.card, preparation={**start.card.preparation, **sizes})
    return Bundle.make(card, start.weights)


def same_network(model: Any, image: np.ndarray) -> Any:
    """Return `model` at StarDist's width, for percentile normalisation of `image`.

    The first layer takes in the difference between the two normalisations of this image.
    """
    from microshot.bundle import Bundle
    from microshot.data.normalize import Normalization
    from microshot.nn.onnx_segmenter import segmenter

    architecture = {**model.card.architecture, "width": 32, "head_features": 128}
    graph, narrow = segmenter(architecture), segmenter(model.card.architecture)
    percentile = Normalization("percentile")
    (o, s), (p, q) = (
        n.parameters(image[None]) for n in (Normalization("zscore"), percentile)
    )  # zscore(x) = percentile(x) * q / s + (p - o) / s
    weights = {}
    for name, shape in graph.expected.items():
        value = np.array(model.weights[name], np.float32)
        if name == "stem.0.bias":
            value = value + (model.weights["stem.0.weight"].sum((1, 2, 3)) * (p - o) / s)
        if name == "stem.0.weight":
            value = value * (q / s)
        joined = "decoder" in name and name.endswith(".0.0.weight")
        weights[name] = _blown_up(value, narrow.expected[name], shape, joined=joined)
    card = dataclasses.replace(
        model.card, architecture=architecture, normalization=percentile.to_json(), tile={}
    )
    return Bundle.make(card, weights)


def _blown_up(
    value: np.ndarray, old: tuple[int, ...], new: tuple[int, ...], *, joined: bool
) -> np.ndarray:
    """Put a layer into a wider one; of two `joined` inputs, each stays in its half."""
    made = np.zeros(new, np.float32)
    if len(new) == 1:
        made[: old[0]] = value
    elif joined:
        n, wide = old[1] // 2, new[1] // 2
        made[: old[0], :n] = value[:, :n]
        made[: old[0], wide : wide + n] = value[:, n:]
    else:
        made[: old[0], : old[1]] = value
    return made


def for_keras(bundle: Any, path: Path) -> None:
    """Write weights as Keras orders them."""
    weights, arrays = bundle.weights, {}
    layers = [n[: -len(".weight")] for n in _in_order(bundle) if n != "head.weight"]
    pairs = [(weights[f"{n}.weight"], weights[f"{n}.bias"]) for n in layers]
    head, bias = weights["head.weight"], weights["head.bias"]
    logit, distances = slice(0, 1), slice(1, None)
    pairs += [(head[part], bias[part]) for part in (logit, distances)]
    for number, (kernel, own) in enumerate(pairs):
        arrays |= {f"kernel{number}": kernel.transpose(2, 3, 1, 0), f"bias{number}": own}
    np.savez(path, n=len(pairs), **bundle.card.thresholds, **arrays)


def _in_order(bundle: Any) -> list[str]:
    """Return the names of the kernels in the order in which the network uses them."""
    from microshot.nn.onnx_segmenter import segmenter

    return [n for n in segmenter(bundle.card.architecture).expected if n.endswith(".weight")]


def gigaflops(bundle: Any, side: int) -> float:
    """Return the multiplications and additions of the network on a square image, in 10⁹."""
    from onnx import helper, shape_inference

    from microshot.nn.onnx_segmenter import segmenter

    model = segmenter(bundle.card.architecture).model(bundle.weights)
    del model.graph.input[0].type.tensor_type.shape.dim[:]
    for n in (1, 1, side, side):
        model.graph.input[0].type.tensor_type.shape.dim.add().dim_value = n
    known = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    shapes = {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in known.graph.value_info
    }
    total = 0.0
    for node in known.graph.node:
        if node.op_type == "Conv":
            kernel = helper.get_attribute_value(node.attribute[0])
            _, out, height, width = shapes[node.output[0]]
            n_in = bundle.weights[node.input[1]].shape[1]
            total += 2.0 * kernel[0] * kernel[1] * n_in * out * height * width
    return total / 1e9


#: Prints 10⁹ operations per second of one thread in a large matrix product, the best of 9.
PEAK = """
import time
import numpy as np
import onnxruntime
from onnx import TensorProto, helper
n = 2048
a, b, c = (helper.make_tensor_value_info(x, TensorProto.FLOAT, [n, n]) for x in "abc")
graph = helper.make_graph([helper.make_node("MatMul", ["a", "b"], ["c"])], "g", [a, b], [c])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
run = onnxruntime.InferenceSession(model.SerializeToString(), options).run
x = np.random.default_rng(0).normal(size=(n, n)).astype(np.float32)
def seconds():
    started = time.process_time()
    run(None, {"a": x, "b": x})
    return time.process_time() - started
print(2 * n**3 / min(seconds() for _ in range(9)) / 1e9)
"""


def peak_gigaflops() -> float:
    """Measure the processor in a process that has one thread."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    found = subprocess.run([sys.executable, "-c", PEAK], env=env, check=True, capture_output=True)
    return float(found.stdout)


def compare(models: Mapping[str, Path], image: Path, peer: str, threads: int, rounds: int) -> Any:
    """Let the programs take turns; return all answers by program."""
    pythons = {name: peer if name == "stardist" else sys.executable for name in models}
    script = str(HERE / "predict_worker.py")
    workers = {
        n: Worker([pythons[n], script, n, str(models[n]), str(image)], threads) for n in models
    }
    answers: dict[str, list[Any]] = {name: [] for name in workers}
    try:
        for number in range(rounds + 1):
            for name, worker in workers.items():
                answer = worker.ask()
                if number:  # the first one warms up
                    answers[name].append(answer)
    finally:
        for worker in workers.values():
            worker.end()
    return answers


def row(answers: list[Any], theirs: list[Any], threads: int, work: float) -> dict[str, Any]:
    """Summarise one program whose network takes `work` 10⁹ operations."""
    key = "cpu_ms" if threads == 1 else "wall_ms"
    times = ("cpu_ms", "wall_ms", "system_ms")
    made = {k: round(float(np.median([a[k] for a in answers])), 1) for k in times}
    ratios = [round(t[key] / a[key], 3) for a, t in zip(answers, theirs, strict=True)]
    ends = {k: answers[-1][k] for k in ("objects", "peak_mb")}
    return {**made, "ratios": ratios, **ends, "gigaflops": round(1000 * work / made["cpu_ms"], 1)}


def main() -> None:
    """Measure what is missing in the result file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--peer", required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--sides", type=int, nargs="+", default=[1024])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--programs", nargs="+", default=PROGRAMS[1:], help="beside StarDist")
    parser.add_argument("--networks", nargs="+", default=("default", "same"))
    parser.add_argument("--processor", help="what it is called, if it is not the usual one")
    parser.add_argument("--again", action="store_true", help="also what was measured before")
    given = parser.parse_args()
    from microshot.bundle import Bundle

    results = Results("predict_speed", ABOUT)
    start = Bundle.load(given.model)
    with tempfile.TemporaryDirectory() as folder:
        for side in given.sides:
            pixels, diameter = picture(side)
            image = Path(folder) / "image.npy"
            np.save(image, pixels)
            own = default_model(start, diameter)
            same = same_network(own, pixels)
            default, wide = Path(folder) / "default.microshot", Path(folder) / "wide.microshot"
            own.save(default, overwrite=True)
            same.save(wide, overwrite=True)
            for_keras(same, wide.with_suffix(".npz"))
            kinds = {"default": (own, default), "same": (same, wide)}
            for network in given.networks:
                bundle, file = kinds[network]
                for threads in given.threads:
                    key = {
                        "side": side, "network": network, "threads": threads,
                        "processor": given.processor,
                    }  # fmt: skip
                    if not results.wanted(key, again=given.again):
                        continue
                    models = {"stardist": wide, **dict.fromkeys(given.programs, file)}
                    found = compare(models, image, given.peer, threads, given.rounds)
                    peak = {"matrix_gigaflops": round(peak_gigaflops(), 1)}
                    for name, answers in found.items():
                        work = gigaflops(same if name == "stardist" else bundle, side)
                        made = row(answers, found["stardist"], threads, work)
                        results.add({**key, "program": name, **made, **peak})


if __name__ == "__main__":
    main()
