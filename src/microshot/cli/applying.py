"""The verbs that apply a model to images and compare what it found with the truth."""

from __future__ import annotations

import csv
import dataclasses
import functools
import math
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from microshot import settings
from microshot.cli.commands import DONE, UsageError, checked, with_sets
from microshot.cli.tables import csv_table, write_csv
from microshot.data.disk import made_folder
from microshot.progress import span

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

    from microshot.cli.console import Console

COUNTS, OBJECTS, GROWTH, CURVE = "counts.csv", "objects.csv", "growth.csv", "growth.svg"
_POINT = ("id", "y", "x")


def predict(given: argparse.Namespace, console: Console) -> int:
    """Write label TIFFs, counts.csv and objects.csv; models that count write no label TIFFs."""
    from microshot import provenance, trust
    from microshot.bundle import read_card
    from microshot.cli import growing, large_images
    from microshot.cli.images_one_by_one import Work, applied
    from microshot.cluster import connected

    values = settings.PredictSettings()
    if given.device is not None:
        values = dataclasses.replace(values, device=given.device)
    values = checked(with_sets(values, given.set))
    files, names = large_images.images_and_names(given.images, zarr=True)
    task = read_card(given.model).task
    if task == "translate":
        raise ValueError(
            f'"{given.model}": the model translates bright field to fluorescence; use `microshot '
            "translate`."
        )
    counting = task == "count"
    large_images.check_form(given, counting=counting)
    with ExitStack() as stack:
        large = large_images.in_parts(files, values.large_mpx, counting=counting)
        labels = [
            large_images.label_file(given, name, large=file in large)
            for file, name in zip(files, names, strict=True)
        ]
        _check_results(given, [] if counting else labels)
        moments = None if given.time is None else growing.read_times(given.time, names)
        work = Work(given.model, values, counting=counting, overwrite=given.overwrite)
        predictor = work.predictor()
        cluster = stack.enter_context(connected(given.scheduler)) if given.scheduler else None
        console.say(f"Device: {predictor.device.line if cluster is None else cluster.line}.")
        made_folder(given.out)
        items = list(zip(files, names, labels, strict=True))
        one_by_one = [item for item in items if item[0] not in large]
        small = applied(work, predictor, one_by_one, cluster, console.progress)
        begun = time.perf_counter()
        counts, notes, columns = [], [], ("file", *_object_columns(counting=counting))
        with csv_table(given.out / OBJECTS, columns) as objects:
            for index, (file, _, out) in enumerate(items):
                here = span(console.progress, index / len(files), (index + 1) / len(files))
                here(0.0, f"image {index + 1} of {len(files)}, {file.name}")
                if file in large:
                    one = large_images.segment_large(
                        work, predictor, file, out, stack, cluster, here
                    )
                else:
                    one = next(small)
                counts.append({"file": file.name, **one.row})
                objects.writerows({"file": file.name, **place} for place in one.places)
                notes += one.notes
        write_csv(given.out / COUNTS, counts)
        grown = growing.write(given.out, moments, names, counts, console) if moments else []
        notes = list(dict.fromkeys(notes))
        about = "no interval around the counts: " if counting else ""
        console.say(*(f"Note: {about}{note}" for note in notes))
        unlike = trust.joined([c["warning"] or "" for c in counts])
        console.say(*([f"Warning: {unlike}"] if unlike else []))
        console.result(
            {
                "out": str(given.out),
                "images": counts,
                "device": predictor.device.line,
                "notes": [*notes, *([unlike] if unlike else [])],
                "growth": grown,
                "provenance": provenance.record(
                    [predictor.card], predictor.device, time.perf_counter() - begun
                ),
            },
            [f"{c['file']}: {_said(c)}" for c in counts] + [f"Written to {given.out}."],
        )
    return DONE


def _object_columns(*, counting: bool) -> Sequence[str]:
    from microshot.tasks.measure import COLUMNS

    return _POINT if counting else COLUMNS


def _said(row: dict[str, Any]) -> str:
    """Write the count of one image with its interval."""
    bounds = "" if row.get("high") is None else f" ({row['low']} to {row['high']})"
    warning = f", {row['warning']}" if row["warning"] else ""
    return f"{row['count']} objects{bounds}{warning}"


def _check_results(given: argparse.Namespace, labels: Sequence[Path]) -> None:
    """Refuse, before the work, to write over images or over earlier results.

    What an interrupted run has left and can go on with is no result.
    """
    from microshot.large.segmenting import unfinished

    source = given.images if given.images.is_dir() else given.images.parent
    if source.resolve() == given.out.resolve():
        raise UsageError(
            f'"{given.out}" is the folder of the images; give another folder as --out.'
        )
    going_on = [label for label in labels if unfinished(label).is_dir()]
    results = [label for label in labels if label not in going_on]
    if not going_on:
        results += [given.out / COUNTS, given.out / OBJECTS]
        results += [] if given.time is None else [given.out / GROWTH, given.out / CURVE]
    old = next((result for result in results if result.exists()), None)
    if old is not None and not given.overwrite:
        raise FileExistsError(f'"{old}" exists already; choose another folder or add --overwrite.')


# ------------------------------------------------------------------------------------- score


def score(given: argparse.Namespace, console: Console) -> int:
    """Compare two folders of label images or of stains, or two tables of counts."""
    values = checked(with_sets(settings.ScoreSettings(), given.set))
    if given.stains:
        from microshot.cli.scoring_stains import score_stains

        return score_stains(given, console, features=values.features)
    tables = _tables(given.truth, given.prediction)
    if tables is not None and given.scheduler:
        raise UsageError("--scheduler: two tables are compared at once; leave it out.")
    scores = (
        _scored_labels(given, console, values)
        if tables is None
        else _scored_counts(*tables, console)
    )
    summary = scores.summary()
    per_image = [{"image": name, **row} for name, row in scores.rows]
    lines = [f"{key}: {value:.3f}" if isinstance(value, float) else f"{key}: {value}"
             for key, value in summary.items() if value is not None]  # fmt: skip
    console.result({"summary": summary, "images": per_image}, lines)
    return DONE


def check_folders(given: argparse.Namespace, what: str) -> None:
    """Refuse what is no folder."""
    for folder in (given.truth, given.prediction):
        if not folder.is_dir():
            raise FileNotFoundError(f'"{folder}" is no folder; give the folder with {what}.')


def _scored_labels(
    given: argparse.Namespace, console: Console, values: settings.ScoreSettings
) -> Any:
    from microshot.cluster import carried_out, perhaps
    from microshot.data.folders import list_labels, match_by_stem
    from microshot.metrics.scoring import ObjectScores

    check_folders(given, "label images")
    matches = match_by_stem(list_labels(given.truth), list_labels(given.prediction))
    if not matches.pairs:
        raise ValueError(
            f'No label image in "{given.prediction}" has the name of one in "{given.truth}".'
        )
    console.say(*matches.lines("prediction"))
    scores = ObjectScores(values.threshold, values.border_px)
    with perhaps(given.scheduler) as cluster:
        pairs = resolved(matches.pairs) if cluster else matches.pairs
        do = functools.partial(_scored, values)
        for one in carried_out(cluster, do, pairs, console.progress):
            scores.extend(one)
    return scores


def resolved(pairs: Sequence[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    """Return paths that are the same wherever a worker was started."""
    return [(a.resolve(), b.resolve()) for a, b in pairs]


def _scored(values: settings.ScoreSettings, pair: tuple[Path, Path]) -> Any:
    """Return the scores of one image."""
    from microshot.metrics.scoring import ObjectScores

    one = ObjectScores(values.threshold, values.border_px)
    one.add(pair[0].name, *_pair(*pair))
    return one


def _pair(truth: Path, prediction: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return two label images; outlines are drawn at the size of the other one."""
    from microshot.data.folders import IMAGE_SUFFIXES
    from microshot.data.label_files import read_labels

    if prediction.suffix.lower() in IMAGE_SUFFIXES:
        found = read_labels(prediction).labels
        return read_labels(truth, shape=(found.shape[0], found.shape[1])).labels, found
    true = read_labels(truth).labels
    return true, read_labels(prediction, shape=(true.shape[0], true.shape[1])).labels


def _tables(truth: Path, prediction: Path) -> tuple[Path, Path] | None:
    """Return the tables of counts to compare; None where label images are meant.

    A file is a table; a folder stands for its ``counts.csv`` where the other side is a table, or
    where it holds no label images.
    """
    from microshot.data.folders import list_images

    sides = (truth, prediction)
    if not any(side.is_file() for side in sides):
        bare = [side.is_dir() and not list_images(side) for side in sides]
        if not (any(bare) and all((side / COUNTS).is_file() for side in sides)):
            return None
    for side in sides:
        if side.is_dir() and not (side / COUNTS).is_file():
            raise FileNotFoundError(
                f'"{side}" holds no {COUNTS}; give a table of counts for the truth and for the '
                "prediction, or a folder of label images for both."
            )
    found = tuple(side / COUNTS if side.is_dir() else side for side in sides)
    return found[0], found[1]


def _scored_counts(truth: Path, prediction: Path, console: Console) -> Any:
    from microshot.data.count_table import read_counts
    from microshot.data.folders import listed
    from microshot.metrics.count_scoring import CountScores

    true, found = read_counts(truth), read_counts(prediction)
    both = [name for name in true if true[name] is not None and found.get(name) is not None]
    if not both:
        raise ValueError(f'No image with a count in "{prediction}" has one in "{truth}".')
    console.say(f"{len(both)} images with a true and a predicted count.")
    alone = [name for name in dict.fromkeys([*true, *found]) if name not in both]
    if alone:
        console.say(f"{len(alone)} images with only one of the two: {listed(alone)}.")
    more, scores = _more(prediction), CountScores()
    for name in both:
        own = more.get(name, {})
        raw = own.get("count_raw", found[name])
        assert raw is not None
        scores.add(name, true[name] or 0.0, raw, own.get("low"), own.get("high"))
    return scores


def _more(table: Path) -> dict[str, dict[str, float]]:
    """Return what `predict` writes of an image beside its count; nothing for other tables.

    Raises
    ------
    ValueError
        Naming line and column of what is no number from 0 on.
    """
    from microshot.data.folders import stem_of

    with table.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.DictReader(file)
        names = [n for n in ("count_raw", "low", "high") if n in (reader.fieldnames or ())]
        if len(names) < 3 or "file" not in (reader.fieldnames or ()):
            return {}
        made = {}
        for row in reader:
            place = f'"{table}", line {reader.line_num}'
            known = {n: _number(row[n], f'{place}, column "{n}"') for n in names if row[n]}
            made[stem_of(row["file"])] = known
        return made


def _number(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf:
        raise ValueError(f'{place}: expected a number from 0 on, found "{text}"; predict again.')
    return value
