"""What is known of the stains of one image, and how they are shown and scored."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.report import overlay
from microshot.report.page import Markup, section, table
from microshot.report.wording import PER_STAIN, is_number, number, score_of, writers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.report.pictures import Example


def versions(example: Example) -> list[tuple[str, np.ndarray]]:
    """Return title and stains (K, Y, X) of what is known of an example, true ones first.

    Without any prediction they are generated ones and have no title.
    """
    predicted = example.translated is not None or example.old_translated is not None
    new = "predicted" if example.old_translated is None else "retrained model"
    known = (
        ("measured" if predicted else "", example.target),
        ("old model", example.old_translated),
        (new, example.translated),
    )
    return [(title, pixels) for title, pixels in known if pixels is not None]


def n_panels(example: Example) -> int:
    """Return how many pictures of stains an example has."""
    return sum(len(pixels) for _, pixels in versions(example))


def black_and_white(stain: np.ndarray) -> tuple[float, float] | None:
    """Return the grey values of a stain that are shown as black and white; None if it is flat."""
    low, high = np.percentile(stain, [overlay.LOW_PERCENTILE, overlay.HIGH_PERCENTILE])
    return (float(low), float(high)) if high > low else None


def drawn_as(
    stain: np.ndarray, measured: tuple[float, float] | None
) -> tuple[tuple[float, float] | None, str]:
    """Return what is shown as black and white of a predicted stain, and a caption.

    These are those of the `measured` stain, so that both pictures can be compared. A
    prediction that would be all black or all white so, or whose `measured` stain is flat, is drawn
    with its own, and the caption tells them.
    """
    own = black_and_white(stain)
    if own is None or (measured and own[0] < measured[1] and own[1] > measured[0]):
        return measured, ""
    told = f"drawn with its own grey values, {_span(*own)}"
    return own, f"{told}; measured: {_span(*measured)}" if measured else told


def _span(low: float, high: float) -> str:
    """Write two numbers with as many digits as tell them apart."""
    texts = [(number(low, digits), number(high, digits)) for digits in (3, 5, 7)]
    return " to ".join(next((pair for pair in texts if pair[0] != pair[1]), texts[-1]))


def overall(scores: Mapping[str, Any], stains: Sequence[str]) -> dict[str, Any]:
    """Return the scores that are of no single stain."""
    own = {f"{key}_{stain}" for key in PER_STAIN for stain in stains}
    return {key: value for key, value in scores.items() if key not in own}


def per_stain(
    stains: Sequence[str], models: Mapping[str, Sequence[Mapping[str, Any]]], told: str
) -> Markup:
    """Return one row of mean scores per stain and model; nothing for a single stain.

    Parameters
    ----------
    models : scores per image by the name of the model; with one model its name is not shown.
    told : on which images the scores were computed, one sentence.
    """
    if len(stains) < 2 or not any(models.values()):
        return Markup("")
    rows = []
    for stain in stains:
        for name, scored in models.items():
            row: dict[str, Any] = {"stain": stain, "model": name}
            for key in PER_STAIN:
                values = [s[f"{key}_{stain}"] for s in scored if is_number(s.get(f"{key}_{stain}"))]
                row[key] = mean(values) if values else None
            rows.append(row)
    columns = {"stain": "Stain"} | ({"model": "Model"} if len(models) > 1 else {})
    columns |= {key: score_of(key).label for key in PER_STAIN}
    formats = writers(PER_STAIN, rows)
    return section("Scores per stain", table(columns, rows, formats=formats, caption=told))
