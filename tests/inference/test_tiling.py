"""Tiles: every pixel once, never more memory than a tile, mirrored edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from microshot.inference.tiling import spans, tiles

lengths = st.integers(1, 400)
multiples = st.sampled_from([1, 2, 4, 8, 16])


@given(lengths, st.integers(1, 200), st.integers(0, 40), multiples)
def test_spans_cover_an_axis_once_and_in_order(length, tile, halo, multiple) -> None:
    rounded = -(-halo // multiple) * multiple
    assume(length <= tile or tile // multiple * multiple - 2 * rounded >= multiple)
    found = spans(length, tile, halo, multiple)
    assert found[0].start == 0
    assert found[-1].stop == length
    for before, after in zip(found, found[1:], strict=False):  # noqa: RUF007
        assert before.stop == after.start
    for span in found:
        assert span.read_start <= span.start < span.stop <= span.read_stop
        assert span.read_start >= 0
        assert span.read_start % multiple == span.read_stop % multiple == 0
        assert span.start % multiple == 0
        assert span.read_stop <= -(-length // multiple) * multiple
        if length > tile:
            assert span.read_stop - span.read_start <= tile
            assert span.read_start == 0 or span.start - span.read_start == rounded
            far = -(-length // multiple) * multiple
            assert span.read_stop == far or span.read_stop - span.stop >= rounded


@given(lengths, st.integers(1, 200), st.integers(0, 40), multiples)
def test_spans_are_few_and_nearly_alike(length, tile, halo, multiple) -> None:
    rounded, most = -(-halo // multiple) * multiple, tile // multiple * multiple
    assume(length > tile and most - 2 * rounded >= multiple)
    found = spans(length, tile, halo, multiple)
    assert len(found) <= -(-(length - 2 * rounded) // (most - 2 * rounded))
    sides = [span.read_stop - span.read_start for span in found]
    assert len({*sides[:-1]}) == 1
    assert sides[-1] <= sides[0] < length / len(found) + 2 * rounded + multiple


@given(lengths, st.integers(1, 400), st.integers(0, 40), multiples)
def test_an_axis_that_fits_is_one_span_without_halo(length, tile, halo, multiple) -> None:
    assume(length <= tile)
    (only,) = spans(length, tile, halo, multiple)
    assert (only.read_start, only.start, only.stop) == (0, 0, length)
    assert length <= only.read_stop < length + multiple


@given(st.integers(50, 400), st.integers(1, 40), multiples)
def test_a_tile_with_nothing_between_its_halos_is_refused(length, halo, multiple) -> None:
    rounded = -(-halo // multiple) * multiple
    tile = 2 * rounded + multiple - 1
    assume(tile < length)
    with pytest.raises(ValueError, match=f"use tiles of at least {2 * rounded + multiple} px"):
        spans(length, tile, halo, multiple)
    assert spans(length, tile + 1, halo, multiple)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 5), st.sampled_from([1, 2, 4]))
def test_the_inner_parts_of_all_tiles_are_the_image(height, width, halo, multiple) -> None:
    image = np.arange(2 * height * width, dtype=np.float32).reshape(2, height, width)
    made = np.full_like(image, -1)
    times = np.zeros((height, width), int)
    for tile in tiles((height, width), 32, halo, multiple):
        read = tile.read(image)
        assert read.shape == (2, *tile.shape)
        assert max(tile.shape) <= 32
        rows, columns = slice(tile.y.start, tile.y.stop), slice(tile.x.start, tile.x.stop)
        made[:, rows, columns] = read[:, tile.y.inner, tile.x.inner]
        times[rows, columns] += 1
    assert np.array_equal(made, image)
    assert (times == 1).all()


def test_beyond_the_far_edge_the_image_is_mirrored() -> None:
    image = np.array([[[1, 2, 3]]], np.float32)
    (only,) = tiles((1, 3), 100, 10, 8)
    assert only.shape == (8, 8)
    assert only.read(image)[0, 5].tolist() == [1, 2, 3, 2, 1, 2, 3, 2]


def test_tiles_go_row_by_row() -> None:
    found = [(t.y.start, t.x.start) for t in tiles((20, 30), 16, 2, 2)]
    assert found == sorted(found)
    assert len(found) == 2 * 3
