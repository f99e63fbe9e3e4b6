"""Scores of predicted stains in a table, for the node *Score Microscopy Predictions*."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import knime.extension as knext
import numpy as np

from microshot.nodes import columns
from microshot.nodes.samples import Columns, Reader
from microshot.nodes.scoring import Scored, worst
from microshot.nodes.tables import Walk, is_missing, rows_of
from microshot.progress import span
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from microshot.metrics.feature_scoring import FeatureScores
    from microshot.metrics.stain_scoring import StainScores
    from microshot.nodes.scoring import Desk
    from microshot.progress import Progress

    #: Columns of stains that belong together, and their measurements, by the ending of their names.
    Features = Mapping[str, tuple[tuple[str, ...], FeatureScores]]

#: Names of the members of `Compared`, as KNIME stores them.
AUTO, OBJECTS, STAINS = "AUTO", "OBJECTS", "STAINS"
#: Part of the work that is scoring pixels, where the stains are measured, too.
_SCORING = 0.1

_SCORES = {
    "Pearson r": knext.double(),
    "SSIM": knext.double(),
    "PSNR (dB)": knext.double(),
    "medMAE": knext.double(),
}


class Compared(knext.EnumParameterOptions):
    """What the chosen columns hold."""

    AUTO = (
        "Automatic",
        "Stains where the predictions are called like measured stains with an ending, else objects.",
    )
    OBJECTS = ("Objects", "Label images, or counts.")
    STAINS = ("Stains", "Fluorescence images, pixel by pixel.")


@dataclass(frozen=True)
class Stains:
    """Predicted stains, each compared with its measured one pixel by pixel."""

    measured: dict[str, str]
    """The column of the measured stain by that of the predicted one."""
    PER_IMAGE: ClassVar = {
        "Image": knext.string(),
        "Stain": knext.string(),
        "Prediction": knext.string(),
        **_SCORES,
    }
    SUMMARY: ClassVar = {
        "Stain": knext.string(),
        "Prediction": knext.string(),
        "Images": knext.int32(),
        **_SCORES,
        "Feature score": knext.double(),
    }

    @property
    def truth(self) -> None:
        """Every prediction has its own."""

    @property
    def predictions(self) -> list[str]:
        """The columns of the predicted stains."""
        return list(self.measured)

    @classmethod
    def of(
        cls, schema: knext.Schema, truth: str | None, chosen: Sequence[str], compared: str
    ) -> Stains | None:
        """Find the measured stain of every predicted one; None where no stains are meant.

        *Translate Bright-Field to Fluorescence* calls a predicted stain like the measured one with an
        ending, by which they find each other; a chosen `truth` is that of all.

        Raises
        ------
        knext.InvalidParametersError
            If stains are wished for and a prediction has no measured stain.
        """
        found = _pairs(schema, truth, chosen, compared)
        return cls(found) if found else None

    def compare(self, table: knext.Table, desk: Desk) -> Scored:
        """Score every row whose stains are all there."""
        from microshot.metrics.stain_scoring import StainScores

        scores = {name: StainScores() for name in self.measured}
        reader = Reader(
            Columns(next(iter(self.measured))), desk.folder, desk.unreadable, desk.notes
        )
        self._add(table, scores, desk, reader)
        scored = Scored.of(scores, self._examples(table, scores, desk, reader), self.measured)
        if desk.settings.features:
            images = [image for image, _ in next(iter(scores.values())).rows]
            features = self._features(table, images, desk, reader)
            scored.features = _with_features(scored.summary, features)
        return scored

    @property
    def _columns(self) -> list[str]:
        return list(dict.fromkeys([*self.measured.values(), *self.measured]))

    def _add(
        self, table: knext.Table, scores: Mapping[str, StainScores], desk: Desk, reader: Reader
    ) -> None:
        """Add every row to the scores."""
        part = _SCORING if desk.settings.features else 1.0
        names, left_out = self._columns, 0
        walk = Walk(table, span(desk.progress, 0.0, part))
        for batch in table.batches():
            for row_id, row, _ in walk(batch[names].to_pandas()):
                if any(is_missing(row[name]) for name in names):
                    left_out += 1
                    continue
                stains = _read(row_id, row, self.measured, reader)
                if stains is None:
                    continue
                for name, of in self.measured.items():
                    scores[name].add(row_id, stains[of], stains[name])
        if left_out:
            desk.notes.add(f"{how_many(left_out, 'row')} left out because a stain is missing.")

    def _features(
        self, table: knext.Table, images: Sequence[str], desk: Desk, reader: Reader
    ) -> Features:
        """Measure the stains of the scored `images`, at the size that nuclei have in all of them."""
        from microshot.metrics.feature_scoring import FeatureScores
        from microshot.metrics.stain_features import typical_nucleus

        found: dict[str, tuple[tuple[str, ...], FeatureScores]] = {}
        groups = _together(self.measured)
        for index, (ending, own) in enumerate(groups.items()):
            begin, end = (_SCORING + (1 - _SCORING) * (index + i) / len(groups) for i in (0, 1))
            here = span(desk.progress, begin, end)
            truths = (
                np.stack([stains[of] for of in own])
                for _, stains in self._again(table, images, here, "looking at image", reader)
            )
            collected = FeatureScores(tuple(own), typical_nucleus(tuple(own), truths))
            for image, stains in self._again(table, images, here, "measuring image", reader):
                both = [np.stack([stains[name] for name in side]) for side in (own, own.values())]
                collected.add(image, *both)
            found[ending] = tuple(own.values()), collected
        return found

    def _examples(
        self, table: knext.Table, scores: Mapping[str, StainScores], desk: Desk, reader: Reader
    ) -> list[dict[str, Any]]:
        """Read the images again that are predicted worst, for the view."""
        wanted = worst(_correlations(scores))
        read = self._again(table, wanted, desk.progress, "making the view of image", reader)
        return [{"name": row_id, "stains": stains} for row_id, stains in read]

    def _again(
        self,
        table: knext.Table,
        wanted: Sequence[str],
        progress: Progress,
        doing: str,
        reader: Reader,
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the stains of some rows, read once more, for all would fill the memory."""
        only, n = set(wanted), 0
        for batch in table.batches() if only else ():
            for row_id, row in rows_of(batch[self._columns].to_pandas(), only):
                progress(n / len(only), f"{doing} {n + 1} of {len(only)}")
                n += 1
                stains = _read(row_id, row, self.measured, reader)
                if stains is not None:
                    yield row_id, stains


def _correlations(scores: Mapping[str, StainScores]) -> dict[str, float]:
    """Return the mean correlation of all stains of every image, infinite where none is known."""
    found: dict[str, list[float]] = {}
    for own in scores.values():
        for image, values in own.rows:
            r = values["Pearson r"]
            found.setdefault(image, []).extend([] if r is None else [r])
    return {image: float(np.mean(known)) if known else math.inf for image, known in found.items()}


def _pairs(
    schema: knext.Schema, truth: str | None, chosen: Sequence[str], compared: str
) -> dict[str, str]:
    """Return the column of the measured stain by that of the predicted one.

    Empty where no stains are meant.
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


def _together(measured: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return predictions that are measured together, by their ending, by the measured stain of each.

    Stains predicted by one model, as *DAPI (predicted)* and *GFP (predicted)*, are, for cells need
    two of them.
    """
    groups: dict[str, dict[str, str]] = {}
    for name, of in measured.items():
        ending = name.removeprefix(of).strip(" _") if name.startswith(of) else name
        groups.setdefault(name if of in groups.get(ending, {}) else ending, {})[of] = name
    return groups


def _with_features(
    summary: Sequence[dict[str, Any]],
    features: Features,
) -> dict[str, list[dict[str, Any]]]:
    """Write the feature score into the rows of its predictions; return the tables by ending."""
    for own, collected in features.values():
        score = collected.score()
        for row in summary:
            if row["Prediction"] in own and not np.isnan(score):
                row["Feature score"] = score
    return {ending: collected.table() for ending, (_, collected) in features.items()}


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
