"""The table of `benchmarks/README.md` on how fast to learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from result_rows import rows_of, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from result_rows import Row

SCORES = {"segment": ("f1", "F1"), "count": ("mae", "MAE"), "translate": ("pearson", "Pearson r")}
METHODS = {
    "scratch": "from scratch",
    "retrained": "retrained",
    "density": "from scratch",
    "density, starter": "retrained",
    "unet": "all, from scratch",
    "four, after generated": "four squares, retrained",
}
#: What makes a training the same but for its rate and its seed.
NAMES = ("task", "data", "n_images", "method", "minutes")
#: The rate at which the other benchmarks of outlines and stains were measured.
FORMER = 1e-3


def learning_rates() -> str:
    """Return scores by learning rate, one line per training measured at two rates or more."""
    rows = rows_of("learning_rates")
    measured = {(_cell(row), row["rate"]) for row in rows}
    cells, drawn = {_cell(row) for row in rows}, {(_cell(row), row["seed"]) for row in rows}
    rows += [
        row for row in _elsewhere()
        if (_cell(row), row["seed"]) in drawn and (_cell(row), FORMER) not in measured
    ]  # fmt: skip
    rates = sorted({row["rate"] for row in rows})
    order = list(SCORES)
    lines = []
    for cell in sorted(cells, key=lambda cell: (order.index(cell[0]), *cell[1:])):
        task, data, n_images, method, minutes = cell
        here = [row for row in rows if _cell(row) == cell]
        if len({row["rate"] for row in here}) < 2:
            continue
        what = f"{data}, {n_images} images" if n_images else data
        score, label = SCORES[task]
        found = [_written([r for r in here if r["rate"] == rate], score) for rate in rates]
        lines.append([what, f"{METHODS[method]}, {minutes:g} min", label, *found])
    return table(["", "", "score", *(f"{rate:g}" for rate in rates)], lines)


def _cell(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in NAMES)


def _elsewhere() -> list[Row]:
    """Return what the benchmarks of four images and of stains measured at the former rate.

    Of stains, what learned from crops whose shapes stayed as they are, as all rates here did.
    """
    four = [r for r in rows_of("four_images") if r["source"] in ("", "synthetic")]
    stains = [r for r in rows_of("translate") if r["augmentation"] == "none"]
    return [
        {**r, "task": task, "data": r["target"], "n_images": n, "rate": FORMER}
        for task, n, found in (("segment", 4, four), ("translate", 0, stains))
        for r in found
    ]


def _written(rows: list[Row], score: str) -> str:
    """Return the mean of a score and how many seeds it is of."""
    if not rows:
        return ""
    return f"{sum(row[score] for row in rows) / len(rows):.3f} ({len(rows)})"


#: By the name of their marker in the README.
PARTS: dict[str, Callable[[], str]] = {"learning_rates": learning_rates}
