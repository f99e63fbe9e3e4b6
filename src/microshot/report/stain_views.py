"""What is shown after predicted stains were compared with measured ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.report import stains, wording
from microshot.report.card_parts import glossary
from microshot.report.page import (
    Markup,
    callout,
    folded,
    notes_list,
    page,
    paragraph,
    section,
    table,
)
from microshot.report.pictures import Example, Panel, View, gallery
from microshot.report.score_views import images_of
from microshot.report.training_views import worst_first
from microshot.report.wording import is_number, score_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Colours of a predicted stain that is too dark and too bright by the range of the measured one;
#: told apart by colour-blind readers, too.
TOO_DARK, TOO_BRIGHT = (33, 102, 172), (178, 24, 43)
#: Measurements in sight; the others are behind a fold.
_WORST = 10
_HEADS = {"stain": "Stain", "prediction": "Prediction"}


def stain_score_view(
    summary: Sequence[Mapping[str, Any]] = (),
    rows: Sequence[Mapping[str, Any]] = (),
    examples: Sequence[Example] = (),
    notes: Sequence[str] = (),
    features: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    last: Sequence[Markup] = (),
) -> str:
    """Return the page that compares predicted stains with measured ones.

    Parameters
    ----------
    summary : one row per prediction: ``Stain``, ``Prediction`` and the means of the scores.
    rows : one per image and prediction: ``Image``, ``Stain``, ``Prediction`` and scores.
    examples : one per image and prediction, with `target` and `translated` of one stain whose
        name is that of the prediction; images are shown worst first.
    notes : warnings, one sentence each.
    features : rows ``Feature``, ``Measured``, ``Predicted``, ``Error`` of what was measured on the
        stains, worst first, by what the names of the predictions end with.
    last : parts behind all others.
    """
    summary, rows = [wording.by_key(r) for r in summary], [wording.by_key(r) for r in rows]
    keys = list(wording.PER_STAIN)
    overall = [*keys, *(["feature_score"] if features else [])]
    heads = {key: score_of(key).label for key in keys}
    measured = {str(r["prediction"]): str(r["stain"]) for r in summary}
    each = _means(rows)
    told = (
        "Difference: blue where the prediction is too dark, red where it is too bright, full colour "
        "where it is wrong by the range of the measured stain."
    )
    body = [
        callout(" ".join(verdicts)) if (verdicts := _verdicts(summary)) else Markup(""),
        notes_list(notes),
        section(
            "All images together",
            table(
                _HEADS | {"n_images": "Images"} | {k: score_of(k).label for k in overall}, summary,
                formats=wording.writers(overall, summary), empty="Nothing was scored.",
                caption="Means over the images.",
            ),
            glossary(overall),
        ),
        *(_features(ending, table_) for ending, table_ in (features or {}).items() if table_),
        section(
            "Images, worst first",
            paragraph(told, quiet=True) if examples else "",
            gallery(
                worst_first("translate", examples, each),
                lambda example, view: _panels(example, view, measured),
                per_example=3,
                of=len(rows),
                what="images" if len(measured) < 2 else "predicted stains",
            ),
        ),
        section(
            "Scores per image",
            table({"name": "Image"} | _HEADS | heads, rows, formats=wording.writers(keys, rows)),
        ),
        *last,
    ]  # fmt: skip
    return page("Predicted against measured stains", body, subtitle=images_of(rows))


def _features(ending: str, rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Return what was measured: the worst in sight, all behind a fold."""
    heads = {"Feature": "Measurement", "Measured": "Measured stain", "Predicted": "Predicted",
             "Error": "Error"}  # fmt: skip
    shown = table(heads, rows[:_WORST], caption="Means over the images; the worst first.")
    rest = folded(f"All {len(rows)} measurements", table(heads, rows))
    title = "What an analysis would measure"
    return section(
        f"{title}: {ending.strip('()')}" if ending else title, shown, rest if rows[_WORST:] else ""
    )


def _means(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the mean correlation of all stains of every image."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if is_number(row.get("pearson")):
            found.setdefault(str(row["name"]), []).append(float(row["pearson"]))
    return [{"name": name, "pearson": float(np.mean(values))} for name, values in found.items()]


def _verdicts(summary: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say of every stain how good its prediction is, or which of several is best."""
    lines = []
    for stain in dict.fromkeys(row.get("stain") for row in summary):
        own = [r for r in summary if r.get("stain") == stain and is_number(r.get("pearson"))]
        own.sort(key=lambda r: -float(r["pearson"]))
        texts = [wording.score_text("pearson", r["pearson"]) for r in own]
        if len(own) == 1:
            lines.append(f"{stain}: Pearson r {texts[0]}.")
        elif own and texts[0] == texts[1]:
            lines.append(f"{stain}: the best predictions are equal, Pearson r {texts[0]}.")
        elif own:
            best = own[0].get("prediction", "")
            lines.append(f"{stain}: {best} is best, Pearson r {texts[0]} against {texts[1]}.")
    return lines


def _panels(example: Example, view: View, measured: Mapping[str, str]) -> list[Panel]:
    """Show a stain as measured, as predicted, and the difference."""
    assert example.target is not None
    assert example.translated is not None
    truth, found, name = example.target[0], example.translated[0], example.stains[0]
    low_high = stains.black_and_white(truth)
    shown, told = stains.drawn_as(found, low_high)

    def panel(
        title: str, pixels: np.ndarray, shown: tuple[float, float] | None, told: str = ""
    ) -> Panel:
        return Panel(title, view.image(pixels, shown, f"{example.name}, {name}: {title}"), told)

    return [
        panel(f"{measured.get(name, name)}, measured", truth[None], low_high),
        panel(name, found[None], shown, told),
        panel("difference", difference(truth, found), None),
    ]


def difference(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return a picture (3, Y, X) uint8: white where equal, blue too dark, red too bright."""
    low, high = stains.black_and_white(truth) or (0.0, float(np.abs(truth).max()) or 1.0)
    away = np.clip((found.astype(np.float64) - truth) / (high - low), -1, 1)
    colour = np.where((away < 0)[None], _planes(TOO_DARK), _planes(TOO_BRIGHT))
    return np.rint(255 + (colour - 255) * np.abs(away)[None]).astype(np.uint8)


def _planes(colour: tuple[int, int, int]) -> np.ndarray:
    return np.asarray(colour, np.float64)[:, None, None]
