"""The tables and figures of `benchmarks/README.md` on segmenting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from measuring import RESULTS
from result_rows import rows_of, spread, table

from microshot.report.learning_figures import Curve, Spent, learning_curves
from microshot.report.wording import number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from result_rows import Row


#: Published on another split of the same images: StarDist's example notebook.
STARDIST = {"f1": 0.910, "accuracy": 0.835, "panoptic_quality": 0.771}


#: How rows of `four_images.py` were learned, by their number format.
LEARNED = {
    "bfloat16": "as networks learn today: at 0.003, in bfloat16",
    "float32": "as they did at first: at 0.001, in 32 bits",
}


MINUTES = Spent("training time", "minutes of processor time", lambda m: f"after {number(m)} min", 0)


def f1(rows: Sequence[Row], **wanted: Any) -> list[float]:
    """Return F1 of the rows with these values."""
    return [r["f1"] for r in rows if all(r.get(k) == v for k, v in wanted.items())]


def name_of(row: Row) -> str:
    """Return a method as the tables call it."""
    if row["method"] == "scratch":
        return "from scratch"
    return f"{row['method']}, {row['source']}"


def four_images() -> str:
    """One table per target and way of learning: methods down, budgets across; curves of several."""
    rows, parts = rows_of("four_images"), []
    kinds = dict.fromkeys((r["target"], r["precision"]) for r in rows)
    for target, precision in sorted(kinds):
        here = [r for r in rows if (r["target"], r["precision"]) == (target, precision)]
        budgets = sorted({r["minutes"] for r in here} - {0.0})
        methods = {name_of(r): {"method": r["method"], "source": r["source"]} for r in here}
        lines = []
        for name, key in sorted(methods.items()):
            at = [0.0] * len(budgets) if key["method"] == "pretrained only" else budgets
            lines.append([name, *(spread(f1(here, **key, minutes=m)) for m in at)])
        n = here[0]["n_scored"]
        how = LEARNED[precision]
        parts.append(f"**{target}**, F1 on the {n} other images, mean (range over seeds), {how}:\n")
        parts.append(table(["", *(f"{m:g} min" for m in budgets)], lines) + "\n")
        if len(budgets) > 1:
            figure = f"four_images_{target}_{precision}.svg"
            parts.append(f"![Curves](results/{figure})\n")
            draw(here, methods, budgets, figure)
    return "\n".join(parts)


def draw(rows: Sequence[Row], methods: dict[str, Row], budgets: list[float], figure: str) -> None:
    """Write the curves of one target."""
    curves = []
    for name, key in methods.items():
        found = [
            f1(rows, **key, minutes=0.0 if key["method"] == "pretrained only" else m)
            for m in budgets
        ]
        known = [(m, v) for m, v in zip(budgets, found, strict=True) if v]
        points = [(m, float(np.mean(v)), min(v), max(v)) for m, v in known]
        curves.append(Curve(name, points))
    svg = learning_curves(curves, "F1", "range over seeds", spent=MINUTES)
    (RESULTS / figure).write_text(svg, encoding="utf-8")


def ablation() -> str:
    """What changes when one part of pretraining or retraining is changed, one table per target."""
    rows = rows_of("four_images_ablation")
    targets = dict.fromkeys(r["target"] for r in rows)
    return "\n\n".join(ablation_of(t, rows) for t in sorted(targets, reverse=True))


def ablation_of(target: str, every: Sequence[Row]) -> str:
    """Return the table of one target; the recommended way is taken with the same seeds."""
    rows = [r for r in every if r["target"] == target]
    minutes = max(r["minutes"] for r in rows)
    seeds = sorted({r["seed"] for r in rows})
    same = [
        r
        for r in rows_of("four_images")
        if r["target"] == target and r["seed"] in seeds and r["precision"] == rows[0]["precision"]
    ]

    def line(name: str, kept: Sequence[Row], source: str) -> list[str]:
        before = f1(kept, method="pretrained only", source=source)
        after = f1(kept, method="retrained", source=source, minutes=minutes)
        return [name, spread(before), spread(after)]

    changed = dict.fromkeys(r["source"] for r in rows if r["method"] == "retrained")
    strategies = dict.fromkeys(r["method"] for r in rows if r["source"] == "synthetic")
    lines = [
        *(line(f"**{s}, as recommended**", same, s) for s in ("synthetic", "dsb2018_fluo")),
        *(line(source, rows, source) for source in changed),
        *(
            [f"synthetic, retrained with *{way}*", "", spread(f1(rows, method=way))]
            for way in strategies
        ),
    ]
    which = ", ".join(map(str, seeds))
    caption = f"**{target}**, {minutes:g} min, seed {which}, F1 on the other images:\n\n"
    return caption + table(["pretraining", "not retrained", "retrained"], lines)


def dsb2018() -> str:
    """Full training next to the published figure."""
    rows = rows_of("dsb2018")
    lines = [
        [
            f"{r['minutes']:g} min of one core, seed {r['seed']}, learning rate {r['learning_rate']:g}",
            *(f"{r[k]:.3f}" for k in STARDIST),
        ]
        for r in rows
    ]
    published = ["StarDist's notebook, 400 epochs, another split", *map(str, STARDIST.values())]
    return table(["", "F1", "accuracy", "panoptic quality"], [*lines, published])


#: By the name of their marker in the README.
PARTS: dict[str, Callable[[], str]] = {
    "four_images": four_images,
    "ablation": ablation,
    "dsb2018": dsb2018,
}
