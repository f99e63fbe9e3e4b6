"""The verb that writes a model's report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microshot.cli.commands import DONE, write_text

if TYPE_CHECKING:
    import argparse

    from microshot.cli.console import Console


def report(given: argparse.Namespace, console: Console) -> int:
    """Write the report of a model from its file, as one HTML page."""
    from microshot.bundle import read_card
    from microshot.pages import model_page

    out = given.out or given.model.with_suffix(".html")
    if out.exists() and not given.overwrite:
        raise FileExistsError(f'"{out}" exists already; choose another name or add --overwrite.')
    card = read_card(given.model)
    write_text(out, model_page(card))
    console.result(
        {"model": str(given.model), "id": card.id, "report": str(out)},
        [f"Report of {card.name} written to {out}."],
    )
    return DONE
