"""Prediction: tiles of any size, the camera's numbers, several networks at once."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from translation_scenes import TRAIN, scene, scenes

from microshot.data.dataset import Sample
from microshot.data.image import Image
from microshot.data.normalize import Normalization
from microshot.tasks.translate import TranslateTask
from microshot.tasks.translate_recipe import recipe, stain_range
from microshot.tasks.translation import Options, clamped, decoded, raw_output, translate_together
from tiny_models import changed


def own_image(n: int, dtype: type, shape: tuple[int, int] = (70, 83)) -> Sample:
    rng = np.random.default_rng(n)
    image = Image((rng.random((n, *shape)) * 250).astype(dtype))
    return Sample("own", image, target=image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", ["percentile", "minmax"])
def test_an_identity_network_gives_back_the_cameras_numbers(dtype, kind) -> None:
    """The image is its own stain: through both ranges, tiles and windows nothing changes."""
    sample = own_image(2, dtype)
    settings = changed(TRAIN, preset="lipids", images__normalization=kind)
    settings = changed(settings, translation__stain_range=kind)
    made = recipe([sample], settings, None)
    raw = raw_output(lambda x: x, made, sample, Options(tile_px=32))
    normalised = made.normalization.apply(sample.image.pixels)
    assert np.abs(raw.stains - normalised).max() <= 1e-6
    result = decoded(raw, made)
    assert np.array_equal(result.as_camera(dtype), sample.image.pixels)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_numbers_are_kept_within_the_range_and_never_wrap(values) -> None:
    out = clamped(np.array(values, np.float32))
    assert out.dtype == np.uint16
    for value, number in zip(np.array(values, np.float32), out, strict=True):
        assert number == min(max(round(float(value)), 0), 65535)


def test_the_greatest_tile_of_settings_and_model_is_respected() -> None:
    made = recipe(scenes(1).samples, TRAIN, None)
    seen: list[int] = []

    def network(x: np.ndarray) -> np.ndarray:
        seen.append(max(x.shape[2:]))
        return x[:, :1]

    raw_output(network, made, scene(0), Options(tile_px=40))
    assert max(seen) <= 40
    small = dataclasses.replace(made, tile={"tile_px": 24})
    seen.clear()
    raw_output(network, small, scene(0), Options())
    assert max(seen) <= 24


def test_several_models_share_the_tiles_and_keep_their_own_ranges() -> None:
    data = scenes(2).samples
    one = recipe(data, TRAIN, None)
    other = dataclasses.replace(
        recipe(data, changed(TRAIN, preset="nuclei"), None),
        normalization=Normalization.fit("minmax"),
    )
    networks = [lambda x: x[:, :1] * 0.5, lambda x: np.clip(x[:, :2], 0, 1)]
    pairs = list(zip(networks, (one, other), strict=True))
    together = translate_together(pairs, scene(0), Options(tile_px=32))
    for (network, own), result in zip(pairs, together, strict=True):
        alone = raw_output(network, own, scene(0), Options(tile_px=32))
        assert np.allclose(alone.stains, result.stains, atol=1e-6)
    assert together[0].mask is None
    assert together[1].mask is not None
    assert together[1].mask.shape == (64, 72)


def test_stains_come_back_at_the_image_size_with_their_names() -> None:
    made = recipe(scenes(1, n_stains=2).samples, TRAIN, None)
    result = decoded(raw_output(lambda x: x[:, :2] * 0, made, scene(4, (33, 47)), Options()), made)
    assert result.stains.pixels.shape == (2, 33, 47)
    assert result.stains.channels == ("S0", "S1")
    offset = stain_range(made).offset
    assert offset is not None
    assert np.allclose(result.stains.pixels[1], offset[1])  # 0 of the network is its darkest value
    assert result.mask is None
    assert result.confidence is None


def test_confidence_grows_with_the_distance_from_one_half() -> None:
    task = TranslateTask()
    made = recipe(scenes(1).samples, changed(TRAIN, preset="nuclei"), None)

    def say(p: float):
        return lambda x: np.full((len(x), 2, *x.shape[2:]), p, np.float32)

    values = [
        task.decode(task.raw(say(p), made, scene(0)), made).confidence for p in (0.5, 0.75, 1.0)
    ]
    assert values == pytest.approx([0, 0.5, 1], abs=1e-3)
