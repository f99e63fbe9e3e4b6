"""The tables of `benchmarks/README.md` on generated images and the models that come along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from result_rows import rows_of, spread, table

if TYPE_CHECKING:
    from collections.abc import Callable

#: What a reader must know of images by the name that result files give them.
KNOWN = {"StarDist's example image": "StarDist's example image (learned from, without its noise)"}
#: The default of *Predict*.
AGREED = "found once where images agree"
EACH = "found in each image"


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


def starters() -> str:
    """The models that come with the extension."""
    heads = {"f1": "F1", "mae": "MAE", "pearson": "Pearson r"}
    lines = []
    shipped_first = sorted(rows_of("starters"), key=lambda row: "," in row["model"])
    for row in shipped_first:
        key = next(k for k in heads if k in row)
        images = f"{row['n_test']} × {KNOWN.get(row['images'], row['images'])}"
        outlines = f"{row['panoptic_quality']:.3f}" if "panoptic_quality" in row else "–"
        score = f"{heads[key]} {row[key]:.3f}"
        size = f"{row['bytes'] / 1e6:.1f} MB"
        pace = str(row.get("cpu_ms_per_mpx", "–"))
        lines.append([row["model"], images, score, outlines, pace, str(row["steps"]), size])
    head = [
        "model",
        "tested on",
        "score",
        "panoptic quality",
        "processor ms per Mpx",
        "steps",
        "file",
    ]
    return table(head, lines)


def mirrored() -> str:
    """What helps the starter of fluorescent nuclei without training it again."""
    rows = rows_of("mirrored")
    if not rows:
        return "Not measured yet."
    names = ("f1", "panoptic_quality", "average_precision")
    sets = list(dict.fromkeys(row["images"] for row in rows))
    rows.sort(key=lambda row: sets.index(row["images"]))
    lines = [
        [
            f"{row['n']} × {KNOWN.get(row['images'], row['images'])}",
            row["way"],
            *(f"{row[name]:.3f}" for name in names),
        ]
        for row in rows
    ]
    head = ["images", "nuclei-fluorescence-fast", "F1", "panoptic quality", "AP 0.50-0.95"]
    return table(head, lines)


def object_sizes() -> str:
    """Whether models for objects of any size find out how large they are."""
    rows, lines = rows_of("object_sizes"), []
    if not rows:
        return "Not measured yet."
    ways = tuple(dict.fromkeys(row["way"] for row in rows))
    for model, images in dict.fromkeys((row["model"], row["images"]) for row in rows):
        here = {r["way"]: r for r in rows if (r["model"], r["images"]) == (model, images)}
        found = here.get(EACH)
        if found is None:
            continue
        own = [f"{here[way]['f1']:.3f}" if way in here else "–" for way in ways]
        right = [f"{100 * found[k]:.0f} %" for k in ("within_half_an_octave", "an_octave_off")]
        seconds = [f"{here[way]['cpu_ms_per_mpx']}" for way in ("told", AGREED, EACH)]
        shown = f"{found['n']} × {KNOWN.get(images, images)}"
        lines.append([model, shown, *own, *right, ", ".join(seconds)])
    right = [
        "size found in each off by half an octave at most",
        "by one or more",
        "processor ms per Mpx: told, found where they agree, in each",
    ]
    return table(["model", "images", *(f"F1, size {way}" for way in ways), *right], lines)


def counter_sizes() -> str:
    """Whether the size of objects can be found for a counter."""
    rows, lines = rows_of("counter_sizes"), []
    if not rows:
        return "Not measured yet."
    ways = tuple(dict.fromkeys(row["way"] for row in rows))
    for images in dict.fromkeys(row["images"] for row in rows):
        here = {row["way"]: row for row in rows if row["images"] == images}
        agreed = here[AGREED]
        own = [f"{here[way]['mae']:.2f}" if way in here else "–" for way in ways]
        seconds = [
            f"{here[way]['cpu_ms_per_mpx']}" for way in ways if way in here and way != "told"
        ]
        size = " to ".join(f"{px:.3g}" for px in sorted({*agreed["size_px"][::2]}))
        counted = [f"{agreed['n']} × {images}", f"{agreed['mean_count']:.0f}"]
        lines.append([*counted, *own, size, ", ".join(seconds)])
    heads = [f"MAE, size {way}" for way in ways]
    right = [
        "px found where they agree, else in each (80 % of images)",
        "processor ms per Mpx, in this order without told",
    ]
    return table(["images", "objects in each", *heads, *right], lines)


def newcomer() -> str:
    """The steps from the clone to the first result."""
    rows = rows_of("newcomer")
    if not rows:
        return "Not measured yet."
    lines = [
        [r["step"], f"{r['wall_s']:.0f} s", f"{r['cpu_s']:.0f} s", f"{r['disk_mb']:.0f} MB"]
        for r in rows
    ]
    known = ("step", "wall_s", "cpu_s", "disk_mb")
    scores = [f"{name} {v:.2f}" for name, v in rows[-1].items() if name not in known]
    last = f"\n\nF1 on images no model has seen: {', '.join(scores)}." if scores else ""
    return table(("step", "clock", "processor", "on the disk after it"), lines) + last


#: By the name of their marker in the README.
PARTS: dict[str, Callable[[], str]] = {
    "synthetic_fit": synthetic_fit,
    "starters": starters,
    "mirrored": mirrored,
    "object_sizes": object_sizes,
    "counter_sizes": counter_sizes,
    "newcomer": newcomer,
}
