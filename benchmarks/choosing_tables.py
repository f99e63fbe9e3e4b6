"""The tables of `benchmarks/README.md` on which images to label and which model to use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from result_rows import rows_of, spread, table, values
from verdict_rules import lines as rule_lines
from verdict_rules import per_image

from microshot.learning.verdict import LEAST_GAIN, LEAST_PART, is_better
from microshot.tasks import task_named

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from result_rows import Row


#: Criteria of `suggest.py` as a reader calls them.
CRITERIA = {"random": "at random", "both": "unsure and different", "unsure": "unsure",
            "different": "different"}  # fmt: skip


def suggest() -> str:
    """Return scores after retraining on four images, by how these were chosen."""
    rows = rows_of("suggest")
    parts = []
    for data, score, label in (
        ("count_bf_suspension", "mae", "MAE"), ("usiigaci_phc", "f1", "F1"),
    ):  # fmt: skip
        here = [r for r in rows if r["data"] == data]
        lines = [
            [name, spread(values(here, score, criterion=key))] for key, name in CRITERIA.items()
        ]
        parts.append(f"**{data}**:\n\n" + table(["four images chosen", label], lines))
    return "\n\n".join(parts)


def safe_retrain(name: str = "safe_retrain") -> str:
    """Return how often the verdict agrees with the truth, by data set and way to retrain."""
    rows = rows_of(name)
    lines = []
    for data, way in dict.fromkeys((r["data"], _way(r)) for r in rows):
        here = [Verdict.of(r) for r in rows if (r["data"], _way(r)) == (data, way)]
        lines.append([data, way, *_agreement(here)])
    if lines:
        lines.append(["**all**", "", *_agreement([Verdict.of(r) for r in rows])])
    head = ["", "retraining", "true gain of the new model", "told to use it", "agrees with the truth",
            "worst gain of the model passed on",
            "worst gain of the new one"]  # fmt: skip
    return table(head, lines) if lines else "Not measured yet."


def _way(row: Row) -> str:
    """Return how was retrained, and in which number format unless in 32 bits."""
    half = row.get("precision") == "bfloat16"
    return f"{row['way']}, in bfloat16" if half else row["way"]


def verdict_rules() -> str:
    """Return how often rules for the verdict are right."""
    head = ["score", "use the new model on", "agrees", "worse model passed on",
            "true gains taken", "verdicts"]  # fmt: skip
    made = rule_lines(rows_of("safe_retrain"))
    return table(head, made) if made else "Not measured yet."


def threshold_rules() -> str:
    """Return what rules for thresholds gain over the best on the images that set them."""
    rows = rows_of("threshold_rules")
    if not rows:
        return "Not measured yet."
    sizes, lines = sorted({row["n"] for row in rows}), []
    reference, *rules = rows[0]["f1"]
    for rule in rules:
        gains = {
            n: [r["f1"][rule] - r["f1"][reference] for r in rows if r["n"] == n] for n in sizes
        }
        every = [gain for some in gains.values() for gain in some]
        cells = [f"{np.mean(some):+.4f}" for some in gains.values()]
        lines.append([rule, *cells, f"{min(every):+.4f}", f"{sum(g >= 0 for g in every)}"])
    head = [f"{n} images" for n in sizes]
    return table(["threshold", *head, "worst of all", f"no worse, of {len(rows)}"], lines)


@dataclass(frozen=True)
class Verdict:
    """One verdict and the truth, as gains: of F1, or of MAE as part of the old one."""

    use: bool
    gain: float
    least: float

    @classmethod
    def of(cls, row: Row) -> Verdict:
        """Judge the left-out images of a row anew, by the rule as it is."""
        loo, truth = (
            {model: per_image(row[part][model]) for model in ("old", "new")}
            for part in ("loo", "truth")
        )
        segments = "f1" in loo["old"][0]
        task = task_named("segment" if segments else "count")
        old, new = (task.summarize(truth[k])[task.primary] for k in ("old", "new"))
        gain = new - old if segments else (old - new) / old
        least = LEAST_GAIN if segments else LEAST_PART
        return cls(is_better(task, loo["old"], loo["new"]), gain, least)

    @property
    def agrees(self) -> bool:
        """Whether the better model was chosen; either will do where they differ by less."""
        return abs(self.gain) < self.least or self.use == (self.gain > 0)


def _agreement(made: Sequence[Verdict]) -> list[str]:
    """Return the cells of some verdicts."""
    gains, passed = [v.gain for v in made], [v.gain if v.use else 0.0 for v in made]
    return [
        f"{np.mean(gains):+.2f} ({min(gains):+.2f} to {max(gains):+.2f})",
        f"{sum(v.use for v in made)} of {len(made)}",
        f"{sum(v.agrees for v in made)} of {len(made)}",
        f"{min(passed):+.2f}",
        f"{min(gains):+.2f}",
    ]


#: By the name of their marker in the README.
PARTS: dict[str, Callable[[], str]] = {
    "suggest": suggest,
    "safe_retrain": safe_retrain,
    "safe_retrain_today": lambda: safe_retrain("safe_retrain_today"),
    "threshold_rules": threshold_rules,
    "verdict_rules": verdict_rules,
}
