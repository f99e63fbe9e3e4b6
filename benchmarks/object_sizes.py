"""A model for objects of any size: told how large they are, left to find it, and neither.

    python benchmarks/object_sizes.py

The starter *cells-generalist* on all images of its test sets and of three sets of others. *Found once* is the size that eight images spread over the set share. *Told* is the median diameter of the true objects of each image; in the one without objects that two sets hold, it is
looked for, too. *As in the training images* is that of all images learned from. What speaks for a size
(`tasks/segmenting/size_search.py`), and when images agree (`tasks/common_size.py`), was chosen on the starter's test
sets, so these are **development data**; the `OTHERS` took no part in anything.
"""

from __future__ import annotations

import dataclasses
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from measuring import Results, dataset, one_thread, rounded
from starters import test_images

if TYPE_CHECKING:
    from microshot.bundle import Bundle
    from microshot.data.dataset import Dataset

ABOUT = (
    "cells-generalist told the size of the objects in each image, left to find it, and "
    "neither: F1 at IoU 0.5 of all objects of a set, processor time on one thread, and of the sizes found the "
    "part that is off by half an octave at most and by one octave or more."
)
NAMES = ("cells-generalist", "cells-generalist-fast")
#: Of fluorescent nuclei twice, and of bacteria in phase contrast; neither model nor search knew any.
OTHERS = ("bbbc039_u2os", "ctc_fluo_hela", "phc_bacteria_trpL")
TOLD, FOUND, TRAINED = "told", "found in each image", "as in the training images"
AGREED, ONCE = "found once where images agree", "found once for all"
#: The setting ``size_found`` of each way that looks for the size.
WISHES = {FOUND: "each", AGREED: "auto", ONCE: "once"}


def measure(bundle: Bundle, data: Dataset, way: str) -> dict[str, Any]:
    """Return the scores of one way on one set."""
    from microshot import api
    from microshot.bundle import Bundle
    from microshot.data.objects import median_diameter
    from microshot.settings import PredictSettings

    if way == TRAINED:
        preparation = {**bundle.card.preparation, "each_image": False}
        card = dataclasses.replace(bundle.card, preparation=preparation)
        bundle = Bundle.make(card, bundle.weights)
    wish = PredictSettings(size_found=WISHES.get(way, "each"))
    predictor, found, seconds, octaves = api.Predictor(bundle, wish), [], 0.0, []
    started = time.process_time()
    predictor.look(data, len(data), lambda sample: sample)
    seconds += time.process_time() - started
    for sample in data:
        own = median_diameter([] if sample.labels is None else [sample.labels]) or 0.0
        if way == TOLD:
            predictor = api.Predictor(bundle, PredictSettings(diameter_px=own))
        started = time.process_time()
        found.append(predictor(sample))
        seconds += time.process_time() - started
        if way in WISHES and own:
            octaves.append(abs(math.log2(found[-1].diameter_px / own)))
    _, total = api.score("segment", found, data)
    n_px = sum(math.prod(sample.image.shape) for sample in data)
    row = {
        **rounded(total, ("f1", "panoptic_quality")),
        "cpu_ms_per_mpx": round(1e9 * seconds / n_px),
    }
    if octaves:
        row["within_half_an_octave"] = round(float(np.mean(np.array(octaves) <= 0.5)), 3)
        row["an_octave_off"] = round(float(np.mean(np.array(octaves) >= 1)), 3)
    return row


def main() -> None:
    """Measure all ways on all sets."""
    one_thread()
    from microshot.bundle import Bundle
    from microshot.starters import path_of

    bundles, results = (
        [Bundle.load(path_of(name)) for name in NAMES],
        Results("object_sizes", ABOUT),
    )
    results.rows = [row for row in results.rows if row["id"] in {b.card.id for b in bundles}]
    for bundle in bundles:
        sets = test_images(bundle.card.name)
        sets |= {f"{name}, took no part": dataset(name) for name in OTHERS}
        for images, data in sets.items():
            for way in (TOLD, AGREED, ONCE, FOUND, TRAINED):
                key = {
                    "model": bundle.card.name,
                    "id": bundle.card.id,
                    "images": images,
                    "way": way,
                }
                if not results.has(key):
                    results.add({**key, "n": len(data), **measure(bundle, data, way)})


if __name__ == "__main__":
    main()
