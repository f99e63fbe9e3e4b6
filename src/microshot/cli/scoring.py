"""The verb that compares predictions with the truth, and its report."""

from __future__ import annotations

import functools
import math
import time
from typing import TYPE_CHECKING, Any

from microshot import settings
from microshot.cli.calls import (
    DONE,
    UsageError,
    check_folders,
    checked,
    refuse_existing,
    resolved,
    with_sets,
)
from microshot.cli.tables import write_text
from microshot.cli.telling import scored_by
from microshot.data.count_table import COUNTS
from microshot.words import how_many

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from microshot.cli.console import Console

#: Images shown in the report.
MAX_SHOWN = 12


def score(given: argparse.Namespace, console: Console) -> int:
    """Compare two folders of label images or of stains, or two tables of counts."""
    values = checked(with_sets(settings.ScoreSettings(), given.set))
    _check_report(given)
    if given.stains:
        from microshot.cli.scoring_stains import score_stains

        return score_stains(given, console, features=values.features)
    tables, where, begun = _tables(given.truth, given.prediction), "", time.perf_counter()
    if tables is not None and given.scheduler:
        raise UsageError("--scheduler: two tables are compared at once; leave it out.")
    if tables is None:
        scores, shown, where = _scored_labels(given, console, values)
    else:
        scores = _scored_counts(*tables, console)
        shown = _worst_counted(given, console, scores, tables[1])
    summary = scores.summary()
    per_image = [{"image": name, **row} for name, row in scores.rows]
    lines = [f"{key}: {value:.3f}" if isinstance(value, float) else f"{key}: {value}"
             for key, value in summary.items() if value is not None]  # fmt: skip
    predicted = (tables or ("", given.prediction))[1]
    record = scored_by(predicted, time.perf_counter() - begun, where)
    found: dict[str, Any] = {"summary": summary, "images": per_image, "provenance": record}
    if given.report:
        from microshot.pages import score_page

        who = {"Prediction": str(predicted.name)}
        rows = [{"Image": name, **who, **row} for name, row in scores.rows]
        whole = [{**who, "Images": len(rows), **summary}]
        write_text(given.report, score_page(whole, rows, shown, [], values, record=record))
        found["report"] = str(given.report)
        lines.append(f"Report written to {given.report}.")
    console.result(found, lines)
    return DONE


def _check_report(given: argparse.Namespace) -> None:
    """Refuse a report that cannot be written before anything is computed."""
    if given.stains and given.report:
        raise UsageError(
            "--report is for label images and counts; the node Score Microscopy Predictions shows "
            "stains."
        )
    refuse_existing(given.report, overwrite=given.overwrite)
    if given.images and not given.images.is_dir():
        raise FileNotFoundError(f'"{given.images}" is no folder; give the folder with the images.')


def _scored_labels(
    given: argparse.Namespace, console: Console, values: settings.ScoreSettings
) -> tuple[Any, list[dict[str, Any]], str]:
    """Return the scores of label images, what a report shows of those scored worst, and who computed."""
    from microshot.cluster import carried_out, perhaps
    from microshot.data.folders import list_labels, stem_of
    from microshot.data.matching import match_by_stem
    from microshot.metrics.object_scoring import ObjectScores

    check_folders(given, "label images", list_labels)
    matches = match_by_stem(list_labels(given.truth), list_labels(given.prediction))
    if not matches.pairs:
        raise ValueError(
            f'No label image in "{given.prediction}" has the name of one in "{given.truth}"; '
            "give each the name of its image."
        )
    console.say(*matches.lines("prediction"))
    scores = ObjectScores(values.threshold, values.border_px)
    with perhaps(given.scheduler) as cluster:
        pairs = resolved(matches.pairs) if cluster else matches.pairs
        do = functools.partial(_scored, values)
        for one in carried_out(cluster, do, pairs, console.progress):
            scores.extend(one)
        where = "" if cluster is None else cluster.line
    by_f1 = sorted(range(len(scores.rows)), key=lambda i: scores.rows[i][1]["F1"])
    worst = [matches.pairs[i] for i in by_f1[:MAX_SHOWN]] if given.report else []
    truths, photographs = [truth for truth, _ in worst], {}
    if given.images and truths:
        pairs = match_by_stem(_images(given.images), truths).pairs
        files = {stem_of(truth): image for image, truth in pairs}
        photographs = _photographs(files, [stem_of(t) for t in truths], given.images, console)
    shown = [_shown(truth, found, photographs.get(stem_of(truth))) for truth, found in worst]
    return scores, shown, where


def _scored(values: settings.ScoreSettings, pair: tuple[Path, Path]) -> Any:
    """Return the scores of one image."""
    from microshot.metrics.object_scoring import ObjectScores

    one = ObjectScores(values.threshold, values.border_px)
    one.add(pair[0].name, *_pair(*pair))
    return one


def _shown(truth: Path, prediction: Path, photograph: np.ndarray | None) -> dict[str, Any]:
    """Return what a report draws of a pair of label images; without photograph, the true objects."""
    true, found = _pair(truth, prediction)
    name = truth.name
    if photograph is None or photograph.shape[1:] != true.shape:
        name, photograph = f"{name} (no image: true objects)", (true > 0)[None].astype("uint8")
    return {
        "name": name, "truth": true, "pixels": photograph,
        "predictions": {prediction.parent.name: found},
    }  # fmt: skip


def _worst_counted(
    given: argparse.Namespace, console: Console, scores: Any, prediction: Path
) -> list[dict[str, Any]]:
    """Return what a report shows of the images whose counts are farthest off."""
    from microshot.data.matching import by_stem
    from microshot.metrics.count_scoring import worst_counted

    if not (given.report and given.images):
        return []
    worst = worst_counted({prediction.name: scores}, MAX_SHOWN)
    names, files = [one["name"] for one in worst], by_stem(_images(given.images))
    of = {name: files[name.casefold()] for name in names if name.casefold() in files}
    photographs = _photographs(of, names, given.images, console)
    return [
        {**one, "pixels": photographs[one["name"]]} for one in worst if one["name"] in photographs
    ]


def _photographs(
    files: Mapping[str, Path], names: Sequence[str], folder: Path, console: Console
) -> dict[str, np.ndarray]:
    """Return the pixels of the `files` in `folder` by name; say which of `names` has none."""
    from microshot.data.folders import listed
    from microshot.data.read import read_image

    missing = [name for name in names if name not in files]
    if missing:
        console.say(f'Not shown, because "{folder}" has no such image: {listed(missing)}.')
    return {name: read_image(file).pixels for name, file in files.items()}


def _images(folder: Path) -> list[Path]:
    """Return the image files in a folder, or in its subfolder of images where it holds none."""
    from microshot.data.folders import IMAGE_FOLDERS, list_images, subfolder

    found = list_images(folder)
    inner = None if found else subfolder(folder, IMAGE_FOLDERS)
    return found if inner is None else list_images(inner)


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

    counts = [
        {name.casefold(): (name, count) for name, count in read_counts(table).items()}
        for table in (truth, prediction)
    ]
    true, found = ({k: c for k, (_, c) in own.items() if c is not None} for own in counts)
    both = [key for key in true if key in found]
    if not both:
        raise ValueError(f'No image with a count in "{prediction}" has one in "{truth}".')
    console.say(f"{how_many(len(both), 'image')} with a true and a predicted count.")
    names = {key: name for own in reversed(counts) for key, (name, _) in own.items()}
    alone = [
        names[key] for key in dict.fromkeys(k for own in counts for k in own) if key not in both
    ]
    if alone:
        console.say(f"{how_many(len(alone), 'image')} with only one of the two: {listed(alone)}.")
    more, scores = _more(prediction), CountScores()
    for key in both:
        own = more.get(key, {})
        raw = own.get("count_raw", found[key])
        scores.add(names[key], true[key], raw, own.get("low"), own.get("high"))
    return scores


def _more(table: Path) -> dict[str, dict[str, float]]:
    """Return what `predict` writes of an image beside its count, by its stem in lower case.

    Nothing for other tables.

    Raises
    ------
    ValueError
        Naming line and column of what is no number from 0 on.
    """
    from microshot.data.folders import stem_of
    from microshot.data.text_tables import records

    rows, names = records(table), ("count_raw", "low", "high")
    if not rows or not {"file", *names} <= set(rows[0][1]):
        return {}
    return {
        stem_of(row["file"]).casefold(): {
            n: _number(row[n], f'"{table}", line {line}, column "{n}"') for n in names if row.get(n)
        }
        for line, row in rows
    }


def _number(text: str, place: str) -> float:
    from microshot.data.text_tables import number_in

    value = number_in(text)
    if not 0 <= value < math.inf:
        raise ValueError(f'{place}: expected a number from 0 on, found "{text}"; predict again.')
    return value
