"""What all that can be scored has in common: label images, counts, stains."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from microshot.nodes import columns
from microshot.nodes.context import data_area

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import knime.extension as knext

    from microshot.nodes.context import Notes
    from microshot.progress import Progress
    from microshot.settings import ScoreSettings

#: Images shown in the view.
MAX_SHOWN = 12


@dataclass(frozen=True)
class Desk:
    """What a comparison works with beside the table."""

    context: knext.ExecutionContext
    settings: ScoreSettings
    unreadable: str
    """What becomes of a row that cannot be read, as in `samples.Reader`."""
    image_column: str | None
    """The chosen column with the images, for the view."""
    notes: Notes
    progress: Progress

    @property
    def folder(self) -> Path:
        """Where relative paths begin."""
        return data_area(self.context)

    def shown(self, schema: knext.Schema, compared: Iterable[str] = ()) -> str | None:
        """Return the column with the images, chosen or guessed; None if the user wants none.

        Columns that are `compared`, truth and predictions, are not guessed.
        """
        if columns.declined(self.image_column):
            return None
        return columns.chosen(self.image_column) or columns.guess_image(schema, compared)


@dataclass
class Scored:
    """What came of a comparison: the rows of both tables, and what the view shows."""

    per_image: list[dict[str, Any]]
    summary: list[dict[str, Any]]
    examples: list[dict[str, Any]]
    features: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Measurements on stains, by what the names of their predictions end with."""

    @classmethod
    def of(
        cls,
        scores: Mapping[str, Any],
        examples: list[dict[str, Any]],
        measured: Mapping[str, str] | None = None,
    ) -> Scored:
        """Make rows of the scores of every prediction, for stains with the measured one."""
        per_image, summary = [], []
        for name, one in scores.items():
            who = {"Stain": measured[name]} if measured else {}
            who["Prediction"] = name
            per_image += [{"Image": image, **who, **values} for image, values in one.rows]
            summary.append({**who, "Images": len(one.rows), **one.summary()})
        return cls(per_image, summary, examples)


def worst(scores: Mapping[str, float]) -> list[str]:
    """Return the images to show, those of the lowest scores, the worst first."""
    return heapq.nsmallest(MAX_SHOWN, scores, key=lambda image: scores[image])


class Comparison(Protocol):
    """One kind of things that can be compared, with the columns that hold them."""

    PER_IMAGE: ClassVar[dict[str, Any]]
    SUMMARY: ClassVar[dict[str, Any]]
    """Names and types of the columns of both tables."""

    @property
    def truth(self) -> str | None:
        """The column with the truth; None where every prediction has its own."""
        ...

    @property
    def measured(self) -> dict[str, str]:
        """The column with the truth by prediction, where every prediction has its own."""
        ...

    @property
    def predictions(self) -> Sequence[str]:
        """The columns with what was predicted."""
        ...

    def compare(self, table: knext.Table, desk: Desk) -> Scored:
        """Score every row in which nothing is missing.

        A row without one of its cells is left out for all predictions, so that they are compared
        on the same images.
        """
        ...
