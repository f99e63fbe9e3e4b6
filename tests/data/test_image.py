"""The image type: what it refuses, and how channels are joined."""

from __future__ import annotations

import re

import numpy as np
import pytest

from microshot.data.image import DTYPES, Image, channel_of, grey_channel, grey_of, stack


def image(c: int = 1, y: int = 3, x: int = 5, dtype: type = np.uint8, **rest) -> Image:
    return Image(np.zeros((c, y, x), dtype), **rest)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_image_says_its_size(dtype) -> None:
    made = image(2, 3, 5, dtype)
    assert (made.n_channels, made.shape) == (2, (3, 5))


@pytest.mark.parametrize("shape", [(3, 5), (1, 3, 5, 2), (0, 3, 5), (1, 0, 5), (1, 3, 0)])
def test_other_axes_and_empty_images_are_refused(shape) -> None:
    with pytest.raises(ValueError, match=r"axes \(channel, y, x\) of at least one pixel, found"):
        Image(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("dtype", [np.float64, np.int16, np.int32, bool, np.float16])
def test_other_types_are_refused(dtype) -> None:
    with pytest.raises(ValueError, match=f"found {np.dtype(dtype)}"):
        image(dtype=dtype)


def test_names_must_be_as_many_as_channels() -> None:
    assert image(2, channels=("a", "b")).channels == ("a", "b")
    with pytest.raises(ValueError, match=r"2 channels cannot have 1 channel name"):
        image(2, channels=("a",))


def test_channels_are_joined_in_order() -> None:
    planes = [Image(np.full((1, 2, 2), i, np.uint8), 0.5) for i in (7, 3, 5)]
    joined = stack(planes, ["x", "y", "z"])
    assert joined.pixels[:, 0, 0].tolist() == [7, 3, 5]
    assert joined.channels == ("x", "y", "z")
    assert joined.pixel_size_um == 0.5
    assert joined.pixels.dtype == np.uint8


@pytest.mark.parametrize(
    ("kinds", "joined"),
    [
        ((np.uint8, np.uint16), np.uint16),
        ((np.uint8, np.float32), np.float32),
        ((np.uint16, np.float32), np.float32),
        ((np.uint16, np.uint16), np.uint16),
    ],
)
def test_joined_channels_lose_nothing(kinds, joined) -> None:
    parts = [Image(np.full((1, 2, 2), np.iinfo(np.uint8).max).astype(k)) for k in kinds]
    made = stack(parts)
    assert made.pixels.dtype == joined
    assert (made.pixels == 255).all()


def test_colour_images_can_be_joined_with_others() -> None:
    made = stack([image(3), image(1)], ["colour", "grey"])
    assert made.n_channels == 4
    assert made.channels == ()  # two names for four channels name nothing


def test_one_image_stays_itself() -> None:
    one = image(1, channels=("own",))
    assert stack([one]).channels == ("own",)
    assert stack([one], ["column"]).channels == ("column",)
    assert stack([image(3)], ["column"]).channels == ()


def test_channels_of_another_size_are_named() -> None:
    told = 'Row "1": all channels .* expected 3 x 5 px as in the first, found 3 x 6 px'
    with pytest.raises(ValueError, match=told):
        stack([image(), image(x=6)], ['Row "0"', 'Row "1"'])
    with pytest.raises(ValueError, match="image 2: all channels"):
        stack([image(), image(y=2)])


GREY = np.random.default_rng(0).integers(0, 256, (6, 7)).astype(np.uint8)
BLACK = np.zeros_like(GREY)


def photograph(*colours: np.ndarray) -> Image:
    return Image(np.stack(colours), 0.5, is_colour=True)


@pytest.mark.parametrize(
    "colours",
    [(GREY, GREY, GREY), (BLACK, BLACK, GREY), (GREY, GREY, BLACK), (BLACK, BLACK, BLACK)],
    ids=["grey", "shown in blue", "shown in yellow", "black"],
)
def test_a_grey_image_saved_in_colour_is_recognised(colours) -> None:
    found = grey_of(photograph(*colours))
    assert found is not None
    assert np.array_equal(found.pixels[0], np.max(colours, axis=0))
    assert (found.pixel_size_um, found.is_colour) == (0.5, False)


def test_what_jpeg_rounds_is_no_colour() -> None:
    grey = GREY.clip(2, 253)
    assert grey_of(photograph(grey, grey + 2, grey - 2)) is not None
    assert grey_of(photograph(grey, grey + 3, grey)) is None


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_of_finer_numbers_none_may_differ(kind) -> None:
    grey = GREY.astype(kind) + 1
    assert grey_of(photograph(grey, grey, grey)) is not None
    assert grey_of(photograph(grey, grey + 1, grey)) is None


def test_colours_are_met_part_by_part_also_where_a_channel_is_dark_at_first() -> None:
    dark, lit = np.zeros((3, 6, 7), np.uint8), np.stack([GREY] * 3)
    assert grey_channel([dark, lit]) == 0
    shown = np.stack([BLACK, GREY, GREY])
    assert grey_channel([dark, shown]) == 1
    assert grey_channel([shown, lit]) is None
    assert grey_channel([lit, shown]) is None

    def parts():
        yield np.stack([GREY, 255 - GREY, BLACK])
        raise AssertionError("more was read than it takes")

    assert grey_channel(parts()) is None


def test_colours_and_stains_are_not_taken_for_grey() -> None:
    assert grey_of(photograph(GREY, BLACK, 255 - GREY)) is None
    assert grey_of(Image(np.stack([GREY] * 3))) is None  # three stains, not a photograph
    assert grey_of(image(1)) is None
    assert grey_of(Image(np.stack([GREY] * 4), is_colour=True)) is None  # and another channel


THREE = np.stack([np.full((2, 3), n, np.uint16) for n in (10, 20, 30)])


@pytest.mark.parametrize("wanted", ["2", " 2 ", "GFP", "gfp", "gFp "])
def test_a_channel_is_asked_for_by_number_or_name(wanted) -> None:
    found = channel_of(Image(THREE, 0.5, ("DAPI", "GFP", "3")), wanted, "field")
    assert found.pixels.tolist() == THREE[1:2].tolist()
    assert (found.channels, found.pixel_size_um) == (("GFP",), 0.5)


def test_a_name_comes_before_a_number() -> None:
    found = channel_of(Image(THREE, channels=("2", "1", "x")), "1", "field")
    assert found.pixels.max() == 20


def test_colours_have_names_and_one_channel_is_one_whatever_it_is_called() -> None:
    assert (
        channel_of(photograph(GREY, BLACK, 255 - GREY), "Blue", "a").pixels[0, 0, 0]
        == 255 - GREY[0, 0]
    )
    one = image(1)
    assert channel_of(one, "DAPI", "a") is one


@pytest.mark.parametrize("wanted", ["0", "4", "-1", "1.0", "DAPI, GFP", "²", "x"])
def test_a_channel_that_is_not_there_is_refused_with_those_that_are(wanted) -> None:
    told = (
        r"^field: expected a channel \"{}\", found 3 channels{}; choose a number from 1 to 3{}\.$"
    )
    with pytest.raises(ValueError, match=told.format(re.escape(wanted), "", "")):
        channel_of(Image(THREE), wanted, "field")
    with pytest.raises(
        ValueError,
        match=told.format(re.escape(wanted), r" \(A, B, C\)", " or one of these names"),
    ):
        channel_of(Image(THREE, channels=("A", "B", "C")), wanted, "field")
