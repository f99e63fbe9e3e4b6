"""How much memory and time segmenting one large TIFF takes on the CPU, in blocks and as a whole.

``python benchmarks/large_image.py --sides 2048,4096,8192`` measures each in a process of its own and
writes ``results/large_image.json``; what is there is measured anew with ``--again`` only. The image
is a jittered grid of touching discs; the network is small (``unet`` of width 8, 8 rays), so that
the part that depends on the image's size shows: times per million pixels of larger networks are in
the other tables.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import CACHE, Results, one_thread

#: Distance of the discs, px; about one object per 400 px.
STEP_PX, RADIUS_PX = 20, 8
WAYS = ("blocks", "whole")


def stripe(rows: slice, width: int, seed: int = 0) -> np.ndarray:
    """Return rows (y, `width`) uint16 of an image of discs that has no end."""
    rng = np.random.default_rng([seed, rows.start])
    y, x = np.mgrid[rows, :width]
    phase = (y // STEP_PX * 7919 + x // STEP_PX * 104729) % 97 / 97
    radius = RADIUS_PX * (0.7 + 0.5 * phase)
    inside = (y % STEP_PX - STEP_PX / 2) ** 2 + (x % STEP_PX - STEP_PX / 2) ** 2 < radius**2
    return (1000 + 3000 * inside + rng.normal(0, 150, inside.shape)).clip(0).astype(np.uint16)


def image(side: int) -> Path:
    """Return a tiled TIFF of `side` x `side` px, made once."""
    import tifffile

    path = CACHE / f"discs_{side}.tif"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)

        def tiles() -> Any:
            for top in range(0, side, 256):
                band = stripe(slice(top, top + 256), side)
                yield from (band[:, left : left + 256] for left in range(0, side, 256))

        tifffile.imwrite(path, tiles(), shape=(side, side), dtype=np.uint16, tile=(256, 256),
                         photometric="minisblack")  # fmt: skip
    return path


def model() -> Path:
    """Return a model that finds the discs, trained once in some seconds."""
    from skimage.measure import label

    from microshot import api, settings
    from microshot.data.dataset import Dataset, Sample
    from microshot.data.image import Image

    path = CACHE / "discs.microshot"
    if not path.is_file():
        samples = []
        for i in range(2):
            pixels = stripe(slice(1000 * i, 1000 * i + 160), 160)
            labels = np.asarray(label(pixels > 2500, connectivity=1))
            samples.append(Sample(str(i), Image(pixels[None]), labels.astype(np.int32)))
        chosen = settings.TrainSettings(
            minutes=0,
            network=settings.NetworkSettings(width=8, depth=2, rays=8),
            training=settings.OptimizerSettings(epochs=1, steps_per_epoch=100, device="cpu"),
        )
        api.train(Dataset.of(samples), chosen).bundle.save(path)
    return path


def measured(side: int, way: str) -> dict[str, Any]:
    """Segment the image once in this process and return what it took."""
    one_thread()
    import tempfile

    from microshot import api
    from microshot.bundle import Bundle
    from microshot.data.dataset import Sample
    from microshot.data.read import read_image
    from microshot.data.windows import opened
    from microshot.device import peak_memory_mb
    from microshot.large.segmenting import segmented
    from microshot.settings import PredictSettings

    predictor = api.Predictor(Bundle.load(model()), PredictSettings(device="cpu"))
    before, started = peak_memory_mb(predictor.device), time.process_time()
    steps: dict[str, float] = {}

    def report(_fraction: float, message: str = "") -> None:
        steps[message.split(",")[0]] = time.process_time() - started

    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        if way == "blocks":
            with segmented(
                predictor, opened(image(side)), Path(folder) / "labels.tif", progress=report
            ) as found:
                n = found.n_objects
                disk = sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file())
        else:
            n, disk = predictor(Sample("whole", read_image(image(side)))).n_objects, 0
    return {
        "side": side,
        "way": way,
        "objects": n,
        "processor_s": round(time.process_time() - started, 2),
        "mb_before": before,
        "peak_mb": peak_memory_mb(predictor.device),
        "mb_left_on_disk": round(disk / 1e6, 1),
        "processor_s_until_end_of": {k: round(v, 2) for k, v in steps.items() if k},
    }


def main() -> None:
    """Measure all sides both ways, or one where it is named."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sides", default="2048,4096", help="sides of the image, px")
    arguments.add_argument("--whole-up-to", type=int, default=4096, help="greatest side as a whole")
    arguments.add_argument("--again", action="store_true", help="also what was measured before")
    arguments.add_argument("--only", metavar="SIDE,WAY", help="measure one, print JSON")
    given = arguments.parse_args()
    if given.only:
        side, way = given.only.split(",")
        sys.stdout.write(json.dumps(measured(int(side), way)) + "\n")
        return
    results = Results(
        "large_image", "One tiled TIFF of discs, uint16, segmented once on one thread."
    )
    for side in map(int, given.sides.split(",")):
        for way in WAYS if side <= given.whole_up_to else WAYS[:1]:
            if results.wanted({"side": side, "way": way}, again=given.again):
                one_thread()
                image(side)
                model()
                command = [sys.executable, __file__, "--only", f"{side},{way}"]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                results.add(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
