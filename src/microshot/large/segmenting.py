"""Segment an image that is too large for memory: block by block, resumable after any interruption.

1. grey values are measured on the whole image, 2. the network runs over every tile, 3. objects are
made block by block and written where they lie, 4. the label image is put together. Each step goes on
where an interrupted run stopped.
"""

from __future__ import annotations

import csv
import io
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot import __version__, knobs
from microshot.data.disk import check_apart, made_folder
from microshot.data.jobs import stamp
from microshot.data.locks import held
from microshot.data.windows import image_of, opened
from microshot.inference.shortage import Halving
from microshot.large.block_objects import objects_of_block
from microshot.large.journal import Done, Journal, wrote
from microshot.large.label_files import check_place, write_large_labels
from microshot.large.plan import Plan, fitted_to, is_blank, plan_of, seen, tile_of
from microshot.large.sizing import with_size
from microshot.large.typical import TypicalPart, typical_part
from microshot.progress import Progress, silent, span
from microshot.tasks.measure import COLUMNS, measure
from microshot.tasks.segmenting import blocks
from microshot.tasks.segmenting.recipes import tiling
from microshot.tasks.segmenting.segmentation import Segmentation
from microshot.trust import BLANK_WORDS, Judge, Trust
from microshot.trust.certainty import curve_of
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from microshot.api import Predictor
    from microshot.data.normalize import Normalization
    from microshot.data.windowed import Windowed
    from microshot.inference.blocks import Rect
    from microshot.tasks.segmenting.blocks import Found, Output

    #: Computes the outputs of some tiles, in any order.
    Compute = Callable[["Work", Sequence[int]], Iterable[tuple[int, Output]]]

#: Parts of the progress bar: colours, grey values, network, objects; the rest is writing the label image.
LOOKED, MEASURED, NETWORK, OBJECTS = 0.03, 0.1, 0.6, 0.95


@dataclass(frozen=True, eq=False)
class Work:
    """All that the network's pass over one image needs."""

    predictor: Predictor
    source: Windowed
    plan: Plan
    normalization: Normalization

    @property
    def least(self) -> float:
        """The least probability of a candidate."""
        return self.predictor.options.thresholds(self.predictor.recipe)[0]

    @cached_property
    def applied(self) -> Halving:
        """The network, applied to tiles, or to parts of them where memory does not suffice."""
        p, read = self.predictor, partial(tile_of, self.source, self.plan)
        sides = tiling(p.recipe, p.options.tile_px)
        halo_px, multiple = sides["halo_px"], sides["multiple"]
        return Halving(p.network, read, self.normalization, halo_px=halo_px, multiple=multiple)

    def output(self, index: int) -> Output:
        """Return what is kept of the network's output for tile `index`."""
        tile, scaled = self.plan.tiles[index], self.plan.scaled
        recipe = self.predictor.recipe
        return blocks.tile_output(self.applied(tile), tile, scaled, recipe, self.least)


@dataclass(frozen=True)
class LargeSegmentation:
    """What was found in a large image."""

    labels: Path
    """The label image."""
    table: Path
    """CSV of all objects without a heading, columns as in `measure.COLUMNS`."""
    n_objects: int
    confidence: float | None
    """Mean confidence of the objects, or their probability; None where there are none."""
    part: TypicalPart
    """The part of the image with most contrast."""
    n_blocks: int
    n_resumed: int
    """Blocks whose objects an earlier run had finished."""
    notes: tuple[str, ...] = ()
    diameter_px: float = 0.0
    """What objects were taken to measure; 0 = what the model knows."""
    trust: Trust = field(default_factory=Trust)
    """How like the training images `part` is."""

    def areas_px(self) -> np.ndarray:
        """Return the areas of all objects, (n,) float64 in px."""
        with self.table.open(encoding="utf-8", newline="") as file:
            column = COLUMNS.index("area_px")
            return np.fromiter((float(row[column]) for row in csv.reader(file)), np.float64)

    def of_part(self) -> Segmentation:
        """Return what was found in `part`; objects that it cuts are there in part."""
        with closing(opened(self.labels)) as source:
            ids = source.stored(self.part.rows, self.part.columns)[0]
        known, labels = np.unique(np.append(0, ids), return_inverse=True)
        wanted = set(known.tolist())
        probability = [row["probability"] for row in self.rows() if row["id"] in wanted]
        return Segmentation(
            labels[1:].reshape(ids.shape).astype(np.int32),
            np.asarray(probability, np.float32),
            place=(self.part.rows.start, self.part.columns.start),
        )

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the objects' measurements one by one, as `measure` gives them."""
        with self.table.open(encoding="utf-8", newline="") as file:
            for values in csv.reader(file):
                row = dict(zip(COLUMNS, (float(v) if v else None for v in values), strict=True))
                yield {**row, "id": int(values[0])}


def here(work: Work, tiles: Sequence[int]) -> Iterator[tuple[int, Output]]:
    """Compute tiles one after the other in this process."""
    for index in tiles:
        yield index, work.output(index)


@contextmanager
def segmented(
    predictor: Predictor,
    source: Windowed,
    out: Path,
    *,
    overwrite: bool = False,
    compute: Compute = here,
    progress: Progress = silent,
) -> Iterator[LargeSegmentation]:
    """Segment `source` and write its label image to `out`.

    The table of objects is there within the ``with`` block. If it ends without an error, all
    temporary files are deleted; after an error, a cancel request or a kill the next call with the
    same model, image and settings goes on.

    Parameters
    ----------
    out : ``.tif`` for a tiled TIFF, ``.zarr`` for OME-Zarr.
    compute : runs the network over tiles, `here` or elsewhere.

    Raises
    ------
    FileExistsError
        If `out` exists, is not what an interrupted run has left, and `overwrite` is not set.
    OSError
        One sentence, where `out` cannot be written or the disk refuses.
    ValueError
        For an image with other channels than the model's, an unfinished job of another kind, an
        `out` that another run makes at the moment, or that is the image itself, lies in it or holds
        it.
    """
    check_apart(out, source.path)
    check_place(out)
    source.check()
    made_folder(out.parent)
    with held(out.parent / f".{out.name}.lock") as alone:
        if not alone:
            raise ValueError(
                f'"{out}": another run makes this label image at the moment; wait until it has ended, '
                "or choose another folder."
            )
        if out.exists() and not overwrite and not is_left(out):
            raise FileExistsError(
                f'"{out}" exists already; choose another name or folder, or allow overwriting.'
            )
        source = seen(source, predictor.recipe, span(progress, 0.0, LOOKED / 2))
        part = typical_part(source)
        journal, resumed = _begun(predictor, source, out, overwrite=overwrite)
        predictor = with_size(predictor, part, journal, span(progress, LOOKED / 2, LOOKED))
        plan = plan_of(journal.shape, predictor.recipe, predictor.options)
        if not journal.is_spent:
            numbers = _normalization(journal, predictor, source, plan, progress)
            _carried_out(Work(predictor, source, plan, numbers), journal, compute, out, progress)
        last = journal.finished()[-1]
        n = last.last_id
        found = LargeSegmentation(
            out, journal.table, n, last.confidence / n if n else None, part, len(plan.cores), resumed,
            _notes(last), predictor.options.diameter_px,
        )  # fmt: skip
        yield replace(found, trust=_trusted(predictor, source, found))
        journal.remove()


def _trusted(predictor: Predictor, source: Windowed, found: LargeSegmentation) -> Trust:
    if is_blank(source):
        return Trust(warning=BLANK_WORDS)
    judge = Judge(predictor.card, predictor.recipe, found.diameter_px)
    return judge.looks(found.part.sample.image.pixels, 2 * np.sqrt(found.areas_px() / np.pi))


def _begun(
    predictor: Predictor, source: Windowed, out: Path, *, overwrite: bool
) -> tuple[Journal, int]:
    """Return the journal of a label image, and how many blocks are finished in it."""
    _, height, width = source.facts.shape
    job, shape = _job(predictor, source), (height, width)
    begun = partial(Journal.opened, unfinished(out), job, shape, restart=overwrite)
    journal = begun()
    if journal.is_spent and not is_left(out):  # moved away: nothing is there to make it from
        journal.remove()
        journal = begun()
    return journal, len(journal.finished())


def unfinished(out: Path) -> Path:
    """Return the folder of what is not finished of a label image `out`."""
    return out.parent / f".{out.name}.unfinished"


def is_left(out: Path) -> bool:
    """Say whether a label image `out` is what an interrupted run has left and can go on with."""
    return wrote(unfinished(out), out)


def _carried_out(
    work: Work, journal: Journal, compute: Compute, out: Path, progress: Progress
) -> None:
    """Do all that is not done yet and write the label image."""
    missing = journal.missing(len(work.plan.tiles))
    running = span(progress, MEASURED, NETWORK)
    for n, (index, output) in enumerate(compute(work, missing), 1):
        journal.keep(index, output)
        running(n / len(missing), f"network, block {n} of {len(missing)}")
    last = _objects(work, journal, span(progress, NETWORK, OBJECTS))
    writing = span(progress, OBJECTS, 1.0)
    write_large_labels(out, journal, last.last_id, work.source.facts.pixel_size_um, writing)
    journal.note_written(out)


def _job(predictor: Predictor, source: Windowed) -> dict[str, Any]:
    """Return what decides the result."""
    settings = knobs.to_json(predictor.settings)
    for name in ("device", "large_mpx"):  # they do not change the result
        settings.pop(name, None)
    return {
        "model": predictor.card.id,
        "image": [
            str(source.path.resolve()),
            list(source.facts.shape),
            [stamp(file) for file in source.files()],
        ],
        "pixel size": source.facts.pixel_size_um,  # the file's own, or that of a table
        "settings": settings,
        "version": __version__,
    }


def _normalization(
    journal: Journal, predictor: Predictor, source: Windowed, plan: Plan, progress: Progress
) -> Normalization:
    known = journal.normalization()
    if known is not None:
        return known
    measuring = span(progress, LOOKED, MEASURED)
    made = fitted_to(source, plan, predictor.recipe.normalization, measuring)
    journal.keep_normalization(made)
    return made


def _notes(last: Done) -> tuple[str, ...]:
    if not last.n_cut:
        return ()
    return (
        f"{how_many(last.n_cut, 'object is', 'objects are')} too large to be looked at whole and cut off; "
        "raise the probability threshold, or predict a reduced copy of the image.",
    )


def _objects(work: Work, journal: Journal, progress: Progress) -> Done:
    """Make the objects of all blocks that are not finished and return the last line."""
    finished = journal.finished()
    last = finished[-1] if finished else Done(-1, 0, 0.0, 0, 0)
    n, curve = len(work.plan.cores), curve_of(work.predictor.card.calibration)
    for block in range(len(finished), n):
        progress(block / n, f"objects, block {block + 1} of {n}")
        window, found = objects_of_block(work, journal, block)
        ids = np.arange(1, len(found.probability) + 1) + last.last_id
        sure = curve(found.probability) if curve is not None and len(ids) else None
        rows = _measured(work.source, window, found, last.last_id, sure)
        journal.paint(window, np.concatenate([[0], ids])[found.labels])
        last = Done(
            block,
            last.last_id + len(ids),
            last.confidence + float(np.sum(found.probability if sure is None else sure)),
            last.n_cut + int(found.cut.sum()),
            journal.append(rows),
        )
        journal.finish(last)
    return last


def _measured(
    source: Windowed, window: Rect, found: Found, before: int, sure: np.ndarray | None
) -> str:
    """Return lines of CSV for the objects of a block, whose ids follow `before`."""
    text = io.StringIO()
    if not len(found.probability):
        return ""
    rows = measure(found.labels, image_of(source, *window.slices), found.probability, sure)
    names: list[str] = list(COLUMNS)
    writer = csv.DictWriter(text, names)
    for row in rows:
        moved = {"id": row["id"] + before, "y": row["y"] + window.top, "x": row["x"] + window.left}
        writer.writerow(row | moved)
    return text.getvalue()
