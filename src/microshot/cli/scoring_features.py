"""The part of the verb *score* that compares what an analysis measures on stains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from microshot.metrics.feature_scoring import FeatureScores
    from microshot.progress import Progress

#: Features told one by one; --json has all.
MOST_TOLD = 5


def features_of(
    images: Mapping[str, Mapping[str, tuple[Path, Path]]],
    names: Sequence[str],
    plane: Callable[[Path], np.ndarray],
    progress: Progress,
) -> FeatureScores:
    """Measure the stains of every image together.

    Parameters
    ----------
    images : measured and predicted file by image and stain.
    names : the stains; every image has all of them.
    plane : reads a file as (Y, X).
    """
    from microshot.metrics.feature_scoring import FeatureScores
    from microshot.metrics.stain_features import typical_nucleus

    def stack(files: Mapping[str, tuple[Path, Path]], side: int) -> np.ndarray:
        return np.stack([plane(files[name][side]) for name in names])

    width = typical_nucleus(names, (stack(files, 0) for files in images.values()))
    scores = FeatureScores(names, width)
    for index, (image, files) in enumerate(images.items()):
        progress(index / len(images), f"measuring {image}")
        scores.add(image, stack(files, 0), stack(files, 1))
    return scores


def told(scores: FeatureScores) -> list[str]:
    """Say the feature score and the worst features."""
    table = scores.table()
    lines = [f"feature score: {scores.score():.3f} ({len(table)} features; 0 is perfect)"]
    worst = [row for row in table if row["Error"] > 0][:MOST_TOLD]
    return lines + [
        f"  {row['Feature']}: {_number(row['Measured'])} measured, {_number(row['Predicted'])} "
        f"predicted, error {row['Error']:.2f}"
        for row in worst
    ]


def as_json(scores: FeatureScores) -> dict[str, Any]:
    """Return score and table with lower-case keys; None where there is no number."""
    table = [{k.lower(): _known(v) for k, v in row.items()} for row in scores.table()]
    return {"score": _known(scores.score()), "nucleus_px": scores.nucleus_px, "table": table}


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _number(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else "none"
