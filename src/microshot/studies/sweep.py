"""Every combination of some settings, trained and scored on the same images."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.progress import Progress, silent
from microshot.studies.jobs import Job, Material, enter, here
from microshot.studies.trials import Ledger, assigned, fingerprint, numbers, seeded
from microshot.tasks import task_named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from microshot.bundle import Bundle
    from microshot.data.dataset import Dataset
    from microshot.settings import RetrainSettings, TrainSettings
    from microshot.studies.jobs import Carry

#: Name of the model that all trainings start from.
START = "start"

#: More combinations are taken for a mistake.
MOST_COMBINATIONS = 500


def grid(values: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Return every combination of the values of each setting.

    >>> grid({"a": ["1", "2"], "b": ["x"]})
    [{'a': '1', 'b': 'x'}, {'a': '2', 'b': 'x'}]

    Raises
    ------
    ValueError
        If there are more than `MOST_COMBINATIONS`.
    """
    made = [
        dict(zip(values, combination, strict=True))
        for combination in itertools.product(*values.values())
    ]
    if len(made) > MOST_COMBINATIONS:
        raise ValueError(
            f"These values make {len(made)} combinations, expected at most {MOST_COMBINATIONS}; "
            "leave some out."
        )
    return made


def sweep(
    start: Bundle | None,
    data: Dataset,
    test: Dataset,
    settings: TrainSettings | RetrainSettings,
    values: Mapping[str, Sequence[str]],
    seeds: Sequence[int],
    path: Path,
    *,
    synthetic: Dataset | None = None,
    progress: Progress = silent,
    carry: Carry = here,
) -> Ledger:
    """Train with every combination of `values` and every seed; one row each goes to `path`.

    `carry` carries the trainings out, `jobs.here` or elsewhere. What the file holds already is not
    trained again. A training that fails has no row; the ledger's notes say why.

    Raises
    ------
    ValueError
        If a setting or value is not allowed (before anything is trained), the file was made from
        other images or settings, or all trainings fail.
    Cancelled
        If cancelled; what is done stays in the file.
    """
    combinations = grid(values)
    every = [(sets, assigned(settings, sets)) for sets in combinations]
    sets_of = (data, test, *([synthetic] if synthetic else []))
    base, model = dataclasses.asdict(settings), "" if start is None else start.card.id
    ledger = Ledger(path, fingerprint(sets_of, base, model, list(values)))
    n = len(every) * len(seeds)
    missing, jobs = [], []
    for index, (seed, (sets, chosen)) in enumerate(itertools.product(seeds, every)):
        cell: dict[str, Any] = {**sets, "random_seed": seed}
        if ledger.find(cell) is None:
            missing.append(cell)
            varied = [f"{key} = {text}" for key, text in sets.items() if len(values[key]) > 1]
            told = f"{', '.join((f'training {index + 1} of {n}', *varied))}: "
            own = seeded(chosen, seed)
            jobs.append(Job(told, own, None if start is None else START))
    models = {} if start is None else {START: start}
    rows = carry(Material(data, test, synthetic, models), jobs, progress)
    enter(ledger, missing, rows, n)
    return ledger


def summary(
    rows: Sequence[Mapping[str, str]], keys: Sequence[str], task: str
) -> list[dict[str, Any]]:
    """Return mean and spread over seeds of every combination, the best first."""
    judge = task_named(task)
    groups: dict[tuple[str, ...], list[Mapping[str, str]]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(k, "") for k in keys), []).append(row)
    made = []
    for values, own in groups.items():
        found = numbers(own, judge.primary)
        if found:
            row = {"settings": ", ".join(f"{k} = {v}" for k, v in zip(keys, values, strict=True))}
            spread = {"mean": float(np.mean(found)), "least": min(found), "greatest": max(found)}
            made.append({**row, "seeds": len(found), **spread})
    return sorted(made, key=lambda row: row["mean"], reverse=judge.larger_is_better)
