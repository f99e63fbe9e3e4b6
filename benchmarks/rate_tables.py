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


def learning_rates() -> str:
    """Return scores by learning rate, one line per training."""
    rows = rows_of("learning_rates")
    rates = sorted({row["rate"] for row in rows})
    names = ("task", "data", "n_images", "method", "minutes")
    order = list(SCORES)
    cells = sorted(
        {tuple(row[name] for name in names) for row in rows},
        key=lambda cell: (order.index(cell[0]), *cell[1:]),
    )
    lines = []
    for cell in cells:
        task, data, n_images, method, minutes = cell
        here = [row for row in rows if tuple(row[name] for name in names) == cell]
        what = f"{data}, {n_images} images" if n_images else data
        score, label = SCORES[task]
        found = [_written([r for r in here if r["rate"] == rate], score) for rate in rates]
        lines.append([what, f"{METHODS[method]}, {minutes:g} min", label, *found])
    return table(["", "", "score", *(f"{rate:g}" for rate in rates)], lines)


def _written(rows: list[Row], score: str) -> str:
    """Return the mean of a score and how many seeds it is of."""
    if not rows:
        return ""
    return f"{sum(row[score] for row in rows) / len(rows):.3f} ({len(rows)})"


#: By the name of their marker in the README.
PARTS: dict[str, Callable[[], str]] = {"learning_rates": learning_rates}
