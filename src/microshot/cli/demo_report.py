"""The page of the demo: what a few labelled images can do, told in a minute."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from microshot.cli.demo_story import read_story
from microshot.learning.verdict import LEAST_GAIN
from microshot.report import figures
from microshot.report.card_parts import glossary
from microshot.report.page import (
    Markup,
    callout,
    chapters,
    figure,
    notes_list,
    page,
    paragraph,
    side_by_side,
    table,
)
from microshot.report.panels import compared_panels, keys_for, truth_panel
from microshot.report.pictures import Example, gallery
from microshot.report.score_views import counts_table
from microshot.report.style import model_colours
from microshot.report.wording import count_of, duration, score_of, score_text, writers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from microshot.cli.demo_story import Model, Story
    from microshot.headless.results import WorkflowResult

#: New images shown; the view of the score node shows more.
MOST_SHOWN = 6
#: What the models are to each other (see `provenance.roles`).
_ROLES = {"pretrained": "old", "retrained": "new"}
_SCORES = ("f1", "precision", "recall", "true_positives", "false_positives", "false_negatives")
_BARS = ("f1", "precision", "recall")


def demo_report(result: WorkflowResult, seconds: float) -> tuple[str, str]:
    """Tell what the workflow found out, as one HTML page and in one sentence.

    Parameters
    ----------
    result : of a workflow in which a model is retrained on labelled images, several models
        predict the same new images, and one node scores their predictions.
    seconds : time that everything took.

    Raises
    ------
    ValueError
        If a node that this needs is missing, not connected or did not finish; names it.
    """
    story = read_story(result)
    sentence, better = _verdict(story)
    labelled = count_of(len(story.labelled), "labelled image")
    told = [
        ("New images, model by model", _pictures(story)),
        ("Objects per image", [_counts(story)]),
        (f"The {labelled}", _labelled(story)),
        (f"Checked with the {labelled} alone", _check(story)),
        ("Training", _training(story)),
        ("Time", _time(story, seconds)),
    ]
    title, under = f"What {labelled} can do", f"Workflow {result.workflow.name}"
    verdict = callout(sentence, "good" if better else "bad")
    made = page(
        title,
        [verdict, *_headline(story), *chapters(told)],
        subtitle=f"{under}, finished in {duration(seconds)}",
    )
    return made, sentence


# ---------------------------------------------------------------------------------- headline


def _verdict(story: Story) -> tuple[str, bool]:
    """Compare the models on the new images in one sentence; say whether retraining was worth it."""
    n = count_of(len(story.new), "image")
    images = f"{n} that no model has seen" if story.unseen else n
    reached = ", ".join(f"{m.called} {score_text('f1', m.scores['f1'])}" for m in story.models)
    f1 = {m.role: float(m.scores["f1"]) for m in story.models}
    told, better = best(f1, count_of(len(story.labelled), "labelled image"))
    return f"F1 on {images}: {reached}. {told}", better


def best(f1: Mapping[str, float], labelled: str) -> tuple[str, bool]:
    """Say which model is best by more than what matters, and whether it or its equal is the retrained.

    Parameters
    ----------
    f1 : F1 on all new images together by role (see `demo_story.ROLES`).
    labelled : how many images were learned from, in words.
    """

    def clear(one: str, other: str) -> bool:
        return other not in f1 or round(f1[one] - f1[other], 9) > LEAST_GAIN

    helped = clear("retrained", "pretrained")
    if "scratch" in f1 and clear("scratch", "retrained") and clear("scratch", "pretrained"):
        return "Here training from scratch is best.", False
    if helped and clear("retrained", "scratch"):
        return f"Retraining on {labelled} is best.", True
    if helped:
        return f"Retraining on {labelled} and training from scratch on them are as good.", True
    if clear("pretrained", "retrained"):
        return "Here retraining did not help.", False
    return "Here retraining makes no difference that matters.", False


def _headline(story: Story) -> list[Markup]:
    """Return how the models were made and what each reached."""
    groups = [
        (_title(m), {k: float(m.scores[k]) for k in _BARS if k in m.scores}) for m in story.models
    ]
    keys = [k for k in _SCORES if all(k in m.scores for m in story.models)]
    rows = [_model_row(story, m, keys) for m in story.models]
    heads = {"name": "Model", "learned": "Learned from", "time": "Training"}
    heads |= {k: score_of(k).label for k in keys}
    return [
        paragraph(
            "F1 is 1 where every object was found and nothing else, and 0 where none was. An object "
            "is found where its overlap with a true one, divided by the area of both together (IoU), "
            f"is at least {story.threshold:g}."
        ),
        side_by_side(
            figure(
                figures.score_bars(groups, [*_colours(story).values()]),
                "All new images together; 1 is perfect.",
            )
        ),
        table(heads, rows, formats=writers(keys, rows)),
        glossary(keys),
    ]


def _colours(story: Story) -> dict[str, str]:
    """Return the colours of the models by the columns of their predictions."""
    colours = model_colours([_ROLES.get(m.role, "") for m in story.models])
    return dict(zip((m.column for m in story.models), colours, strict=True))


def _title(model: Model) -> str:
    return model.called[:1].upper() + model.called[1:]


def _model_row(story: Story, model: Model, keys: list[str]) -> dict[str, Any]:
    n = model.card.data.get("n_labelled") or 0
    pretrained = story.model("pretrained")
    learned = count_of(n, "labelled image")
    if model.role == "pretrained":
        learned = count_of(n, "synthetic image" if model.synthetic else "other image")
    elif model.role == "retrained" and pretrained is not None and not story.old_kept:
        before = pretrained.card.data.get("n_labelled") or 0
        learned = f"the {count_of(before, 'image')} above, then {learned}"
    return {
        "name": _title(model),
        "learned": learned,
        "time": duration(model.card.training.get("seconds")),
        **{k: model.scores[k] for k in keys},
    }


# ------------------------------------------------------------------------------------ images


def _pictures(story: Story) -> list[Markup]:
    """Return new images with the outlines of every model, from the worst to the best."""
    retrained = story.model("retrained")
    column = retrained.column if retrained else ""
    f1 = {str(r["name"]): float(r["f1"]) for r in story.rows if r["prediction"] == column}
    ranked = sorted(story.new, key=lambda s: f1.get(s.name, 0.0))
    n = min(MOST_SHOWN, len(ranked))
    shown = [ranked[round(i * (len(ranked) - 1) / max(n - 1, 1))] for i in range(n)]
    examples = [
        Example(
            story.names.get(s.name, s.name),
            s.image.pixels,
            s.labels,
            predictions={m.called: story.predictions[m.column][s.name] for m in story.models},
        )
        for s in shown
    ]
    told = f"{n} of {count_of(len(ranked), 'new image')}" if n < len(ranked) else "The new images"
    panels = partial(compared_panels, threshold=story.threshold, border_px=story.border_px)
    return [
        paragraph(f"{told}, from the worst to the best result of the retrained model."),
        gallery(examples, panels, keys_for(examples), per_example=len(story.models) + 1),
    ]


def _counts(story: Story) -> Markup:
    """Return the table of objects per image."""
    called = {m.column: _title(m) for m in story.models}
    rows = [{**r, "prediction": called[r["prediction"]]} for r in story.rows]
    return counts_table(rows, story.names)


def _labelled(story: Story) -> list[Markup]:
    """Return the images on which the model was retrained."""
    examples = [
        Example(story.labelled_names.get(s.name, s.name), s.image.pixels, s.labels)
        for s in story.labelled
    ]
    return [
        paragraph(
            "The retrained model and the one trained from scratch learned from these outlines."
            if story.model("scratch")
            else "The retrained model learned from these outlines."
        ),
        gallery(examples, truth_panel, ["truth"]),
    ]


# ------------------------------------------------------------------------- check and training


def _check(story: Story) -> list[Markup]:
    """Return what the retrain node found out without the new images."""
    retrained = story.model("retrained")
    scores = retrained.card.scores if retrained and not story.old_kept else {}
    if not story.comparison:
        return [paragraph("The retrain node did not compare the old with the retrained model.")]
    key, label = story.score
    old, new = scores.get(f"old_{key}"), scores.get(key)
    pooled = (float(old), float(new)) if old is not None and new is not None else None
    comparison = [
        {**r, "name": story.labelled_names.get(r["name"], r["name"])} for r in story.comparison
    ]
    said = str(scores.get("verdict") or "The old model was passed on; retraining was no better.")
    return [
        paragraph(
            "Usually there are no new images with known outlines. Therefore the retrain node left out "
            "one labelled image at a time, retrained on the others, and compared the old and the "
            "retrained model on the one left out. Its verdict:"
        ),
        callout(said, "bad" if story.old_kept else "good"),
        notes_list(story.retrain.warnings),
        side_by_side(
            figure(
                figures.old_new_chart(comparison, key, label, pooled),
                f"{label} on every labelled image while it was left out. The old model was told how "
                "large the objects are.",
            )
        ),
    ]


def _training(story: Story) -> list[Markup]:
    """Return the training curves of the models that learned from the labelled images."""
    known: dict[str, Model] = {m.card.id: m for m in story.models if m.role != "pretrained"}
    pretrained = story.model("pretrained")
    if pretrained is not None:
        known.pop(pretrained.card.id, None)  # the retrain node passed the old model on
    series = [
        (_title(m), m.card.training.get("history") or [], _colours(story)[m.column])
        for m in known.values()
    ]
    if not any(rows for _, rows, _ in series):
        return [paragraph("No training curve was kept.")]
    told = "How wrong the network was on the labelled images during training; lower is better."
    if len(series) > 1:
        told += " A model that starts lower has less to learn."
    return [
        side_by_side(figure(figures.loss_curves(series), told)),
        paragraph(f"Computed on: {next(iter(known.values())).card.device}.", quiet=True),
    ]


def _time(story: Story, seconds: float) -> list[Markup]:
    """Return how long every node took."""
    nodes = story.result.nodes
    rows: list[Mapping[str, Any]] = [
        {
            "name": n.node.name,
            "what": " ".join(n.node.label.split()),
            "time": f"{n.seconds:.1f}",
        }
        for n in nodes
    ]
    total = {"name": "In all, with starting", "what": " ", "time": f"{seconds:.1f}"}
    heads = {"name": "Node", "what": "Its label in the workflow", "time": "Time (s)"}
    return [table(heads, rows, total=total)]
