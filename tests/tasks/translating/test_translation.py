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
from microshot.inference.onnx_network import OnnxNetwork
from microshot.metrics.conformal_maps import MaskCalibration
from microshot.nn.translator_geometry import side_multiple
from microshot.tasks.translating.recipes import recipe, stain_range
from microshot.tasks.translating.stacks import told
from microshot.tasks.translating.task import TranslateTask
from microshot.tasks.translating.translation import (
    Options,
    Translation,
    clamped,
    decoded,
    raw_output,
    translate_together,
)
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
    result = decoded(raw, made, Options())
    assert np.array_equal(result.as_camera(), sample.image.pixels)


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
    for wish in (0, 40):
        raw_output(network, small, scene(0), Options(tile_px=wish))
        assert max(seen) <= 24
    translate_together([(network, made), (network, small)], scene(0), Options())
    assert max(seen) <= 24


def test_grey_values_are_those_of_the_whole_image_however_it_is_cut() -> None:
    made = recipe(scenes(1).samples, TRAIN, None)
    ramp = np.linspace(100, 5000, 3 * 90 * 110).reshape(3, 90, 110).astype(np.float32)
    sample = dataclasses.replace(scene(0, shape=(90, 110)), image=Image(ramp))
    found = raw_output(lambda x: x[:, :1], made, sample, Options(tile_px=40))
    assert made.normalization.per == "image"
    np.testing.assert_allclose(found.stains[0], made.normalization.apply(ramp)[0], atol=1e-4)


def test_tiles_suit_the_deepest_of_several_networks() -> None:
    seen: list[tuple[int, ...]] = []
    models = []
    for depth in (2, 4, 3):
        made = recipe(scenes(1).samples, changed(TRAIN, translation__depth=depth), None)
        assert side_multiple(made.architecture) == 2**depth
        models.append((lambda x: seen.append(x.shape[2:]) or x[:, :1], made))
    translate_together(models, scene(0, shape=(50, 60)), Options())
    assert len(seen) >= 3
    assert all(side % 16 == 0 for shape in seen for side in shape)


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


def test_a_grey_image_saved_in_colour_is_one_plane_where_the_model_takes_one() -> None:
    grey = own_image(1, np.uint8)
    rgb = Image(np.repeat(grey.image.pixels, 3, 0), is_colour=True)
    saved = dataclasses.replace(grey, image=rgb)
    one, three = recipe([grey], TRAIN, None), recipe([saved], TRAIN, None)
    networks = [lambda x: x[:, :1], lambda x: x[:, 2:]]
    together = translate_together(
        list(zip(networks, (one, three), strict=True)), saved, Options(tile_px=32)
    )
    alone = raw_output(networks[0], one, grey, Options(tile_px=32))
    for raw in together:
        assert np.allclose(raw.stains, alone.stains, atol=1e-6)
    assert together[0].notes == alone.notes == ()
    apart = dataclasses.replace(saved, image=dataclasses.replace(rgb, pixels=rgb.pixels.copy()))
    apart.image.pixels[0] //= 2
    with pytest.raises(ValueError, match=r"own: expected 1 plane.*red, green and blue"):
        raw_output(networks[0], one, apart, Options())


class Noted(OnnxNetwork):
    """Says what it does, and gives half of the first plane."""

    def __init__(self, name: str, done: list[str]) -> None:
        self.name, self.done = name, done

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.done.append(f"{self.name} works")
        return batch[:, :1] * 0.5

    def rest(self, batch: np.ndarray) -> None:
        assert batch.shape[0] == 1
        assert max(batch.shape[2:]) <= 64
        self.done.append(f"{self.name} rests")


def test_in_large_images_a_network_gives_its_memory_back_before_the_next_one_begins() -> None:
    made, done = recipe(scenes(2).samples, TRAIN, None), []
    pairs = [(Noted(name, done), made) for name in "ab"]
    translate_together(pairs, scene(0), Options(tile_px=32))
    n = len(done) // 2 - 1
    assert n >= 9
    assert done == [*["a works"] * n, "a rests", *["b works"] * n, "b rests"]
    done.clear()
    translate_together(pairs, scene(0), Options(tile_px=512))
    assert done == ["a works", "b works"]
    done.clear()
    raw_output(pairs[0][0], made, scene(0), Options(tile_px=32))
    assert done == ["a works"] * n


def test_stains_come_back_at_the_image_size_with_their_names() -> None:
    made = recipe(scenes(1, n_stains=2).samples, TRAIN, None)
    result = decoded(
        raw_output(lambda x: x[:, :2] * 0, made, scene(4, (33, 47)), Options()), made, Options()
    )
    assert result.stains.pixels.shape == (2, 33, 47)
    assert result.stains.channels == ("S0", "S1")
    offset = stain_range(made).offset
    assert offset is not None
    assert np.allclose(result.stains.pixels[1], offset[1])  # 0 of the network is its darkest value
    assert result.mask is None
    assert result.confidence is None


def noisy_network(spread: float = 1.5):
    """A network that knows where nuclei are, as given by the first plane, but often errs."""
    rng = np.random.default_rng(5)

    def say(x: np.ndarray) -> np.ndarray:
        logit = rng.normal(2.0 * (2 * x[:, :1] - 1), spread)
        return np.concatenate([x[:, :1], 1 / (1 + np.exp(-logit))], axis=1).astype(np.float32)

    return say


def known_nuclei(seed: int):
    """Return a scene whose planes are its own mask."""
    sample = scene(seed)
    mask = (np.asarray(sample.labels) > 0).astype(np.float32)
    return dataclasses.replace(sample, image=Image(np.stack([mask] * 3)))


@pytest.mark.parametrize("error", [0.02, 0.1, 0.3])
def test_masks_are_surely_wrong_at_no_more_pixels_of_fresh_images_than_allowed(error) -> None:
    task, network = TranslateTask(), noisy_network()
    samples = [known_nuclei(i) for i in range(30)]
    made = recipe(samples[:10], changed(TRAIN, preset="nuclei"), None)
    made = dataclasses.replace(made, normalization=Normalization("minmax"))
    raw = [task.raw(network, made, s) for s in samples[:10]]
    made = dataclasses.replace(made, thresholds=task.calibrate(raw, samples[:10], made))
    made = task.checked(made)
    options = Options(allowed_error=error)
    wrong, n = np.zeros(2), np.zeros(2)
    for sample in samples[10:]:
        found = task.decode(task.raw(network, made, sample), made, options)
        assert found.maps is not None
        classes = found.maps.classes(error)
        for c, truth in enumerate((sample.labels == 0, sample.labels > 0)):
            wrong[c] += np.count_nonzero(truth & (classes & (c + 1) == 0))
            n[c] += np.count_nonzero(truth)
        assert found.certain == np.isin(classes, (1, 2)).mean()
        assert found.confidence == pytest.approx(found.maps.confidence.mean())
        assert found.seeds is not None
        assert not (found.seeds > 0)[classes != 2].any()
    assert (wrong / n <= error + 0.02).all()
    assert (wrong / n >= error - 0.04).all()  # and not by promising nothing


def test_without_unseen_images_there_is_no_confidence() -> None:
    task = TranslateTask()
    samples = scenes(2).samples
    made = recipe(samples, changed(TRAIN, preset="nuclei"), None)
    raw = [task.raw(lambda x: x[:, :2] * 0 + 0.4, made, s) for s in samples]
    assert set(task.calibrate(raw, samples, made, held_out=False)) == {"mask"}
    found = task.decode(raw[0], made)
    assert found.confidence is found.seeds is found.nuclei is found.certain is None
    assert found.mask is not None


def test_images_of_another_pixel_size_are_told_rescaled_or_refused() -> None:
    made = recipe(scenes(1).samples, TRAIN, None)  # 0.5 µm
    seen = []

    def network(x: np.ndarray) -> np.ndarray:
        seen.append(x.shape[2:])
        return x[:, :1]

    sample = scene(0)
    sample = dataclasses.replace(
        sample, image=dataclasses.replace(sample.image, pixel_size_um=1.0), target=None
    )
    raw = raw_output(network, made, sample, Options())
    assert seen[0] == (64, 72)
    assert "one pixel is 1 µm, but 0.5 µm" in told(raw.notes)[0]
    raw = raw_output(network, made, sample, Options(magnification="rescale"))
    assert seen[-1] == (128, 144)
    assert raw.stains.shape == (1, 64, 72)
    assert "rescaled 2 times" in told(raw.notes)[0]
    with pytest.raises(ValueError, match=r"expected pixels of 0.5 µm .* found 1 µm; use a model"):
        raw_output(network, made, sample, Options(magnification="refuse"))


@pytest.mark.parametrize("magnification", ["warn", "rescale", "refuse"])
def test_pixel_sizes_that_differ_by_a_tenth_or_are_not_known_change_nothing(magnification) -> None:
    made = recipe(scenes(1).samples, TRAIN, None)  # 0.5 µm
    for size in (0.46, 0.54, None):
        image = dataclasses.replace(scene(0).image, pixel_size_um=size)
        sample = dataclasses.replace(scene(0), image=image, target=None)
        options = Options(magnification=magnification)
        raw = raw_output(lambda x: x[:, :1], made, sample, options)
        assert raw.notes == ()
        plain = raw_output(lambda x: x[:, :1], made, scene(0), Options())
        assert np.array_equal(raw.stains, plain.stains)
    for size in (0.44, 0.56):
        image = dataclasses.replace(scene(0).image, pixel_size_um=size)
        sample = dataclasses.replace(scene(0), image=image)
        raw = raw_output(lambda x: x[:, :1], made, sample, Options())
        assert f"one pixel is {size} µm" in told(raw.notes)[0]


def test_what_is_odd_about_planes_is_told_and_the_true_stain_is_not_looked_at() -> None:
    made = recipe(scenes(1).samples, TRAIN, None)
    sample = scene(0)
    assert sample.target is not None
    pixels = np.minimum(sample.target.pixels, np.median(sample.target.pixels)).astype(np.uint16)
    saturated = dataclasses.replace(sample, target=Image(pixels))
    assert raw_output(lambda x: x[:, :1], made, saturated, Options()).notes == ()
    colour = dataclasses.replace(sample.image, is_colour=True)
    photograph = dataclasses.replace(sample, image=colour)
    (note,) = told(raw_output(lambda x: x[:, :1], made, photograph, Options()).notes)
    assert "found an image in colour" in note
    learned = recipe([photograph], TRAIN, None)
    assert raw_output(lambda x: x[:, :1], learned, photograph, Options()).notes == ()


def test_a_pixel_is_nucleus_above_one_half() -> None:
    found = Translation(
        Image(np.zeros((1, 1, 3), np.uint8)), np.array([[0.49, 0.5, 0.51]], np.float32)
    )
    assert found.mask is not None
    assert found.mask.tolist() == [[False, False, True]]
    assert Translation(Image(np.zeros((1, 1, 3), np.uint8))).mask is None


@pytest.mark.parametrize(("error", "nuclei"), [(0.06, [0, 1, 1, 0, 2]), (0.04, [0] * 5)])
def test_nuclei_grow_from_sure_seeds_also_where_the_mask_has_none(error, nuclei) -> None:
    """Of 19 background pixels none looks like 0.6 or 0.9, so one in 20 may; of nuclei more do."""
    known = MaskCalibration(
        np.linspace(0, 0.36, 19, dtype=np.float32), np.linspace(0, 0.54, 19, dtype=np.float32)
    )
    probability = np.array([[0.1, 0.6, 0.6, 0.1, 0.9]], np.float32)
    stain = Image(np.zeros((1, 1, 5), np.uint8))
    found = Translation(stain, probability, 0.7, known, error)
    assert found.mask.tolist() == [[False] * 4 + [True]]
    assert found.seeds.tolist() == found.nuclei.tolist() == [nuclei]
    assert found.certain == (1.0 if error == 0.06 else 0.0)
