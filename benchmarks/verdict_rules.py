"""Rules for the verdict of Retrain, compared on the images set aside in `results/safe_retrain.json`.

    python benchmarks/verdict_rules.py

Nothing is trained: every two models of a data set and seed are taken for the old and the retrained
one, four images are drawn, and a rule says from these whether the second is better on the others.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.learning.verdict import LEAST_GAIN, LEAST_PART, gain, is_better, standard_error
from microshot.tasks import task_named

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from microshot.tasks.base import Scores, Task

N_DRAWN, DRAWS, LEAST_IMAGES = 4, 25, 15


def least(task: Task, old: Sequence[Scores]) -> float:
    """Return the least gain that matters."""
    if task.larger_is_better:
        return LEAST_GAIN
    return LEAST_PART * task.summarize(old)[task.primary]


def errors(n: float) -> Callable[[Task, Any, Any], bool]:
    """Return the rule that asks for a gain that matters and is above n standard errors."""
    return lambda task, old, new: (
        gain(task, old, new) > max(least(task, old), n * standard_error(task, old, new))
    )


RULES: dict[str, Callable[[Task, Any, Any], bool]] = {
    "any gain": lambda task, old, new: gain(task, old, new) > 0,
    "a gain that matters": errors(0),
    "and above half a standard error": errors(0.5),
    "and above one standard error": errors(1),
    "as it is: above half a standard error and most images agree": is_better,
}


def per_image(columns: dict[str, str]) -> list[dict[str, float]]:
    """Return the scores of every image from texts with those of all images."""
    numbers = {name: [float(one) for one in text.split()] for name, text in columns.items()}
    rows = [dict(zip(numbers, one, strict=True)) for one in zip(*numbers.values(), strict=True)]
    for row in rows:
        if "count" in row:
            row["mae"] = abs(round(row["count"]) - row["true_count"])
    return rows


def models(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, int], dict[str, list[Any]]]:
    """Return the scores of every model on the images set aside, by data set and seed."""
    found: dict[tuple[str, int], dict[str, list[Any]]] = {}
    for row in rows:
        here = found.setdefault((row["data"], row["seed"]), {})
        here["usual start" if row["way"] == "usual" else "good start"] = per_image(
            row["truth"]["old"]
        )
        here[f"after {row['way']}"] = per_image(row["truth"]["new"])
    return {k: v for k, v in found.items() if len(next(iter(v.values()))) >= LEAST_IMAGES}


@dataclass
class Tally:
    """How often a rule was right, and what it did where it was not."""

    n: int = 0
    agrees: int = 0
    harmful: int = 0
    gains: int = 0
    taken: int = 0

    def add(self, true_gain: float, tolerance: float, *, use: bool) -> None:
        """Count one verdict."""
        self.n += 1
        self.agrees += abs(true_gain) <= tolerance or use == (true_gain > 0)
        self.harmful += use and true_gain < -tolerance
        self.gains += true_gain > tolerance
        self.taken += use and true_gain > tolerance


def compared(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Tally]]:
    """Return a tally per rule, of objects and of counts."""
    made = {kind: {name: Tally() for name in RULES} for kind in ("F1", "MAE")}
    rng = np.random.default_rng(0)
    for (data, _), here in models(rows).items():
        task = task_named("count" if data.startswith("count") else "segment")
        for old, new in itertools.permutations(here.values(), 2):
            for _ in range(DRAWS):
                order = rng.permutation(len(old)).tolist()
                four, rest = order[:N_DRAWN], order[N_DRAWN:]
                before, after = ([model[i] for i in four] for model in (old, new))
                others = [[model[i] for i in rest] for model in (old, new)]
                truth, tolerance = gain(task, *others), least(task, others[0])
                for name, rule in RULES.items():
                    use = rule(task, before, after)
                    made[task.primary_label][name].add(truth, tolerance, use=use)
    return made


def lines(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return the cells of a table: score, rule, agreement, harm, gains that were taken."""
    return [
        [
            score, name, f"{t.agrees / t.n:.1%}", f"{t.harmful / t.n:.1%}",
            f"{t.taken / max(t.gains, 1):.0%}", f"{t.n}",
        ]
        for score, rules in compared(rows).items()
        for name, t in rules.items()
        if t.n
    ]  # fmt: skip


def main() -> None:
    """Print the comparison."""
    path = Path(__file__).resolve().parent / "results" / "safe_retrain.json"
    for line in lines(json.loads(path.read_text(encoding="utf-8"))["rows"]):
        print(" | ".join(line))


if __name__ == "__main__":
    main()
