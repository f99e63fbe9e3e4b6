"""The verbs that make images and models, and what all verbs that work on folders share."""

from __future__ import annotations

import csv
import dataclasses
import re
from typing import TYPE_CHECKING, Any, TypeVar

from microshot import knobs, settings
from microshot.cli.going_on import unfinished_training
from microshot.cli.tables import write_csv, write_text
from microshot.data.disk import made_folder
from microshot.data.folders import listed, natural_key

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

    from microshot.cli.console import Console
    from microshot.data.dataset import Dataset, Sample
    from microshot.training.unfinished import Unfinished

S = TypeVar("S")
DONE, FAILED = 0, 1
#: Folder of measured stains that lies beside the one of the images.
TARGETS = "targets"


class UsageError(ValueError):
    """The call itself is wrong, not the work."""


def with_sets(values: S, given: Sequence[str]) -> S:
    """Apply ``--set key=value`` options."""
    for one in given:
        key, separator, text = one.partition("=")
        if not separator:
            raise UsageError(f'--set "{one}": expected KEY=VALUE.')
        try:
            values = knobs.assign(values, key.strip(), text.strip())
        except ValueError as error:
            raise UsageError(str(error)) from None
    return values


def checked(values: S) -> S:
    """Refuse options that are not allowed as wrong usage."""
    try:
        return knobs.check(values)
    except ValueError as error:
        raise UsageError(str(error)) from None


def generate(given: argparse.Namespace, console: Console) -> int:
    """Write images, labels and counts.csv, of stacks also the stains."""
    from microshot.data.image import Image
    from microshot.data.read import read_dataset
    from microshot.data.write import write_image, write_labels
    from microshot.synth.generator import generate_one
    from microshot.synth.prepare import prepare
    from microshot.synth.presets import PRESETS

    values = settings.GenerateSettings(scene=given.preset, n=given.n, seed=given.seed)
    values = checked(with_sets(values, given.set))
    reference = None
    if given.reference is not None:
        reference, report = read_dataset(given.reference, progress=console.progress)
        console.say(*report.lines)
    stacks = PRESETS[values.scene].is_stack
    folders = [given.out / part for part in ("images", "labels", TARGETS)[: 2 + stacks]]
    for folder in folders:
        if folder.is_dir() and any(folder.iterdir()):
            raise FileExistsError(f'"{folder}" is not empty; choose another folder.')
        made_folder(folder)
    prepared = prepare(values, reference, console.progress)
    console.say(*prepared.warnings, *prepared.notes)
    counts = []
    width = len(str(values.n - 1))
    for index in range(values.n):
        console.progress(index / values.n, f"image {index + 1} of {values.n}")
        sample = generate_one(values.scene, index, values.seed, prepared.options)
        name = f"{values.scene}_{index:0{width}d}.tif"
        write_image(folders[0] / name, sample.image)
        write_labels(folders[1] / name, _labels(sample))
        for stain, pixels in _stains(sample):
            write_image(folders[2] / name.replace(".tif", f"_{stain}.tif"), Image(pixels[None]))
        counts.append({"file": name, "count": int(sample.count or 0), "domain": sample.domain})
    write_csv(given.out / "counts.csv", counts)
    judged = prepared.likeness
    console.result(
        {
            "images": values.n,
            "out": str(given.out),
            **({} if judged is None else {"distance": dataclasses.asdict(judged)}),
        },
        [
            f"{values.n} images with {'labels, stains' if stacks else 'labels'} and counts.csv "
            f"written to {given.out}."
        ],
    )
    return DONE


def _labels(sample: Any) -> np.ndarray:
    assert sample.labels is not None
    return sample.labels


def _stains(sample: Sample) -> list[tuple[str, np.ndarray]]:
    """Return names and pixels (Y, X) of the stains; none where there is no target."""
    target = sample.target
    return [] if target is None else list(zip(target.channels, target.pixels, strict=True))


def _learning_settings(values: S, given: argparse.Namespace) -> S:
    """Apply the options that training and retraining share."""
    training = values.training  # type: ignore[attr-defined]
    if given.seed is not None:
        training = dataclasses.replace(training, seed=given.seed)
    if given.device is not None:
        training = dataclasses.replace(training, device=given.device)
    changed: dict[str, Any] = {"training": training}
    if given.minutes is not None:
        changed["minutes"] = given.minutes
    if given.name is not None:
        changed["name"] = given.name
    return checked(with_sets(dataclasses.replace(values, **changed), given.set))  # type: ignore[type-var]


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
    given: argparse.Namespace, console: Console, task: str
) -> tuple[Dataset, Dataset | None]:
    """Read the images to learn from, and the synthetic ones, and say what was understood."""
    from microshot.data.read import read_dataset

    targets = _targets(given, task)
    data, report = read_dataset(given.images, given.labels, targets, progress=console.progress)
    console.say(*report.lines)
    data = _grouped(data, given, console)
    if _generated(given.images):
        console.say("The images were made by `microshot generate`: taken for synthetic ones.")
        data = _as_synthetic(data)
    if given.synthetic is None:
        return data, None
    images = given.synthetic / "images"
    folder = images if images.is_dir() else given.synthetic
    labels = given.synthetic / "labels"
    extra, report = read_dataset(
        folder,
        labels if labels.is_dir() else None,
        None if targets is None else given.synthetic / TARGETS,
        progress=console.progress,
    )
    console.say(*(f"synthetic: {line}" for line in report.lines))
    return data, _as_synthetic(extra)


def _grouped(data: Dataset, given: argparse.Namespace, console: Console) -> Dataset:
    """Give every image the group that its name tells, where a pattern is given.

    Raises
    ------
    UsageError
        If the pattern is none, or an image's name has no such part.
    """
    if getattr(given, "group", None) is None:  # not every verb has it
        return data
    try:
        pattern = re.compile(given.group)
    except re.error as error:
        raise UsageError(f'--group "{given.group}": no regular expression ({error}).') from None
    groups = []
    for sample in data:
        found = pattern.search(sample.name)
        if found is None or not pattern.groups or not found.group(1):
            raise UsageError(
                f'--group "{given.group}": expected a part in parentheses that is found in every file '
                f'name, found none in "{sample.name}".'
            )
        groups.append(found.group(1))
    console.say(f"{len(set(groups))} groups: {listed(sorted(set(groups), key=natural_key))}.")
    pairs = zip(data, groups, strict=True)
    return type(data).of(dataclasses.replace(sample, group=group) for sample, group in pairs)


def _as_synthetic(data: Dataset) -> Dataset:
    return type(data).of(dataclasses.replace(s, domain="synthetic") for s in data)


def _generated(images: Path) -> bool:
    """Say whether the table that `generate` writes lies with the images and says so."""
    for folder in (images, images.parent):
        table = folder / "counts.csv"
        if table.is_file():
            with table.open(encoding="utf-8-sig", errors="replace", newline="") as file:
                kinds = {row.get("domain") for row in csv.DictReader(file)}
            return kinds == {"synthetic"}
    return False


def _check_out(given: argparse.Namespace) -> None:
    """Refuse to train for minutes and then find that the file may not be written."""
    if given.out.exists() and not given.overwrite:
        raise FileExistsError(
            f'"{given.out}" exists already; choose another name or add --overwrite.'
        )
    made_folder(given.out.parent)


def _finish(
    result: Any,
    given: argparse.Namespace,
    console: Console,
    kept: Unfinished,
    extra: dict[str, Any],
) -> int:
    """Save a model and say how good it is; what was kept to go on from is needed no more."""
    from microshot.pages.evidence import with_evidence
    from microshot.tasks import task_named

    console.say(*(f"Note: {note}" for note in result.notes))
    path = with_evidence(result).save(given.out, overwrite=given.overwrite)
    kept.remove()
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
        **extra,
    }
    lines = [f"Model written to {path} ({card.device})."]
    task = task_named(card.task)
    score = card.scores.get(task.primary)
    if score is not None:
        where = f"{card.scores['n_images']} images ({card.scores['images']})"
        lines.insert(0, f"{task.primary_label} {score:.2f} on {where}.")
    console.result(values, [*lines, *(extra[k] for k in ("verdict", "advice") if extra.get(k))])
    if result.stopped == "cancelled":
        console.say("Stopped by the user: this is the best model so far.")
        return FAILED
    return DONE


def train(given: argparse.Namespace, console: Console) -> int:
    """Train a model from a folder of labelled images."""
    from microshot import api
    from microshot.learning.supplying import supplied

    values = settings.TrainSettings(task=given.task, preset=given.preset)
    values = _learning_settings(values, given)
    _check_out(given)
    data, synthetic = learning_data(given, console, values.task)
    synthetic, told = supplied(data, synthetic, values, progress=console.progress)
    console.say(*told)
    kept = unfinished_training(given, console, values, data, synthetic)
    result = api.train(
        data, values, synthetic=synthetic, progress=console.progress, unfinished=kept
    )
    if given.report:
        from microshot.pages import training_page

        write_text(given.report, training_page(result, result.notes))
    return _finish(result, given, console, kept, {})


def retrain(given: argparse.Namespace, console: Console) -> int:
    """Adapt a model to a folder of labelled images."""
    from microshot import api
    from microshot.bundle import Bundle
    from microshot.learning.supplying import supplied
    from microshot.learning.verdict import more_images
    from microshot.tasks import task_named

    values = settings.RetrainSettings()
    if given.strategy is not None:
        values = dataclasses.replace(values, strategy=given.strategy)
    values = _learning_settings(values, given)
    _check_out(given)
    start = Bundle.load(given.model)
    data, synthetic = learning_data(given, console, start.card.task)
    synthetic, told = supplied(data, synthetic, values, start.card, console.progress)
    console.say(*told)
    kept = unfinished_training(given, console, values, data, synthetic, start)
    result = api.retrain(
        start, data, values, synthetic=synthetic, progress=console.progress, unfinished=kept
    )
    comparison = [
        {"name": e.sample.name, "old": e.old_scores, "new": e.scores} for e in result.comparison
    ]
    if given.report:
        from microshot.pages import retrain_page

        write_text(given.report, retrain_page(result, result.notes))
    advice = more_images(task_named(start.card.task), result.curve)
    extra = {
        "verdict": result.verdict,
        "kept": result.kept,
        "comparison": comparison,
        "learning_curve": [dataclasses.asdict(point) for point in result.curve],
        "advice": advice,
    }
    return _finish(result, given, console, kept, extra)
