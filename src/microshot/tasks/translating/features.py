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
    truths = []
    samples = list(data)
    for sample in samples:
        if sample.target is None:
            raise ValueError(f"{sample.name}: has no measured stain to compare with.")
        truths.append(sample.target)
    if not truths:
        return FeatureScores(())
    names = predictions[0].stains.channels
    scores = FeatureScores(names, typical_nucleus(names, (t.pixels for t in truths)))
    for sample, truth, found in zip(samples, truths, predictions, strict=True):
        scores.add(sample.name, truth.pixels, found.stains.pixels)
    return scores
