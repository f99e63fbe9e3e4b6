"""What growth.py measures: one kind of work each, as a function of how large it is.

A case prepares what is not measured and returns the work; what the work returns is noted beside its
time. Images are those of large_image.py: discs of one size, on every place of a jittered grid or on some.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from large_image import STEP_PX, image, model, stripe
from measuring import CACHE, HERE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from microshot.data.dataset import Sample

#: Side of the image that holds few or many objects, px.
SIDE_PX = 2048
#: Of every so many places on the grid, one holds a disc.
SPARSE = (64, 16, 4, 1)


@dataclass(frozen=True)
class Case:
    """One kind of work."""

    name: str
    x: str
    """What grows."""
    sizes: Sequence[int]
    make: Callable[[int], tuple[float, Callable[[], dict[str, Any]]]]
    """Takes a size, returns x and the work."""
    expected: float = 1.0
    """Exponent of the time if nothing is wasted."""

    @property
    def least(self) -> int:
        """The size that is done first, to warm up."""
        return self.sizes[0]


def _predictor() -> Any:
    from microshot import api
    from microshot.bundle import Bundle
    from microshot.settings import PredictSettings

    return api.Predictor(Bundle.load(model()), PredictSettings(device="cpu"))


def whole(side: int) -> tuple[float, Callable[[], dict[str, Any]]]:
    """Segment an image of `side` px in memory."""
    from microshot.data.dataset import Sample
    from microshot.data.read import read_image

    predictor, sample = _predictor(), Sample("whole", read_image(image(side)))
    return side * side / 1e6, lambda: {"objects": predictor(sample).n_objects}


def blocks(side: int) -> tuple[float, Callable[[], dict[str, Any]]]:
    """Segment a file of `side` px block by block."""
    from microshot.data.windows import opened
    from microshot.large.segmenting import segmented

    predictor = _predictor()

    def work() -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            out = Path(folder) / "labels.tif"
            with segmented(predictor, opened(image(side)), out) as found:
                return {"objects": found.n_objects}

    return side * side / 1e6, work


def _crowd(every: int) -> tuple[Sample, int]:
    """Return an image in which one of `every` places holds a disc, labels, and how many do."""
    from microshot.data.dataset import Sample
    from microshot.data.image import Image

    places = np.arange((SIDE_PX // STEP_PX + 1) ** 2).reshape(SIDE_PX // STEP_PX + 1, -1)
    taken = np.random.default_rng(0).permutation(places.size).reshape(places.shape) % every == 0
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] // STEP_PX
    pixels = stripe(slice(0, SIDE_PX), SIDE_PX)
    bright = pixels > 2500
    here = taken[y, x]
    pixels = np.where(bright & ~here, pixels - 3000, pixels).astype(np.uint16)
    labels = np.where(bright & here, places[y, x] + 1, 0).astype(np.int32)
    return Sample("crowd", Image(pixels[None]), labels), int(len(np.unique(labels)) - 1)


def crowded(every: int) -> tuple[float, Callable[[], dict[str, Any]]]:
    """Segment an image of a fixed size."""
    predictor, (sample, n) = _predictor(), _crowd(every)
    return n, lambda: {"objects": predictor(sample).n_objects}


def measured(every: int) -> tuple[float, Callable[[], dict[str, Any]]]:
    """Measure the objects of an image of a fixed size, one row each."""
    from microshot.tasks.measure import measure

    sample, n = _crowd(every)
    labels, sure = np.unique(sample.labels, return_inverse=True)[1], np.full(n, 0.5)
    labels = labels.reshape(sample.labels.shape).astype(np.int32)  # 1..n without gaps
    return n, lambda: {"objects": len(measure(labels, sample.image, sure, sure))}


def scored(every: int) -> tuple[float, Callable[[], dict[str, Any]]]:
    """Match true objects with the same ones shifted, at ten thresholds."""
    from microshot.metrics.labels import average_precision

    sample, n = _crowd(every)
    pair = sample.labels, np.roll(sample.labels, 2, axis=(0, 1))
    return n, lambda: {"objects": n, "average_precision": round(average_precision(*pair), 4)}


def rows(n: int) -> tuple[float, Callable[[], dict[str, Any]]]:
    """Run the node Predict on a table of `n` images of 64 x 64 px, 64 rows per batch."""
    import pandas as pd
    import tifffile

    from microshot.headless import standin

    folder = Path(tempfile.mkdtemp(dir=CACHE))
    tifffile.imwrite(folder / "image.tif", stripe(slice(0, 64), 64))
    standin.install()
    host = standin.Host(HERE.parent, folder)
    reader, node = host.node("read_model"), host.node("predict")
    reader.set("path", str(model()))
    (loaded,) = reader.execute([])
    node.set("device", "CPU")
    frame = pd.DataFrame({"Image": pd.Series([str(folder / "image.tif")] * n, dtype="string")})
    table = standin.table_from_pandas(host, frame, 64)

    def work() -> dict[str, Any]:
        import shutil

        found: Any
        objects: Any
        found, objects = node.execute([loaded, table])
        page = len(node.view_html or "")
        made = {"rows": found.num_rows, "objects": objects.num_rows, "page_kb": page // 1000}
        shutil.rmtree(folder)
        return made

    return n, work


def _fitting(n: int) -> tuple[Any, Any]:
    from skimage.measure import label

    from microshot.data.dataset import Dataset, Sample
    from microshot.data.image import Image
    from microshot.device import choose_device
    from microshot.learning.fitting import Fitting
    from microshot.settings import TrainSettings
    from microshot.tasks import task_named

    samples = []
    for i in range(n):
        pixels = stripe(slice(200 * i, 200 * i + 200), 200)
        labels = np.asarray(label(pixels > 2500, connectivity=1)).astype(np.int32)
        samples.append(Sample(str(i), Image(pixels[None]), labels))
    data, task, settings = Dataset.of(samples), task_named("segment"), TrainSettings()

    def made() -> Fitting:
        recipe = task.recipe(data.samples, settings, None)
        hyper = task.hyper(data.samples, settings, None)
        return Fitting(task, recipe, hyper, settings, choose_device("cpu"))

    return data, made


def prepared(n: int) -> tuple[float, Callable[[], dict[str, Any]]]:
    """Prepare a training on `n` labelled images of 200 x 200 px, up to its first step."""
    data, made = _fitting(n)
    return n, lambda: {"images": len(made().items(data))}


def drawn(n: int) -> tuple[float, Callable[[], dict[str, Any]]]:
    """Draw the batches of 40 training steps from `n` labelled images."""
    from microshot.tasks.lesson import Lesson

    data, made = _fitting(n)
    run = made()
    model, _ = run._model()
    stages = run.task.stages(model, Lesson(run.recipe, run.hyper, run.items(data)))
    (stage,) = stages
    stage.draw(0)
    return n, lambda: {"steps": len([stage.draw(i) for i in range(40)])}


def _nothing() -> None:
    """Stand for a model."""


def _same(_state: None, item: int) -> int:
    return item


def _shared_out(n_workers: int, n: int) -> Callable[[], dict[str, Any]]:
    """Hand out work that is none, to workers in this process: what remains is the handing out."""
    from distributed import Client, LocalCluster

    from microshot.cluster import Cluster

    options: dict[str, Any] = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    client = Client(LocalCluster(n_workers=n_workers, processes=False, **options))
    cluster = Cluster(client)
    list(cluster.run(_nothing, _same, range(20)))
    return lambda: {"pieces": len(list(cluster.run(_nothing, _same, range(n))))}


def pieces(n: int) -> tuple[float, Callable[[], dict[str, Any]]]:
    """Hand `n` pieces of work to two workers."""
    return n, _shared_out(2, n)


def workers(n: int) -> tuple[float, Callable[[], dict[str, Any]]]:
    """Hand 400 pieces of work to `n` workers."""
    return n, _shared_out(n, 400)


CASES = {
    "whole": Case("one image, in memory", "Mpx", (512, 1024, 2048, 4096), whole),
    "blocks": Case("one image, block by block", "Mpx", (1024, 2048, 4096), blocks),
    "crowded": Case(f"predict {SIDE_PX}² px", "objects", SPARSE, crowded),
    "measured": Case("measure the objects found", "objects", SPARSE, measured),
    "scored": Case("score, ten thresholds", "objects", SPARSE, scored),
    "rows": Case("node Predict", "rows", (100, 1000, 10000), rows),
    "prepared": Case("prepare a training", "labelled images", (4, 16, 64, 256), prepared),
    "drawn": Case("batches of 40 steps", "labelled images", (4, 16, 64, 256), drawn, 0.0),
    "pieces": Case("hand out to two workers", "pieces", (250, 500, 1000, 2000), pieces),
    "workers": Case("hand out 400 pieces", "workers", (1, 2, 4, 8), workers, 0.0),
}
