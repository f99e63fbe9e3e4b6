"""From scores to HTML pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microshot.pages import counting, translating

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.settings import ScoreSettings


def score_page(
    summary: Sequence[Any],
    rows: Sequence[Any],
    examples: Sequence[dict[str, Any]],
    notes: Sequence[str],
    settings: ScoreSettings,
    features: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    record: Mapping[str, Any] | None = None,
    models: Mapping[str, str] | None = None,
) -> str:
    """Return the page of *Score*; several predictions are shown side by side.

    Label images were compared, or counts where rows have a ``True count``, or stains where a
    summary names one; those come with a table of what was measured on them, by what the names of
    the predictions end with. `record` says where the scores come from (see `provenance.record`),
    `models` which model made each prediction, where known (see `provenance.models_told`).
    """
    from microshot import provenance
    from microshot.report import score_views, stain_views
    from microshot.report.pictures import Example as Picture
    from microshot.report.record_views import recorded

    if any("Stain" in row for row in summary):
        measured = {row["Prediction"]: row["Stain"] for row in summary}
        made = [p for e in examples for p in translating.compared(e["name"], e["stains"], measured)]
        last = recorded(record)
        return stain_views.stain_score_view(summary, rows, made, notes, features or {}, last)
    pictures, counts = [], any("True count" in row for row in rows)
    for e in examples:
        if counts:
            pictures.append(counting.scored(e["name"], e["pixels"], e["true"], e["counts"]))
            continue
        found = dict(e["predictions"])
        only = next(iter(found.values())) if len(found) == 1 else None
        several = found if only is None else {}
        pictures.append(Picture(e["name"], e["pixels"], e["truth"], only, predictions=several))
    known = models or {}
    roles = dict(zip(known, provenance.roles([*known.values()]), strict=True))
    return score_views.score_view(
        summary,
        rows,
        pictures,
        [*notes, *([] if counts else _unusual(settings))],
        task="count" if counts else "segment",
        threshold=settings.threshold,
        border_px=settings.border_px,
        roles=roles,
        last=recorded(record),
    )


def _unusual(settings: ScoreSettings) -> list[str]:
    """Say by which rules was scored, where they are not the usual ones."""
    lines = []
    if settings.threshold != type(settings).threshold:
        lines.append(f"Objects count as found from an IoU of {settings.threshold:g} on.")
    if settings.border_px:
        lines.append(
            f"Objects entirely within {settings.border_px} px of the image's edge are not scored."
        )
    return lines
