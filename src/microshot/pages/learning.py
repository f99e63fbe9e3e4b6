"""From trainings to HTML pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microshot.pages.examples import comparison_rows, example_pictures, parts_of, score_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.api import Retrained, Trained
    from microshot.report.page import Markup


def training_page(result: Trained, notes: Sequence[str], read: Sequence[str] = ()) -> str:
    """Return the page of *Train*; `read` is how the files of its images were understood."""
    from microshot.report import training_views

    card = result.bundle.card
    more = [*parts_of(card.task).training_sections(result), *_files(read)]
    pictures = example_pictures(result.examples, card.task)
    return training_views.training_view(
        card, result.history, score_rows(result), pictures, notes, more
    )


def retrain_page(result: Retrained, notes: Sequence[str], read: Sequence[str] = ()) -> str:
    """Return the page of *Retrain*; `read` as of `training_page`."""
    from microshot.learning.verdict import more_images
    from microshot.report import training_views
    from microshot.tasks import task_named

    card = result.bundle.card
    examples = example_pictures(result.comparison or result.examples, card.task)
    task = task_named(card.task)
    advice = more_images(task, result.curve)
    more = parts_of(card.task).retrain_sections(result)
    need = training_views.need_section(result.curve, task.primary_label, advice)
    more = [*more, need, *_files(read)]
    notes = [n for n in notes if n != result.verdict]
    return training_views.retrain_view(
        card,
        result.history,
        comparison_rows(result),
        result.verdict,
        result.kept,
        examples,
        notes,
        more,
        better=result.better,
    )


def _files(read: Sequence[str]) -> list[Markup]:
    """Return how files were understood, behind a line that opens it; nothing where no files were read."""
    from microshot.report.page import folded, paragraph

    told = "How the files of images and labels were understood"
    return [folded(told, *map(paragraph, read))] if read else []
