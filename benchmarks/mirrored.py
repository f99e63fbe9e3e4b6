"""What else a model that segments can be asked: mirror images, sizes of objects, 16 bits.

    python benchmarks/mirrored.py

The starter *nuclei-fluorescence-fast* as it is, with *Look at mirror images, too*, told of each image the size
of the objects that it found there at first, and in bfloat16, which is faster. Its own held-out images
decide what is worth having; the test images and StarDist's example, a noisier part of an image learned
from, are predicted to report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsb2018 import SPLIT_SEED, TEST_PART
from measuring import Results, dataset, one_thread, rounded
from starters import SEED, example, real

if TYPE_CHECKING:
    from microshot.bundle import Bundle
    from microshot.data.dataset import Dataset, Sample
    from microshot.tasks.segmenting.segmentation import Segmentation

ABOUT = "nuclei-fluorescence-fast applied in several ways; objects of all images together, IoU 0.5."
NAME = "nuclei-fluorescence-fast"
PLAIN, MIRRORED, OWN_SIZE = "as it is", "mirror images, too", "told the size found in each image"
HALF = "in bfloat16"


def held_out() -> Dataset:
    """Return the images that the model's thresholds were set on."""
    from microshot.data.dataset import split

    data = dataset("dsb2018_fluo")
    data = data.take(split(data.groups, TEST_PART, SPLIT_SEED)[0])
    return data.take(split(data.groups, 0.08, SEED)[1])


def found(bundle: Bundle, sample: Sample, way: str) -> Segmentation:
    """Return the objects of one image."""
    from microshot import api
    from microshot.data.objects import median_diameter
    from microshot.settings import PredictSettings

    precision = "auto" if way == HALF else "float32"
    asked = PredictSettings(mirrored=way == MIRRORED, precision=precision)
    first = api.Predictor(bundle, asked)(sample)
    if way != OWN_SIZE:
        return first
    size = median_diameter([first.labels]) or 0.0
    return api.Predictor(bundle, PredictSettings(diameter_px=size))(sample)


def main() -> None:
    """Measure all ways on all images."""
    one_thread()
    from microshot import api
    from microshot.bundle import Bundle
    from microshot.starters import FOLDER

    bundle, results = Bundle.load(FOLDER / f"{NAME}.microshot"), Results("mirrored", ABOUT)
    sets = {
        "its held-out images": (held_out, (PLAIN, MIRRORED, OWN_SIZE, HALF)),
        "StarDist's example image": (example, (PLAIN, MIRRORED, HALF)),
        "dsb2018_fluo, fixed tenth": (lambda: real()[1], (PLAIN, MIRRORED, HALF)),
    }
    for images, (read, ways) in sets.items():
        for way in (w for w in ways if not results.has({"images": images, "way": w})):
            data = read()
            _, total = api.score("segment", [found(bundle, s, way) for s in data], data)
            names = ("f1", "panoptic_quality", "average_precision")
            results.add({"images": images, "way": way, "n": len(data), **rounded(total, names)})


if __name__ == "__main__":
    main()
