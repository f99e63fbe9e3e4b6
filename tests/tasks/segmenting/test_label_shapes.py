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


@pytest.mark.parametrize(("side", "n"), [(5, 1), (4, 0)])
def test_objects_of_less_than_50_px_say_nothing(side, n) -> None:
    labels = np.zeros((30, 30), np.int32)
    labels[5 : 5 + side, 5:15] = 1
    assert [len(found) for found in label_shapes.shapes_of(labels, 32)] == [n, n]


def test_neighbours_in_its_box_and_areas_to_leave_out_are_no_part_of_an_object() -> None:
    """An L around a square is no star-convex object of 32 rays, and both together would be one."""
    labels = np.full((40, 40), -1, np.int32)
    labels[5:35, 5:35] = 1
    labels[5:29, 11:35] = 2
    ious, holed = label_shapes.shapes_of(labels, 32)
    assert ious[0] < 0.8
    assert ious[1] > 0.95
    assert holed.tolist() == [False, False]


def test_of_many_objects_some_are_looked_at_that_lie_apart() -> None:
    """Of 32 the last 16 have a hole, and every second one is looked at."""
    labels = np.zeros((4 * 20, 8 * 20), np.int32)
    for n in range(32):
        y, x = 20 * (n // 8), 20 * (n % 8)
        labels[y + 2 : y + 16, x + 2 : x + 16] = n + 1
        labels[y + 8 : y + 10, x + 8 : x + 10] *= n < 16
    _, holed = label_shapes.shapes_of(labels, 16)
    assert holed.tolist() == [False] * 8 + [True] * 8


def remarks_on(monkeypatch, ious: list[list[float]], n_holed: int = 0) -> list[str]:
    """Return what is said of images in which such IoUs are found, the first objects with holes."""
    n = sum(len(one) for one in ious)
    holed = np.split(np.arange(n) < n_holed, np.cumsum([len(one) for one in ious])[:-1])
    found = {
        i: (np.array(iou), hole) for i, (iou, hole) in enumerate(zip(ious, holed, strict=True))
    }
    monkeypatch.setattr(label_shapes, "shapes_of", lambda labels, _: found[int(labels[0, 0])])
    return label_shapes.remarks([of(np.full((2, 2), i)) for i in found], 32)


def test_the_mean_over_all_objects_of_all_images_is_to_reach_80_percent(monkeypatch) -> None:
    """2.38 / 3 = 0.79 and 2.43 / 3 = 0.81, though one object or one image alone has less."""
    (note,) = remarks_on(monkeypatch, [[0.95, 0.95], [0.48]])
    assert "of 32 rays drawn after 3 of them reach an IoU of 0.79 with them" in note
    assert "expected at least 0.8;" in note
    assert remarks_on(monkeypatch, [[0.95, 0.95], [0.53]]) == []
    assert remarks_on(monkeypatch, [[0.7, 0.7], [1.0, 1.0, 0.7]]) == []


@pytest.mark.parametrize(("n", "told"), [(49, True), (50, False)])
def test_one_object_in_fifty_may_have_holes(monkeypatch, n, told) -> None:
    notes = remarks_on(monkeypatch, [[1.0] * n], 1)
    assert [note[: note.index(",")] for note in notes] == [
        f"1 of {n} labelled objects has holes"
    ] * told


def test_of_many_images_eight_are_looked_at_from_the_first_to_the_last(monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(
        label_shapes, "shapes_of",
        lambda labels, _: seen.append(int(labels[0, 0])) or (np.ones(1), np.zeros(1, bool)),
    )  # fmt: skip
    label_shapes.remarks([of(np.full((2, 2), i)) for i in range(16)], 32)
    assert seen == [0, 2, 4, 6, 8, 10, 12, 14]


def test_a_training_tells_them_where_it_learns_polygons() -> None:
    ring = np.zeros((64, 72), np.int32)
    ring[:, :64] = (RADIUS < 30) & (RADIUS > 24)
    data = Dataset((dataclasses.replace(field(1), labels=ring),))
    told = {
        h: api.train(data, changed(TRAIN, network__head=h)).notes for h in ("stardist", "boundary")
    }
    assert len(told["stardist"]) == 2
    assert told["boundary"] == []
