"""What a model file says of its model: what it is, where it comes from, how good it was."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot import knobs, provenance, trust
from microshot.bundle import Card
from microshot.device import rank_and_size
from microshot.libraries import load
from microshot.progress import Cancelled, Progress, silent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.data.dataset import Dataset, Sample
    from microshot.learning.fitting import Example, Fitting
    from microshot.tasks.base import Recipe
    from microshot.training.trainer import Fit

#: What is needed to remember the images, loaded before a training begins with all else.
REMEMBERING = ("scipy.stats",)


def card_of(
    run: Fitting,
    recipe: Recipe,
    fitted: Fit,
    data: Dataset,
    shown: Sequence[Sample],
    examples: Sequence[Example],
    name: str,
    licence: str,
    origin: str = "",
    *,
    progress: Progress = silent,
) -> Card:
    """Write down what the model is and where it comes from.

    Parameters
    ----------
    data : all samples it was trained on.
    shown : those that stand for the images it is meant for, at least one.
    examples : those its scores were computed on.
    origin : where the images come from, in the user's words.
    """
    created = provenance.now()
    sizes = [s.image.pixel_size_um for s in shown if s.image.pixel_size_um]
    first = shown[0].image
    return Card(
        task=run.task.name,
        name=name or f"{run.task.name} {created[:10]}",
        architecture=recipe.architecture,
        normalization=recipe.normalization.to_json(),
        channels=first.channels or tuple(f"channel {i + 1}" for i in range(first.n_channels)),
        targets=tuple(recipe.preparation.get("targets", ())),
        pixel_size_um=float(np.median(sizes)) if sizes else None,
        preparation=recipe.preparation,
        tile=recipe.tile,
        thresholds=recipe.thresholds,
        calibration=_remembered(fitted, shown, examples, recipe, progress),
        scores=_scores(run, examples),
        training={
            "stopped": fitted.stopped,
            "steps": fitted.steps,
            "seconds": round(fitted.seconds, 1),
            "hyper": dataclasses.asdict(run.hyper),
            "history": fitted.history,
        },
        settings=knobs.to_json(knobs.with_files(run.settings, _name)),
        lineage=provenance.descent(run.start.card) if run.start else (),
        data=provenance.describe(data, origin),
        licence=licence,
        versions=provenance.versions(),
        device=dataclasses.replace(run.device, half=fitted.half, processes=rank_and_size()[1]).line,
        created=created,
        preview=provenance.preview(shown),
    )


def _scores(run: Fitting, examples: Sequence[Example]) -> dict[str, Any]:
    held_out = bool(examples) and examples[0].held_out
    summary = run.task.summarize([e.scores for e in examples]) if examples else {}
    where = "held out" if held_out else "training images"
    return {"images": where, "n_images": len(examples), **summary}


def _name(path: str) -> str:
    """Return the name of a file without its folders, which are nobody else's business."""
    return Path(path).name


def _remembered(
    fitted: Fit,
    shown: Sequence[Sample],
    examples: Sequence[Example],
    recipe: Recipe,
    progress: Progress,
) -> dict[str, Any]:
    """Return what the model remembers of its images: little where the user does not want to wait."""
    try:
        load(progress, *REMEMBERING)
        return trust.learned(shown, examples, recipe, progress, brief=fitted.stopped == "cancelled")
    except Cancelled:
        fitted.stopped = "cancelled"
        return trust.learned(shown, examples, recipe, brief=True)
