"""What an analysis would measure on translated stacks, compared with the measured stains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microshot.metrics.feature_scoring import FeatureScores
from microshot.metrics.stain_features import typical_nucleus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from microshot.data.dataset import Sample
    from microshot.tasks.translating.translation import Translation


def feature_scores(predictions: Sequence[Translation], data: Iterable[Sample]) -> FeatureScores:
    """Measure objects in measured and predicted stains, see `metrics.feature_scoring`.

    Raises
    ------
    ValueError
        If an image has no measured stain, or other ones than predicted.
    """
    samples = list(data)
    truths = [p.measured(s) for p, s in zip(predictions, samples, strict=True)]
    if not truths:
        return FeatureScores(())
    names = predictions[0].stains.channels
    scores = FeatureScores(names, typical_nucleus(names, truths))
    for sample, truth, found in zip(samples, truths, predictions, strict=True):
        scores.add(sample.name, truth, found.stains.pixels)
    return scores
