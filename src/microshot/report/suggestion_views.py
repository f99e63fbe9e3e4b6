"""What is shown of images that are suggested for labelling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microshot.report.page import Markup, notes_list, page, paragraph, section, table
from microshot.report.panels import keys_for, result_panel
from microshot.report.pictures import Example, gallery
from microshot.report.wording import count_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.bundle import Card

COLUMNS = {
    "name": "Image",
    "rank": "Rank",
    "benefit": "Expected benefit",
    "doubt": "Doubt",
    "reason": "Reason",
}


def suggestion_view(
    card: Card | None,
    examples: Sequence[Example] = (),
    rows: Sequence[Mapping[str, Any]] = (),
    notes: Sequence[str] = (),
    last: Sequence[Markup] = (),
) -> str:
    """Return which images to label next.

    Parameters
    ----------
    card : of the model that is to be improved.
    examples : the first images with what the model finds in them now.
    rows : one per image in order: ``rank``, ``name``, ``benefit``, ``doubt``, ``reason``.
    notes : warnings, one sentence each.
    last : parts behind all others.
    """
    under = f"for the model {card.name}" if card and card.name else ""
    body: list[Markup] = [
        paragraph(
            "Label the first images, then retrain the model on them. The marks show what the model "
            "finds now."
        )
        if rows
        else paragraph("There is no image to choose from."),
        notes_list(notes),
        section("Label these first", gallery(examples, result_panel, keys_for(examples))),
        section(
            f"Order of {count_of(len(rows), 'image')}",
            table(COLUMNS, rows, formats={"benefit": _number, "doubt": _number}),
            paragraph(
                "Expected benefit is an estimate relative to the first image: in our simulation, four "
                "images chosen by it taught no more than four drawn at random. Doubt goes from 0 "
                "(the model is sure) to 1.",
                quiet=True,
            ),
        )
        if rows
        else Markup(""),
    ]
    return page("Images to label next", [*body, *last], subtitle=under)


def _number(value: float) -> str:
    return f"{value:.2f}"
