"""Does an imported StarDist model say what StarDist says with TensorFlow?

    python benchmarks/stardist_import.py --venv /tmp/venv_stardist

Builds a Python environment with TensorFlow and StarDist (some GB, minutes) unless the folder holds
one, lets StarDist make and save models with random weights there, imports them here, and compares
probabilities and distances on the same noise. Official weights have the same layout.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import numpy as np

from microshot.device import choose_device
from microshot.importing import from_stardist
from microshot.opening import network_of

RESULTS = Path(__file__).parent / "results" / "stardist_import.json"
PACKAGES = ("tf_keras", "stardist>=0.9.2", "h5py")
#: Bars: greatest difference of the probability, and of the distance in px.
MOST_PROBABILITY, MOST_DISTANCE_PX = 1e-6, 2e-5
#: Configurations: rays, grid, channels, depth, features, with the sides of the image compared on.
MODELS = {
    "default": {"n_rays": 32, "grid": (1, 1), "n_channel_in": 1},
    "grid 2, as the official fluorescence model": {"n_rays": 32, "grid": (2, 2), "n_channel_in": 1},
    "grid 4, colour, small": {
        "n_rays": 16, "grid": (4, 4), "n_channel_in": 3, "unet_n_depth": 2, "unet_n_filter_base": 8,
        "net_conv_after_unet": 32,
    },
}  # fmt: skip
SIDES = (96, 128)
ABOUT = (
    "Greatest difference between an imported StarDist model and the same model in TensorFlow, on "
    f"noise of {SIDES[0]} x {SIDES[1]} px, random weights."
)
#: Run by the Python that has TensorFlow.
THERE = """
import json, os, sys
os.environ["TF_USE_LEGACY_KERAS"] = "1"
import numpy as np, tensorflow
from stardist.models import Config2D, StarDist2D
values, image, folder = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
model = StarDist2D(Config2D(**values), name="model", basedir=folder)
rng = np.random.default_rng(1)
# fresh biases are zero and fresh distances below 1 px; trained ones are not
model.keras_model.set_weights([
    w if w.ndim > 1 else rng.normal(0, 0.1, w.shape).astype("float32") for w in
    model.keras_model.get_weights()
])
last = model.keras_model.get_layer("dist")
kernel, bias = last.get_weights()
last.set_weights([20 * kernel, 12 + bias])
model.keras_model.save_weights(folder + "/model/weights_best.h5")
json.dump({"prob": 0.5, "nms": 0.4}, open(folder + "/model/thresholds.json", "w"))
out = model.keras_model.predict(np.load(image)[None], verbose=0)
np.savez(folder + "/out.npz", probability=out[0][0], distance=out[1][0])
import stardist
print(json.dumps({"tensorflow": tensorflow.__version__, "stardist": stardist.__version__}))
"""


def python_of(folder: Path) -> Path:
    """Return the environment's Python, made and filled if it is not there."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.is_file():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
    return python


def compared(python: Path, values: dict[str, object]) -> dict[str, object]:
    """Return the greatest differences of one model, and the versions that made it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shape = (*SIDES, values["n_channel_in"])
        image = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)  # type: ignore[arg-type]
        np.save(folder / "image.npy", image)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        call = [python, "-c", THERE, json.dumps(values), str(folder / "image.npy"), str(folder)]
        done = subprocess.run(call, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise SystemExit(done.stderr[-3000:])
        bundle = from_stardist(folder / "model")
        with np.load(folder / "out.npz") as there:
            probability, distance = there["probability"][..., 0], there["distance"]
        found = network_of(bundle, choose_device("cpu"))(image.transpose(2, 0, 1)[None])[0]
        here = 1 / (1 + np.exp(-found[0].astype(np.float64)))
        return {
            "kernels": sum(name.endswith("weight") for name in bundle.weights) + 1,
            "largest_distance_px": float(np.abs(distance).max()),
            "difference_probability": float(np.abs(here - probability).max()),
            "difference_distance_px": float(np.abs(found[1:].transpose(1, 2, 0) - distance).max()),
            **json.loads(done.stdout.strip().splitlines()[-1]),
        }


def main() -> int:
    """Compare all models, write the results, and say whether the bars are kept."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--venv", type=Path, required=True, help="folder of the environment")
    python = python_of(given.parse_args().venv)
    rows = {name: compared(python, values) for name, values in MODELS.items()}
    kept = all(
        float(str(r["difference_probability"])) <= MOST_PROBABILITY
        and float(str(r["difference_distance_px"])) <= MOST_DISTANCE_PX
        for r in rows.values()
    )
    RESULTS.write_text(
        json.dumps({"about": ABOUT, "bars_kept": kept, "models": rows}, indent=1) + "\n"
    )
    print(RESULTS.read_text())
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
