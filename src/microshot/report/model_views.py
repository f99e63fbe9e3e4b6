"""The report of a model, made from what its file carries and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microshot.report import card_parts
from microshot.report.carried_pictures import unpacked
from microshot.report.count_views import scatter_section
from microshot.report.counted import Counted
from microshot.report.latent_views import map_section
from microshot.report.page import Markup, callout, page, paragraph, section
from microshot.report.reliability_views import confidence_section
from microshot.report.training_views import background_sections, comparison_section, score_table
from microshot.report.wording import by_kind, is_number, shown_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.bundle import Card

_NUMBERED = (
    "Images are numbered in the order in which the labelled ones were given; a model file holds no file "
    "names."
)


def model_view(card: Card) -> str:
    """Return the page of what a model does, how good it is on which images, and where it comes from."""
    history = card.training.get("history") or ()
    rows, compared = _rows(card.report.get("rows")), _compared(card.report.get("comparison"))
    verdict = card.scores.get("verdict")
    body = [
        card_parts.headline(card),
        callout(verdict) if verdict and isinstance(verdict, str) else Markup(""),
        section("The model", card_parts.about(card)),
        _scores(card, rows, compared),
        _scatter(card, rows),
        section("Worst images", _numbered(unpacked(card.report.get("pictures")))),
        map_section(card.report.get("latent_map")),
        section("Training curve", card_parts.curves(history)),
        confidence_section(card),
        *background_sections(card),
    ]
    return page(card.name or "Model", body, subtitle="Model report")


def _scores(card: Card, rows: Sequence[dict[str, Any]], compared: Sequence[Any]) -> Markup:
    """Return old against new scores where two models were compared, else those of every image."""
    if compared:
        keyed = card_parts.primary(card.task, compared[0]["new"])
        old, new = (card_parts.pooled(card.task, [r[k] for r in compared]) for k in ("old", "new"))
        return comparison_section(card, keyed, compared, old, new)
    keys = by_kind(shown_keys(rows or [dict(card.scores)]), stains=card.targets)
    if rows:
        table = score_table(card.task, rows, stains=card.targets)
        return section("Scores per image", table, card_parts.glossary(keys), _left_out(card, rows))
    return section("Scores", card_parts.score_facts(card), card_parts.glossary(keys))


def _left_out(card: Card, rows: Sequence[Any]) -> Markup:
    """Say how many images the file has no row of."""
    n = card.scores.get("n_images")
    more = int(n) - len(rows) if n is not None and is_number(n) else 0
    told = f"The file holds the {len(rows)} worst of {len(rows) + more} images."
    return paragraph(told, quiet=True) if more > 0 else Markup("")


def _numbered(gallery: Markup) -> Markup:
    return Markup(gallery + paragraph(_NUMBERED, quiet=True)) if gallery else Markup("")


def _scatter(card: Card, rows: Sequence[dict[str, Any]]) -> Markup:
    """Return true against predicted counts."""
    if card.task != "count":
        return Markup("")
    known = [r for r in rows if is_number(r.get("true_count")) and is_number(r.get("count"))]
    every = [Counted(str(r.get("name")), r["true_count"], r["count"]) for r in known]
    return scatter_section(every)


def _rows(value: Any) -> list[dict[str, Any]]:
    """Return the rows of a file that are rows; values that are neither text nor number are dropped."""
    rows = value if isinstance(value, list) else []
    return [
        {k: v for k, v in row.items() if isinstance(v, (str, bool)) or is_number(v)}
        for row in rows
        if isinstance(row, dict)
    ]


def _compared(value: Any) -> list[dict[str, Any]]:
    """Return the rows of a comparison that have scores of both models."""
    rows = value if isinstance(value, list) else []
    return [
        {"name": str(row.get("name")), "old": _rows([row["old"]])[0], "new": _rows([row["new"]])[0]}
        for row in rows
        if isinstance(row, dict)
        and isinstance(row.get("old"), dict)
        and isinstance(row.get("new"), dict)
    ]
