"""Writes the tables and the figure of `benchmarks/README.md` from the files in `results/`.

    python benchmarks/tables.py

Between two marker comments of the README the text is replaced; the rest is written by hand.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import reliability_tables
import speed_tables
import trust_tables
from verdict_rules import lines as rule_lines
from verdict_rules import per_image

from microshot.learning.verdict import LEAST_GAIN, LEAST_PART, is_better
from microshot.report.figures import BudgetSeries, budget_curves
from microshot.tasks import task_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
Row = dict[str, Any]
#: Published on another split of the same images: StarDist's example notebook.
STARDIST = {"f1": 0.910, "accuracy": 0.835, "panoptic_quality": 0.771}


def rows_of(name: str) -> list[Row]:
    """Return the rows of a result file; none where it was not measured."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else []


def spread(values: Sequence[float]) -> str:
    """Write mean and range over seeds."""
    if not values:
        return "not measured"
    if len(values) == 1:
        return f"{values[0]:.3f} (1 seed)"
    return f"**{np.mean(values):.3f}** ({min(values):.3f} to {max(values):.3f})"


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    parts = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    parts += ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join(parts)


def f1(rows: Sequence[Row], **wanted: Any) -> list[float]:
    """Return F1 of the rows with these values."""
    return [r["f1"] for r in rows if all(r.get(k) == v for k, v in wanted.items())]


def name_of(row: Row) -> str:
    """Return a method as the tables call it."""
    if row["method"] == "scratch":
        return "from scratch"
    return f"{row['method']}, {row['source']}"


def four_images() -> str:
    """One table per target: methods down, budgets across; and the curves as a figure."""
    rows, parts = rows_of("four_images"), []
    for target in dict.fromkeys(r["target"] for r in rows):
        here = [r for r in rows if r["target"] == target]
        budgets = sorted({r["minutes"] for r in here} - {0.0})
        methods = {name_of(r): {"method": r["method"], "source": r["source"]} for r in here}
        lines = []
        for name, key in sorted(methods.items()):
            at = [0.0] * len(budgets) if key["method"] == "pretrained only" else budgets
            lines.append([name, *(spread(f1(here, **key, minutes=m)) for m in at)])
        n = here[0]["n_scored"]
        parts.append(f"**{target}**, F1 on the {n} other images, mean (range over seeds):\n")
        parts.append(table(["", *(f"{m:g} min" for m in budgets)], lines) + "\n")
        parts.append(f"![Curves](results/four_images_{target}.svg)\n")
        draw(here, methods, budgets, target)
    return "\n".join(parts)


def draw(rows: Sequence[Row], methods: dict[str, Row], budgets: list[float], target: str) -> None:
    """Write the curves of one target."""
    series = []
    for name, key in methods.items():
        found = [
            f1(rows, **key, minutes=0.0 if key["method"] == "pretrained only" else m)
            for m in budgets
        ]
        known = [(m, v) for m, v in zip(budgets, found, strict=True) if v]
        series.append(
            BudgetSeries(
                name,
                [m for m, _ in known],
                [float(np.mean(v)) for _, v in known],
                [min(v) for _, v in known],
                [max(v) for _, v in known],
            )
        )
    svg = budget_curves(series, "F1", "range over seeds", "minutes of processor time")
    (RESULTS / f"four_images_{target}.svg").write_text(svg, encoding="utf-8")


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
    same = [r for r in rows_of("four_images") if r["target"] == target and r["seed"] in seeds]

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
            f"{r['minutes']:g} min of one core, seed {r['seed']}, rescale {r['rescale']}",
            *(f"{r[k]:.3f}" for k in STARDIST),
        ]
        for r in rows
    ]
    published = ["StarDist's notebook, 400 epochs, another split", *map(str, STARDIST.values())]
    return table(["", "F1", "accuracy", "panoptic quality"], [*lines, published])


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
    for scratch in (r for r in rows if r["method"] == "from scratch"):
        case = {key: scratch[key] for key in ("pair", "n_labelled", "seed")}
        tried = [r for r in rows if r["method"] != "from scratch" and case.items() <= r.items()]
        good = [r["steps"] for r in tried if r["mae"] <= scratch["mae"]]
        reached = f"{min(good)}" if good else "not reached"
        start, steps = f"{scratch['mae']:.3f}", f"{scratch['steps']}"
        lines.append([*map(str, case.values()), start, steps, reached])
    head = ["pair", "counted", "seed", "MAE from scratch", "its steps", "steps of retraining"]
    return table(head, lines) if lines else "Not measured yet."


def values(rows: Sequence[Row], score: str, **wanted: Any) -> list[float]:
    """Return a score of the rows with these values."""
    return [r[score] for r in rows if wanted.items() <= r.items()]


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


def translate() -> str:
    """Return one table per data set: scores of virtual stains by method."""
    rows, parts = rows_of("translate"), []
    for target in dict.fromkeys(r["target"] for r in rows):
        here = [r for r in rows if r["target"] == target]
        lines = []
        for method, name in TRANSLATORS.items():
            own = [r for r in here if r["method"] == method]
            scores = [spread([r[key] for r in own]) for key in ("pearson", "ssim", "med_mae")]
            steps = "–" if method == "regression" else "/".join(str(r["steps"]) for r in own)
            lines += [[name, *scores, steps]] if own else []
        minutes = max(r["minutes"] for r in here)
        parts.append(f"**{target}**, {minutes:g} min, mean (range over seeds):\n")
        parts.append(table(["", "Pearson r", "SSIM", "medMAE", "steps"], lines) + "\n")
    return "\n".join(parts)


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


def synthetic_fit() -> str:
    """Distances of synthetic images from real ones, mean and range over seeds."""
    rows, names = rows_of("synthetic_fit"), ("preset", "followed", "fitted", "real", "seconds")
    lines = []
    for name in dict.fromkeys(r["set"] for r in rows):
        here = [r for r in rows if r["set"] == name]
        seconds = f"{np.mean([r['seconds'] for r in here]):.0f} s"
        lines.append([name, *(spread([r[k] for r in here]) for k in names[:-1]), seconds])
    head = ["", "kind of images alone", "background, size, contrast follow", "look fitted too"]
    return table([*head, "real images among themselves", "fit takes"], lines)


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


def safe_retrain() -> str:
    """Return how often the verdict agrees with the truth, by data set and way to retrain."""
    rows = rows_of("safe_retrain")
    lines = []
    for data, way in dict.fromkeys((r["data"], r["way"]) for r in rows):
        here = [Verdict.of(r) for r in rows if (r["data"], r["way"]) == (data, way)]
        lines.append([data, way, *_agreement(here)])
    if lines:
        lines.append(["**all**", "", *_agreement([Verdict.of(r) for r in rows])])
    head = ["", "retraining", "true gain of the new model", "told to use it", "agrees with the truth",
            "worst gain of the model passed on",
            "worst gain of the new one"]  # fmt: skip
    return table(head, lines) if lines else "Not measured yet."


def verdict_rules() -> str:
    """Return how often rules for the verdict are right."""
    head = ["score", "use the new model on", "agrees", "worse model passed on",
            "true gains taken", "verdicts"]  # fmt: skip
    made = rule_lines(rows_of("safe_retrain"))
    return table(head, made) if made else "Not measured yet."


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


def starters() -> str:
    """The models that come with the extension."""
    heads = {"f1": "F1", "mae": "MAE", "pearson": "Pearson r"}
    lines = []
    for row in rows_of("starters"):
        key = next(k for k in heads if k in row)
        size = f"{row['bytes'] / 1e6:.1f} MB"
        images = f"{row['n_test']} × {row['images']}"
        lines.append(
            [row["model"], images, f"{heads[key]} {row[key]:.3f}", str(row["steps"]), size]
        )
    return table(("model", "tested on", "score", "steps", "file"), lines)


PARTS: dict[str, Callable[[], str]] = {
    "four_images": four_images,
    "ablation": ablation,
    "dsb2018": dsb2018,
    "counting": counting,
    "speed": speed,
    "transfer": transfer,
    "strategies": strategies,
    "synthetic_ratio": synthetic_ratio,
    "convergence": convergence,
    "translate": translate,
    "translate_ablation": translate_ablation,
    "synthetic_fit": synthetic_fit,
    "suggest": suggest,
    "safe_retrain": safe_retrain,
    "verdict_rules": verdict_rules,
    **trust_tables.PARTS,
    **speed_tables.PARTS,
    "starters": starters,
    **reliability_tables.PARTS,
}


def main() -> None:
    """Replace every marked part of the README."""
    path = HERE / "README.md"
    text = path.read_text(encoding="utf-8")
    for name, make in PARTS.items():
        pattern = re.compile(rf"<!-- {name} -->\n.*?<!-- end -->", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f'{path}: the markers of the table "{name}" are missing.')
        start, end = f"<!-- {name} -->\n", "\n<!-- end -->"
        text = pattern.sub((start + make() + end).replace("\\", r"\\"), text)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
