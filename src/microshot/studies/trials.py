"""One training that is scored on images set aside, and the table that remembers such trials."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import math
from typing import TYPE_CHECKING, Any

from microshot import api, knobs, provenance
from microshot.data.dataset import kept_together, split
from microshot.data.disk import made_folder, replacing
from microshot.data.folders import listed
from microshot.progress import Cancelled, Progress, each, span
from microshot.settings import PredictSettings, RetrainSettings, TrainSettings
from microshot.tasks import task_named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from microshot.bundle import Bundle
    from microshot.data.dataset import Dataset

#: Part of a trial's progress for the training; the rest is scoring.
_TRAINING_SHARE = 0.9
#: Column that says from which images and settings a row was made.
MADE_FROM = "made_from"


def set_aside(task: str, data: Dataset, fraction: float, seed: int) -> tuple[Dataset, Dataset]:
    """Divide the labelled images into those to train on and those to score on.

    Images of one group, and those with equal pixels, are always on the same side.

    Raises
    ------
    ValueError
        If fewer than three are labelled, all are of one group, or `fraction` is no part.
    """
    if not 0 < fraction < 1:
        raise ValueError(
            f"Part of the images to score on: expected a number between 0 and 1, found {fraction:g}."
        )
    judge = task_named(task)
    known = data.take([i for i, s in enumerate(data) if judge.is_labelled(s)])
    if len(known) < 3:
        raise ValueError(
            f"Expected at least 3 images with their {judge.needs}, so that some can be set aside "
            f"to score on, found {len(known)}; label more."
        )
    known, _ = kept_together(known)
    kept, out = split(known.groups, fraction, seed)
    if not out:
        raise ValueError(
            f"All labelled images {known.bond}, so none can be set aside to score on; give others, too."
        )
    return known.take(kept), known.take(out)


def trial(
    start: Bundle | None,
    data: Dataset,
    test: Dataset,
    settings: TrainSettings | RetrainSettings,
    synthetic: Dataset | None,
    progress: Progress,
) -> dict[str, Any]:
    """Train, from scratch or from `start`, and return the scores on `test`.

    Raises
    ------
    ValueError
        If the images of `test` give no score, as stains do that are the same in every pixel.
    Cancelled
        If cancelled, also during the training: half a training is no result.
    """
    training = span(progress, 0.0, _TRAINING_SHARE)
    if isinstance(settings, TrainSettings):
        made = api.train(data, settings, synthetic=synthetic, progress=training)
    elif start is not None:
        made = api.retrain(start, data, settings, synthetic=synthetic, progress=training)
    else:
        raise ValueError("Retraining needs a model to start from; give one, or train from scratch.")
    if made.stopped == "cancelled":
        raise Cancelled
    predictor = api.Predictor(made.bundle, PredictSettings(device=settings.training.device))
    scoring = span(progress, _TRAINING_SHARE, 1.0)
    found = [predictor(s) for s in each(test, len(test), scoring, "scoring image")]
    _, total = api.score(made.bundle.card.task, found, test)
    card, judge = made.bundle.card, task_named(made.bundle.card.task)
    if not math.isfinite(total[judge.primary]):
        raise ValueError(
            f"The images set aside to score on ({listed([s.name for s in test])}) give no "
            f"{judge.primary_label}: every pixel of their stains has the same value; give others, or "
            "choose them anew with another random seed."
        )
    facts = {"seconds": card.training.get("seconds"), "steps": card.training.get("steps"),
             "device": card.device, "version": card.versions.get("microshot")}  # fmt: skip
    return {k: v for k, v in total.items() if not isinstance(v, float) or v == v} | facts


def fingerprint(data: Sequence[Dataset], *more: Any) -> str:
    """Return a short text that changes with the images, their truth, their groups, and settings."""
    parts = [provenance.describe(one).get("fingerprint", "") for one in data if len(one)]
    truth = [
        hashlib.sha256(b"" if s.labels is None else s.labels.tobytes()).hexdigest()[:12]
        + f"{s.count} {None if s.points is None else len(s.points)}"
        + (f" {s.group}" if s.group else "")
        for one in data
        for s in one
    ]
    text = json.dumps([parts, truth, *more], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class Ledger:
    """Rows of a CSV file, written whole after every row, so that work can go on where it stopped.

    `notes` are what else is to be known of the work.

    Raises
    ------
    ValueError
        If the file was made from other images or settings.
    """

    def __init__(self, path: Path, made_from: str) -> None:
        self.path, self.made_from = path, made_from
        self.rows: list[dict[str, str]] = []
        self.notes: list[str] = []
        if path.is_file():
            with path.open(encoding="utf-8-sig", newline="") as file:
                self.rows = list(csv.DictReader(file))
            if any(row.get(MADE_FROM) != made_from for row in self.rows):
                raise ValueError(
                    f'"{path}" was made from other images or settings; give another folder, or '
                    "delete the file to begin anew."
                )

    def find(self, key: Mapping[str, Any]) -> dict[str, str] | None:
        """Return the row with these values, if it was measured before."""
        wanted = {k: str(v) for k, v in key.items()}
        return next((r for r in self.rows if all(r.get(k) == v for k, v in wanted.items())), None)

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row and write the file."""
        self.rows.append({**{k: str(v) for k, v in row.items()}, MADE_FROM: self.made_from})
        names = [n for n in dict.fromkeys(k for r in self.rows for k in r) if n != MADE_FROM]
        made_folder(self.path.parent)
        with (
            replacing(self.path, overwrite=True) as part,
            part.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, [*names, MADE_FROM])
            writer.writeheader()
            writer.writerows(self.rows)


def numbers(rows: Sequence[Mapping[str, str]], name: str) -> list[float]:
    """Return the numbers of a column; what is none is left out."""
    made = []
    for row in rows:
        try:
            value = float(row.get(name) or "nan")
        except ValueError:
            value = math.nan
        if math.isfinite(value):
            made.append(value)
    return made


def assigned(values: Any, sets: Mapping[str, str]) -> Any:
    """Return settings with knobs set from text, checked once all are set."""
    for key, text in sets.items():
        values = knobs.assign(values, key, text)
    return knobs.check(values)


def seeded(values: Any, seed: int) -> Any:
    """Return settings of a training with another random seed."""
    return dataclasses.replace(values, training=dataclasses.replace(values.training, seed=seed))
