"""The verbs that say what a model file is: in lines, or as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from microshot.cli.calls import DONE, refuse_existing
from microshot.cli.tables import write_text
from microshot.starters import FOLDER

if TYPE_CHECKING:
    import argparse

    from microshot.cli.console import Console


def info(given: argparse.Namespace, console: Console) -> int:
    """Say what a model file is, without reading its weights."""
    from microshot.bundle import read_card
    from microshot.report.card_parts import primary
    from microshot.report.wording import SCORES, by_kind, count_of, is_number, score_text

    card = read_card(given.model)
    data, scores = card.data, card.scores
    known = [k for k in scores if k in SCORES and is_number(scores[k])]
    known = by_kind(known if known != ["n_images"] else [], primary(card.task, scores)[0])
    shown = ", ".join(f"{SCORES[k].label} {score_text(k, scores[k])}" for k in known)
    on = f" ({scores['images']})" if shown and scores.get("images") else ""
    sizes = (("image", data.get("n_images")), ("object", data.get("n_objects")))
    seen = [count_of(int(n), what) for what, n in sizes if is_number(n) and n]
    parts = (card.architecture.get(part) for part in ("name", "backbone", "head"))
    network = [part for part in parts if part]
    version = f"Microshot {card.versions.get('microshot', '?')}"
    before = " → ".join(str(one.get("name")) for one in card.lineage)
    lines = [
        f"{card.name} ({card.id})",
        f"task:       {card.task}",
        f"network:    {', '.join(network) or '?'}",
        f"channels:   {', '.join(card.channels) or card.architecture.get('in_channels')}",
        *([f"stains:     {', '.join(card.targets)}"] if card.targets else []),
        f"trained on: {', '.join(seen) or 'not known'}",
        f"scores:     {shown or 'none'}{on}",
        f"from:       {before or card.training.get('imported_from') or 'scratch'}",
        *([f"origin:     {data['origin']}"] if data.get("origin") else []),
        f"licence:    {card.licence or 'not stated'}",
        f"made:       {card.created} with {', '.join(part for part in (version, card.device) if part)}",
    ]
    console.result(card.to_json(), lines)
    return DONE


def report(given: argparse.Namespace, console: Console) -> int:
    """Write the report of a model from its file, as one HTML page."""
    from microshot.bundle import read_card
    from microshot.pages import model_page

    out = given.out or _beside(given.model)
    refuse_existing(out, overwrite=given.overwrite)
    card = read_card(given.model)
    write_text(out, model_page(card))
    console.result(
        {"model": str(given.model), "id": card.id, "report": str(out)},
        [f"Report of {card.name} written to {out}."],
    )
    return DONE


def _beside(model: Path) -> Path:
    """Return the file of a report: beside the model, of a starter model in the working folder."""
    page = model.with_suffix(".html")
    return Path(page.name) if model.parent == FOLDER else page
