"""Samples, splits and folds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microshot.data.dataset import (
    Dataset,
    Sample,
    folds,
    split,
)
from microshot.data.image import Image

IMAGE = Image(np.zeros((1, 4, 6), np.uint8))


def test_labels_and_target_must_have_the_size_of_the_image() -> None:
    Sample("a", IMAGE, np.zeros((4, 6), np.int32), target=Image(np.zeros((3, 4, 6), np.uint8)))
    told = (
        r"Row1: the label image must have the size of the image, expected 4 x 6 px, found 6 x 4 px"
    )
    with pytest.raises(ValueError, match=told):
        Sample("Row1", IMAGE, np.zeros((6, 4), np.int32))
    with pytest.raises(ValueError, match=r"Row2: the target image .* found 4 x 5 px"):
        Sample("Row2", IMAGE, target=Image(np.zeros((1, 4, 5), np.uint8)))
    with pytest.raises(ValueError, match=r"Row3: the area to be ignored .* found 6 x 4 px"):
        Sample("Row3", IMAGE, points=np.zeros((1, 2)), ignore=np.zeros((6, 4), bool))


def test_points_must_lie_in_the_image() -> None:
    Sample("a", IMAGE, points=np.array([[-0.5, 0], [3.5, 5.5]]))
    Sample("a", IMAGE, points=np.zeros((0, 2)))
    for outside in ([1.0, 6.0], [-1, 0], [np.nan, 0]):
        with pytest.raises(ValueError, match=r"Row1: the point .* outside of the image of 4 x 6"):
            Sample("Row1", IMAGE, points=np.array([[1.0, 1.0], outside]))
    for other in (np.zeros(4), np.zeros((2, 3)), np.array([["1", "2"]])):
        with pytest.raises(ValueError, match="Row1: expected points as pairs of numbers y, x"):
            Sample("Row1", IMAGE, points=other)


def test_a_dataset_keeps_the_order() -> None:
    samples = [Sample(name, IMAGE) for name in "abcd"]
    data = Dataset.of(samples)
    assert [s.name for s in data] == list("abcd")
    assert [s.name for s in data.take([2, 0])] == ["c", "a"]
    assert [s.name for s in data.take([3]) + data.take([1])] == ["d", "b"]
    assert data[1] is samples[1]
    assert len(Dataset()) == 0


def alone(n: int) -> list[str]:
    return [""] * n


@given(st.integers(0, 200), st.floats(0, 0.5), st.integers(0, 50))
def test_a_split_divides_everything_and_keeps_something_to_learn_from(n, fraction, seed) -> None:
    kept, out = split(alone(n), fraction, seed)
    assert sorted(kept + out) == list(range(n))
    assert kept == sorted(kept)
    assert out == sorted(out)
    assert kept or n == 0
    if n > 1 and fraction > 0:
        assert len(out) == max(round(n * fraction), 1)
    else:
        assert not out
    assert (kept, out) == split(alone(n), fraction, seed)


def test_another_seed_holds_out_others() -> None:
    assert len({tuple(split(alone(100), 0.1, seed)[1]) for seed in range(20)}) > 15


@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 9))
def test_folds_hold_out_every_row_once(n, n_folds, seed) -> None:
    parts = folds(alone(n), n_folds, seed)
    assert sorted(i for part in parts for i in part) == list(range(n))
    assert len(parts) == min(n, n_folds)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert parts == folds(alone(n), n_folds, seed)


def test_as_many_folds_as_rows_leave_out_one_in_order() -> None:
    assert folds(alone(4), 4, 0) == folds(alone(4), 9, 5) == [[0], [1], [2], [3]]


@given(
    st.lists(st.sampled_from(["", "A1", "A2", "B1"]), min_size=2, max_size=30),
    st.floats(0.05, 0.5),
    st.integers(0, 5),
)
def test_rows_of_a_group_are_never_on_both_sides_of_a_split(groups, fraction, seed) -> None:
    kept, out = split(groups, fraction, seed)
    assert sorted([*kept, *out]) == list(range(len(groups)))
    shared = {groups[i] for i in kept} & {groups[i] for i in out} - {""}
    assert not shared
    parts = folds(groups, 5, seed)
    assert sorted(i for part in parts for i in part) == list(range(len(groups)))
    for part in parts:
        assert part == sorted(part)
        rest = {groups[i] for i in range(len(groups)) if i not in part}
        assert not ({groups[i] for i in part} & rest) - {""}


def test_a_single_group_is_not_split() -> None:
    assert split(["A"] * 5, 0.3, 0) == ([0, 1, 2, 3, 4], [])
