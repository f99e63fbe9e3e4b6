"""Pictures: display stretch, outlines at known pixels, sizes."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image as PILImage

from microshot.report import overlay
from microshot.report.overlay import (
    comparison_parts,
    jpeg_data_uri,
    outline_layer,
    outline_mask,
    outlines,
    render,
    rgb_of,
)
from microshot.report.style import FALSE, FOUND, MISSED

few = settings(max_examples=40, deadline=None)


def square(shape: tuple[int, int], *boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Return labels with a rectangle (top, left, bottom, right) per id."""
    labels = np.zeros(shape, np.int32)
    for i, (top, left, bottom, right) in enumerate(boxes, 1):
        labels[top:bottom, left:right] = i
    return labels


def decode(uri: str) -> np.ndarray:
    kind, _, content = uri.partition(",")
    assert kind in ("data:image/png;base64", "data:image/jpeg;base64")
    return np.asarray(PILImage.open(io.BytesIO(base64.b64decode(content))).convert("RGBA"))


# ---------------------------------------------------------------------------------- render


def test_the_noise_of_an_empty_image_stays_faint() -> None:
    noise = np.random.default_rng(0).integers(20, 23, (1, 30, 30)).astype(np.uint8)
    assert np.ptp(render(noise)) <= 40
    assert np.ptp(render((noise - 20) * 60)) == 255
    assert np.ptp(render(noise > 21)) == 255  # a mask
    assert np.ptp(render(noise / np.float32(255))) == 255


@few
@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.uint16, np.float32]),
        st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9)),
    ),
    st.integers(1, 40),
)
def test_any_image_becomes_a_picture_of_the_size_asked_for(pixels, max_px) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        rgb = render(pixels, max_px=max_px)
    assert rgb.dtype == np.uint8
    assert rgb.shape[2] == 3
    longer = max(pixels.shape[1:])
    assert max(rgb.shape[:2]) == min(max_px, longer * overlay.MOST_ENLARGED)


def test_one_channel_is_grey_and_stretched() -> None:
    ramp = np.linspace(1000, 5000, 400).astype(np.uint16).reshape(1, 20, 20)
    rgb = render(ramp, max_px=20)
    assert (rgb[..., 0] == rgb[..., 2]).all()
    assert rgb.min() == 0
    assert rgb.max() == 255
    assert (render(ramp, low_high=(0, 100_000), max_px=20) < 14).all()


def test_a_colour_picture_stays_as_it_is() -> None:
    pixels = np.full((3, 5, 5), 0, np.uint8)
    pixels[0], pixels[1], pixels[2] = 10, 100, 200
    assert render(pixels, max_px=5)[2, 2].tolist() == [10, 100, 200]


def test_of_a_stack_the_middle_plane_is_shown() -> None:
    stack = np.random.default_rng(0).integers(0, 60_000, (5, 8, 8)).astype(np.uint16)
    assert (render(stack, max_px=8) == render(stack[2:3], max_px=8)).all()


def test_two_channels_are_green_and_magenta() -> None:
    pixels = np.zeros((2, 1, 4), np.uint16)
    pixels[0, 0, 0], pixels[1, 0, 3] = 900, 900
    rgb = render(pixels, low_high=(0, 900), max_px=4)
    assert rgb[0, 0, 1] > 200 > rgb[0, 0, 0]
    assert min(rgb[0, 3, 0], rgb[0, 3, 2]) > 200 > rgb[0, 3, 1]


def test_a_constant_image_is_grey_and_what_is_not_finite_is_dark() -> None:
    assert (render(np.full((1, 3, 3), 7, np.uint16), max_px=3) == 128).all()
    pixels = np.linspace(0, 1, 16, dtype=np.float32).reshape(1, 4, 4)
    pixels[0, 3, 3] = np.nan
    assert (render(pixels, max_px=4)[3, 3] == 0).all()
    assert render(np.full((1, 2, 2), np.nan, np.float32), max_px=2).shape == (2, 2, 3)


def test_a_huge_image_looks_as_a_small_one() -> None:
    y, x = np.indices((2400, 1800))
    huge = (1000 + 500 * np.sin(y / 300) * np.cos(x / 200)).astype(np.uint16)[None]
    shown = render(huge, low_high=(500, 1500), max_px=40)
    expected = np.clip((huge[0, 30::60, 30::60] - 500.0) / 1000, 0, 1) * 255
    assert shown.shape == (40, 30, 3)
    assert abs(shown[..., 0] - expected).max() < 6


# -------------------------------------------------------------------------------- outlines


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("scale", [1, 5])
def test_outlines_have_the_same_width_however_much_is_enlarged(width, scale) -> None:
    labels = square((20, 20), (5, 5, 15, 15))
    side = 20 * scale
    rgb = outlines(np.zeros((side, side, 3), np.uint8), labels, "#0102ff", width)
    row = (rgb[side // 2] == (1, 2, 255)).all(1)
    start = 5 * scale
    assert row[start : start + width].all()
    assert not row[start - 1]
    assert not row[start + width]
    assert row.sum() == 2 * width


def test_touching_objects_are_told_apart() -> None:
    mask = outline_mask(square((9, 12), (1, 1, 8, 6), (1, 6, 8, 11)))
    assert mask[4].tolist() == [x in (1, 5, 6, 10) for x in range(12)]


def test_dashes_cut_the_outline_and_leave_most_of_it() -> None:
    y, x = np.indices((80, 80))
    disc = ((y - 40) ** 2 + (x - 40) ** 2 < 900).astype(np.int32)
    whole, dashed = outline_mask(disc, 2), outline_mask(disc, 2, dashed=True)
    assert not (dashed & ~whole).any()
    assert 0.5 < dashed.sum() / whole.sum() < 0.7


def test_found_false_and_missed_have_their_colours() -> None:
    truth = square((40, 60), (5, 5, 20, 20), (25, 5, 38, 18))
    prediction = square((40, 60), (5, 6, 20, 20), (5, 40, 20, 55))
    parts, _ = comparison_parts(truth, prediction)
    rgb = outline_layer(parts, (40, 60)).over(np.full((40, 60, 3), 128, np.uint8))
    assert tuple(rgb[10, 6]) == rgb_of(FOUND)
    assert tuple(rgb[10, 40]) == rgb_of(FALSE)
    missed = (rgb == rgb_of(MISSED)).all(2)
    assert missed[25:38, 5:18].any()
    assert not missed[:22].any()
    assert tuple(rgb[10, 12]) == (128, 128, 128)  # inside, nothing is drawn


def test_the_threshold_decides_what_is_found() -> None:
    truth, prediction = square((20, 20), (2, 2, 12, 12)), square((20, 20), (2, 5, 12, 15))
    iou = 70 / 130
    for threshold, n in ((iou - 0.01, 1), (iou + 0.01, 0)):
        parts, matching = comparison_parts(truth, prediction, threshold)
        kinds = {kind for labels, kind in parts if labels.any()}
        assert matching.tp == n
        assert kinds == ({"found"} if n else {"missed", "false"})


def test_objects_in_the_border_are_not_drawn() -> None:
    truth = square((30, 30), (0, 0, 4, 4), (10, 10, 20, 20))
    prediction = square((30, 30), (0, 20, 3, 29), (10, 10, 20, 20))
    parts, matching = comparison_parts(truth, prediction, border_px=5)
    assert (matching.tp, matching.fp, matching.fn) == (1, 0, 0)
    assert {kind for labels, kind in parts if labels.any()} == {"found"}
    parts, _ = comparison_parts(truth, prediction)
    assert {kind for labels, kind in parts if labels.any()} == {"found", "false", "missed"}


def test_predictions_where_nothing_was_annotated_are_not_drawn() -> None:
    truth = np.full((20, 20), -1, np.int32)
    parts, _ = comparison_parts(truth, square((20, 20), (2, 2, 12, 12)))
    assert not any(labels.any() for labels, _ in parts)


def test_a_layer_is_the_same_over_a_picture_and_as_transparent_file() -> None:
    layer = outline_layer([(square((30, 30), (5, 5, 25, 25)), "found")], (30, 30), 2)
    rgba = decode(layer.data_uri())
    drawn = rgba[..., 3] == 255
    rgb = layer.over(np.full((30, 30, 3), 90, np.uint8))
    assert (rgba[drawn][:, :3] == rgb[drawn]).all()
    assert tuple(rgb[15, 5]) == rgb_of(FOUND)
    assert (rgb[rgba[..., 3] == 0] == 90).all()
    assert (rgb[15, 4] == 45).all()  # the casing
    assert rgba[15, 4, 3] == 128


@few
@given(
    hnp.arrays(np.int32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(-2, 2**31 - 1)),
    st.integers(1, 30),
)  # fmt: skip
def test_any_labels_can_be_drawn(labels, side) -> None:
    for kind in ("found", "false", "missed", "truth"):
        assert outline_layer([(labels, kind)], (side, side)).marks.shape == (side, side)


def test_many_objects_are_drawn() -> None:
    labels = np.arange(300 * 300, dtype=np.int32).reshape(300, 300)
    assert outline_layer([(labels, "missed")], (300, 300)).marks.any()


# ------------------------------------------------------------------------------------ files


def test_a_picture_as_jpeg_is_bounded() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (360, 360, 3)).astype(np.uint8)
    assert len(jpeg_data_uri(noise, 60_000)) < 60_000 * 4 / 3 + 40
    grey = np.repeat(noise[..., :1], 3, axis=2)
    assert len(jpeg_data_uri(grey, 40_000)) < 40_000 * 4 / 3 + 40
    assert decode(jpeg_data_uri(grey)).shape == (360, 360, 4)
