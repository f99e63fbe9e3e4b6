"""Scenes: labels, overlap rules and placement."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microshot.synth import counts
from microshot.synth.placement import PlacementLaw
from microshot.synth.scene import SceneLaw, n_covering, sample_scene
from microshot.synth.shapes import KINDS, rasterise

LAYOUTS = st.builds(
    PlacementLaw,
    touching=st.floats(0, 1),
    alignment=st.floats(0, 1),
    max_overlap_fraction=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    max_tries=st.integers(1, 30),
)
LAWS = st.builds(
    SceneLaw,
    size_px=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    count=st.builds(counts.fixed, st.integers(0, 15)),
    kinds=st.sampled_from(KINDS).map(lambda kind: ((kind, 1.0, 1.0),)),
    radius_px=st.floats(1, 20),
    radius_spread=st.floats(0, 0.5),
    placement=LAYOUTS,
    min_area_px=st.integers(1, 12),
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(LAWS, st.integers(0, 2**32))
def test_every_scene_is_consistent(law, seed):
    scene = sample_scene(np.random.default_rng(seed), law)
    assert scene.labels.dtype == np.int32
    assert scene.labels.shape == law.size_px
    areas = np.bincount(scene.labels.ravel(), minlength=scene.count + 1)[1:]
    assert len(areas) == scene.count <= scene.n_asked
    assert [item.area_px for item in scene.objects] == areas.tolist()
    assert (areas >= law.min_area_px).all()
    assert (scene.note == "") == (scene.count == scene.n_asked)
    for item in scene.objects:
        assert 0 <= item.centre_yx[0] <= law.size_px[0] - 1
        assert 0 <= item.centre_yx[1] <= law.size_px[1] - 1


@pytest.mark.parametrize("spread", [0.05, 0.3])
@pytest.mark.parametrize(
    "kinds",
    [
        (("ellipse", 1.0, 1.0),),
        (("adherent", 0.6, 1.0), ("round", 0.4, 0.5)),
        (("dividing", 0.5, 1.2), ("blob", 0.5, 1.0)),
    ],
)
def test_as_many_objects_as_cover_a_part_of_the_frame_cover_it(kinds, spread):
    size = (160, 256)
    n = n_covering(0.15, size, kinds, 9.0, spread)
    law = SceneLaw(
        size, counts.poisson(n), kinds, 9.0, spread, PlacementLaw(max_overlap_fraction=0.02)
    )
    covered = [
        (sample_scene(np.random.default_rng(seed), law).labels > 0).mean() for seed in range(30)
    ]
    assert np.mean(covered) == pytest.approx(0.15, rel=0.12)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(LAWS, st.integers(0, 2**32))
def test_the_overlap_rule_is_obeyed(law, seed):
    scene = sample_scene(np.random.default_rng(seed), law)
    if law.placement.max_overlap_fraction == 1:
        return
    for item in scene.objects:
        _, inside = rasterise(item.outline_yx, scene.shape)
        assert item.area_px >= (1 - law.placement.max_overlap_fraction) * inside.sum() - 1e-9


def test_visible_parts_are_those_of_the_later_objects_on_top():
    law = SceneLaw(
        count=counts.fixed(30),
        radius_px=25,
        kinds=(("blob", 1.0, 1.0),),
        placement=PlacementLaw(max_overlap_fraction=0.5, touching=0.5),
    )
    scene = sample_scene(np.random.default_rng(3), law)
    again = np.zeros(scene.shape, dtype=int)
    for number, item in enumerate(scene.objects, 1):
        box, inside = rasterise(item.outline_yx, scene.shape)
        again[box][inside] = number
    assert np.array_equal(again, scene.labels)


def test_fully_hidden_objects_are_dropped():
    law = SceneLaw(
        size_px=(20, 20),
        count=counts.fixed(12),
        radius_px=25,
        placement=PlacementLaw(max_overlap_fraction=1.0),
    )
    scene = sample_scene(np.random.default_rng(0), law)
    assert 0 < scene.count < 12
    assert scene.note == f"room for {scene.count} of the 12 objects asked for"


def test_touching_objects_touch():
    def share_of_touching(touching: float) -> float:
        law = SceneLaw(
            count=counts.fixed(12),
            radius_px=8,
            placement=PlacementLaw(touching=touching),
        )
        found = 0
        for seed in range(10):
            labels = sample_scene(np.random.default_rng(seed), law).labels
            a, b = labels[:, 1:], labels[:, :-1]
            pairs = {*zip(a[(a != b) & (a * b > 0)], b[(a != b) & (a * b > 0)], strict=True)}
            found += len({frozenset(map(int, pair)) for pair in pairs})
        return found / 120

    assert share_of_touching(1.0) > 0.5 > 3 * share_of_touching(0.0)


def test_a_dividing_pair_is_two_labels_of_one_group():
    law = SceneLaw(count=counts.fixed(2), kinds=(("dividing", 1.0, 1.0),))
    scene = sample_scene(np.random.default_rng(4), law)
    assert scene.count == 2
    assert scene.objects[0].group == scene.objects[1].group


def test_a_pair_does_not_exceed_an_odd_count():
    law = SceneLaw(count=counts.fixed(5), kinds=(("dividing", 1.0, 1.0),), radius_px=6)
    assert sample_scene(np.random.default_rng(4), law).count == 5


def test_what_does_not_fit_is_reported_and_nothing_hangs():
    law = SceneLaw(count=counts.fixed(9_000), radius_px=20, kinds=(("adherent", 1.0, 1.0),))
    scene = sample_scene(np.random.default_rng(0), law)
    assert 5 < scene.count < 100
    assert scene.note == f"room for {scene.count} of the 9000 objects asked for"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: SceneLaw(size_px=(0, 5)), "at least 1 x 1 px, found 0 x 5 px"),
        (lambda: SceneLaw(kinds=()), "shapes out of ellipse"),
        (lambda: SceneLaw(kinds=(("cube", 1.0, 1.0),)), r"found \['cube'\]"),
        (lambda: SceneLaw(radius_px=0), "radius above 0 px"),
        (lambda: SceneLaw(min_area_px=0), "min_area_px must be at least 1"),
        (lambda: PlacementLaw(touching=1.5), "touching must lie between 0 and 1, found 1.5"),
        (lambda: PlacementLaw(max_tries=0), "max_tries must be at least 1"),
    ],
)
def test_impossible_laws_are_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()
