"""The verb that applies a model to images."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from microshot import settings
from microshot.cli import growing, large_images, skipping
from microshot.cli.calls import DONE, images_and_names, leave, refuse_results, with_device
from microshot.cli.images_one_by_one import Work, on_workers, one_image, to_look_at
from microshot.cli.tables import csv_table, take_away, write_csv
from microshot.data.count_table import COUNTS
from microshot.data.disk import check_apart, made_folder
from microshot.data.new_files import new_files
from microshot.progress import Cancelled, span
from microshot.words import how_many

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from microshot.cli.console import Console
    from microshot.cli.images_one_by_one import Applied, Item
    from microshot.cluster import Cluster
    from microshot.data.new_files import NewFiles
    from microshot.progress import Progress

OBJECTS = "objects.csv"
_POINT = ("id", "y", "x")


def predict(given: argparse.Namespace, console: Console) -> int:
    """Write label TIFFs, counts.csv and objects.csv; models that count write no label TIFFs."""
    from microshot import provenance, trust
    from microshot.cluster import perhaps

    values = with_device(settings.PredictSettings(), given)
    files, names = images_and_names(given.images, console, zarr=True)
    counting = _task(given.model) == "count"
    large_images.check_form(given, counting=counting)
    with ExitStack() as stack:
        skip = given.skip_unreadable
        large = large_images.in_parts(files, values.large_mpx, counting=counting, skip=skip)
        labels = [
            large_images.label_file(given, name, large=file in large)
            for file, name in zip(files, names, strict=True)
        ]
        new = stack.enter_context(new_files(given.out, overwrite=given.overwrite))
        _check_results(given, files, [] if counting else labels)
        moments, told = {}, []
        if given.time is not None:
            moments, told = growing.read_times(given.time, names)
        console.say(*told)
        work = Work(given.model, values, counting=counting, overwrite=given.overwrite, skip=skip)
        predictor = work.predictor()
        cluster = stack.enter_context(perhaps(given.scheduler))
        console.say(f"Device: {predictor.device.line if cluster is None else cluster.line}.")
        made_folder(given.out)
        items, begun = list(zip(files, names, labels, strict=True)), time.perf_counter()
        take = partial(to_look_at, predictor, large)
        rest = predictor.look(items, len(items), take, console.progress)
        work = replace(work, sizes=predictor.sizes)
        found = _found(work, predictor, items, large, stack, cluster, rest)
        counts, notes, skipped = _written(given, files, found, new, console, counting=counting)
        used = [n for file, n in zip(files, names, strict=True) if file.name not in skipped]
        grown = growing.write(given.out, moments, used, counts, console) if moments else []
        about = "no interval around the counts: " if counting else ""
        console.say(*(f"Note: {about}{note}" for note in notes))
        left_out = skipping.notes(skipped, len(files))
        console.say(*(f"Warning: {one}" for one in left_out))
        if size := predictor.size_note(counts):
            notes.append(size)
            console.say(f"Note: {size}")
        unlike = trust.joined([c["warning"] for c in counts])
        console.say(*([f"Warning: {unlike}"] if unlike else []))
        seconds = time.perf_counter() - begun
        console.result(
            {
                "out": str(given.out),
                "images": counts,
                "skipped": skipped,
                "device": predictor.device.line,
                "notes": [*notes, *left_out, *([unlike] if unlike else [])],
                "growth": grown,
                "provenance": provenance.record([predictor.card], predictor.device, seconds),
            },
            [f"{c['file']}: {_said(c)}" for c in counts] + [f"Written to {given.out}."],
        )
    return DONE


def _task(model: Path) -> str:
    """Return what a model is for; refuse one that translates."""
    from microshot.bundle import read_card

    task = read_card(model).task
    if task == "translate":
        raise ValueError(
            f'"{model}": the model translates bright field to fluorescence; use `microshot '
            "translate`."
        )
    return task


def _found(
    work: Work,
    predictor: Any,
    items: Sequence[Item],
    large: set[Path],
    stack: ExitStack,
    cluster: Cluster | None,
    progress: Progress,
) -> Iterator[Applied]:
    """Yield what was found in each image, in their order; those in `large` are read in parts."""
    small, n = [item for item in items if item[0] not in large], len(items)
    here, said = progress, ""

    def waiting(fraction: float, message: str = "") -> None:
        del fraction, message  # of the small images alone
        here(0.0, said)

    there = None if cluster is None else on_workers(work, small, cluster, waiting)
    for index, item in enumerate(items):
        file, _, out = item
        here = span(progress, index / n, (index + 1) / n)
        said = f"image {index + 1} of {n}, {file.name}"
        here(0.0, said)
        if file in large:
            yield large_images.segment_large(work, predictor, file, out, stack, cluster, here)
        elif there is None:
            yield one_image(work, predictor, item, here)
        else:
            yield next(there)


def _written(
    given: argparse.Namespace,
    files: Sequence[Path],
    found: Iterable[Applied],
    new: NewFiles,
    console: Console,
    *,
    counting: bool,
) -> tuple[list[dict[str, Any]], list[str], dict[str, str]]:
    """Write counts.csv and objects.csv; return the rows of counts, all notes, each once, and what was skipped.

    Where an image cannot be used or is too large for memory, or the user stops the work, the tables
    hold those before. Label images are `new` until the tables tell of them; of work that was stopped
    all stay so, for it may be begun again. Tables of an earlier run that may be replaced are deleted
    with its first label image; those that another run has written meanwhile end this one.
    """
    out, overwrite = given.out, given.overwrite
    counts, notes, columns = [], [], ("file", *_object_columns(counting=counting))
    skipped: dict[str, str] = {}
    ended: Exception | None = None
    with csv_table(out / OBJECTS, columns, overwrite=overwrite) as objects:
        try:
            for file, one in zip(files, found, strict=True):
                if one.skipped:
                    skipped[file.name] = one.skipped
                    continue
                if overwrite and not counts and not counting:
                    take_away(out / OBJECTS, out / COUNTS)
                if one.labels is not None:
                    new.add(one.labels)
                counts.append({"file": file.name, **one.row})
                objects.writerows({"file": file.name, **place} for place in one.places)
                notes += one.notes
            skipping.check(skipped, len(files))
        except (ValueError, MemoryError, Cancelled) as error:
            if not counts:
                raise
            ended = error
    write_csv(out / COUNTS, counts, overwrite=overwrite)
    here = skipping.progress(len(counts), skipped, len(files))
    done = f"Written to {out}: what was found in {here}"
    if isinstance(ended, Cancelled):
        leave(new, (out / OBJECTS, out / COUNTS), done, console)
        raise ended
    new.keep()
    if ended is not None:
        console.say(f"{done}, up to the one that follows.")
        raise ended
    return counts, list(dict.fromkeys(notes)), skipped


def _object_columns(*, counting: bool) -> Sequence[str]:
    from microshot.tasks.measure import COLUMNS

    return _POINT if counting else COLUMNS


def _said(row: dict[str, Any]) -> str:
    """Write the count of one image with its interval."""
    bounds = "" if row.get("high") is None else f" ({row['low']} to {row['high']})"
    warning = f", {row['warning']}" if row["warning"] else ""
    return f"{how_many(row['count'], 'object')}{bounds}{warning}"


def _check_results(
    given: argparse.Namespace, files: Sequence[Path], labels: Sequence[Path]
) -> None:
    """Refuse, before the work, to write over images or over earlier results.

    A label image that an interrupted run has left and can go on with is no result.
    """
    from microshot.large.segmenting import is_left

    results = [label for label in labels if not is_left(label)]
    results += [given.out / COUNTS, given.out / OBJECTS]
    if given.time is not None:
        results += [given.out / growing.GROWTH, given.out / growing.CURVE]
    refuse_results(given, given.images, "images", results)
    for file, label in zip(files, labels, strict=False):  # none where it counts
        check_apart(label, file)
