"""Scores of predicted stains in a table, for the node *Score Microscopy Predictions*."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import knime.extension as knext
import numpy as np

from microshot.nodes import columns
from microshot.nodes.context import data_area
from microshot.nodes.samples import Columns, Reader
from microshot.nodes.tables import Walk, is_missing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.metrics.feature_scoring import FeatureScores
    from microshot.metrics.stain_scoring import StainScores
    from microshot.nodes.context import Notes

#: Names of the members of `Compared`, as KNIME stores them.
AUTO, OBJECTS, STAINS = "AUTO", "OBJECTS", "STAINS"

_SCORES = {
    "Pearson r": knext.double(),
    "SSIM": knext.double(),
    "PSNR (dB)": knext.double(),
    "medMAE": knext.double(),
}
PER_IMAGE = {
    "Image": knext.string(),
    "Stain": knext.string(),
    "Prediction": knext.string(),
    **_SCORES,
}
SUMMARY = {
    "Stain": knext.string(),
    "Prediction": knext.string(),
    "Images": knext.int32(),
    **_SCORES,
    "Feature score": knext.double(),
}


class Compared(knext.EnumParameterOptions):
    """What the chosen columns hold."""

    AUTO = (
        "Automatic",
        "Stains where the predictions are called like measured stains with an ending, else objects.",
    )
    OBJECTS = ("Objects", "Label images, or counts.")
    STAINS = ("Stains", "Fluorescence images, pixel by pixel.")


def pairs(
    schema: knext.Schema, truth: str | None, chosen: Sequence[str], compared: str
) -> dict[str, str]:
    """Return the column of the measured stain by that of the predicted one.

    Empty where no stains are meant. *Translate Bright-Field to Fluorescence* calls a predicted stain
    like the measured one with an ending, by which they find each other; a chosen `truth` is that of
    all.

    Raises
    ------
    knext.InvalidParametersError
        If stains are wished for and a prediction has no measured stain.
    """
    if compared == OBJECTS:
        return {}
    images = [c.name for c in schema if columns.is_image(c)]
    if compared == STAINS:
        found = {n: truth or measured_of(n, images) for n in chosen or _predicted(images, truth)}
        _check(schema, found)
        return {name: of for name, of in found.items() if of is not None}
    guess = columns.guess_prediction(schema, [columns.guess_label(schema, None)])
    named = {n: of for n in images if (of := measured_of(n, images)) and columns.is_stain(of)}
    if chosen:
        fits = all(n in named and truth in (None, named[n]) for n in chosen)
        return {n: named[n] for n in chosen} if fits else {}
    return named if guess in named and truth in (None, *named.values()) else {}


def measured_of(name: str, images: Sequence[str]) -> str | None:
    """Return the longest of the columns with which `name` begins, before a break.

    Several models in one node number their columns: *DAPI (predicted) (#1)* is of *DAPI*, too.
    """
    text = re.sub(r" \(#\d+\)$", "", name)
    own = [n for n in images if text.startswith(n) and not text[len(n) : len(n) + 1].isalnum()]
    return max((n for n in own if n != text), key=len, default=None)


def _predicted(images: Sequence[str], truth: str | None) -> list[str]:
    """Return the columns that are called like another one with an ending."""
    made = {n: measured_of(n, images) for n in images}
    return [n for n, of in made.items() if of is not None and truth in (None, of)]


def _check(schema: knext.Schema, found: Mapping[str, str | None]) -> None:
    if not found:
        raise knext.InvalidParametersError(
            "The input table has no column with a predicted stain; choose it in the dialog (it would "
            'be found by itself if it were called like the measured one, as "DAPI (predicted)").'
        )
    for name, of in found.items():
        columns.require(schema, name, "predicted stain", columns.is_image)
        if of is None:
            raise knext.InvalidParametersError(
                f'The predicted stain "{name}" is called like no measured one; choose the column '
                'with the measured stain under "Truth".'
            )
        columns.require(schema, of, "measured stain", columns.is_image)


def measuring(measured: Mapping[str, str]) -> dict[str, tuple[tuple[str, ...], FeatureScores]]:
    """Return what collects measurements, by the ending of the predictions that belong together.

    Stains predicted by one model, as *DAPI (predicted)* and *GFP (predicted)*, are measured
    together, for cells need two of them. Beside it stand their columns.
    """
    from microshot.metrics.feature_scoring import FeatureScores

    groups: dict[str, dict[str, str]] = {}
    for name, of in measured.items():
        ending = name.removeprefix(of).strip(" _") if name.startswith(of) else name
        groups.setdefault(name if of in groups.get(ending, {}) else ending, {})[of] = name
    return {
        ending: (tuple(own.values()), FeatureScores(tuple(own))) for ending, own in groups.items()
    }


def with_features(
    summary: Sequence[dict[str, Any]],
    features: Mapping[str, tuple[tuple[str, ...], FeatureScores]],
) -> dict[str, list[dict[str, Any]]]:
    """Write the feature score into the rows of its predictions; return the tables by ending."""
    for own, collected in features.values():
        score = collected.score()
        for row in summary:
            if row["Prediction"] in own and not np.isnan(score):
                row["Feature score"] = score
    return {ending: collected.table() for ending, (_, collected) in features.items()}


def compare(
    node: Any,
    table: knext.Table,
    measured: Mapping[str, str],
    scores: dict[str, StainScores],
    features: Mapping[str, tuple[tuple[str, ...], FeatureScores]],
    most_shown: int,
    context: knext.ExecutionContext,
    notes: Notes,
    progress: Any,
) -> list[dict[str, Any]]:
    """Score every row whose stains are all there; return what the view shows.

    A row without one of them is left out for all predictions, so that they are compared on the
    same images.
    """
    names = list(dict.fromkeys([*measured.values(), *measured]))
    reader = Reader(Columns(names[0]), data_area(context), node.unreadable, notes)
    examples, walk, left_out = [], Walk(table, progress), 0
    for batch in table.batches():
        for row_id, row, _ in walk(batch[names].to_pandas()):
            if any(is_missing(row[name]) for name in names):
                left_out += 1
                continue
            stains = _read(row_id, row, measured, reader)
            if stains is None:
                continue
            for name, of in measured.items():
                scores[name].add(row_id, stains[of], stains[name])
            for own, collected in features.values():
                truth, found = [measured[name] for name in own], list(own)
                collected.add(row_id, *(np.stack([stains[n] for n in ns]) for ns in (truth, found)))
            if len(examples) < most_shown:
                examples.append({"name": row_id, "stains": stains})
    if left_out:
        notes.add(f"{left_out} row(s) left out because a stain is missing.")
    return examples


def _read(
    row_id: str, row: Any, measured: Mapping[str, str], reader: Reader
) -> dict[str, Any] | None:
    """Read the stains of one row by column; None where one is unreadable and to be skipped."""
    found: dict[str, Any] = {}
    try:
        for name in dict.fromkeys([*measured.values(), *measured]):
            found[name] = reader.stain(row[name], row_id, name).pixels[0]
            of = found[measured.get(name, name)]
            if found[name].shape != of.shape:
                raise ValueError(
                    f'Row "{row_id}", column "{name}": expected the size of the measured stain, '
                    f"{of.shape[0]} x {of.shape[1]} px, found {found[name].shape[0]} x "
                    f"{found[name].shape[1]} px; compare stains of one and the same field of view."
                )
    except (ValueError, OSError) as error:
        if not reader.skip:
            raise ValueError(str(error)) from error
        reader.notes.add(f"Left out: {error}")
        return None
    return found
