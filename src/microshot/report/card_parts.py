"""What a report says about a model: how good, for what, from which data, with which settings."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

from microshot import settings
from microshot.report import wording
from microshot.report.card_settings import network, normalization, pairs
from microshot.report.count_views import exact_share
from microshot.report.page import Kind, Markup, callout, facts, figure, folded, side_by_side
from microshot.report.training_curve import criterion, training_curve
from microshot.report.wording import (
    count_of,
    duration,
    is_number,
    number,
    score_of,
    score_text,
    words,
)
from microshot.tasks import task_named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.bundle import Card

MOST_PREVIEW_BYTES = 400_000
#: Width of the preview of a single image on the page; four beside each other take the whole.
PREVIEWED_PX = 220
_STOPPED = {
    "finished": "at the set limit",
    "no longer improving": "because the validation loss no longer improved",
    "cancelled": "because it was cancelled; what it had learned by then was kept",
    "out of memory": "because memory did not suffice; what it had learned by then was kept",
    "device lost": "because the graphics card failed; what it had learned by then was kept",
    "diverged": "because the loss was no longer a number; what it had learned by then was kept",
}


#: Scores of one counted image, and how their mean over several is called.
_MEAN_OF = {"error": "bias", "relative_error": "mre"}


def primary(task: str, scores: Mapping[str, Any]) -> tuple[str, str]:
    """Return key and name of the score that decides; the first known one for an unknown task."""
    try:
        known = task_named(task)
    except ValueError:
        key = next((k for k in scores if k in wording.SCORES and k != "n_images"), "")
        return key, score_of(key).label
    return known.primary, known.primary_label


def pooled(task: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the scores of all images together; nothing where they cannot be combined."""
    try:
        found = dict(task_named(task).summarize([dict(row) for row in rows])) if rows else {}
    except (ValueError, KeyError, TypeError):
        return {}
    if task == "count" and found:
        found |= {own: found[mean] for own, mean in _MEAN_OF.items()}
    return found


def headline(card: Card) -> Markup:
    """Say in one sentence how good the model is, and how that is known."""
    scores = card.scores
    key, label = primary(card.task, scores)
    if not is_number(scores.get(key)):
        return callout("This model has not been scored.")
    value = _said(card.task, label, key, scores)
    exact = exact_share(scores) if card.task == "count" else ""
    n = int(scores["n_images"]) if is_number(scores.get("n_images")) else 0
    images, before = count_of(n, "image") if n else "images", scores.get(f"old_{key}")
    if before is not None and is_number(before):
        return callout(
            f"{value} on {images}, each judged by a model that had not seen it{exact}; the model "
            f"before: {score_text(key, before)}.",
            _better(key, before, scores[key]),
        )
    alone = card.preparation.get("each_image")
    told = ", where it is told the diameter of the objects in each" if alone else ""
    match scores.get("images"):
        case "held out":
            return callout(f"{value} on {images} held out from training{told}{exact}.")
        case "training images":
            return callout(
                f"{value} on the {'image' if n == 1 else images} it was trained on{told}{exact}. None was held "
                "out, so expect less on new images."
            )
        case _:
            return callout(f"{value} on {images}{exact}.")


def _said(task: str, label: str, key: str, scores: Mapping[str, Any]) -> str:
    """Write the score that decides; errors of counts with what they count."""
    unit = " objects" if task == "count" and key == "mae" else ""
    return f"{label} {score_text(key, scores[key])}{unit}"


def _better(key: str, old: float, new: float) -> Kind:
    """Return how to show a score beside that of the model before."""
    return "good" if (new - old) * (score_of(key).better or 1) > 0 else "bad"


def score_facts(card: Card) -> Markup:
    """Return all scores in the model file; nothing where there are none."""
    keys = [
        k
        for k, v in card.scores.items()
        if is_number(v) and k not in wording.INTERNAL and not k.startswith("old_")
    ]
    if keys == ["n_images"]:  # of a training that was stopped before it was scored
        return Markup("")
    keys = wording.by_kind(keys, primary(card.task, card.scores)[0], card.targets)
    return facts((score_of(k).label, score_text(k, card.scores[k])) for k in keys)


def glossary(keys: Sequence[str]) -> Markup:
    """Explain the scores `keys`, once each."""
    known = {score_of(k).label: score_of(k).meaning for k in keys}
    return folded("What the scores mean", facts(known.items(), css="facts glossary"))


def about(card: Card) -> Markup:
    """Return what the model does and what it expects."""
    task = settings.TASKS.get(card.task)
    diameter = card.preparation.get("image_diameter_px")
    size = f"{number(card.pixel_size_um)} µm" if card.pixel_size_um else "not known"
    return facts(
        [
            ("Task", task.label if task else words(card.task)),
            ("Input channels", ", ".join(card.channels)),
            ("Predicts", ", ".join(card.targets)),
            ("Pixel size", size),
            ("Object diameter", f"{number(diameter)} px" if is_number(diameter) else None),
            ("Normalisation", normalization(card.normalization)),
            ("Network", network(card.architecture)),
            ("Thresholds", None if card.task == "count" else _thresholds(card)),
            ("Interval", _intervals(card) if card.task == "count" else None),
            ("Licence", card.licence or "none stated"),
        ]
    )


def _thresholds(card: Card) -> str:
    """Return the thresholds that are single numbers, and whether confidence was calibrated."""
    text = pairs({k: v for k, v in card.thresholds.items() if is_number(v)})
    calibrated = "confidence calibrated" if "confidence" in card.thresholds else ""
    return ", ".join(part for part in (text, calibrated) if part)


def _intervals(card: Card) -> str:
    """Say how the intervals of counts were found, or that there are none."""
    n = card.thresholds.get("calibration_images", 0)
    levels = sorted(
        int(key.rpartition("_")[2])
        for key in card.thresholds
        if re.fullmatch(r"interval_\d{1,2}", key)
    )
    if not levels or not is_number(n):
        return "without bound: the model was checked on too few images it had not been trained on"
    kept = ", ".join(f"{level}{wording.THIN}%" for level in levels)
    return f"{kept} of the true counts, from {count_of(int(n), 'image')} not trained on"


def origin(card: Card) -> Markup:
    """Return when, where, with what and on which device the model was made."""
    t = card.training
    steps = count_of(int(t["steps"]), "step") if is_number(t.get("steps")) else ""
    time = f"in {duration(t['seconds'])}" if is_number(t.get("seconds")) else ""
    stopped = str(t.get("stopped") or "")
    why = f"stopped {_STOPPED.get(stopped, stopped)}" if stopped else ""
    trained = ", ".join(text for text in (f"{steps} {time}".strip(), why) if text)
    return facts(
        [
            ("Trained", trained),
            ("Imported from", str(t.get("imported_from") or "")),
            ("Device", card.device),
            ("Created", card.created.replace("T", " ").replace("+00:00", " UTC")),
            ("Model id", card.id),
            ("Versions", ", ".join(f"{k} {card.versions[k]}" for k in _ours_first(card.versions))),
        ]
    )


def _ours_first(versions: Mapping[str, str]) -> list[str]:
    return sorted(versions, key=lambda k: (k != "microshot", k != "python", k))


def data_facts(card: Card) -> Markup:
    """Describe the training images in numbers."""
    d = card.data
    return facts(
        [
            ("Images", _maybe(d.get("n_images"))),
            ("With labels", _labelled(card, "n_labelled")),
            ("Labelled objects", _labelled(card, "n_objects")),
            ("Sizes (px)", _listed(d.get("sizes_px")).replace("x", " × ")),
            ("Channels", _maybe(d.get("n_channels"))),
            ("Number type", _listed(d.get("dtypes"))),
            ("Origin", str(d.get("origin") or "")),
            ("Fingerprint", str(d.get("fingerprint") or "")),
        ]
    )


def _labelled(card: Card, key: str) -> str | None:
    """Write a number about label images; left out where counts were learned without any."""
    value = card.data.get(key)
    return None if card.task == "count" and not value else _maybe(value)


def lineage(card: Card) -> Markup:
    """Return the models this one was retrained from, the first one first."""
    if not card.lineage:
        return Markup("")
    this = {"name": f"{card.name} (this model)", "created": card.created, "id": card.id}
    items = "".join(
        f"<li><strong>{escape(str(m.get('name') or 'unnamed'))}</strong>"
        f'<div class="quiet">{escape(_when(m))}</div></li>'
        for m in (*card.lineage, this)
    )
    return Markup(f'<ol class="lineage">{items}</ol>')


def _when(model: Mapping[str, Any]) -> str:
    parts = (str(model.get("created") or "")[:10], f"id {model['id']}" if model.get("id") else "")
    return ", ".join(p for p in parts if p)


def preview(card: Card) -> Markup:
    """Return the model file's own picture of its training images."""
    alone = card.data.get("n_images") == 1
    if len(card.preview) > MOST_PREVIEW_BYTES or not re.fullmatch(
        r"[A-Za-z0-9+/]+=*", card.preview
    ):
        return Markup("")
    return figure(
        f"data:image/png;base64,{card.preview}",
        "The image it was trained on." if alone else "Some of the images it was trained on.",
        "Training images with the outlines of their labels",
        width_px=PREVIEWED_PX if alone else 0,
    )


def curves(history: Any, *, passed_on: bool = True) -> Markup:
    """Return the training curve with its explanation; rows that are none are left out.

    `passed_on` says whether the model of this training is the one that is passed on.
    """
    history = [row for row in history if isinstance(row, dict)] if _is_list(history) else []
    if not history:
        return Markup("")
    told = "How wrong the network was during training; lower is better."
    if any(is_number(row.get("validation_loss")) for row in history):
        told += (
            " Where the validation line rises while the training line falls, the network begins to "
            "learn single images by heart; the weights of the ring were taken."
        )
        by = criterion(history)
        told += f" The validation line is the {by}, by which they were chosen." if by else ""
    else:
        told += " No image was kept aside for validation; the weights at the end were taken."
    if not passed_on:
        told += " This training made the new model, which is not passed on."
    return side_by_side(figure(training_curve(history), told))


# ---------------------------------------------------------------------------------- settings


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _listed(value: Any) -> str:
    """Write what a model file lists; nothing where it is no list."""
    return ", ".join(map(str, value)) if _is_list(value) else ""


def _maybe(value: Any) -> str | None:
    return number(value) if is_number(value) else None
