"""The reports as complete HTML documents, one function per kind, and several in one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microshot import __version__
from microshot.report.image_views import Likeness, generated_body, images_body
from microshot.report.model_views import model_body
from microshot.report.page import Markup, chapters, page
from microshot.report.result_views import prediction_body
from microshot.report.score_views import score_body
from microshot.report.stain_views import stain_score_body
from microshot.report.training_views import retrain_body, training_body
from microshot.report.wording import by_key, count_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.bundle import Card
    from microshot.report.pictures import Example

FOOTER = f"Made with Microshot {__version__}."


def training_view(
    card: Card,
    history: Sequence[Mapping[str, Any]] = (),
    scores: Sequence[Mapping[str, Any]] = (),
    examples: Sequence[Example] = (),
    notes: Sequence[str] = (),
    more: Sequence[str] = (),
) -> str:
    """Return the report of a training; see `training_body`."""
    body = training_body(card, history, scores, examples, notes, more)
    return _page(card.name or "Trained model", body, "Training report")


def retrain_view(
    card: Card,
    history: Sequence[Mapping[str, Any]] = (),
    comparison: Sequence[Mapping[str, Any]] = (),
    verdict: str = "",
    kept: str = "new",
    examples: Sequence[Example] = (),
    notes: Sequence[str] = (),
    more: Sequence[str] = (),
    *,
    better: bool = True,
) -> str:
    """Return the report of a retraining; see `retrain_body`."""
    body = retrain_body(
        card, history, comparison, verdict, kept, examples, notes, more, better=better
    )
    return _page(card.name or "Retrained model", body, "Retraining report")


def prediction_view(
    card: Card | None,
    examples: Sequence[Example] = (),
    rows: Sequence[Mapping[str, Any]] = (),
    notes: Sequence[str] = (),
    more: Sequence[str] = (),
    last: Sequence[Markup] = (),
) -> str:
    """Return the report of a prediction; see `prediction_body`, with the parts `last` behind it."""
    under = f"with the model {card.name}" if card and card.name else ""
    body = prediction_body(card, examples, rows, notes, more)
    return _page("Predictions", [*body, *last], under)


def score_view(
    summary: Sequence[Mapping[str, Any]] = (),
    rows: Sequence[Mapping[str, Any]] = (),
    examples: Sequence[Example] = (),
    notes: Sequence[str] = (),
    *,
    task: str = "segment",
    threshold: float = 0.5,
    border_px: int = 0,
    last: Sequence[Markup] = (),
) -> str:
    """Return the comparison of predictions with the truth; see `score_body`, and `last` behind it."""
    n = len({str(by_key(row).get("name")) for row in rows})
    under = count_of(n, "image") if n else ""
    body = score_body(
        summary, rows, examples, notes, task=task, threshold=threshold, border_px=border_px
    )
    return _page("Predictions against the truth", [*body, *last], under)


def stain_score_view(
    summary: Sequence[Mapping[str, Any]] = (),
    rows: Sequence[Mapping[str, Any]] = (),
    examples: Sequence[Example] = (),
    notes: Sequence[str] = (),
    features: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    last: Sequence[Markup] = (),
) -> str:
    """Return the comparison of predicted with measured stains; see `stain_score_body`."""
    n = len({str(by_key(row).get("name")) for row in rows})
    body = stain_score_body(summary, rows, examples, notes, features or {})
    under = count_of(n, "image") if n else ""
    return _page("Predicted against measured stains", [*body, *last], under)


def generated_view(
    images: Sequence[Example] = (),
    reference: Sequence[Example] = (),
    described: Sequence[tuple[str, Any]] = (),
    notes: Sequence[str] = (),
    likeness: Likeness | None = None,
    last: Sequence[Markup] = (),
) -> str:
    """Return a contact sheet of generated images; see `generated_body`."""
    body = generated_body(images, reference, described, notes, likeness)
    return _page("Synthetic images", [*body, *last], "")


def images_view(rows: Sequence[Mapping[str, Any]] = (), notes: Sequence[str] = ()) -> str:
    """Return what was read; see `images_body`."""
    return _page("Images read", images_body(rows, notes), count_of(len(rows), "image"))


def model_view(card: Card) -> str:
    """Return the report of a model from its file alone; see `model_body`."""
    return _page(card.name or "Model", model_body(card), "Model report")


def report_page(
    title: str,
    sections: Sequence[tuple[str, Sequence[str]]],
    *,
    subtitle: str = "",
    introduction: Sequence[str] = (),
) -> str:
    """Return several reports in one document.

    Parameters
    ----------
    sections : heading and body (of a ``…_body`` function, or other parts) of each chapter.
    introduction : parts before the table of contents.
    """
    return page(title, [*introduction, *chapters(sections)], subtitle=subtitle, footer=FOOTER)


def _page(title: str, body: Sequence[Markup], subtitle: str) -> str:
    return page(title, body, subtitle=subtitle, footer=FOOTER)
