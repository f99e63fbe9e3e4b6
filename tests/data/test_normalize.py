"""Normalisation: measured on the whole image, undone without loss, finite for any image."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from microshot.data.normalize import Kind, Normalization, percentiles

shapes = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))
images = shapes.flatmap(
    lambda shape: (
        hnp.arrays(np.uint8, shape)
        | hnp.arrays(np.uint16, shape)
        | hnp.arrays(np.float32, shape, elements=st.floats(-(2.0**20), 2.0**20, width=32))
    )
)
kinds = st.sampled_from(["percentile", "minmax", "zscore"])
few = settings(max_examples=60, deadline=None)


@few
@given(images, st.floats(0, 100), st.floats(0, 100))
def test_percentiles_equal_numpy(pixels: np.ndarray, low: float, high: float) -> None:
    expected = np.percentile(pixels.astype(np.float64), (low, high))
    assert percentiles([pixels], (low, high)) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_percentiles_of_floats_take_one_copy_of_them() -> None:
    values = np.random.default_rng(0).normal(size=(1, 1000, 1000)).astype(np.float32)
    tracemalloc.start()
    try:
        percentiles([values], (1, 99.8))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.2 * values.nbytes


def test_percentiles_of_values_that_are_no_numbers_are_none() -> None:
    values = np.array([[1, np.nan, 3]], np.float32)
    assert np.isnan(percentiles([values], (0, 50))).all()


def test_percentiles_of_several_images_count_every_pixel() -> None:
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, 60000, n).astype(np.uint16) for n in (1, 50, 1000)]
    expected = np.percentile(np.concatenate(parts), (1, 50, 99.8))
    assert percentiles(parts, (1, 50, 99.8)) == pytest.approx(expected)


@few
@given(images, kinds)
def test_normalised_is_finite_and_invert_undoes_apply(pixels: np.ndarray, kind: Kind) -> None:
    normalization = Normalization.fit(kind).for_image(pixels)
    normalised = normalization.apply(pixels)
    assert normalised.dtype == np.float32
    assert np.isfinite(normalised).all()
    span = float(np.abs(pixels.astype(np.float64)).max())
    back = normalization.invert(normalised, pixels.dtype)
    assert back.dtype == pixels.dtype
    assert np.allclose(back.astype(np.float64), pixels, rtol=1e-5, atol=1e-5 * span + 1e-30)


@few
@given(images, kinds)
def test_a_region_is_normalised_as_in_the_whole(pixels: np.ndarray, kind: Kind) -> None:
    normalization = Normalization.fit(kind)
    whole = normalization.apply(pixels)
    region = normalization.for_image(pixels).apply(pixels[:, 1:, :2])
    assert np.array_equal(region, whole[:, 1:, :2])


@pytest.mark.parametrize("kind", ["percentile", "minmax", "zscore"])
@pytest.mark.parametrize("value", [0, 7, 65535, 0.1, -1e30, 1e-40])
def test_constant_images_become_zero(kind: Kind, value: float) -> None:
    dtype = np.uint16 if isinstance(value, int) else np.float32
    pixels = np.full((2, 31, 17), value, dtype)
    assert not Normalization.fit(kind).apply(pixels).any()


def test_percentiles_that_coincide_give_way_to_the_range() -> None:
    pixels = np.zeros((1, 100, 100), np.uint16)
    pixels[0, 3, 3] = 5000
    assert Normalization.fit("percentile").apply(pixels).max() == 1


def test_definitions() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 4000, (2, 40, 50)).astype(np.uint16)
    pixels[1] += 10000
    for channel in range(2):
        plane = pixels[channel].astype(np.float64)
        low, high = np.percentile(plane, (2, 98))
        found = Normalization.fit("percentile", low=2, high=98).apply(pixels)[channel]
        assert found == pytest.approx((plane - low) / (high - low), abs=1e-5)
        found = Normalization.fit("zscore").apply(pixels)[channel]
        assert found == pytest.approx((plane - plane.mean()) / plane.std(), abs=1e-5)
        found = Normalization.fit("minmax").apply(pixels)[channel]
        assert (found.min(), found.max()) == (0, 1)


def test_without_more_the_percentiles_are_those_of_stardist() -> None:
    ramp = np.arange(1001, dtype=np.uint16).reshape(1, 13, 77)
    for normalization in (Normalization(), Normalization.fit("percentile")):
        offset, scale = normalization.parameters(ramp)
        assert (offset[0], scale[0]) == (10, 988)


def test_numbers_below_zero_are_measured_as_those_above() -> None:
    pixels = np.linspace(-300, 100, 401, dtype=np.float32).reshape(1, 1, 401)
    offset, scale = Normalization("percentile", low=10, high=90).parameters(pixels)
    assert (offset[0], scale[0]) == (pytest.approx(-260), pytest.approx(320))
    assert Normalization("minmax").apply(-1e6 - pixels)[0, 0, ::200].tolist() == [1, 0.5, 0]


def test_the_cameras_numbers_are_decimal_unless_asked_for_otherwise() -> None:
    known = Normalization("minmax", offset=(10.0,), scale=(4.0,))
    found = known.invert(np.array([[[0.0, 0.3]]]))
    assert found.dtype == np.float32
    assert found[0, 0].tolist() == pytest.approx([10, 11.2])


def test_nothing_is_clipped() -> None:
    pixels = np.arange(10000, dtype=np.uint16).reshape(1, 100, 100)
    normalised = Normalization.fit("percentile", low=10, high=90).apply(pixels)
    assert normalised.min() < -0.1
    assert normalised.max() > 1.1


@pytest.mark.parametrize("kind", ["percentile", "minmax", "zscore"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_data_set_is_measured_as_one_large_image(kind: Kind, dtype) -> None:
    rng = np.random.default_rng(0)
    whole = rng.integers(0, 250, (2, 30, 20)).astype(dtype)
    parts = [whole[:, :7], whole[:, 7:8], whole[:, 8:]]
    fitted = Normalization.fit(kind, parts, per="dataset")
    offset, scale = Normalization.fit(kind).parameters(whole)
    assert fitted.offset == pytest.approx(offset)
    assert fitted.scale == pytest.approx(scale)
    assert fitted.apply(parts[0]) == pytest.approx(Normalization.fit(kind).apply(whole)[:, :7])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_integers_are_rounded_and_kept_in_range_never_wrapped(dtype) -> None:
    normalization = Normalization("minmax", offset=(0.0,), scale=(100.0,))
    values = np.array([[[-1e9, -0.004, 0.004, 0.016, 1e9, np.inf]]], np.float32)
    limits = np.iinfo(dtype)
    expected = [max(limits.min, -(10**9)), 0, 0, 2, limits.max, limits.max]
    assert normalization.invert(values, dtype)[0, 0].tolist() == expected
    with pytest.raises(ValueError, match="NaN cannot become"):
        normalization.invert(values * np.nan, dtype)


@few
@given(images, kinds, st.sampled_from(["image", "dataset"]))
def test_json_gives_the_same_normalisation_back(pixels: np.ndarray, kind: Kind, per) -> None:
    for normalization in (
        Normalization.fit(kind, [pixels], per=per, low=0.5, high=99),
        Normalization.fit(kind, [pixels], per=per).for_image(pixels),
    ):
        document = json.loads(json.dumps(normalization.to_json()))
        assert Normalization.from_json(document) == normalization


def test_missing_optional_entries_take_their_defaults() -> None:
    assert Normalization.from_json({"kind": "zscore"}) == Normalization("zscore")


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        "zscore",
        {"kind": "magic"},
        {"kind": ["zscore"]},
        {"kind": "zscore", "per": "pixel"},
        {"kind": "zscore", "clip": True},
        {"kind": "percentile", "low": "1"},
        {"kind": "percentile", "low": True},
        {"kind": "percentile", "low": 90, "high": 10},
        {"kind": "percentile", "high": 101},
        {"kind": "zscore", "offset": [1.0]},
        {"kind": "zscore", "offset": [1.0], "scale": [1.0, 2.0]},
        {"kind": "zscore", "offset": [], "scale": []},
        {"kind": "zscore", "offset": [1.0], "scale": [0.0]},
        {"kind": "zscore", "offset": [1.0], "scale": [-1.0]},
        {"kind": "zscore", "offset": [float("nan")], "scale": [1.0]},
        {"kind": "zscore", "offset": [10**400], "scale": [1.0]},
        {"kind": "zscore", "offset": ["1"], "scale": [1.0]},
        {"kind": "zscore", "offset": 1.0, "scale": 1.0},
    ],
)
def test_forged_documents_are_refused(document: Any) -> None:
    with pytest.raises(ValueError, match=r"^Normalisation: "):
        Normalization.from_json(document)


def test_what_is_not_known_is_asked_for() -> None:
    pixels = np.zeros((2, 3, 3), np.uint8)
    with pytest.raises(ValueError, match="original grey values of this image are not known"):
        Normalization.fit("zscore").invert(pixels)
    with pytest.raises(ValueError, match="must be fitted"):
        Normalization("zscore", per="dataset").apply(pixels)
    with pytest.raises(ValueError, match="found no image"):
        Normalization.fit("zscore", [], per="dataset")
    with pytest.raises(ValueError, match=r"\[1, 2\] channels"):
        Normalization.fit("zscore", [pixels, pixels[:1]], per="dataset")
    with pytest.raises(ValueError, match=r"expected 2 channels, found 1"):
        Normalization.fit("zscore", [pixels], per="dataset").apply(pixels[:1])
