"""The tables of `benchmarks/README.md` on counting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from result_rows import rows_of, spread, table, values

if TYPE_CHECKING:
    from collections.abc import Callable

#: Trainings from scratch of `count_transfer.py`, and the retrainings that are held against them.
SCRATCH = {
    "from scratch": ("transfer",),
    "density": ("density, starter", "density, transfer"),
}


def counting() -> str:
    """Errors of counts after few labelled images."""
    rows = rows_of("counting_vgg")
    lines = []
    for n in sorted({r["n_labelled"] for r in rows}):
        here = [r for r in rows if r["n_labelled"] == n]
        for method in dict.fromkeys(r["method"] for r in here):
            own = [r for r in here if r["method"] == method]
            covered = [r["coverage"] for r in own if "coverage" in r]
            mae, mre = ([r[key] for r in own] for key in ("mae", "mre"))
            name = "always the mean" if method == "constant" else f"density, {method}"
            lines.append(
                [f"{n}", name, spread(mae), spread(mre), spread(covered) if covered else "–"]
            )
    return table(["images", "", "MAE", "relative error", "inside 80 % interval"], lines)


def speed() -> str:
    """What an image costs per epoch in the published data path and in ours."""
    rows = rows_of("count_speed")

    def line(name: str, *keys: str) -> list[str]:
        return [name, *(spread([r[key] for r in rows]) if key else "–" for key in keys)]

    lines = [
        line("published, opened from files", "loading_published_from_files", ""),
        line("published, images in memory", "loading_published", "full_published"),
        line("ours", "loading_ours", "full_ours"),
        line("published, from files / ours", "loading_ratio_from_files", ""),
        line("published, in memory / ours", "loading_ratio", "full_ratio"),
    ]
    return table(["ms per image, one thread", "loading and changing", "with the network"], lines)


def transfer() -> str:
    """Methods down, numbers of counted images across, one table per pair and score."""
    rows, parts = rows_of("count_transfer"), []
    for pair in dict.fromkeys(r["pair"] for r in rows):
        here = [r for r in rows if r["pair"] == pair]
        shots = sorted({(r["n_labelled"], r["minutes"]) for r in here})
        for score, label in (("mae", "MAE"), ("accuracy", "exact accuracy"), ("mre", "MRE")):
            lines = [
                [
                    name,
                    *(
                        spread(values(here, score, method=name, n_labelled=n, minutes=minutes))
                        for n, minutes in shots
                    ),
                ]
                for name in dict.fromkeys(r["method"] for r in here)
            ]
            n = here[0]["n_scored"]
            parts.append(f"**{pair}**, {label} on {n} images of the new technique:\n")
            parts.append(table(["", *(f"{n} counted, {m:g} min" for n, m in shots)], lines) + "\n")
    return "\n".join(parts) or "Not measured yet."


def counter_starts() -> str:
    """What a counter gains from its start, as many steps for all."""
    rows, lines = rows_of("counter_starters"), []
    shots = sorted({r["n_labelled"] for r in rows})
    for pair in dict.fromkeys(r["pair"] for r in rows):
        for name in dict.fromkeys(r["start"] for r in rows):
            mae = {n: values(rows, "mae", pair=pair, start=name, n_labelled=n) for n in shots}
            before = f"{mae[0][0]:.3f}" if mae[0] else "–"
            if not any(mae.values()):
                continue
            lines.append([pair, name, before, *(spread(mae[n]) for n in shots if n)])
    heads = ["MAE, not retrained", *(f"MAE, {n} counted" for n in shots if n)]
    return table(["", "start", *heads], lines) if lines else "Not measured yet."


def intervals() -> str:
    """Part of true counts inside intervals, over random splits."""
    lines = [
        [
            r["set"],
            f"{r['n_calibration']} of {r['n_images']}",
            f"{r['level']:.0%}",
            f"**{r['coverage']:.3f}** ({r['least']:.3f} to {r['most']:.3f})",
            f"{r['width']:.1f}",
        ]
        for r in rows_of("count_intervals")
    ]
    head = ["images", "calibrated on", "interval", "holds the true count", "median width"]
    return table(head, lines) if lines else "Not measured yet."


def strategies() -> str:
    """The four ways to retrain, the best first, as in the paper's figure 10."""
    names = ["transfer", *(f"transfer, {s}" for s in ("frozen core", "frozen outer", "thawing"))]
    rows = [r for r in rows_of("count_transfer") if r["method"] in names]
    lines = []
    for pair in dict.fromkeys(r["pair"] for r in rows):
        here = [r for r in rows if r["pair"] == pair]
        own = {name: values(here, "mae", method=name) for name in names}
        ranked = sorted((name for name in names if own[name]), key=lambda n: float(np.mean(own[n])))
        lines += [
            [pair, name, spread(own[name]), spread(values(here, "accuracy", method=name))]
            for name in ranked
        ]
    head = ["pair", "all numbers of counted images", "MAE", "exact accuracy"]
    return table(head, lines) if lines else "Not measured yet."


def synthetic_ratio() -> str:
    """Errors against synthetic images per microscope image, as in the paper's figure 12."""
    rows = rows_of("count_transfer_synthetic_ratio")
    ratios = sorted({r["synthetic_ratio"] for r in rows})
    lines = [
        [
            pair,
            name,
            *(
                spread(values(rows, "mae", pair=pair, method=name, synthetic_ratio=r))
                for r in ratios
            ),
        ]
        for pair, name in dict.fromkeys((r["pair"], r["method"]) for r in rows)
    ]
    return (
        table(["pair", "MAE of", *map("{:g}".format, ratios)], lines)
        if lines
        else "Not measured yet."
    )


def convergence() -> str:
    """Steps of a retraining until it counts as well as a training from scratch at its end."""
    rows, lines = rows_of("count_transfer_convergence"), []
    for scratch in (r for r in rows if r["method"] in SCRATCH):
        case = {key: scratch[key] for key in ("pair", "n_labelled", "seed")}
        for name in SCRATCH[scratch["method"]]:
            tried = [r for r in rows if r["method"] == name and case.items() <= r.items()]
            good = [r for r in tried if r["mae"] <= scratch["mae"]]
            first = min(good, key=lambda r: r["steps"], default=None)
            reached = f"{first['steps']} ({first['mae']:.3f})" if first else "not reached"
            start, steps = f"{scratch['mae']:.3f}", f"{scratch['steps']}"
            lines += [[*map(str, case.values()), name, start, steps, reached]] if tried else []
    head = ["pair", "counted", "seed", "", "MAE from scratch", "its steps", "steps of retraining"]
    return table(head, lines) if lines else "Not measured yet."


PARTS: dict[str, Callable[[], str]] = {
    "counting": counting,
    "intervals": intervals,
    "speed": speed,
    "transfer": transfer,
    "counter_starts": counter_starts,
    "strategies": strategies,
    "synthetic_ratio": synthetic_ratio,
    "convergence": convergence,
}
