"""The tables of `benchmarks/README.md` on translating."""

from __future__ import annotations

from itertools import product
from statistics import mean
from typing import TYPE_CHECKING, Any

from result_rows import rows_of, spread, table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


#: Methods of `translate.py` in the order of the table, as a reader calls them.
TRANSLATORS = {
    "regression": "each pixel from the planes at that pixel, linear",
    "unet": "U-Net, *fast* (what *Automatic* takes)",
    "dense": "Dense U-Net, *fast*",
    "nuclei, small": "published for nuclei, half as wide",
    "lipids, small": "published for lipids, half as wide",
    "cytoplasm, small": "published for cytoplasm, half as wide",
    "four, scratch": "four squares, from scratch",
    "four, after generated": "four squares, after generated stacks",
    "four, after other": "four squares, after another set",
}
#: What `--augmentation` asked for, as a reader calls it. Rows with *lines* were measured when crops
#: were turned and resized by straight lines between the pixels.
CHANGES = {
    "auto": "", "lines": ", changed by lines", "none": ", shapes as they are",
    "shapes, lines": ", which were changed by lines, too",
}  # fmt: skip


def translate() -> str:
    """Return one table per data set: scores of virtual stains by method."""
    rows, parts = rows_of("translate"), []
    for target, minutes in dict.fromkeys((r["target"], r["minutes"]) for r in rows):
        if not minutes:
            continue
        here = [r for r in rows if r["target"] == target and r["minutes"] in (0, minutes)]
        lines = []
        longer = sorted({r.get("pretraining", 0) for r in here})
        for method, how, pretraining in product(TRANSLATORS, CHANGES, longer):
            cell = (method, how, pretraining)
            own = [
                r for r in here if (r["method"], r["augmentation"], r.get("pretraining", 0)) == cell
            ]
            name = TRANSLATORS[method] + CHANGES[how]
            name += _longer(pretraining)
            scores = [spread([r[key] for r in own]) for key in ("pearson", "ssim", "med_mae")]
            steps = "–" if method == "regression" else "/".join(str(r["steps"]) for r in own)
            lines += [[name, *scores, steps]] if own else []
        parts.append(f"**{target}**, {minutes:g} min, mean (range over seeds):\n")
        parts.append(table(["", "Pearson r", "SSIM", "medMAE", "steps"], lines) + "\n")
    return "\n".join(parts)


def _longer(minutes: float) -> str:
    """Say how long a start was learned; nothing of the usual minute."""
    return f" ({minutes:g} min of them)" if minutes > 1 else ""


def translate_mirrored() -> str:
    """What looking at mirror images, too, brings to the same networks."""
    scores = {"pearson": "Pearson r", "ssim": "SSIM", "med_mae": "medMAE"}
    known = [row for row in rows_of("translate") if "mirrored" in row]
    lines = []

    def cell_of(row: Mapping[str, Any]) -> tuple[str, float, str, float]:
        return row["target"], row["minutes"], row["method"], row.get("pretraining", 0)

    def order(cell: tuple[str, float, str, float]) -> tuple[str, float, int, float]:
        target, minutes, method, pretraining = cell
        return target, minutes, list(TRANSLATORS).index(method), pretraining

    for cell in sorted(set(map(cell_of, known)), key=order):
        own = [r for r in known if cell_of(r) == cell]
        target, minutes, method, pretraining = cell
        lines.append(
            [
                f"{target}, {minutes:g} min: {TRANSLATORS[method]}{_longer(pretraining)}",
                *(
                    f"{mean(r[key] for r in own):.3f} → **{mean(r['mirrored'][key] for r in own):.3f}**"
                    for key in scores
                ),
                str(len(own)),
            ]
        )
    heads = [f"{name}, as it is → mirror images, too" for name in scores.values()]
    return table(["", *heads, "seeds"], lines) if lines else "Not measured yet."


def translate_ablation() -> str:
    """What each part of the published trainings brings."""
    rows = rows_of("translate_ablation")
    keys = {
        "pearson": "Pearson r", "med_mae": "medMAE", "feature_error": "all features",
        "defects": "defects found", "missed": "missed nuclei",
    }  # fmt: skip
    lines = []
    for name in dict.fromkeys(r["variant"] for r in rows):
        own = [r for r in rows if r["variant"] == name]
        found = [[r[key] for r in own if key in r] for key in keys]
        lines.append([name, *(spread(values) if values else "–" for values in found)])
    return table(["", *keys.values()], lines) if lines else "Not measured yet."


def translate_memory() -> str:
    """What one large stack takes."""
    lines = [
        [
            r["network"],
            f"{r['parameters']:,}",
            str(r["peak_mb"]),
            str(r["mb_before"]),
            f"{r['seconds']:.0f}",
        ]
        for r in rows_of("translate_memory")
    ]
    return table(["", "parameters", "peak, MiB", "before it begins, MiB", "processor s"], lines)


#: By the name of their marker in the README.
PARTS: dict[str, Callable[[], str]] = {
    "translate": translate,
    "translate_mirrored": translate_mirrored,
    "translate_ablation": translate_ablation,
    "translate_memory": translate_memory,
}
