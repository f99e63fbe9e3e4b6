"""What a label image is taken for, and that it is said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from microshot.data.label_reading import labels_from_pixels


def disks(n: int = 3, step: int = 10) -> np.ndarray:
    labels = np.zeros((step, step * n), np.int32)
    for i in range(n):
        labels[2:8, step * i + 2 : step * i + 8] = i + 1
    return labels


def test_ids_that_only_64_bits_hold_stay_apart_or_are_refused() -> None:
    ids = np.array([0, 1 << 60, (1 << 60) + 1, (1 << 63) - 1], np.uint64)[disks()]
    assert np.array_equal(labels_from_pixels(ids).labels, disks())
    ids[ids > 0] += np.uint64(1)
    with pytest.raises(
        ValueError, match=r"^a\.tif: expected object numbers up to .*found 9223372036"
    ):
        labels_from_pixels(ids, "a.tif")


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.uint16, np.int32, np.uint32, np.int64, np.float16, np.float64]
)
def test_ids_of_any_type_are_instance_ids_in_their_order(dtype) -> None:
    ids = np.array([0, 40, 2, 7])[disks()].astype(dtype)
    reading = labels_from_pixels(ids)
    assert reading.taken_as == "one number per object"
    assert reading.labels.dtype == np.int32
    assert np.array_equal(reading.labels, np.array([0, 3, 1, 2])[disks()])
    assert (reading.n_objects, reading.note) == (3, "")


def test_ids_beyond_32_bits_are_renumbered() -> None:
    ids = np.array([0, 2**40, 5, 2**33])[disks()]
    reading = labels_from_pixels(ids)
    assert np.array_equal(reading.labels, np.array([0, 3, 1, 2])[disks()])
    assert np.array_equal(reading.numbered(), reading.labels)


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(
        np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(-2, 9)
    )
)
def test_renumbering_keeps_objects_order_background_and_ignored(ids: np.ndarray) -> None:
    if set(np.unique(ids[ids > 0])) <= {1}:
        return  # may be a mask
    reading = labels_from_pixels(ids)
    assert np.array_equal(reading.labels < 0, ids < 0)
    assert np.array_equal(reading.labels == 0, ids == 0)
    positive = ids > 0
    order = np.unique(ids[positive])
    assert np.array_equal(order[reading.labels[positive] - 1], ids[positive])
    assert reading.n_objects == len(order)
    assert np.array_equal(reading.numbered(), np.maximum(ids, -1))


@pytest.mark.parametrize(
    "mask",
    [
        (disks() > 0),
        (disks() > 0).astype(np.uint8),
        (disks() > 0).astype(np.uint8) * 255,
        (disks() > 0).astype(np.uint16) * 65535,
        (disks() > 0).astype(np.float32),
        np.repeat((disks() > 0)[None].astype(np.uint8) * 255, 3, axis=0),
    ],
)
def test_masks_become_one_object_per_piece(mask: np.ndarray) -> None:
    reading = labels_from_pixels(mask)
    assert reading.taken_as == "binary mask"
    assert reading.n_objects == 3
    assert np.array_equal(reading.labels, disks())


def test_pixels_that_touch_at_a_corner_are_separate_objects() -> None:
    assert labels_from_pixels(np.eye(4, dtype=bool)).n_objects == 4


def test_soft_edges_of_a_mask_are_cut_at_128() -> None:
    mask = np.zeros((24, 60), np.uint8)
    fringe = np.random.default_rng(0).integers(1, 255, mask.shape).astype(np.uint8)
    for x in (2, 22, 42):
        mask[2:20, x : x + 16] = fringe[2:20, x : x + 16]
        mask[3:19, x + 1 : x + 15] = 255
    reading = labels_from_pixels(mask)
    assert reading.taken_as == "binary mask"
    assert "cut at 128" in reading.note
    assert np.array_equal(reading.labels > 0, mask >= 128)


def test_255_objects_are_not_mistaken_for_a_mask() -> None:
    ids = np.arange(256, dtype=np.uint8).reshape(16, 16).repeat(3, 0).repeat(3, 1)
    reading = labels_from_pixels(ids)
    assert (reading.taken_as, reading.n_objects) == ("one number per object", 255)


def test_colours_on_black_are_objects() -> None:
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [7, 7, 9]], np.uint8)
    reading = labels_from_pixels(np.moveaxis(colours[disks()], -1, 0))
    assert (reading.taken_as, reading.n_objects) == ("colour-coded objects", 3)
    assert np.array_equal(reading.labels > 0, disks() > 0)
    assert len({int(reading.labels[5, x]) for x in (5, 15, 25)}) == 3


def test_colours_on_white_are_objects_and_it_is_said() -> None:
    colours = np.array([[255, 255, 255], [255, 0, 0], [0, 255, 0], [7, 7, 9]], np.uint8)
    reading = labels_from_pixels(np.moveaxis(colours[disks()], -1, 0))
    assert reading.n_objects == 3
    assert "white was taken as background" in reading.note


def test_blue_and_yellow_are_two_colours() -> None:
    """Red and green alike, blue not."""
    pixels = np.zeros((3, 8, 12), np.uint8)
    pixels[2, 2:6, 1:5] = 255
    pixels[:2, 2:6, 7:11] = 255
    found = labels_from_pixels(pixels, "a")
    assert (found.taken_as, found.n_objects) == ("colour-coded objects", 2)


def test_few_ids_of_which_one_is_255_are_ids_though_an_object_is_in_pieces() -> None:
    pixels = np.zeros((20, 30), np.uint8)
    pixels[2:18, 2:12] = 255
    pixels[2:5, 15:18] = pixels[9:12, 20:23] = 100
    found = labels_from_pixels(pixels, "a")
    assert (found.taken_as, found.n_objects) == ("one number per object", 2)


def test_a_large_object_in_the_middle_is_no_inverted_mask() -> None:
    mask = np.zeros((20, 20), bool)
    mask[2:18, 2:18] = True
    assert labels_from_pixels(mask, "a").note == ""


def test_a_single_colour_is_a_mask() -> None:
    red = np.zeros((3, 10, 30), np.uint8)
    red[0] = (disks() > 0) * 200
    reading = labels_from_pixels(red)
    assert (reading.taken_as, reading.n_objects) == ("binary mask", 3)


def test_nothing_but_background_is_accepted_and_said() -> None:
    for plane in (
        np.zeros((4, 5), np.uint16),
        np.zeros((4, 5), bool),
        np.zeros((3, 4, 5), np.uint8),
    ):
        reading = labels_from_pixels(plane)
        assert (reading.taken_as, reading.n_objects) == ("empty", 0)
        assert "every pixel is background" in reading.note
        assert reading.labels.shape == (4, 5)
        assert not reading.labels.any()


@pytest.mark.parametrize("value", [1, 7, 255])
def test_one_object_over_the_whole_image_is_accepted_and_said(value: int) -> None:
    reading = labels_from_pixels(np.full((4, 5), value, np.uint8))
    assert reading.n_objects == 1
    assert "covers the whole image" in reading.note
    assert (reading.labels == 1).all()


def test_an_inverted_mask_is_pointed_out() -> None:
    mask = np.full((30, 30), 255, np.uint8)
    mask[5:12, 5:12] = 0
    assert "inverted?" in labels_from_pixels(mask).note


def test_a_picture_without_background_is_pointed_out() -> None:
    classes = np.where(disks() > 0, 2, 1).astype(np.uint8)  # as ilastik numbers them
    said = "every pixel belongs to an object, none is background"
    assert f"{said} (0)" in labels_from_pixels(classes).note
    shades = np.array([[68, 1, 84], [253, 231, 37]], np.uint8)[classes - 1].transpose(2, 0, 1)
    assert f"{said} (black or white)" in labels_from_pixels(shades).note
    for fine in (disks(), np.where(disks() > 0, 2, -1), np.where(disks() > 0, 7, 7)):
        assert said not in labels_from_pixels(fine).note


def test_an_object_in_pieces_stays_one_object_and_is_said() -> None:
    ids = np.array([0, 4, 9, 4])[disks()]
    reading = labels_from_pixels(ids)
    assert reading.n_objects == 2
    assert reading.note == "objects in several separate pieces: 1 of 2 (id 4: 2 pieces)"


def test_negative_ids_are_ignored_pixels() -> None:
    ids = disks()
    ids[0] = -7
    reading = labels_from_pixels(ids.astype(np.float32))
    assert (reading.labels[0] == -1).all()
    assert reading.note == "30 pixels with a negative id are ignored"
    only = labels_from_pixels(np.array([[-1, 0]]))
    assert only.note.endswith("1 pixel with a negative id is ignored")
    assert only.labels.tolist() == [[-1, 0]]
    assert (only.taken_as, only.n_objects) == ("empty", 0)


def test_slivers_of_a_resized_label_image_are_pointed_out() -> None:
    ids = disks().astype(np.uint16) * 10
    ids[2, 2], ids[2, 12] = 5, 15
    assert "objects smaller than 5 px: 2 of 5" in labels_from_pixels(ids).note


@pytest.mark.parametrize("wrong", [0.5, np.nan, np.inf, 1e300])
def test_fractions_are_refused_with_their_place(wrong: float) -> None:
    plane = disks().astype(np.float64)
    plane[4, 3] = wrong
    with pytest.raises(ValueError, match=r'^file "a.tif": .* at y=4, x=3; give the label image'):
        labels_from_pixels(plane, 'file "a.tif"')


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((2, 4, 4), np.uint8),
        np.zeros((3, 4, 4), np.uint16),
        np.zeros((0, 4)),
        np.zeros((4, 4), complex),
    ],
)
def test_what_is_no_plane_of_numbers_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a label image"):
        labels_from_pixels(pixels)


@pytest.mark.parametrize("shape", [(64, 64), (3, 64, 64)])
def test_a_photograph_is_refused(shape: tuple[int, ...]) -> None:
    noisy = np.random.default_rng(0).normal(100, 20, shape).clip(0, 255).astype(np.uint8)
    with pytest.raises(ValueError, match="as in a photograph"):
        labels_from_pixels(noisy)


def test_a_map_of_many_single_pixel_objects_is_no_photograph() -> None:
    points = np.zeros((100, 100), np.uint16)
    points[::3, ::3] = np.arange(1, 34 * 34 + 1).reshape(34, 34)
    assert labels_from_pixels(points).n_objects == 34 * 34
