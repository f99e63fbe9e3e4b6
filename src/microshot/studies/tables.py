"""From the rows of studies and sweeps to their pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microshot.report.learning_figures import Curve, learning_curves
from microshot.report.page import callout, figure, notes_list, page, section, table
from microshot.report.record_views import recorded
from microshot.report.wording import score_of
from microshot.studies.study import SCRATCH
from microshot.tasks import task_named
from microshot.words import form

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: From this p value on, a difference may be chance.
LEVEL = 0.05
#: Lesser p values are said to be less.
LEAST_SHOWN = 0.001
_LESS = f"< {LEAST_SHOWN:g}"
STUDY = {
    "n_images": "Labelled images",
    "start": "Start",
    "repeats": "Repeats",
    "mean": "Mean",
    "sd": "Standard deviation",
    "least": "Least",
    "greatest": "Greatest",
    "difference": "Against random start",
    "p": "p (Welch)",
}
SWEEP = {
    "settings": "Settings",
    "mean": "Mean",
    "least": "Least",
    "greatest": "Greatest",
    "seeds": "Seeds",
}


def study_curve(rows: Sequence[Mapping[str, Any]], task: str) -> str:
    """Draw the summary of a study as one SVG element, the random start first."""
    starts = dict.fromkeys([SCRATCH, *(r["start"] for r in rows)])
    curves = [
        Curve(
            start,
            [
                (r["n_images"], r["mean"], r["least"], r["greatest"])
                for r in rows
                if r["start"] == start
            ],
        )
        for start in starts
    ]
    label = score_of(task_named(task).primary).label
    return learning_curves(curves, label, "least to greatest of all repeats")


def study_sentence(rows: Sequence[Mapping[str, Any]], task: str) -> str:
    """Say with how many images pretraining helps for certain."""
    judge = task_named(task)
    tested = [r for r in rows if r.get("p") is not None]
    sure = [r for r in tested if r["p"] < LEVEL and judge.improvement(r["difference"]) > 0]
    worse = [r for r in tested if r["p"] < LEVEL and judge.improvement(r["difference"]) < 0]
    if not tested and any("difference" in r and r["repeats"] > 1 for r in rows):
        return "All repeats have the same score, so that no test can tell differences from chance."
    if not tested:
        return "Too few repeats to tell differences from chance: give two or more."
    parts = [
        _said(start, word, [r for r in group if r["start"] == start])
        for word, group in (("better", sure), ("worse", worse))
        for start in dict.fromkeys(r["start"] for r in group)
    ]
    if not parts:
        return "No difference from the random start is more than chance may make (Welch's test)."
    return "Against the random start: " + "; ".join(parts) + "."


def _said(start: str, word: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Say with how many images a start is better or worse: ``a is better with 2 and 5 images …``."""
    sizes, greatest = [str(r["n_images"]) for r in rows], max(r["p"] for r in rows)
    listed = " and ".join(part for part in (", ".join(sizes[:-1]), sizes[-1]) if part)
    images = form(rows[-1]["n_images"], "image") if len(rows) == 1 else "images"
    compared = "=" if len(rows) == 1 else "≤"
    sign = _LESS if greatest < LEAST_SHOWN else f"{compared} {greatest:.2g}"
    return f"{start} is {word} with {listed} {images} (p {sign})"


def study_page(
    rows: Sequence[Mapping[str, Any]],
    task: str,
    record: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> str:
    """Return the page of a study; `record` says where it comes from (see `provenance.record`)."""
    label = score_of(task_named(task).primary).label
    body = [
        callout(study_sentence(rows, task)),
        notes_list(notes),
        section("Learning curves", figure(study_curve(rows, task))),
        section(f"{label} on the images set aside", table(STUDY, rows, formats=_formats(STUDY))),
        *recorded(record),
    ]
    return page("How many labelled images?", body, subtitle=f"task {task}")


def sweep_page(
    rows: Sequence[Mapping[str, Any]],
    task: str,
    record: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> str:
    """Return the page of a sweep; `rows` are its summary, the best first, `record` as of a study."""
    label = score_of(task_named(task).primary).label
    said = f"Best {label} on the images set aside: {rows[0]['settings'] or 'as given'}."
    body = [
        callout(said),
        notes_list(
            [
                "The best of many is better by chance, too: check it on images that were not "
                "used here.",
                *notes,
            ]
        ),
        section(f"{label}, the best first", table(SWEEP, rows, formats=_formats(SWEEP))),
        *recorded(record),
    ]
    return page("Settings compared", body, subtitle=f"task {task}")


def _formats(columns: Mapping[str, str]) -> dict[str, Any]:
    names = ("mean", "sd", "least", "greatest", "difference")
    return {name: _number for name in names if name in columns} | {"p": _chance}


def _number(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


def _chance(p: float) -> str:
    return _number(p) if p >= LEAST_SHOWN else _LESS
