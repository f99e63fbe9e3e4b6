"""The feature score of translated stacks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from translation_scenes import scenes

from microshot import api
from microshot.data.dataset import Dataset
from microshot.data.image import Image
from microshot.tasks.translating.features import feature_scores
from microshot.tasks.translating.translation import Translation

DATA = scenes(3, shape=(96, 96))


def said(factor: float) -> list[Translation]:
    """Return translations that are the measured stains times `factor`."""
    targets = [s.target for s in DATA]
    assert all(targets)
    return [
        Translation(Image(factor * t.pixels.astype(np.float32), 0.5, ("DAPI",)))
        for t in targets
        if t is not None
    ]


def test_measured_stains_have_no_error_and_dim_ones_have() -> None:
    scores = [api.score("translate", said(f), DATA, features=True)[1] for f in (1.0, 0.9, 0.5)]
    values = [one["feature_score"] for one in scores]
    assert values[0] == 0 < values[1] < values[2]
    assert "feature_score" not in api.score("translate", said(1.0), DATA)[1]


def test_the_table_tells_what_is_off() -> None:
    table = feature_scores(said(0.5), DATA).table()
    light = next(r for r in table if r["Feature"] == "Nuclei: nuclei mean, mean (grey values)")
    assert light["Predicted"] < 0.7 * light["Measured"]
    number = next(r for r in table if r["Feature"] == "Nuclei: number")
    assert number["Measured"] > 0


def test_images_without_a_measured_stain_are_refused() -> None:
    bare = [dataclasses.replace(s, target=None) for s in DATA]
    with pytest.raises(ValueError, match="scene0: has no measured stain to compare with"):
        feature_scores(said(1.0), bare)
    assert feature_scores([], []).table() == []


def test_measured_stains_in_another_order_are_found_by_their_names() -> None:
    sample = next(iter(DATA))
    assert sample.target is not None
    nuclei = sample.target.pixels[0].astype(np.float32)
    lipids = nuclei[::-1].copy()
    found = Translation(Image(np.stack([nuclei, lipids]), channels=("nuclei", "lipids")))
    truth = Image(np.stack([lipids, nuclei]), channels=("BODIPY", "DAPI"))
    data = Dataset((dataclasses.replace(sample, target=truth),))
    rows, total = api.score("translate", [found], data, features=True)
    assert total["feature_score"] == 0
    assert (rows[0]["pearson_nuclei"], rows[0]["pearson_lipids"]) == pytest.approx((1, 1))
