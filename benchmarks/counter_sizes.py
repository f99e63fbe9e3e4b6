"""A counter for objects of any size: told how large they are, left to find it, and neither.

    python benchmarks/counter_sizes.py

The starter *cells-density* on images it has not learned from: up to 40 of each set, spread over it, with the
counts or label images that they come with. The size is found by the starter *cells-generalist-fast*. *Told* is
the median diameter of the true objects of each image, where these are outlined.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from count_pairs import read
from measuring import Results, dataset, one_thread, rounded
from object_sizes import TOLD, TRAINED, WISHES

if TYPE_CHECKING:
    from microshot.bundle import Bundle
    from microshot.data.dataset import Dataset

ABOUT = (
    "cells-density told the size of the objects in each image, left to find it by cells-generalist-fast, and "
    "neither: mean absolute error and bias of the counts, and processor time on one thread."
)
OUTLINED = ("bbbc039_u2os", "ctc_fluo_hela", "sim_nuclei_bbbc005")
COUNTED = (
    "count_vgg_synthetic", "count_bbbc005", "count_bf_suspension", "count_bf_blood", "count_phc_points",
    "count_phc_psc",
)  # fmt: skip
MOST = 40


def images_of(name: str) -> Dataset:
    """Return up to `MOST` counted images of a set, spread over it."""
    from microshot.data.dataset import spaced

    data = dataset(name) if name in OUTLINED else read(name)[0]
    return data.take(spaced(range(len(data)), MOST))


def measure(bundle: Bundle, data: Dataset, way: str) -> dict[str, Any]:
    """Return the scores of one way on one set."""
    from microshot import api
    from microshot.data.objects import median_diameter
    from microshot.settings import PredictSettings

    own = float(bundle.card.preparation["image_diameter_px"])

    def predictor_for(diameter: float) -> api.Predictor:
        return api.Predictor(bundle, PredictSettings(diameter_px=diameter))

    predictor = (
        api.Predictor(bundle, PredictSettings(size_found=WISHES[way]))
        if way in WISHES
        else predictor_for(own)
    )
    found, started = [], time.process_time()
    predictor.look(data, len(data), lambda sample: sample)
    for sample in data:
        if way == TOLD:
            assert sample.labels is not None
            predictor = predictor_for(median_diameter([sample.labels]) or own)
        found.append(predictor(sample))
    seconds = time.process_time() - started
    _, total = api.score("count", found, data)
    n_px = sum(sample.image.pixels[0].size for sample in data)
    sizes = sorted(one.diameter_px or own for one in found)
    return {
        **rounded(total, ("mae", "bias")),
        "size_px": [round(sizes[round(q * (len(sizes) - 1))], 1) for q in (0.1, 0.5, 0.9)],
        "cpu_ms_per_mpx": round(1e9 * seconds / n_px),
    }


def main() -> None:
    """Measure all ways on all sets."""
    one_thread()
    from microshot.bundle import Bundle
    from microshot.starters import path_of
    from microshot.tasks.counting.base import true_count

    bundle, results = Bundle.load(path_of("cells-density")), Results("counter_sizes", ABOUT)
    results.rows = [row for row in results.rows if row["id"] == bundle.card.id]
    for images in (*OUTLINED, *COUNTED):
        data = images_of(images)
        counts = [true_count(sample) or 0.0 for sample in data]
        for way in (TRAINED, *WISHES, *((TOLD,) if images in OUTLINED else ())):
            key = {"model": bundle.card.name, "id": bundle.card.id, "images": images, "way": way}
            if not results.has(key):
                mean = round(sum(counts) / len(counts), 1)
                about = {"n": len(data), "mean_count": mean}
                results.add({**key, **about, **measure(bundle, data, way)})


if __name__ == "__main__":
    main()
