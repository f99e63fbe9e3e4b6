"""The verbs that train many times: study and sweep."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from microshot import settings
from microshot.cli.commands import (
    DONE,
    UsageError,
    checked,
    learning_data,
    with_sets,
)
from microshot.cli.tables import write_csv, write_text
from microshot.knobs import assign

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from microshot.cli.console import Console

RUNS, SUMMARY, REPORT, CURVE = "runs.csv", "summary.csv", "report.html", "curves.svg"


def study(given: argparse.Namespace, console: Console) -> int:
    """Compare pretrained and random start with more and more labelled images."""
    from microshot.bundle import Bundle
    from microshot.studies import study as studies
    from microshot.studies.tables import study_curve, study_page, study_sentence
    from microshot.studies.trials import set_aside

    models = {path.stem: Bundle.load(path) for path in given.model}
    task = next(iter(models.values())).card.task
    if len(models) < len(given.model) or any(m.card.task != task for m in models.values()):
        raise UsageError("--model: expected models of one task with different file names.")
    scratch, pretrained = _both(given, task)
    data, synthetic = learning_data(given, console, task)
    own, test = set_aside(task, data, given.test_fraction, scratch.training.seed)
    sizes = studies.sizes_of(given.sizes, len(own))
    console.say(
        f"{len(test)} images are set aside to score on; {', '.join(map(str, sizes))} of the other "
        f"{len(own)} are trained on."
    )
    plan = studies.Plan(sizes, given.repeats, scratch, pretrained, scratch.training.seed)
    path = given.out / RUNS
    ledger = studies.study(
        models, own, test, plan, path, synthetic=synthetic, progress=console.progress
    )
    rows = studies.summary(ledger.rows, task)
    write_csv(given.out / SUMMARY, rows, tuple(dict.fromkeys(k for row in rows for k in row)))
    write_text(given.out / CURVE, study_curve(rows, task))
    write_text(given.out / REPORT, study_page(rows, task))
    said = study_sentence(rows, task)
    values = {"out": str(given.out), "summary": rows, "verdict": said}
    console.result(values, [*map(_line, rows), said, f"Written to {given.out}."])
    return DONE


def _line(row: dict[str, Any]) -> str:
    p = row.get("p")
    told = "" if p is None else f", p = {p:.2g}"
    return f"{row['n_images']} images, {row['start']}: {row['mean']:.3f}{told}"


def _both(
    given: argparse.Namespace, task: str
) -> tuple[settings.TrainSettings, settings.RetrainSettings]:
    """Return the settings of both starts; ``--set`` holds for those that know the setting."""
    scratch = settings.TrainSettings(task=task, preset=given.preset)
    pretrained = settings.RetrainSettings(check="none")
    made: list[Any] = []
    known = dict.fromkeys(given.set, 0)
    for values in (scratch, pretrained):
        changed = _common(values, given)
        for one in given.set:
            key, separator, text = one.partition("=")
            if not separator:
                raise UsageError(f'--set "{one}": expected KEY=VALUE.')
            if _knows(values, key.strip()):
                known[one] += 1
                changed = with_sets(changed, [f"{key}={text}"])
        made.append(checked(changed))
    unknown = next((one for one, n in known.items() if not n), None)
    if unknown is not None:
        with_sets(scratch, [unknown])  # says what there is
    return made[0], made[1]


def _knows(values: Any, key: str) -> bool:
    try:
        assign(values, key, "?")
    except ValueError as error:
        return "is not a setting" not in str(error)
    return True


def _common(values: Any, given: argparse.Namespace) -> Any:
    training = values.training
    if given.seed is not None:
        training = dataclasses.replace(training, seed=given.seed)
    if given.device is not None:
        training = dataclasses.replace(training, device=given.device)
    return dataclasses.replace(values, minutes=given.minutes, training=training)


def sweep(given: argparse.Namespace, console: Console) -> int:
    """Train with every combination of some settings."""
    from microshot.bundle import Bundle
    from microshot.studies import sweep as sweeps
    from microshot.studies.tables import sweep_page
    from microshot.studies.trials import set_aside

    start = None if given.model is None else Bundle.load(given.model)
    task = given.task if start is None else start.card.task
    values: Any = settings.RetrainSettings(check="none")
    if start is None:
        values = settings.TrainSettings(task=task, preset=given.preset)
    values = checked(_common(values, given))
    grid = _grid(given.set)
    for key, texts in grid.items():
        for text in texts:
            with_sets(values, [f"{key}={text}"])
    data, synthetic = learning_data(given, console, task)
    own, test = set_aside(task, data, given.test_fraction, values.training.seed)
    console.say(f"Training on {len(own)} images, scoring on the {len(test)} others.")
    seeds = [values.training.seed + i for i in range(given.repeats)]
    ledger = sweeps.sweep(
        start, own, test, values, grid, seeds, given.out / RUNS, synthetic=synthetic,
        progress=console.progress,
    )  # fmt: skip
    rows = sweeps.summary(ledger.rows, list(grid), task)
    write_csv(given.out / SUMMARY, rows)
    write_text(given.out / REPORT, sweep_page(rows, task))
    lines = [f"{row['mean']:.3f}  {row['settings']}" for row in rows]
    console.result({"out": str(given.out), "summary": rows}, [*lines, f"Written to {given.out}."])
    return DONE


def _grid(given: Sequence[str]) -> dict[str, list[str]]:
    """Read ``--set key=a,b,c`` options."""
    made: dict[str, list[str]] = {}
    for one in given:
        key, separator, text = one.partition("=")
        values = [part.strip() for part in text.split(",") if part.strip()]
        if not separator or not values:
            raise UsageError(f'--set "{one}": expected KEY=VALUE,VALUE,…')
        if key.strip() in ("seed", "training.seed"):
            raise UsageError("--set seed: seeds go up from --seed; give their number as --repeats.")
        made[key.strip()] = list(dict.fromkeys(values))
    return made
