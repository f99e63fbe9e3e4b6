"""How many true counts lie in the intervals that a model gives around its own.

    python benchmarks/count_intervals.py

One model, the starter *cells-density* told the size of the objects, counts all images of a set;
nothing is trained. Again and again some of them, drawn at random, calibrate its intervals as images held out
of a training do, and all others are judged.
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from count_pairs import read
from measuring import Results, one_thread, rounded

if TYPE_CHECKING:
    from microshot.data.dataset import Dataset

ABOUT = (
    "Part of true counts in intervals of a level, judged on images that took no part in setting "
    "them, and their median width in objects. Means over random splits of one model's counts."
)
#: Sets of images, and how large the objects are in them, in px.
SETS = {"count_vgg_synthetic": 10.0, "count_bbbc005 stain 2": 12.0, "count_bf_suspension": 13.0}
LEVELS = (0.8, 0.9, 0.95)
N_SPLITS = 50


def images_of(name: str) -> Dataset:
    """Return the counted images of a set, or of one stain of it."""
    data, rows = read(name.split()[0])
    stain = name.rpartition(" ")[2]
    return data.take(
        [i for i, row in enumerate(rows) if row.get("stain", stain) == stain or " " not in name]
    )


def counts_of(name: str, most: int) -> tuple[list[Any], Dataset]:
    """Return the raw counts of up to `most` images of a set by the starter model, and the images."""
    from microshot import api, starters
    from microshot.bundle import Bundle
    from microshot.data.dataset import spaced
    from microshot.settings import PredictSettings

    data = images_of(name)
    data = data.take(spaced(range(len(data)), most))
    wish = PredictSettings(diameter_px=SETS[name], device="cpu")
    predictor = api.Predictor(Bundle.load(starters.path_of("cells-density")), wish)
    return [predictor(sample).raw for sample in data], data


def measure(raw: list[Any], data: Dataset, n: int, seed: int, level: float) -> dict[str, float]:
    """Return coverage and width with `n` images to calibrate, drawn by `seed`."""
    from microshot import starters
    from microshot.bundle import read_card
    from microshot.metrics.counts import coverage
    from microshot.opening import recipe_of
    from microshot.tasks.counting.base import Options, decoded, half_widths

    order = np.random.default_rng((seed, n)).permutation(len(data)).tolist()
    known, others = order[:n], order[n:]
    kept = half_widths([raw[i] for i in known], [data[i] for i in known])
    recipe = recipe_of(read_card(starters.path_of("cells-density")))
    recipe = dataclasses.replace(recipe, thresholds=kept)
    made = [decoded(raw[i], recipe, Options(level=level)) for i in others]
    low, high = [p.low for p in made], [p.high for p in made]
    truth = [data[i].count or 0.0 for i in others]
    width = float(np.median(np.subtract(high, low)))
    return {"coverage": coverage(truth, low, high), "width": width}


def main() -> None:
    """Measure all sets and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calibration", default="30,60", help="numbers of images")
    parser.add_argument("--images", type=int, default=300, help="of each set, at most")
    given = parser.parse_args()
    one_thread()
    results = Results("count_intervals", ABOUT)
    for name in SETS:
        wanted = [(int(n), level) for n in given.calibration.split(",") for level in LEVELS]
        keys = [{"set": name, "n_calibration": n, "level": level} for n, level in wanted]
        if all(results.has(key) for key in keys):
            continue
        raw, data = counts_of(name, given.images)
        for key, (n, level) in zip(keys, wanted, strict=True):
            if results.has(key):
                continue
            found = [measure(raw, data, n, seed, level) for seed in range(N_SPLITS)]
            values = [f["coverage"] for f in found]
            row = {
                "coverage": float(np.mean(values)),
                "least": float(np.quantile(values, 0.1)),
                "most": float(np.quantile(values, 0.9)),
                "width": float(np.mean([f["width"] for f in found])),
            }
            results.add({**key, "n_images": len(data), "splits": N_SPLITS, **rounded(row, row)})


if __name__ == "__main__":
    main()
