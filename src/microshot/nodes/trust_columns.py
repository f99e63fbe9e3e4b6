"""Columns that say how far to trust a result and where it comes from."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import knime.extension as knext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.bundle import Card
    from microshot.trust import Trust

COLUMNS = {
    "Unlike training": knext.double(),
    "Warning": knext.string(),
    "Model": knext.string(),
    "Device": knext.string(),
    "Seconds": knext.double(),
}


def cells(trust: Trust, cards: Sequence[Card], device: str, seconds: float) -> list[Any]:
    """Return the cells of `COLUMNS` for one image."""
    from microshot.provenance import models_told

    return [trust.unlike, trust.warning, models_told(cards), device, round(seconds, 3)]


def shown(trust: Trust) -> dict[str, Any]:
    """Return what the view says of one image; nothing where the model does not know."""
    if trust.warning is None:
        return {}
    score = {} if trust.unlike is None else {"unlike": trust.unlike}
    return {**score, "unlike_training": bool(trust.warning), "warning": trust.warning}


class Translator:
    """Applies several models that translate, and remembers how far to trust each result."""

    def __init__(self, predictors: Sequence[Any]) -> None:
        from microshot import trust

        self.predictors = predictors
        self.judges = [trust.Judge(one.card, one.recipe) for one in predictors]
        self.begun = time.perf_counter()
        self.warnings: list[str | None] = []
        self.marks: list[dict[str, Any]] = []
        """What the view says of each image."""

    def seen(self, sample: Any) -> Any:
        """Return `sample` as it is, which every model sees in its own way.

        Raises
        ------
        ValueError
            If its image has other planes than a model's training images.
        """
        for one in self.predictors:
            one.seen(sample)
        return sample

    def __call__(self, sample: Any, progress: Any) -> tuple[list[Any], list[Any]]:
        """Return one translation per model, and the cells of `COLUMNS`."""
        from microshot import api, trust

        started = time.perf_counter()
        found = api.translate(self.predictors, sample, progress)
        every = [judge(sample, one) for judge, one in zip(self.judges, found, strict=True)]
        sure = trust.together(every)
        self.warnings.append(sure.warning)
        self.marks.append(shown(sure))
        cards = [one.card for one in self.predictors]
        seconds = time.perf_counter() - started
        return found, cells(sure, cards, self.predictors[0].device.line, seconds)

    def warning(self) -> str:
        """Return one sentence about the images unlike those of the training."""
        from microshot import trust

        return trust.joined(self.warnings)

    def record(self) -> dict[str, Any]:
        """Return where the results come from."""
        from microshot import provenance

        cards, seconds = [one.card for one in self.predictors], time.perf_counter() - self.begun
        return provenance.record(cards, self.predictors[0].device, seconds)
