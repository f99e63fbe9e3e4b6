"""Which samples are learned from and which are held out."""

from __future__ import annotations

import dataclasses

import numpy as np

from microshot import api
from microshot.data.dataset import Dataset
from microshot.learning.selecting import held_back, hold_out, without_copies
from microshot.tasks import task_named
from tiny_models import TRAIN, fields


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
