"""One program that predicts one image whenever it is told to; predict_speed.py starts several.

Runs in the environment of the program it stands for, so it imports nothing that both lack.
Every line on stdin starts one prediction; every answer on stdout is one line of JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

#: Side of the tiles in which StarDist gets a larger image.
LARGEST_TILE_PX = 2048


def microshot(engine: str, model: Path, _threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return our prediction, computed by ``onnx``, ``torch``, or ``half``: PyTorch in bfloat16."""
    from microshot import api
    from microshot.bundle import Bundle
    from microshot.data.dataset import Sample
    from microshot.data.image import Image
    from microshot.settings import PredictSettings

    precision = "auto" if engine == "half" else "float32"
    settings = PredictSettings(device="cpu", precision=precision)
    predictor = api.Predictor(Bundle.load(model), settings, inspected=engine == "torch")
    return lambda image: predictor(Sample("image", Image(image[None]))).labels


def stardist(model: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return StarDist's own prediction with the weights of our model of the same shape."""
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    from csbdeep.utils import normalize
    from stardist.models import Config2D, StarDist2D

    given: Any = np.load(model.with_suffix(".npz"))
    peer: Any = StarDist2D(Config2D(n_rays=32, grid=(2, 2)), name=None, basedir=None)
    layers = [layer for layer in peer.keras_model.layers if layer.__class__.__name__ == "Conv2D"]
    assert len(layers) == given["n"]
    for number, layer in enumerate(layers):
        layer.set_weights([given[f"kernel{number}"], given[f"bias{number}"]])
    thresholds = {
        "prob_thresh": float(given["probability"]), "nms_thresh": float(given["overlap"])
    }  # fmt: skip

    def predict(image: np.ndarray) -> np.ndarray:
        tiles = {"n_tiles": tuple(-(-side // LARGEST_TILE_PX) for side in image.shape)}
        found = peer.predict_instances(
            normalize(image, 1, 99.8),
            verbose=False,
            show_tile_progress=False,
            **tiles,
            **thresholds,
        )
        return found[0]

    return predict


def _system() -> float:
    """Return the seconds that the system has worked for this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_stime


def main() -> None:
    """Answer lines until there are no more."""
    engine, model, image_file, threads = sys.argv[1:]
    started = time.perf_counter()
    say = sys.stdout
    sys.stdout = sys.stderr  # libraries print
    if engine == "stardist":
        predict = stardist(Path(model), int(threads))
    else:
        predict = microshot(engine, Path(model), int(threads))
    image = np.load(image_file)
    for _ in sys.stdin:
        wall, cpu, system = time.perf_counter(), time.process_time(), _system()
        labels = predict(image)
        answer = {
            "wall_ms": round(1000 * (time.perf_counter() - wall), 1),
            "cpu_ms": round(1000 * (time.process_time() - cpu), 1),
            "system_ms": round(1000 * (_system() - system), 1),
            "objects": int(len(np.unique(labels)) - 1),
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "since_start_s": round(time.perf_counter() - started, 2),
        }
        print(json.dumps(answer), file=say, flush=True)


if __name__ == "__main__":
    main()
