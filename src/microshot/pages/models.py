"""A model's report as an HTML page, from what its file carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microshot.data.disk import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from microshot.bundle import Bundle, Card


def model_page(card: Card) -> str:
    """Return the report of a model, from what its file carries."""
    from microshot.report import model_views

    return model_views.model_view(card)


def write_model(bundle: Bundle, path: Path, *, report: bool, overwrite: bool) -> None:
    """Write a model and, where asked for, its report beside it under the same name.

    Raises
    ------
    FileExistsError
        Before anything is written, if one of the files is there and `overwrite` is not set.
    """
    page = path.with_suffix(".html")
    if report and page.exists() and not overwrite:
        raise FileExistsError(
            f'"{page}" exists already; choose another name or folder, or allow overwriting.'
        )
    bundle.save(path, overwrite=overwrite)
    if report:
        with replacing(page, overwrite=overwrite) as part:
            part.write_text(model_page(bundle.card), encoding="utf-8")
