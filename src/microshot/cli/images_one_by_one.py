"""`microshot predict`, image by image: here, or on the workers of a cluster."""

from __future__ import annotations

import functools
import math
import time
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from microshot.cli import skipping
from microshot.cli.telling import told
from microshot.data.disk import aside, put
from microshot.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence
    from pathlib import Path

    from microshot.cluster import Cluster
    from microshot.data.dataset import Sample
    from microshot.settings import PredictSettings
    from microshot.tasks.common_size import Sizes
    from microshot.trust import Trust

    #: An image, its name and the label image to write.
    Item = tuple[Path, str, Path]


@dataclass(frozen=True)
class Work:
    """What is done to every image."""

    model: Path
    values: PredictSettings
    counting: bool
    overwrite: bool
    skip: bool = False
    """Whether images that cannot be used are passed by."""
    sizes: Sizes | None = None
    """What a look at some of the images has found."""

    def predictor(self) -> Any:
        """Return the model, loaded."""
        from microshot import api
        from microshot.bundle import Bundle

        made = api.Predictor(Bundle.load(self.model), self.values)
        made.sizes = self.sizes
        return made


@dataclass(frozen=True)
class Applied:
    """What was found in one image."""

    row: dict[str, Any]
    """Of counts.csv, without the name of the file."""
    places: Iterable[dict[str, Any]] = ()
    """Rows of objects.csv, without the name of the file."""
    notes: list[str] = field(default_factory=list)
    labels: Path | None = None
    """The label image that was written; None also for that of a large image, which goes on."""
    skipped: str = ""
    """Why the image was passed by, and nothing else is known of it."""


def on_workers(
    work: Work, items: Sequence[Item], cluster: Cluster, progress: Progress
) -> Iterator[Applied]:
    """Yield what was found in each image, in their order, by the workers of a cluster.

    Label images come to their places in this order, too: none is there of an image behind one that failed.
    """
    again = replace(work, model=work.model.resolve(), overwrite=True)  # perhaps written, then lost
    with ExitStack() as stack:
        folders = {out.parent.resolve() for _, _, out in items}
        parts = {folder: stack.enter_context(aside(folder)) for folder in folders}
        absolute = [
            (file.resolve(), name, parts[out.parent.resolve()] / out.name)
            for file, name, out in items
        ]
        do = functools.partial(one_image, again)
        found = stack.enter_context(closing(cluster.run(again.predictor, do, absolute, progress)))
        for (_, _, out), one in zip(items, found, strict=True):
            if one.labels is None:
                yield one
                continue
            put(one.labels, out, overwrite=work.overwrite)
            yield replace(one, labels=out)


def to_look_at(predictor: Any, large: Container[Path], item: Item) -> Sample | None:
    """Return an image in which the model may look for what is the same in all.

    None where it cannot be read, of which the work itself says why.
    """
    from microshot.data.dataset import Sample
    from microshot.data.read import read_image
    from microshot.large import sizing

    file, name, _ = item
    with suppress(ValueError, OSError):
        if file in large:
            return sizing.to_look_at(predictor, file)
        return predictor.seen(Sample(name, read_image(file)))
    return None


def one_image(work: Work, predictor: Any, item: Item, progress: Progress = silent) -> Applied:
    """Apply the model to one image and write its label image.

    Raises
    ------
    ValueError or OSError
        If the image cannot be read or is not what the model takes, and is not to be passed by.
    """
    from microshot.data.dataset import Sample
    from microshot.data.read import read_image
    from microshot.trust import Judge

    file, name, out = item
    try:
        sample, started = predictor.seen(Sample(name, read_image(file))), time.perf_counter()
    except (ValueError, OSError) as error:
        return Applied({}, skipped=skipping.reason(error, skip=work.skip))
    found = predictor(sample, progress)
    judge = Judge(predictor.card, predictor.recipe, work.values.diameter_px)
    sure = judge(sample, found)
    made = _counted(found) if work.counting else _outlined(found, sample, out, work, sure)
    made.row.update(predictor.size_taken(found))
    return replace(made, row={**made.row, **told(sure, [predictor], started)})


def _counted(found: Any) -> Applied:
    """Return what a model that counts has found."""
    bounded = math.isfinite(found.high)
    row = {
        "count": found.n_objects,
        "count_raw": found.count,
        "low": int(found.low) if bounded else None,
        "high": int(found.high) if bounded else None,
        "confidence": found.confidence,
    }
    points: Any = () if found.points is None else found.points
    places = [{"id": i, "y": float(y), "x": float(x)} for i, (y, x) in enumerate(points, 1)]
    return Applied(row, places, [found.note] if found.note else [])


def _outlined(found: Any, sample: Sample, out: Path, work: Work, sure: Trust) -> Applied:
    """Write a label image and return what a model that segments has found."""
    from microshot.data.write import write_labels
    from microshot.tasks.measure import measure

    size = sample.image.pixel_size_um
    write_labels(out, found.labels, pixel_size_um=size, overwrite=work.overwrite)
    mean = found.confidence if sure.confidence is None else sure.confidence
    places = measure(found.labels, sample.image, found.probability, sure.confidences)
    row = {"count": found.n_objects, "confidence": mean}
    return Applied(row, places, labels=out)
