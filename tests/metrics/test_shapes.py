"""Shapes of all objects at once are those that scikit-image measures one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microshot.metrics.shapes import shapes

NAMES = {
    "id": "label", "y": "centroid-0", "x": "centroid-1", "area": "area", "perimeter": "perimeter",
    "major": "axis_major_length", "minor": "axis_minor_length", "eccentricity": "eccentricity",
    "solidity": "solidity", "intensity": "intensity_mean",
}  # fmt: skip


def check(labels: np.ndarray) -> None:
    from skimage.measure import regionprops_table

    image = np.random.default_rng(1).integers(0, 65535, labels.shape).astype(np.uint16)
    wanted = tuple(dict.fromkeys(name.split("-")[0] for name in NAMES.values()))
    expected = regionprops_table(labels, image, properties=wanted)
    found = shapes(labels, image)
    for name, theirs in NAMES.items():
        close = {"rtol": 1e-9, "atol": 1e-6 if name in ("eccentricity", "minor") else 1e-9}
        np.testing.assert_allclose(getattr(found, name), expected[theirs], err_msg=name, **close)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 40), st.integers(1, 6))
def test_any_labels_have_the_shapes_of_scikit_image(seed, height, width, n) -> None:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    labels = np.zeros((height, width), np.int32)
    for label in range(1, n + 1):  # ellipses over one another, some with holes and gaps
        cy, cx = rng.uniform(0, height), rng.uniform(0, width)
        a, b, turn = rng.uniform(0.6, 15), rng.uniform(0.6, 15), rng.uniform(0, np.pi)
        u = (y - cy) * np.cos(turn) + (x - cx) * np.sin(turn)
        v = (x - cx) * np.cos(turn) - (y - cy) * np.sin(turn)
        labels[(u / a) ** 2 + (v / b) ** 2 < 1] = 2 * label
    labels[rng.random(labels.shape) < rng.choice([0.0, 0.3, 0.9])] = 0
    check(labels)


@pytest.mark.parametrize(
    "rows",
    [["1"], ["11111"], ["1", "1", "1"], ["101"], ["1..1", "....", "1..1"], ["1...", ".1..", "...1"],
     ["1111111", "1.....1", "1.....1", "1.....1", "1111111"], ["12", "21"], ["1......", "..2...1"]],
)  # fmt: skip
def test_lines_gaps_and_holes(rows) -> None:
    check(np.array([[int(c.replace(".", "0")) for c in row] for row in rows], np.int32))


def test_no_object_no_shape() -> None:
    found = shapes(np.zeros((4, 5), np.int32), np.zeros((4, 5)))
    assert len(found.id) == len(found.area) == len(found.solidity) == 0


def test_ignored_pixels_belong_to_no_object() -> None:
    labels = np.array([[-1, 1, 1], [-1, -1, 1]], np.int32)
    assert shapes(labels, np.ones((2, 3))).area.tolist() == [3]
