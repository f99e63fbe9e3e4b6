"""Measurements of objects: by hand, for tiny objects, and without a pixel size."""

from __future__ import annotations

import math

import numpy as np
import pytest

from microshot.data.image import Image
from microshot.tasks.measure import COLUMNS, measure


def measured(labels: np.ndarray, size_um: float | None = None) -> list[dict]:
    pixels = np.stack([labels * 10 + 5, labels * 0]).astype(np.uint16)
    n = int(labels.max())
    return measure(labels.astype(np.int32), Image(pixels, size_um), np.linspace(1, 0.5, n))


def test_a_rectangle_by_hand() -> None:
    labels = np.zeros((20, 30), int)
    labels[4:8, 10:18] = 1
    labels[12:18, 3:5] = 2
    first, second = measured(labels, 0.5)
    assert tuple(first) == COLUMNS
    assert (first["id"], second["id"]) == (1, 2)
    assert (first["y"], first["x"]) == (5.5, 13.5)
    assert first["area_px"] == 32
    assert first["area_um2"] == 8.0
    assert first["mean_intensity"] == 15
    assert second["mean_intensity"] == 25
    assert first["probability"] == 1.0
    assert second["probability"] == 0.5
    assert first["solidity"] == pytest.approx(1.0)
    assert first["major_axis_px"] > first["minor_axis_px"]


def test_a_circle_is_round() -> None:
    y, x = np.mgrid[:60, :60]
    (row,) = measured((np.hypot(y - 30, x - 30) < 20).astype(int))
    assert row["eccentricity"] < 0.1
    assert row["major_axis_px"] == pytest.approx(40, rel=0.02)
    assert row["perimeter_px"] == pytest.approx(2 * math.pi * 20, rel=0.06)
    assert row["area_um2"] is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (1, 7), (2, 2), (7, 1)])
def test_the_smallest_objects_have_finite_measurements(shape) -> None:
    labels = np.zeros((12, 12), int)
    labels[3 : 3 + shape[0], 3 : 3 + shape[1]] = 1
    (row,) = measured(labels)
    assert row["area_px"] == shape[0] * shape[1]
    assert all(math.isfinite(v) for v in row.values() if v is not None)
    assert 0 < row["solidity"] <= 1


def test_an_object_as_large_as_the_image() -> None:
    (row,) = measured(np.ones((5, 9), int))
    assert row["area_px"] == 45
    assert math.isfinite(row["perimeter_px"])


def test_no_objects_no_rows() -> None:
    assert measured(np.zeros((5, 9), int)) == []
