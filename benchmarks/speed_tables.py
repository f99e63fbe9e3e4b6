"""The tables of `benchmarks/README.md` on time and memory, and the figure of how they grow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from growth import exponents
from growth_cases import CASES
from measuring import RESULTS
from result_rows import rows_of, spread, table
from threads import WAYS

from microshot.report.plot import WIDTH, Canvas, Frame, legend, logarithmic
from microshot.report.style import QUIET, SERIES
from microshot.report.wording import number

if TYPE_CHECKING:
    from collections.abc import Callable

#: Programs of `predict_speed.py` in the order of the table, as a reader calls them.
PREDICTORS = {
    "stardist": "StarDist 0.9.2, TensorFlow",
    "onnx": "ours, ONNX Runtime",
    "torch": "ours, PyTorch",
    "half": "ours, PyTorch in bfloat16",
}


def predict_speed() -> str:
    """Time, memory and how often as fast as StarDist, by network and threads."""
    lines = []
    for r in sorted(rows_of("predict_speed"), key=lambda r: (r["side"], r["threads"])):
        network = {"default": "default", "same": "StarDist's, same weights"}[r["network"]]
        own = "StarDist's" if r["program"] == "stardist" else network
        times = f"{r['cpu_ms']:.0f}", f"{r['wall_ms']:.0f}", spread(r["ratios"])
        speed = f"{r['gigaflops']:.0f} of {r['matrix_gigaflops']:.0f}"
        rest = f"{r['peak_mb']}", speed, f"{r['objects']}"
        case = f"{r['side']}², {r['threads']} thread{'s' * (r['threads'] > 1)}"
        if r.get("processor"):
            case += f", {r['processor']}"
        lines.append([case, PREDICTORS[r["program"]], own, *times, *rest])
    head = ["", "", "network", "processor ms", "clock ms", "times as fast as StarDist", "peak MB"]
    return (
        table([*head, "GFLOP/s of those of a matrix product", "objects"], lines)
        if lines
        else "Not measured yet."
    )


def startup() -> str:
    """Seconds from the start of a process."""
    rows, lines = rows_of("startup"), []
    for key, name in {"nodes": "all nodes, ready to be configured", **PREDICTORS}.items():
        own = [r[key] for r in rows if key in r]
        if not own:
            continue
        cpu, wall = ([r[k] for r in own] for k in ("cpu_s", "wall_s"))
        lines.append([name, spread(cpu), spread(wall)])
    head = ["until the first prediction", "processor s", "clock s, busy machine"]
    return table(head, lines) if rows else "Not measured yet."


def growth() -> str:
    """Time and memory by size of the work with their exponents, and the figure."""
    rows, lines, drawn = rows_of("growth"), [], {}
    for key, case in CASES.items():
        own = sorted((r for r in rows if r["case"] == key), key=lambda r: r["x"])
        if len(own) < 2:
            continue
        drawn[case.name] = [(r["x"], r["processor_s"]) for r in own]
        slope, last = exponents(drawn[case.name])
        over = " · ".join(number(r["x"], 2) for r in own)
        seconds = " · ".join(number(r["processor_s"], 2) for r in own)
        memory = " · ".join(number(r["more_mb"]) for r in own)
        lines.append([case.name, f"{over} {case.x}", seconds, f"**{slope:.2f}**", f"{last:.2f}",
                      memory])  # fmt: skip
    if not lines:
        return "Not measured yet."
    draw_growth(drawn)
    head = ["work", "from … to", "processor s", "exponent", "of the last step", "more memory, MB"]
    return table(head, lines) + "\n\n![Growth](results/growth.svg)"


def draw_growth(series: dict[str, list[tuple[float, float]]]) -> None:
    """Draw times against sizes, both relative to the least size, on logarithmic axes."""
    relative = {
        name: [(x / points[0][0], y / points[0][1]) for x, y in points]
        for name, points in series.items()
    }
    every = [p for points in relative.values() for p in points]
    canvas = Canvas(WIDTH, 420, "Time against size of the work, relative to the least size")
    look = [
        (SERIES[i % len(SERIES)], "4 3" if i >= len(SERIES) else "") for i in range(len(series))
    ]
    items = [("dash" if dash else "line", colour, name)
             for (colour, dash), name in zip(look, series, strict=True)]  # fmt: skip
    top = legend(canvas, 0, 16, [*items, ("dash", QUIET, "as the work grows")]) + 34
    canvas.height = top + 320
    x, y = logarithmic([p[0] for p in every]), logarithmic([p[1] for p in every])
    frame = Frame(canvas, 64, top, WIDTH - 12, canvas.height - 46, x, y)
    frame.y_axis("processor time, times that of the least size")
    frame.x_axis("size of the work, times the least size")
    end = min(x.high, y.high)
    canvas.path([frame.at(1, 1), frame.at(end, end)], QUIET, 1.5, "2 4")
    for (colour, dash), points in zip(look, relative.values(), strict=True):
        canvas.path([frame.at(*p) for p in points], colour, 2.2, dash)
        for p in points:
            canvas.dot(*frame.at(*p), colour, 3.5)
    (RESULTS / "growth.svg").write_text(canvas.svg() + "\n", encoding="utf-8")


#: Programs of `train_speed.py` as a reader calls them.
TRAINERS = {
    "stardist": PREDICTORS["stardist"],
    "microshot": "ours, PyTorch in bfloat16",
    "float32": "ours, PyTorch in 32 bits",
}


def train_speed() -> str:
    """Time of a training step, and how much of it goes into drawing the batch."""
    lines = []
    for r in rows_of("train_speed"):
        case = f"{r['threads']} thread{'s' * (r['threads'] > 1)}"
        times = f"{r['cpu_ms']:.0f}", f"{r['wall_ms']:.0f}", spread(r["ratios"])
        rest = f"{100 * r['data_part']:.0f} %", f"{r['peak_mb']:.0f}"
        lines.append([case, TRAINERS[r["program"]], *times, *rest])
    head = ["", "", "processor ms per step", "clock ms", "times as fast as StarDist",
            "drawing the batch", "peak MB"]  # fmt: skip
    return table(head, lines) if lines else "Not measured yet."


def threads() -> str:
    """How long a step takes by the way threads wait, and the same in parts of one thread's time."""
    rows, lines = rows_of("threads"), []
    for busy in (False, True):
        for kind in dict.fromkeys(r["kind"] for r in rows):
            own = [r for r in rows if r["kind"] == kind and r["busy"] == busy]
            times = [float(np.median([r["ms"] for r in own if r["way"] == way])) for way in WAYS]
            cells = [f"{ms:.0f} ms, {ms / times[0]:.2f}" for ms in times]
            lines.append(["one core busy" if busy else "idle cores", kind, *cells])
    head = ["", "", "one thread", "two, asleep when idle", "two, spinning a while", "chosen"]
    return table(head, lines) if lines else "Not measured yet."


def large_image() -> str:
    """Time and memory of one large image, block by block and as a whole."""
    lines = []
    for r in sorted(rows_of("large_image"), key=lambda r: (r["side"], r["way"])):
        way = "block by block" if r["way"] == "blocks" else "as a whole"
        network = r["processor_s_until_end_of"].get("network")
        lines.append([f"{r['side']}²", way, f"{r['objects']}", number(r["processor_s"], 2),
                      "–" if network is None else number(network, 2), f"{r['peak_mb']}",
                      f"{r['mb_left_on_disk']:.1f}"])  # fmt: skip
    head = ["px", "", "objects", "processor s", "until the network was done", "peak MB",
            "MB on disk for resuming"]  # fmt: skip
    return table(head, lines) if lines else "Not measured yet."


#: Number of a part of `gpu.py` that is to reach the target, how it is written, and what is better.
GOALS = {
    "schedule_min": ("{:.1f} min", "<"), "epoch_s": ("{:.2f} s per epoch", "<"),
    "mpx_per_s": ("{:.0f} Mpx/s", ">"), "f1": ("F1 {:.4f}", "≥"), "seconds": ("{:.0f} s", "<"),
    "step_ms": ("{:.1f} ms per step", "<"), "batch_ms": ("{:.1f} ms per batch", "<"),
}  # fmt: skip


def gpu() -> str:
    """All numbers of a graphics card beside what is hoped for."""
    lines = []
    for r in rows_of("gpu"):
        key = next(k for k in GOALS if k in r)
        written, sign = GOALS[key]
        data = f"{100 * r['data_ms'] / r['step_ms']:.0f} %" if "step_ms" in r else "–"
        found, wish = written.format(r[key]), f"{sign} {r['target']:g}"
        lines.append([r["device"], r["part"], found, wish, data, f"{r['peak_mb']}"])
    head = ["", "", "measured", "hoped for", "drawing a batch, of a step", "peak MB"]
    return table(head, lines) if lines else "Not measured yet: no graphics card was at hand."


PARTS: dict[str, Callable[[], str]] = {
    "predict_speed": predict_speed,
    "threads": threads,
    "startup": startup,
    "growth": growth,
    "train_speed": train_speed,
    "large_image": large_image,
    "gpu": gpu,
}
