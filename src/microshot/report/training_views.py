"""What is shown after training and after retraining."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microshot.report import card_parts, card_settings, figures, wording
from microshot.report.learning_figures import Curve, learning_curves
from microshot.report.page import (
    Kind,
    Markup,
    callout,
    figure,
    notes_list,
    page,
    paragraph,
    section,
    side_by_side,
    table,
)
from microshot.report.panels import keys_for, old_new_panels, result_panel
from microshot.report.pictures import Example, gallery
from microshot.report.reliability_views import confidence_section
from microshot.report.wording import difference, is_number, score_of, score_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.bundle import Card
    from microshot.learning.verdict import Point

#: How all images of a table were used: one alone, and several.
_USED = {
    True: (
        "This image was held out from training.",
        "All these images were held out from training.",
    ),
    False: (
        "The model was trained on this image; expect less on new ones.",
        "The model was trained on these images; expect less on new ones.",
    ),
}
#: Columns before the scores.
FIRST = ("true_count", "count", "interval", "inside_interval")
#: Tiles of old | new | truth shown, three photographs each.
MOST_COMPARED = 8
#: In the preparation of models that are told the size of the objects.
_KNOWS_SIZE = "image_diameter_px"
#: Scores per image that are no model's: written once where two models are compared.
_OF_IMAGE = ("true_count",)


def training_view(
    card: Card,
    history: Sequence[Mapping[str, Any]] = (),
    scores: Sequence[Mapping[str, Any]] = (),
    examples: Sequence[Example] = (),
    notes: Sequence[str] = (),
    more: Sequence[str] = (),
) -> str:
    """Return the page of a training.

    Parameters
    ----------
    card : of the model.
    history : rows of the trainer; none = those in the card.
    scores : one row per image scored: ``name``, ``held_out`` and its scores.
    examples : images with truth and prediction; shown in the order of increasing score.
    notes : warnings, one sentence each.
    more : sections that only this task has, shown after the scores.
    """
    body = [
        card_parts.headline(card),
        notes_list(notes),
        section("Training curve", card_parts.curves(history or card.training.get("history") or ())),
        section(
            "Scores per image",
            score_table(card.task, scores, stains=card.targets),
            _glossary(scores, card.targets),
        ),
        *map(Markup, more),
        section(
            _heading(examples),
            gallery(worst_first(card.task, examples, scores), result_panel, keys_for(examples),
                    empty=""),
        ),
        *model_sections(card),
    ]  # fmt: skip
    return page(card.name or "Trained model", body, subtitle="Training report")


def _heading(examples: Sequence[Example]) -> str:
    """Say what predictions are shown beside."""
    if any(e.target is not None for e in examples):
        return "Predicted and measured stains, worst first"
    counts = [e.counted for e in examples if e.counted is not None]
    known = any(c.true is not None for c in counts) or any(e.truth is not None for e in examples)
    return "Predictions against the truth, worst first" if known else "Predictions"


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
    """Return the page of a retraining: is the new model better, and on which images.

    Parameters
    ----------
    card : of the model that is passed on.
    history : of the final training; none = that in the card, where it is the new model's.
    comparison : one row per labelled image: ``name``, and the scores ``old`` and ``new``.
    verdict : one sentence that says which model to use.
    kept : which model is passed on, ``new`` or ``old``.
    examples : images with `truth`, `old` and `prediction` (of a model that had not seen them).
    notes : warnings, one sentence each.
    more : sections that only some have, shown after the comparison.
    better : whether the verdict is for the new model.
    """
    key, label = card_parts.primary(card.task, comparison[0]["new"] if comparison else {})
    old = card_parts.pooled(card.task, [row["old"] for row in comparison])
    new = card_parts.pooled(card.task, [row["new"] for row in comparison])
    if not history and kept == "new":
        history = card.training.get("history") or ()
    examples = worst_first(
        card.task, examples, [{"name": r.get("name"), **r["new"]} for r in comparison]
    )
    body = [
        callout(verdict or "The retrained model was not compared with the old one.",
                _kind(_pair(key, old, new), better=better)),
        paragraph(f"Passed on: the {'retrained' if kept == 'new' else 'old'} model."),
        Markup("") if comparison else card_parts.headline(card),
        notes_list(notes),
        comparison_section(card, (key, label), comparison, old, new) if comparison
        else Markup(""),
        *map(Markup, more),
        section(
            "Images, worst first" if comparison else "Images",
            gallery(examples, old_new_panels, old_new_keys(examples), most=MOST_COMPARED,
                    per_example=3, empty=""),
        ),
        section("Final training", card_parts.curves(history, passed_on=kept == "new")),
        *model_sections(card),
    ]  # fmt: skip
    return page(card.name or "Retrained model", body, subtitle="Retraining report")


def comparison_section(
    card: Card,
    score: tuple[str, str],
    comparison: Sequence[Mapping[str, Any]],
    old: Mapping[str, Any],
    new: Mapping[str, Any],
) -> Markup:
    """Return chart and table of both models' scores per image."""
    key, label = score
    chart = figures.old_new_chart(comparison, key, label, _pair(key, old, new))
    told = "Every image was judged by a model retrained without it, and by the old model" + (
        ", which was told how large the objects are." if _KNOWS_SIZE in card.preparation else "."
    )
    if (score_of(key).better or 1) < 0:
        told += f" Less {label} is better."
    if old and new:
        told += " The last row takes all images together."
    return section(
        "Old and retrained model on images not seen in training",
        side_by_side(figure(chart, told)),
        comparison_table(key, label, comparison, old, new, card.targets),
        _glossary([row["new"] for row in comparison], card.targets),
    )


def _pair(key: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[float, float] | None:
    known = is_number(old.get(key)) and is_number(new.get(key))
    return (float(old[key]), float(new[key])) if known else None


def model_sections(card: Card) -> list[Markup]:
    """Return what a model file says of the model, its images, its past and its settings."""
    return [
        confidence_section(card),
        section("The model", card_parts.about(card)),
        *background_sections(card),
    ]


def background_sections(card: Card) -> list[Markup]:
    """Return what a model file says of the images it learned from, its past and its settings."""
    return [
        section("Training images", card_parts.data_facts(card), card_parts.preview(card)),
        section("Lineage", card_parts.lineage(card)),
        section("Settings", card_settings.settings_list(card)),
        section("Origin", card_parts.origin(card)),
    ]


# ------------------------------------------------------------------------------------ scores


def score_table(
    task: str, rows: Sequence[Mapping[str, Any]], *, stains: Sequence[str] = ()
) -> Markup:
    """Return one row of scores per image and one for all together."""
    keys = score_keys(task, rows, ("name", "held_out"), stains)
    columns = {"name": "Image"}
    used = {bool(row["held_out"]) for row in rows if "held_out" in row}
    if len(used) > 1:
        columns["held_out"] = "Used for"
    columns |= {k: score_of(k).label for k in keys}
    total = {"name": "All together", "held_out": "", **card_parts.pooled(task, rows)}
    formats = wording.writers(keys, [*rows, total])
    return table(
        columns,
        rows,
        formats=formats | {"held_out": _used_for},
        total=total if len(rows) > 1 and len(total) > 2 else None,
        caption=_USED[used.pop()][len(rows) > 1] if len(used) == 1 else "",
        empty="No image was scored.",
    )


def score_keys(
    task: str,
    rows: Sequence[Mapping[str, Any]],
    without: Sequence[str] = (),
    stains: Sequence[str] = (),
) -> list[str]:
    """Return the keys of scores in the order of columns: counts, the score that decides, the others.

    `stains` are those of the model, in its order.
    """
    keys = wording.shown_keys((dict(row) for row in rows), without)
    keys = wording.by_kind(keys, card_parts.primary(task, rows[0] if rows else {})[0], stains)
    return [k for k in FIRST if k in keys] + [k for k in keys if k not in FIRST]


def _used_for(held_out: Any) -> str:
    if held_out == "":
        return " "
    return "check" if held_out else "training"


def comparison_table(
    key: str,
    label: str,
    comparison: Sequence[Mapping[str, Any]],
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    stains: Sequence[str] = (),
) -> Markup:
    """Return old and new scores of every image beside each other."""
    found = wording.shown_keys((dict(row["new"]) for row in comparison), (key,))
    others = wording.by_kind(found, stains=stains)
    columns = {
        "name": "Image", "old": f"{label} old", "new": f"{label} new", "change": "Change",
    } | {k: score_of(k).label for k in others}  # fmt: skip

    def row(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
        pairs = {
            k: score_text(k, after.get(k))
            if k in _OF_IMAGE or (k not in before and k not in after)
            else f"{score_text(k, before.get(k))} → {score_text(k, after.get(k))}"
            for k in others
        }
        change = difference(key, before.get(key), after.get(key))
        return {
            "name": name, "old": before.get(key), "new": after.get(key), "change": change, **pairs,
        }  # fmt: skip

    rows = [row(str(r.get("name", "")), r["old"], r["new"]) for r in comparison]
    total = row("All together", old, new) if old and new and len(rows) > 1 else None
    sides = ("old", "new")
    known = [r[side] for r in (*rows, *filter(None, [total])) for side in sides]
    formats: dict[str, Any] = dict.fromkeys(sides, wording.writer(key, known))
    caption = "Further scores: old → new." if others else ""
    return table(columns, rows, formats=formats, total=total, caption=caption)


def _glossary(rows: Sequence[Mapping[str, Any]], stains: Sequence[str]) -> Markup:
    keys = wording.shown_keys(dict(r) for r in rows)
    return card_parts.glossary(wording.by_kind(keys, stains=stains)) if rows else Markup("")


def worst_first(
    task: str, examples: Sequence[Example], rows: Sequence[Mapping[str, Any]]
) -> list[Example]:
    """Return the examples by their score, worst first; those without a score at the end."""
    key, _ = card_parts.primary(task, rows[0] if rows else {})
    sign = score_of(key).better or 1
    values = {
        str(r.get("name")): sign * float(r[key]) for r in rows if is_number(r.get(key))
    }  # fmt: skip
    return sorted(examples, key=lambda e: values.get(e.name, float("inf")))


def _kind(pair: tuple[float, float] | None, *, better: bool) -> Kind:
    if pair is None:
        return "neutral"
    return "good" if better else "bad"


def need_section(points: Sequence[Point], label: str, advice: str) -> Markup:
    """Return the learning curve: how good the model is with more and more labelled images."""
    if not points:
        return Markup("")
    curve = Curve("models on images they had not seen",
                  [(p.n_images, p.score, p.score, p.score) for p in points])  # fmt: skip
    told = (
        "0 is the old model, which has seen none of these images. All models were trained for the "
        "same time, a part of what the final one got. Models that had fewer images were scored on some "
        "of them only; that these may be easier or harder ones is taken out. With so few images, small "
        "steps may be chance."
    )
    rows = [
        {"n": p.n_images, "score": p.score if is_number(p.score) else None,
         "models": p.n_models if p.n_images else None, "scored": p.n_scored}
        for p in points
    ]  # fmt: skip
    columns = {"n": "Labelled images", "score": label, "models": "Models trained",
               "scored": "Predictions scored"}  # fmt: skip
    return section(
        "How many images do I need?",
        paragraph(advice or "To tell, at least three labelled images are needed."),
        side_by_side(figure(learning_curves([curve], label, zero=True), told)),
        table(columns, rows, formats={"score": lambda value: f"{value:.2f}"}),
    )


def old_new_keys(examples: Sequence[Example]) -> list[str]:
    """Return the colour key that a gallery of `old_new_panels` needs."""
    if any(e.counted is not None for e in examples):
        return keys_for(examples)
    if not any(e.old is not None or e.prediction is not None for e in examples):
        return ["truth"] if any(e.truth is not None for e in examples) else []
    if any(e.truth is not None for e in examples):
        return ["found", "false", "missed", "truth"]
    return ["predicted"]
