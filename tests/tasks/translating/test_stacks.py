"""What is odd about stacks: told in one sentence each, and never where nothing is odd."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from translation_scenes import scene

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
    assert "planes seem to be in the opposite order" in next(t for t in told if t)[0]


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
    (note,) = stacks.saturated(dataclasses.replace(sample, image=Image(pixels)))
    assert note.startswith("scene0: 3")
    assert "of plane 2 has the greatest value" in note
    assert stacks.saturated(sample) == []


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
    (note,) = stacks.other_greys(dataclasses.replace(sample, image=Image(scaled * 1e4)), fitted)
    assert "expected grey values of about" in note
    assert "in plane 1" in note
    assert "found decimal numbers around" in note
    each = Normalization("percentile")
    assert stacks.other_greys(dataclasses.replace(sample, image=Image(scaled)), each) == []
