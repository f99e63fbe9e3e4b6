"""Which samples are learned from and which are held out."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from microshot import api
from microshot.data.dataset import Dataset, folds, kept_together
from microshot.learning.selecting import held_back, hold_out, without_copies
from microshot.studies.trials import set_aside
from microshot.tasks import task_named
from tiny_models import RETRAIN, TRAIN, fields, model


def in_wells(n: int, *wells: str) -> Dataset:
    data = fields(n)
    return Dataset.of(
        dataclasses.replace(s, group=wells[i % len(wells)]) for i, s in enumerate(data)
    )


def test_images_of_one_well_are_never_both_learned_from_and_judged_by() -> None:
    data = in_wells(12, "A1", "A2", "B10")
    keep, out = hold_out(data, TRAIN)
    assert len(out) == 4
    assert not {data[i].group for i in keep} & {data[i].group for i in out}
    (note,) = held_back(data, out, TRAIN)
    assert note.startswith("Held out: 4 of 12 images, 1 of 3 groups (")


def test_a_single_well_cannot_be_held_out_and_that_is_told() -> None:
    data = in_wells(9, "A1")
    keep, out = hold_out(data, TRAIN)
    assert (len(keep), out) == (9, [])
    (note,) = held_back(data, out, TRAIN)
    assert 'All 9 images belong to the group "A1"' in note


def test_without_groups_single_images_are_held_out_and_nothing_is_told() -> None:
    data = fields(10)
    _, out = hold_out(data, TRAIN)
    assert np.size(out) >= 1
    assert held_back(data, out, TRAIN) == []


def test_of_fewer_than_eight_images_none_is_held_out_and_nothing_is_told() -> None:
    few, enough = fields(7), fields(8)
    assert hold_out(few, TRAIN) == (list(range(7)), [])
    keep, out = hold_out(enough, TRAIN)
    assert out
    assert sorted(keep + out) == list(range(8))
    wells = in_wells(7, "A1", "A2")
    assert held_back(wells, hold_out(wells, TRAIN)[1], TRAIN) == []


def test_labelled_images_that_are_given_as_further_ones_too_are_learned_from_once() -> None:
    """Else an image that is held out would be learned from all the same."""
    data, more = fields(8), Dataset.of(fields(11).samples[8:])
    made = api.train(data, TRAIN, synthetic=data + more)
    assert len(made.data) == 8 + len(more)
    (note,) = (n for n in made.notes if "learn from as well" in n)
    assert note.startswith("8 images to learn from as well are among the labelled images, too,")
    assert not [n for n in api.train(data, TRAIN, synthetic=more).notes if "as well" in n]


def test_an_image_that_only_the_second_table_labels_is_kept() -> None:
    task, labelled = task_named("segment"), fields(3)
    bare = Dataset.of(dataclasses.replace(s, labels=None) for s in labelled)
    assert without_copies(task, bare, labelled) == (labelled, [])
    assert without_copies(task, labelled, None) == (None, [])


def twice(n: int, **more: Any) -> Dataset:
    """Return n different images, and the first once more under another name."""
    few = fields(n)
    return few + Dataset.of([dataclasses.replace(few[0], name="again", **more)])


@pytest.mark.parametrize("seed", range(8))
def test_an_image_given_twice_is_on_one_side_of_every_split(seed) -> None:
    data, notes = kept_together(twice(8))
    assert notes == [
        f"1 of 9 labelled images has the same pixels as another (again as {data[0].name}): such images "
        "are never both learned from and judged by."
    ]
    values = dataclasses.replace(TRAIN, training=dataclasses.replace(TRAIN.training, seed=seed))
    keep, out = hold_out(data, values)
    assert out
    assert sorted(keep + out) == list(range(9))
    assert (0 in out) == (8 in out)
    assert held_back(data, out, values) == []
    own, test = set_aside("segment", twice(4), 0.3, seed)
    assert {s.image.digest for s in own}.isdisjoint(s.image.digest for s in test)


def test_copies_join_the_groups_they_are_in() -> None:
    few = twice(4, group="B")
    wells = ["A", "A", "B", "3", "B"]
    data, _ = kept_together(
        Dataset.of(dataclasses.replace(s, group=g) for s, g in zip(few, wells, strict=True))
    )
    assert folds(data.groups, 9, 1) == [[0, 1, 2, 4], [3]]
    assert [s.group for s in data] == wells
    assert data.take([0, 1, 2, 4]).bond == "share groups or pixels"


def test_different_images_stay_as_they_are_even_under_one_name() -> None:
    alike = Dataset.of(dataclasses.replace(s, name="a") for s in fields(4))
    assert kept_together(alike) == (alike, [])


def test_retraining_never_learns_from_the_image_that_it_is_judged_by_under_another_name() -> None:
    made = api.retrain(model(), twice(2), RETRAIN)
    assert len(made.comparison) == 3
    assert [n for n in made.notes if n.startswith("1 of 3 labelled images has the same pixels")]
    alone = api.retrain(model(), twice(1), RETRAIN)
    assert not alone.comparison
    assert [
        n for n in alone.notes if n.startswith("All images have the same pixels, so none can be")
    ]
