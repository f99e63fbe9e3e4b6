"""What is shown after scoring."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from microshot.report import figures, wording
from microshot.report.card_parts import glossary, primary
from microshot.report.count_views import compared_parts
from microshot.report.page import (
    MOST_COLUMNS,
    Markup,
    callout,
    figure,
    folded,
    notes_list,
    page,
    paragraph,
    section,
    side_by_side,
    side_tables,
    table,
)
from microshot.report.panels import compared_panels, keys_for, result_panel
from microshot.report.pictures import Example, gallery
from microshot.report.style import model_colours
from microshot.report.training_views import score_keys, worst_first
from microshot.report.wording import count_of, is_number, score_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def score_view(
    summary: Sequence[Mapping[str, Any]] = (),
    rows: Sequence[Mapping[str, Any]] = (),
    examples: Sequence[Example] = (),
    notes: Sequence[str] = (),
    *,
    task: str = "segment",
    threshold: float = 0.5,
    border_px: int = 0,
    roles: Mapping[str, str] | None = None,
    last: Sequence[Markup] = (),
) -> str:
    """Return the page that compares one or more predictions with the truth.

    Parameters
    ----------
    summary : one row per prediction or model: ``name`` (or ``prediction``) and the scores of all
        images together, by key (``f1``) or heading (``F1``).
    rows : one row per image (and prediction): ``name``, its scores, and ``prediction`` where
        several are compared.
    examples : images with truth and prediction, or `predictions` where several are compared;
        shown worst first.
    notes : warnings, one sentence each.
    task : whose score decides which image and which prediction is better.
    threshold, border_px : as they were scored (see `metrics.labels.match`), for the pictures.
    roles : of predictions by name, where two are of a model before and after it was retrained (see
        `provenance.roles`).
    last : parts behind all others.
    """
    summary = [_named(wording.by_key(row)) for row in summary]
    rows = [wording.by_key(row) for row in rows]
    keys, columns = _columns(task, summary, "Prediction")
    inner, heads = _columns(task, rows, "Image", of_one=True)
    several = len({row.get("prediction") for row in rows}) > 1
    full = table(heads, rows, formats=wording.writers(inner, rows))
    if task == "count":
        per_image = [*compared_parts(rows), folded("All scores", full)] if rows else []
    else:
        per_image = [counts_table(rows), folded("All scores", full)] if several else [full]
    body = [
        _winner(task, summary),
        notes_list(notes),
        section(
            "All images together",
            table(
                columns,
                summary,
                formats=wording.writers(keys, summary),
                empty="Nothing was scored.",
            ),
            _bars(task, summary, keys, roles or {}),
            glossary(keys),
        ),
        section(
            "Images, worst first",
            _ordered_by(task, rows, summary) if several and examples else "",
            _pictures(
                worst_first(task, examples, _of_best(task, rows, summary)),
                len({r.get("name") for r in rows}),
                threshold,
                border_px,
            )
            if examples or task != "count"
            else "",
        ),
        section(
            "Objects per image" if several or task == "count" else "Scores per image", *per_image
        ),
        *last,
    ]
    return page("Predictions against the truth", body, subtitle=images_of(rows))


def images_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say how many images `rows` by key are of; nothing of none."""
    n = len({str(row.get("name")) for row in rows})
    return count_of(n, "image") if n else ""


def _named(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of a summary with its prediction as ``name``."""
    return (
        row if "name" in row or "prediction" not in row else {"name": row.pop("prediction"), **row}
    )


def _pictures(
    examples: Sequence[Example], n_images: int, threshold: float, border_px: int
) -> Markup:
    """Return what was found, false and missed: a picture per image, or one per prediction."""
    n = max((len(e.predictions) for e in examples), default=0)
    panels = partial(
        compared_panels if n else result_panel, threshold=threshold, border_px=border_px
    )
    return gallery(examples, panels, keys_for(examples), per_example=n + 1, of=n_images)


def _of_best(
    task: str, rows: Sequence[Mapping[str, Any]], summary: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the rows of the best prediction; all where it is not said which row is of which."""
    key, ranked = ranking(task, summary)
    name = ranked[0].get("name") if key and ranked else None
    return [r for r in rows if r.get("prediction", name) == name]


def _ordered_by(
    task: str, rows: Sequence[Mapping[str, Any]], summary: Sequence[Mapping[str, Any]]
) -> Markup:
    key, ranked = ranking(task, summary)
    if not ranked or not rows:
        return Markup("")
    said = f"Order of the images: {score_of(key).label_of_one} of {ranked[0].get('name', '')}."
    return paragraph(said, quiet=True)


def counts_table(
    rows: Sequence[Mapping[str, Any]], names: Mapping[str, str] | None = None
) -> Markup:
    """Return the objects of every image beside each other: true ones, and those of each prediction.

    Parameters
    ----------
    rows : one per image and prediction: ``name``, ``prediction``, ``true_positives``,
        ``false_positives`` and ``false_negatives``.
    names : what images are called, by ``name``; None = their own.
    """
    found = {(str(r.get("name")), str(r.get("prediction"))): r for r in rows}
    images = list(dict.fromkeys(image for image, _ in found))
    models = list(dict.fromkeys(model for _, model in found))
    made = []
    for image in images:
        cells = [_counted(m, [found[image, m]]) for m in models if (image, m) in found]
        made.append({"name": (names or {}).get(image, image), **_merged(cells)})
    total = [_counted(m, [r for (_, of), r in found.items() if of == m]) for m in models]
    name, true = {"name": "Image"}, {"name": "Image", "true": "True objects"}
    numbers = {f"n {m}": m for m in models}
    agreement = {f"f1 {m}": f"F1, {m}" for m in models}
    more: dict[str, Any] = {
        "formats": {key: partial(wording.score_text, "f1") for key in agreement},
        "total": {"name": "All images", **_merged(total)},
    }
    if len(numbers) + len(agreement) <= MOST_COLUMNS:
        told = "Number of objects, true and of every prediction, and how well they agree."
        return table(true | numbers | agreement, made, caption=told, **more)
    told = "Number of objects, true and of every prediction."
    counts = side_tables(true, numbers, made, caption=told, **more)
    told = "How well true objects and those of every prediction agree."
    return Markup(counts + side_tables(name, agreement, made, caption=told, **more))


def _counted(model: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the cells of one prediction in one image, or in several together."""
    keys = ("true_positives", "false_positives", "false_negatives")
    hit, false, missed = (sum(int(r.get(k) or 0) for r in rows) for k in keys)
    any_objects = hit + false + missed
    f1 = 2 * hit / (2 * hit + false + missed) if any_objects else 1.0
    return {"true": hit + missed, f"n {model}": hit + false, f"f1 {model}": f1}


def _merged(cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {key: value for one in cells for key, value in one.items()}


def _columns(
    task: str, rows: Sequence[Mapping[str, Any]], first: str, *, of_one: bool = False
) -> tuple[list[str], dict[str, str]]:
    """Return the scores in `rows` in the order of `score_keys`, and all headings.

    `of_one` says that each row is of a single image.
    """
    keys = score_keys(task, rows, ("name", "prediction"))
    heads = {"name": first}
    if any("prediction" in r for r in rows):
        heads["prediction"] = "Prediction"
    found = {k: score_of(k) for k in keys}
    return keys, heads | {k: s.label_of_one if of_one else s.label for k, s in found.items()}


def _bars(
    task: str, summary: Sequence[Mapping[str, Any]], keys: Sequence[str], roles: Mapping[str, str]
) -> Markup:
    """Draw the errors of several counters beside each other, else the scores from 0 to 1."""
    if task == "count":
        if len(summary) < 2:  # there is no greatest error to draw one against
            return Markup("")
        shown, told = [k for k in keys if score_of(k).better < 0], "less is better"
    else:
        shown = [k for k in keys if score_of(k).kind == "unit" and score_of(k).better > 0]
        told = "1 is perfect"
    groups = [
        (str(r.get("name", "")), {k: r[k] for k in shown if is_number(r.get(k))}) for r in summary
    ]
    if not any(scores for _, scores in groups):
        return Markup("")
    colours = model_colours([roles.get(name, "") for name, _ in groups])
    return side_by_side(
        figure(figures.score_bars(groups, colours), f"All images together; {told}.")
    )


def _winner(task: str, summary: Sequence[Mapping[str, Any]]) -> Markup:
    """Say which of several predictions is best, or how good the only one is."""
    key, ranked = ranking(task, summary)
    if not ranked:
        return Markup("")
    written = wording.writer(key, [row[key] for row in ranked])
    best = f"{score_of(key).label} {written(ranked[0][key])}"
    if len(ranked) == 1:
        return callout(f"{best} on all images together.")
    against = written(ranked[1][key])
    if written(ranked[0][key]) == against:
        return callout(f"{best}: the best predictions are equal.")
    return callout(f"{ranked[0].get('name', '')} is best: {best} against {against}.")


def ranking(task: str, summary: Sequence[Mapping[str, Any]]) -> tuple[str, list[Mapping[str, Any]]]:
    """Return the score that decides, and the rows that have it, best first."""
    key, _ = primary(task, summary[0] if summary else {})
    sign = score_of(key).better or 1
    known = [r for r in summary if is_number(r.get(key))]
    return key, sorted(known, key=lambda r: -sign * float(r[key]))
