"""The tables of `benchmarks/README.md` on translating."""

from __future__ import annotations

from itertools import product
from statistics import mean
from typing import TYPE_CHECKING, Any

from result_rows import rows_of, spread, table, values

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
#: What `--augmentation` asked for, and the number format of learning, as a reader calls them.
CHANGES = {"auto": "", "none": ", shapes as they are"}
PRECISIONS = {"bfloat16": "", "float32": ", in 32 bits", "": ""}


def translate() -> str:
    """Return one table per data set: scores of virtual stains by method."""
    rows, parts = rows_of("translate"), []
    for target, minutes in dict.fromkeys((r["target"], r["minutes"]) for r in rows):
        if not minutes:
            continue
        here = [r for r in rows if r["target"] == target and r["minutes"] in (0, minutes)]
        lines = []
        longer = sorted({r.get("pretraining", 0) for r in here})
        for cell in product(TRANSLATORS, CHANGES, longer, PRECISIONS):
            own = [r for r in here if _cell(r) == cell]
            name = _name(*cell)
            scores = [spread([r[key] for r in own]) for key in ("pearson", "ssim", "med_mae")]
            steps = "/".join(str(r["steps"]) for r in own if "steps" in r) or "–"
            lines += [[name, *scores, steps]] if own else []
        parts.append(f"**{target}**, {minutes:g} min, mean (range over seeds):\n")
        parts.append(table(["", "Pearson r", "SSIM", "medMAE", "steps"], lines) + "\n")
    return "\n".join(parts)


def _cell(row: Mapping[str, Any]) -> tuple[str, str, float, str]:
    """Return all that rows of one line of a table have in common."""
    return (
        row["method"],
        row["augmentation"],
        row.get("pretraining", 0),
        row.get("precision", ""),
    )


def _name(method: str, changes: str, pretraining: float, precision: str) -> str:
    """Return what a reader calls such rows; the usual minute of pretraining is not named."""
    longer = f" ({pretraining:g} min of them)" if pretraining > 1 else ""
    return TRANSLATORS[method] + CHANGES[changes] + longer + PRECISIONS[precision]


def translate_mirrored() -> str:
    """What looking at mirror images, too, brings to the same networks."""
    scores = {"pearson": "Pearson r", "ssim": "SSIM", "med_mae": "medMAE"}
    known = [row for row in rows_of("translate") if "mirrored" in row]
    places = [list(one) for one in (TRANSLATORS, CHANGES, PRECISIONS)]
    lines = []

    def order(row: Mapping[str, Any]) -> tuple[Any, ...]:
        method, changes, pretraining, precision = _cell(row)
        kinds = zip(places, (method, changes, precision), strict=True)
        return row["target"], row["minutes"], *(p.index(one) for p, one in kinds), pretraining

    for key in sorted(set(map(order, known))):
        own = [r for r in known if order(r) == key]
        lines.append(
            [
                f"{own[0]['target']}, {own[0]['minutes']:g} min: {_name(*_cell(own[0]))}",
                *(
                    f"{mean(r[key] for r in own):.3f} → **{mean(r['mirrored'][key] for r in own):.3f}**"
                    for key in scores
                ),
                str(len(own)),
            ]
        )
    heads = [f"{name}, as it is → mirror images, too" for name in scores.values()]
    return table(["", *heads, "seeds"], lines) if lines else "Not measured yet."


def stain_starts() -> str:
    """What virtual stains of four squares gain from their start, as many steps for all."""
    scores = {"pearson": "Pearson r", "ssim": "SSIM", "med_mae": "medMAE"}
    rows, lines = rows_of("stain_starters"), []
    for name in dict.fromkeys(r["start"] for r in rows):
        own = [r for r in rows if r["start"] == name and r["seed"] != "before"]
        before = values(rows, "pearson", start=name, seed="before")
        first = f"{before[0]:.3f}" if before else "–"
        lines.append([name, first, *(spread([r[key] for r in own]) for key in scores)])
    head = [
        "start",
        "Pearson r, not retrained",
        *(f"{name}, four squares" for name in scores.values()),
    ]
    return table(head, lines) if lines else "Not measured yet."


def translate_ablation() -> str:
    """What each part of the published trainings brings, after as much processor time."""
    rows, parts = rows_of("translate_ablation"), []
    keys = {
        "pearson": "Pearson r", "med_mae": "medMAE", "feature_error": "all features",
        "defects": "defects found", "missed": "missed nuclei",
    }  # fmt: skip
    for minutes, precision in dict.fromkeys((r["minutes"], r["precision"]) for r in rows):
        here = [r for r in rows if (r["minutes"], r["precision"]) == (minutes, precision)]
        lines = []
        for name in dict.fromkeys(r["variant"] for r in here):
            own = [r for r in here if r["variant"] == name]
            found = [[r[key] for r in own if key in r] for key in keys]
            steps = "/".join(str(r["steps"]) for r in own)
            lines.append([name, *(spread(values) if values else "–" for values in found), steps])
        parts.append(f"**{minutes:g} min{PRECISIONS[precision]}**, mean (range over seeds):\n")
        parts.append(table(["", *keys.values(), "steps"], lines) + "\n")
    return "\n".join(parts) if parts else "Not measured yet."


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
    "stain_starts": stain_starts,
    "translate_ablation": translate_ablation,
    "translate_memory": translate_memory,
}
