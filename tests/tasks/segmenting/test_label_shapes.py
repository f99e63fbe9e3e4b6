"""Labels whose shapes star-convex polygons cannot learn are told before the training."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from microshot import api
from microshot.data.dataset import Dataset, Sample
from microshot.data.image import Image
from microshot.tasks.segmenting import label_shapes
from tiny_models import TRAIN, changed, field

Y, X = np.mgrid[:64, :64]
RADIUS = np.hypot(Y - 32, X - 32)
DISC = (RADIUS < 15).astype(np.int32)


def of(labels: np.ndarray, **more) -> Sample:
    return Sample("a", Image(np.zeros((1, *labels.shape), np.uint8)), labels=labels, **more)


def test_round_and_convex_objects_are_the_polygons_drawn_after_them() -> None:
    labels = DISC + 2 * ((Y > 50) & (X > 5) & (X < 30)).astype(np.int32)
    ious, holed = label_shapes.shapes_of(labels, 32)
    assert ious.min() > 0.9
    assert holed.tolist() == [False, False]
    assert label_shapes.remarks([of(labels)], 32) == []


def test_the_iou_is_that_of_a_polygon_seen_from_the_deepest_point() -> None:
    """Of a cross of four equal arms a polygon of four rays holds no more than a diamond."""
    cross = ((abs(Y - 32) < 3) & (abs(X - 32) < 21)) | ((abs(X - 32) < 3) & (abs(Y - 32) < 21))
    (iou,), _ = label_shapes.shapes_of(cross.astype(np.int32), 4)
    diamond = abs(Y - 32) + abs(X - 32) <= 20.5
    assert iou == pytest.approx((cross & diamond).sum() / (cross | diamond).sum(), abs=0.03)


def test_rings_and_holes_are_told_and_small_or_generated_objects_are_not() -> None:
    ring = ((RADIUS < 30) & (RADIUS > 24)).astype(np.int32)
    holed = DISC * ((abs(Y - 32) > 1) | (abs(X - 40) > 1))
    notes = label_shapes.remarks([of(ring), of(ring)], 32)
    assert notes[0].startswith("The labelled objects are not star-convex: polygons of 32 rays")
    assert "(network.head=boundary)" in notes[0]
    assert notes[1].startswith("2 of 2 labelled objects have holes")
    (note,) = label_shapes.remarks([of(holed), of(DISC), of(DISC)], 32)
    assert note.startswith("1 of 3 labelled objects has holes")
    assert label_shapes.remarks([of(ring, domain="synthetic")], 32) == []
    assert label_shapes.remarks([of(ring[::8, ::8]), of(0 * ring)], 32) == []


def test_a_training_tells_them_where_it_learns_polygons() -> None:
    ring = np.zeros((64, 72), np.int32)
    ring[:, :64] = (RADIUS < 30) & (RADIUS > 24)
    data = Dataset((dataclasses.replace(field(1), labels=ring),))
    told = {
        h: api.train(data, changed(TRAIN, network__head=h)).notes for h in ("stardist", "boundary")
    }
    assert len(told["stardist"]) == 2
    assert told["boundary"] == []
