"""How the score grows with the number of labelled images, pretrained and from a random start.

References
----------
.. [1] Welch 1947, doi:10.1093/biomet/34.1-2.28 (test of two means with unequal variances).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.progress import Progress, silent
from microshot.studies.jobs import Job, Material, enter, here
from microshot.studies.trials import Ledger, fingerprint, numbers, seeded
from microshot.tasks import task_named
from microshot.words import form, how_many

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from microshot.bundle import Bundle
    from microshot.data.dataset import Dataset
    from microshot.settings import RetrainSettings, TrainSettings
    from microshot.studies.jobs import Carry

SCRATCH = "random start"


@dataclass(frozen=True)
class Plan:
    """What a study compares."""

    sizes: tuple[int, ...]
    repeats: int
    scratch: TrainSettings
    pretrained: RetrainSettings
    seed: int = 42

    def __post_init__(self) -> None:
        """Refuse what cannot be compared."""
        if not self.sizes or min(self.sizes) < 1:
            raise ValueError(
                f"Sizes: expected numbers of images from 1 on, found {list(self.sizes)}."
            )
        if self.repeats < 1:
            raise ValueError(f"Repeats: expected at least 1, found {self.repeats}.")


def sizes_of(text: str, n: int) -> tuple[int, ...]:
    """Read ``2,5,10,full``: the sizes that `n` images allow; ``full`` stands for all.

    Raises
    ------
    ValueError
        If a part is no number, or `n` images allow none of them.
    """
    found = set()
    for part in text.split(","):
        word = part.strip()
        if word != "full" and not (word.isdecimal() and int(word) > 0):
            raise ValueError(
                f'Sizes "{text}": expected numbers of images or "full", separated by commas, found '
                f'"{word}".'
            )
        found.add(n if word == "full" else int(word))
    possible = tuple(sorted(size for size in found if size <= n))
    if not possible:
        raise ValueError(
            f'Sizes "{text}": {form(n, "there is", "there are")} only {how_many(n, "image")} to train '
            "on; give smaller sizes."
        )
    return possible


def study(
    models: Mapping[str, Bundle],
    data: Dataset,
    test: Dataset,
    plan: Plan,
    path: Path,
    *,
    synthetic: Dataset | None = None,
    progress: Progress = silent,
    carry: Carry = here,
) -> Ledger:
    """Train with every size, repeat and start, and write one row per training to `path`.

    `carry` carries the trainings out, `jobs.here` or elsewhere. Every repeat draws other images and
    another seed; smaller draws are part of larger ones, and all starts get the same images. What
    the file holds already is not trained again. A training that fails has no row; the ledger's notes
    say why.

    Raises
    ------
    ValueError
        If the file was made from other images or settings, or all trainings fail.
    Cancelled
        If cancelled; what is done stays in the file.
    """
    ids = {name: bundle.card.id for name, bundle in models.items()}
    settings = [dataclasses.asdict(plan.scratch), dataclasses.asdict(plan.pretrained), plan.seed]
    made_from = fingerprint((data, test, *([synthetic] if synthetic else [])), ids, *settings)
    ledger = Ledger(path, made_from)
    cells = [
        {"start": start, "n_images": size, "repeat": repeat}
        for repeat in range(1, plan.repeats + 1)
        for size in plan.sizes
        for start in (SCRATCH, *models)
    ]
    missing = [cell for cell in cells if ledger.find(cell) is None]
    jobs = [_job(cell, plan, len(data)) for cell in missing]
    rows = carry(Material(data, test, synthetic, models), jobs, progress)
    enter(ledger, missing, rows, len(cells))
    return ledger


def _job(cell: Mapping[str, Any], plan: Plan, n: int) -> Job:
    """Return the training of one row on some of `n` images."""
    told = f"{cell['start']}, {how_many(cell['n_images'], 'image')}, repeat {cell['repeat']}: "
    seed = plan.seed + cell["repeat"]
    order = np.random.default_rng(seed).permutation(n)[: cell["n_images"]]
    first = cell["start"] == SCRATCH
    values = seeded(plan.scratch if first else plan.pretrained, seed)
    return Job(told, values, None if first else cell["start"], tuple(sorted(order.tolist())))


def summary(rows: Sequence[Mapping[str, str]], task: str) -> list[dict[str, Any]]:
    """Return mean, spread and Welch's test against the random start, by size and start."""
    key = task_named(task).primary
    made = []
    for size in sorted({int(row["n_images"]) for row in rows}):
        here = [row for row in rows if int(row["n_images"]) == size]
        base = numbers([row for row in here if row["start"] == SCRATCH], key)
        for start in dict.fromkeys(row["start"] for row in rows):
            own = numbers([row for row in here if row["start"] == start], key)
            if not own:
                continue
            row: dict[str, Any] = {
                "n_images": size,
                "start": start,
                "repeats": len(own),
                "mean": float(np.mean(own)),
                "sd": float(np.std(own, ddof=1)) if len(own) > 1 else None,
                "least": min(own),
                "greatest": max(own),
            }
            if start != SCRATCH and base:
                row["difference"] = row["mean"] - float(np.mean(base))
                row["p"] = welch(own, base)
            made.append(row)
    return made


def welch(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return the two-sided p value of Welch's t-test; None where it says nothing.

    That is with fewer than two values on a side, or without any spread.
    """
    if min(len(a), len(b)) < 2 or (np.ptp(a) == 0 and np.ptp(b) == 0):
        return None
    from scipy.stats import ttest_ind_from_stats  # ttest_ind warns where one side is constant

    sides = [(np.mean(side), np.std(side, ddof=1), len(side)) for side in (a, b)]
    result: Any = ttest_ind_from_stats(*sides[0], *sides[1], equal_var=False)
    return float(result.pvalue)
