"""The verbs that make models of images, and how these images are read."""

from __future__ import annotations

import csv
import dataclasses
import re
from typing import TYPE_CHECKING, Any

from microshot import settings
from microshot.cli.calls import (
    DONE,
    FAILED,
    S,
    UsageError,
    checked,
    refuse_existing,
    with_sets,
    with_training,
)
from microshot.cli.generating import TARGETS
from microshot.cli.going_on import folder_of, keeping, unfinished_training
from microshot.cli.tables import write_text
from microshot.data.count_table import COUNTS
from microshot.data.disk import made_folder
from microshot.data.folders import listed, natural_key
from microshot.device import rank_and_size
from microshot.words import how_many

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from microshot.cli.console import Console
    from microshot.data.dataset import Dataset
    from microshot.training.unfinished import Unfinished


def _learning_settings(values: S, given: argparse.Namespace) -> S:
    """Apply the options that training and retraining share."""
    changed = {n: v for n in ("minutes", "name") if (v := getattr(given, n)) is not None}
    values = dataclasses.replace(with_training(values, given), **changed)  # type: ignore[type-var]
    return checked(with_sets(values, given.set))


def _targets(given: argparse.Namespace, task: str) -> Path | None:
    """Return the folder of measured stains; None for tasks that need none."""
    if task != "translate":
        if given.targets is not None:
            raise UsageError(f"--targets is for the task translate, found the task {task}.")
        return None
    beside = given.images.parent / TARGETS
    if given.targets is None and not beside.is_dir():
        raise UsageError(
            f'The task translate needs measured stains, found no folder "{beside}"; name their '
            "folder as --targets."
        )
    return given.targets or beside


def learning_data(
    given: argparse.Namespace, console: Console, task: str, group: str | None = None
) -> tuple[Dataset, Dataset | None, list[str]]:
    """Read the images to learn from, and the synthetic ones, and say and return what was understood.

    `group` is the pattern that finds the group of each image in its name.
    """
    from microshot.data.read import read_dataset

    targets = _targets(given, task)
    data, told = read_dataset(given.images, given.labels, targets, progress=console.progress)
    if group is not None:
        data, groups = _grouped(data, group)
        told.append(groups)
    if _generated(given.images):
        told.append("The images were made by `microshot generate`: taken for synthetic ones.")
        data = _as_synthetic(data)
    console.say(*told)
    if given.synthetic is None:
        return data, None, told
    images = given.synthetic / "images"
    folder = images if images.is_dir() else given.synthetic
    labels = given.synthetic / "labels"
    extra, report = read_dataset(
        folder,
        labels if labels.is_dir() else None,
        None if targets is None else given.synthetic / TARGETS,
        progress=console.progress,
    )
    report = [f"synthetic: {line}" for line in report]
    console.say(*report)
    return data, _as_synthetic(extra), [*told, *report]


def _grouped(data: Dataset, group: str) -> tuple[Dataset, str]:
    """Give every image the group that its name tells; return what groups there are, too.

    Raises
    ------
    UsageError
        If the pattern is none, or an image's name has no such part.
    """
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise UsageError(f'--group "{group}": no regular expression ({error}).') from None
    groups = []
    for sample in data:
        found = pattern.search(sample.name)
        if found is None or not pattern.groups or not found.group(1):
            raise UsageError(
                f'--group "{group}": expected a part in parentheses that is found in every file '
                f'name, found none in "{sample.name}".'
            )
        groups.append(found.group(1))
    pairs = zip(data, groups, strict=True)
    named = type(data).of(dataclasses.replace(sample, group=name) for sample, name in pairs)
    different = sorted(set(groups), key=natural_key)
    return named, f"{how_many(len(different), 'group')}: {listed(different)}."


def _as_synthetic(data: Dataset) -> Dataset:
    return type(data).of(dataclasses.replace(s, domain="synthetic") for s in data)


def _generated(images: Path) -> bool:
    """Say whether the table that `generate` writes lies with the images and says so."""
    for folder in (images, images.parent):
        table = folder / COUNTS
        if table.is_file():
            with table.open(encoding="utf-8-sig", errors="replace", newline="") as file:
                kinds = {row.get("domain") for row in csv.DictReader(file)}
            return kinds == {"synthetic"}
    return False


def _check_out(given: argparse.Namespace) -> None:
    """Refuse to train for minutes and then find that model or report may not be written."""
    refuse_existing(given.out, given.report, overwrite=given.overwrite)
    made_folder(given.out.parent)


def _finish(
    result: Any,
    given: argparse.Namespace,
    console: Console,
    kept: Unfinished | None,
    page: Callable[[Any, Sequence[str], Sequence[str]], str],
    read: Sequence[str],
    extra: dict[str, Any],
) -> int:
    """Save a model and say how good it is; what was kept to go on from is needed no more.

    `page` makes the report; should that fail, the model is there. `read` is how its images were
    understood.
    """
    from microshot.tasks import task_named

    console.say(*(f"Note: {note}" for note in result.notes))
    path = result.bundle.save(given.out, overwrite=given.overwrite)
    if kept is not None:
        kept.remove()
    if given.report:
        try:
            write_text(given.report, page(result, result.notes, read))
        except OSError:
            console.say(f"The model is written to {path}, its report is not:")
            raise
    card = result.bundle.card
    values = {
        "model": str(path),
        "id": card.id,
        "scores": card.scores,
        "thresholds": card.thresholds,
        "stopped": result.stopped,
        "steps": card.training.get("steps"),
        "seconds": card.training.get("seconds"),
        "device": card.device,
        "notes": result.notes,
        "read": read,
        **extra,
    }
    old = extra.get("kept") == "old"  # its scores are of images that the user may not know
    lines = [
        f"Old model written to {path}." if old else f"Model written to {path} ({card.device})."
    ]
    task = task_named(card.task)
    score = None if old else card.scores.get(task.primary)
    if score is not None:
        where = f"{how_many(card.scores['n_images'], 'image')} ({card.scores['images']})"
        lines.insert(0, f"{task.primary_label} {score:.2f} on {where}.")
    console.result(values, [*lines, *(extra[k] for k in ("verdict", "advice") if extra.get(k))])
    if result.stopped == "cancelled":
        console.say("Stopped by the user: this is the best model so far.")
        return FAILED
    return DONE


def _keeping(given: argparse.Namespace, console: Console) -> AbstractContextManager[None]:
    """Say what a training keeps that is stopped before there is a model."""
    anew = ", with --overwrite it begins anew"
    return keeping(folder_of(given.out), "what was learned", console, anew)


def _is_helper() -> bool:
    """Say whether another process of the same training writes the results."""
    return rank_and_size()[0] > 0


def train(given: argparse.Namespace, console: Console) -> int:
    """Train a model from a folder of labelled images."""
    from microshot import api
    from microshot.learning.supplying import supplied
    from microshot.pages import training_page
    from microshot.pages.evidence import with_evidence

    values = settings.TrainSettings(task=given.task, preset=given.preset)
    values = _learning_settings(values, given)
    _check_out(given)
    data, synthetic, read = learning_data(given, console, values.task, given.group)
    synthetic, told = supplied(data, synthetic, values, progress=console.progress)
    kept = unfinished_training(given, console, values, data, synthetic)
    with _keeping(given, console):
        result = api.train(
            data, values, synthetic=synthetic, progress=console.progress, unfinished=kept
        )
    if _is_helper():
        return DONE
    result.bundle = with_evidence(result)
    result.notes = [*told, *result.notes]
    return _finish(result, given, console, kept, training_page, read, {})


def retrain(given: argparse.Namespace, console: Console) -> int:
    """Adapt a model to a folder of labelled images."""
    from microshot import api
    from microshot.bundle import Bundle
    from microshot.learning.supplying import supplied
    from microshot.learning.verdict import more_images
    from microshot.pages import retrain_page
    from microshot.pages.evidence import with_evidence
    from microshot.tasks import task_named

    values = settings.RetrainSettings()
    if given.strategy is not None:
        values = dataclasses.replace(values, strategy=given.strategy)
    values = _learning_settings(values, given)
    _check_out(given)
    start = Bundle.load(given.model)
    data, synthetic, read = learning_data(given, console, start.card.task, given.group)
    synthetic, told = supplied(data, synthetic, values, start.card, console.progress)
    kept = unfinished_training(given, console, values, data, synthetic, start)
    with _keeping(given, console):
        result = api.retrain(
            start, data, values, synthetic=synthetic, progress=console.progress, unfinished=kept
        )
    if _is_helper():
        return DONE
    result.bundle = with_evidence(result)
    result.notes = [*told, *result.notes]
    comparison = [
        {"name": e.sample.name, "old": e.old_scores, "new": e.scores} for e in result.comparison
    ]
    advice = more_images(task_named(start.card.task), result.curve)
    extra = {
        "verdict": result.verdict,
        "kept": result.kept,
        "comparison": comparison,
        "learning_curve": [dataclasses.asdict(point) for point in result.curve],
        "advice": advice,
    }
    return _finish(result, given, console, kept, retrain_page, read, extra)
