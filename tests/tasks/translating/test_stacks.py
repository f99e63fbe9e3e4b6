"""What is odd about stacks: told in one sentence each, and never where nothing is odd."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from translation_scenes import scene

from microshot.data.dataset import Sample
from microshot.data.image import Image
from microshot.data.normalize import Normalization
from microshot.synth.generator import GenerateOptions, generate_one
from microshot.tasks.translating import stacks
from microshot.tasks.translating.task import TranslateTask

TASK = TranslateTask()


def cells(i: int):
    return generate_one("adipocyte-stack", i, 5, GenerateOptions(size_px=(128, 128)))


def turned(sample):
    image = dataclasses.replace(sample.image, pixels=sample.image.pixels[::-1])
    return dataclasses.replace(sample, image=image)


def test_planes_in_the_opposite_order_are_told_and_those_in_order_never() -> None:
    samples = [cells(i) for i in range(12)]
    curve = stacks.mean_focus(samples[:4])
    assert curve is not None
    assert not any(stacks.reversed_order(s, curve) for s in samples)
    told = [stacks.reversed_order(turned(s), curve) for s in samples[4:]]
    assert sum(map(bool, told)) >= 5
    (note,) = stacks.told(found for one in told for found in one)
    assert (
        f" and {sum(map(bool, told)) - 1} more: the planes seem to be in the opposite order" in note
    )


def test_of_training_stacks_the_few_that_lie_the_other_way_around_are_told() -> None:
    def faded(name: str, *amounts: float) -> Sample:
        return Sample(name, Image(fading(*amounts, seed=len(name))))

    down = [faded("a" * i, 4, 2, 1) for i in range(1, 6)]
    up = [faded("b" * i, 1, 2, 4) for i in (6, 7)]
    assert stacks.turned_around(down) == stacks.turned_around(up) == []
    (note,) = stacks.turned_around([up[0], *down[:2]])
    assert note.startswith(
        "bbbbbb: the planes seem to be in the opposite order to those of the other"
    )
    (note,) = stacks.turned_around([*down[:3], *up])
    assert note.startswith("bbbbbb and 1 more: ")
    for n, more in ((1, ""), (2, " and 1 more")):  # which of the halves is right, nobody knows
        (note,) = stacks.turned_around([*down[:n], *up[:n]])
        assert note.startswith((f"a{more}: ", f"bbbbbb{more}: "))
    symmetric = [faded("c" * i, 2, 1, 2.1) for i in (3, 4, 5)]
    assert stacks.turned_around([*symmetric, *up]) == []
    assert stacks.turned_around([Sample("row", Image(fading(1, 3)))] * 3) == []


def test_training_stacks_that_all_lie_the_other_way_around_than_those_of_the_start_are_told() -> (
    None
):
    samples = [cells(i) for i in range(8)]
    own, around = (stacks.mean_focus(s) for s in (samples, [turned(s) for s in samples]))
    assert own is not None
    assert around is not None
    (note,) = stacks.turned_around(samples, around)
    assert note.startswith(
        "The planes seem to be in the opposite order to the images that the model"
    )
    assert stacks.turned_around(samples, own) == []
    assert stacks.turned_around(samples, around[1:]) == []


def test_stacks_without_direction_are_never_called_reversed() -> None:
    flat = scene(0, n_planes=2)
    assert stacks.mean_focus([flat]) is None
    noise = np.random.default_rng(0).integers(0, 999, (7, 64, 64)).astype(np.uint16)
    one = dataclasses.replace(flat, image=Image(noise), labels=None, target=None)
    curve = stacks.mean_focus([one])
    assert curve is not None
    assert stacks.reversed_order(turned(one), curve) == []


def test_saturated_planes_are_told_with_image_and_plane() -> None:
    sample = scene(0)
    pixels = sample.image.pixels.copy()
    pixels[1] = np.minimum(pixels[1], np.percentile(pixels[1], 70)).astype(np.uint16)
    (note,) = stacks.told(stacks.saturated(dataclasses.replace(sample, image=Image(pixels))))
    assert note.startswith("scene0: 3")
    assert "of plane 2 has the greatest value" in note
    assert stacks.saturated(sample) == []


def ramp(n_top: int, n_below: int = 0) -> np.ndarray:
    """Return 400 px from 0 to 127 of which so many have the greatest value and the one below."""
    values = np.arange(400) % 128
    values[:n_top], values[n_top : n_top + n_below] = 255, 254
    return values.reshape(1, 20, 20).astype(np.uint8)


@pytest.mark.parametrize(
    ("n_top", "n_below", "told"), [(3, 0, False), (5, 0, True), (5, 1, True), (5, 2, False)]
)
def test_a_hundredth_at_the_greatest_value_is_saturated_unless_values_run_out(n_top, n_below, told):
    pixels = ramp(n_top, n_below)
    found = stacks.saturated(Sample("row", Image(pixels), target=Image(ramp(8))))
    own = ["row: 1% of plane 1 has the greatest value 255; it is saturated, expose it less."]
    of_stain = "row: 2% of stain 1 has the greatest value 255; it is saturated, expose it less."
    assert stacks.told(found) == [*(own if told else []), of_stain]


def test_decimal_numbers_and_blank_planes_are_not_saturated() -> None:
    for pixels in (ramp(400), ramp(8).astype(np.float32)):
        assert stacks.saturated(Sample("row", Image(pixels))) == []


def test_images_in_colour_are_counted_and_grey_ones_are_not() -> None:
    grey = [Sample(name, Image(np.zeros((3, 2, 2), np.uint8))) for name in "abcd"]
    assert not any(stacks.coloured(one) for one in grey)
    for i in (1, 3):
        colour = dataclasses.replace(grey[i].image, is_colour=True)
        grey[i] = dataclasses.replace(grey[i], image=colour)
    (note,) = stacks.told(found for one in grey for found in stacks.coloured(one))
    assert note.startswith("b and 1 more: expected planes in shades of grey")


def fading(*amounts: float, seed: int = 0) -> np.ndarray:
    """Return planes with a pattern of these amounts, dark specks on 1000."""
    rng = np.random.default_rng(seed)
    specks = gaussian_filter((rng.random((65, 67)) < 0.02).astype(float), 1.5)
    return np.stack([1000 - 400 * a * specks for a in amounts]).astype(np.float32)


def test_focus_does_not_depend_on_exposure_single_pixels_or_an_odd_last_row() -> None:
    planes = fading(3, 2, 1)
    curve = np.array(stacks.focus_curve(Image(planes)))
    assert curve[:, 0].sum() == pytest.approx(0, abs=1e-3)
    assert curve[:, 0] - curve[2, 0] == pytest.approx(np.log([3, 2, 1]), abs=0.1)
    assert (curve[:, 1] < -0.5).all()  # dark specks
    alternating = np.where(np.indices(planes.shape[1:]).sum(0) % 2, 5, -5)
    exposed, noisy = 3 * planes, planes + alternating.astype(np.float32)
    for other in (exposed, noisy, planes[:, :64, :66]):
        np.testing.assert_allclose(stacks.focus_curve(Image(other)), curve, atol=2e-3)
    bright = stacks.focus_curve(Image(2000 - planes))
    np.testing.assert_allclose(np.array(bright)[:, 1], -curve[:, 1], atol=2e-3)


def test_the_focus_of_regular_patterns_by_hand() -> None:
    """One block of 2 px in four is brighter by 4 b: sd √3 b and skewness 6 / √27 = 1.1547, whatever b is."""
    one_in_four = np.zeros((256, 256))
    one_in_four[np.ix_(*[np.arange(256) // 2 % 2 == 0] * 2)] = 4
    every_second = (np.indices((256, 256)) // 2).sum(0) % 2
    planes = [
        100 + 10 * (one_in_four - 1),
        200 - 40 * (one_in_four - 1),
        100 + 40 * (2 * every_second - 1),
    ]
    contrasts = np.log([0.1 * 3**0.5, 0.2 * 3**0.5, 0.4])
    skewness = np.tanh(np.array([1.1547, -1.1547, 0]) / 2)
    curve = np.array(stacks.focus_curve(Image(np.stack(planes).astype(np.float32))))
    np.testing.assert_allclose(curve[:, 0], contrasts - contrasts.mean(), atol=0.01)
    np.testing.assert_allclose(curve[:, 1], skewness, atol=0.01)


def test_a_curve_that_hardly_differs_from_its_mirror_image_tells_no_order() -> None:
    sample = Sample("row", Image(fading(3, 2, 1)))
    for step, told in ((0.1, False), (0.12, True)):  # a direction of 0.28 and of 0.34
        trained = [[-step, 0.0], [0.0, 0.0], [step, 0.0]]
        assert bool(stacks.reversed_order(sample, trained)) == told
        assert stacks.reversed_order(sample, trained[::-1]) == []


def test_stacks_of_three_planes_have_a_direction_and_dark_ones_or_of_other_numbers_none() -> None:
    sample = Sample("row", Image(fading(3, 2, 1)))
    assert stacks.mean_focus([sample]) == stacks.focus_curve(sample.image)
    assert stacks.mean_focus([Sample("row", Image(fading(3, 2)))]) is None
    assert stacks.reversed_order(sample, [[-1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1.0, 0.0]]) == []
    dark = Image(np.zeros((3, 9, 9), np.uint16))
    assert stacks.focus_curve(dark) == [[0, 0]] * 3


@pytest.mark.parametrize(
    ("median", "told"), [(101, False), (99, True), (200, False), (349, False), (351, True)]
)
def test_greys_twice_the_range_away_are_others(median, told) -> None:
    fitted = Normalization("percentile", offset=(200.0,), scale=(50.0,))
    pixels = np.full((1, 3, 3), median, np.uint16)
    pixels[0, 0, :3] = 60000
    assert bool(stacks.other_greys(Sample("row", Image(pixels)), fitted)) == told
    in_spreads = dataclasses.replace(fitted, kind="zscore")  # whose range is no least and greatest
    assert stacks.other_greys(Sample("row", Image(pixels)), in_spreads) == []


def test_images_in_colour_are_told_as_planes_and_refused_as_stains() -> None:
    sample = scene(0)
    colour = dataclasses.replace(sample, image=dataclasses.replace(sample.image, is_colour=True))
    (note,) = TASK.check([colour])
    assert "scene0: expected planes in shades of grey, found an image in colour" in note
    stain = dataclasses.replace(sample, target=dataclasses.replace(sample.target, is_colour=True))
    with pytest.raises(
        ValueError, match="expected stains in shades of grey, found an image in col"
    ):
        TASK.check([stain])


def test_grey_values_of_another_range_are_told() -> None:
    sample = scene(0)
    fitted = Normalization.fit("percentile", [sample.image.pixels], per="dataset")
    assert stacks.other_greys(sample, fitted) == []
    scaled = (sample.image.pixels / 65535).astype(np.float32) - 5
    (note,) = stacks.told(
        stacks.other_greys(dataclasses.replace(sample, image=Image(scaled * 1e4)), fitted)
    )
    assert "expected grey values of about" in note
    assert "in plane 1" in note
    assert "found decimal numbers around" in note
    each = Normalization("percentile")
    assert stacks.other_greys(dataclasses.replace(sample, image=Image(scaled)), each) == []


def test_planes_of_one_stack_and_stacks_of_a_kind_are_told_in_one_sentence() -> None:
    top = ramp(8)[0]
    dark = np.zeros_like(top)
    stain = Image(ramp(0).repeat(2, axis=0))
    made = [[dark, top, dark, ramp(40)[0]], [top] * 4, [ramp(0)[0]] * 4]
    samples = [
        Sample(n, Image(np.stack(p)), target=stain) for n, p in zip("abc", made, strict=True)
    ]
    assert TASK.check(samples) == [
        "Stains have 8 bits, not 16, in 3 of 3 images, so dim structures are lost; export them with "
        "16 bits, as the camera measured them.",
        "a: every pixel of plane 1 has the value 0, 1 more plane is alike; they show nothing, record "
        "them again.",
        "a and 1 more: 10% of plane 4 has the greatest value 255, 1 more plane is alike; they are "
        "saturated, expose them less.",
    ]


def test_a_stain_in_colour_is_refused_before_the_number_of_stains_is_asked_for() -> None:
    samples = [scene(i) for i in range(2)]
    pixels = np.concatenate([samples[1].target.pixels] * 2)  # type: ignore[union-attr]
    colour = dataclasses.replace(samples[1], target=Image(pixels, is_colour=True))
    with pytest.raises(ValueError, match=r"^scene1: expected stains in shades of grey"):
        TASK.check([samples[0], colour])
