"""Fitting the generator to reference images: nearer than before, reproducible, never broken."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from microshot.data.dataset import Dataset, Sample
from microshot.data.image import Image
from microshot.data.objects import object_areas
from microshot.settings import GenerateSettings
from microshot.synth import fit_styles
from microshot.synth.generator import generate
from microshot.synth.options import GenerateOptions
from microshot.synth.prepare import prepare
from microshot.synth.reference import MAX_MEASURED, fit_reference
from microshot.synth.styles import child_of, draw_style
from tiny_images import discs


@pytest.fixture(autouse=True)
def _small_search(monkeypatch):
    for name, value in {
        "N_RANDOM": 8, "N_CHILDREN": 3, "N_ROUNDS": 1, "N_PARENTS": 2, "N_KEPT": 2,
        "N_IMAGES": 2, "N_JUDGED": 4,
    }.items():  # fmt: skip
        monkeypatch.setattr(fit_styles, name, value)


def natural(n: int = 6, **rest) -> Dataset:
    return Dataset.of(
        Sample(f"r{i}", Image(discs(side=96, n=4, seed=i)[0][None]), **rest) for i in range(n)
    )


def fluorescence(**rest) -> GenerateSettings:
    return GenerateSettings(scene="fluorescence-nuclei", height_px=96, width_px=96, **rest)


def test_fitting_brings_images_nearer_and_is_reproducible():
    one, two = (prepare(fluorescence(), natural()) for _ in range(2))
    assert one.likeness is not None
    assert one.likeness == two.likeness
    assert one.likeness.after < one.likeness.before
    assert one.options.styles == two.options.styles
    assert any("before following them" in note for note in one.notes)
    assert {label for label, _ in one.found} >= {"Object diameter", "Noise (grey values)"}


def test_images_in_which_nothing_stands_out_are_said_and_the_preset_is_kept():
    blank = Dataset.of(Sample(f"r{i}", Image(np.full((1, 40, 40), 90, np.uint8))) for i in range(3))
    found = prepare(fluorescence(), blank)
    assert found.options.styles == ()
    assert any("Nothing in the reference images stands out" in line for line in found.warnings)
    made = generate("fluorescence-nuclei", 2, 0, options=found.options)
    assert all(np.isfinite(s.image.pixels).all() for s in made)


def test_counts_of_the_references_are_matched_unless_another_law_is_asked_for():
    data = Dataset.of(replace(s, count=2.0) for s in natural())
    followed = prepare(fluorescence(fit=False), data).options
    assert followed.count_law == "reference"
    asked = prepare(fluorescence(fit=False, mean_count=7.0, count_law="fixed"), data).options
    assert {s.count for s in generate("fluorescence-nuclei", 3, 0, options=asked)} == {7.0}


def test_pieces_that_are_compared_hold_as_many_objects_per_area_as_the_references(monkeypatch):
    made = []

    def noted(*given, **rest):
        made.append(generate(*given, **rest))
        return made[-1]

    monkeypatch.setattr(fit_styles, "generate", noted)
    pairs = [discs(side=240, n=40, seed=i) for i in range(4)]
    data = Dataset.of(
        Sample(f"r{i}", Image(image[None]), labels) for i, (image, labels) in enumerate(pairs)
    )
    found = prepare(GenerateSettings(scene="fluorescence-nuclei", seed=3), data)
    searched, before = made[:-1], made[-1]
    assert {s.image.shape for one in made for s in one} == {(96, 96)}
    counts = [s.count for one in searched for s in one]
    assert np.mean(counts) == pytest.approx(40 * (96 / 240) ** 2, rel=0.1)
    assert found.likeness is not None
    assert found.likeness.after < found.likeness.before
    asked = prepare(fluorescence(fit=False, count_law="fixed", mean_count=2.0), data)
    assert asked.options.mean_count == 2
    assert {s.count for one in made[-2:] for s in one} == {2.0}
    assert np.mean([s.count for s in before]) != 2


def seen(images) -> tuple[float, float]:
    """Covered part of labelled images, and the median diameter of their objects."""
    sizes = np.concatenate([object_areas(s.labels) for s in images])
    cover = float(np.mean([(s.labels > 0).mean() for s in images]))
    return cover, float(2 * np.sqrt(np.median(sizes) / np.pi))


def labelled(radius: float, step: int, seed: int) -> Sample:
    """One image of discs of about a radius, `step` px apart."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((192, 192))
    labels, starts = np.zeros(y.shape, np.int32), range(step // 2, 192, step)
    for number, (row, column) in enumerate(product(starts, starts), 1):
        reach = radius * np.exp(rng.normal(0, 0.1))
        labels[np.hypot(y - row, x - column) < reach] = number
    image = 20 + 100 * (labels > 0) + rng.normal(0, 3, y.shape)
    return Sample(f"r{seed}", Image(image.clip(0, 255).astype(np.uint8)[None]), labels)


def followed(data, scene: str, n: int, seed: int = 0):
    """Images of a scene by a style drawn at random around labelled references."""
    reference = fit_reference([s.image.pixels for s in data], [s.labels for s in data])
    style = draw_style(np.random.default_rng(seed), fit_styles.find_preset(scene), reference)
    options = GenerateOptions(
        (192, 192), count_law="reference", reference=reference, styles=(style,)
    )
    return generate(scene, n, 0, options=options)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("scene", ["fluorescence-nuclei", "bright-field"])
def test_sizes_and_cover_that_labels_tell_are_kept(scene, seed):
    data = [labelled(6.0, 24, i) for i in range(3)]
    made = followed(data, scene, 8, seed)
    (cover, diameter), (true_cover, true_diameter) = seen(made), seen(data)
    assert cover == pytest.approx(true_cover, rel=0.2)
    assert diameter == pytest.approx(true_diameter, rel=0.15)


def test_an_image_has_number_and_size_of_objects_of_one_labelled_reference():
    made = followed([labelled(5.0, 16, 0), labelled(20.0, 64, 1)], "fluorescence-nuclei", 12)
    small = [s for s in made if s.count > 50]
    assert 0 < len(small) < 12
    assert seen(small)[1] == pytest.approx(10, rel=0.2)
    assert seen([s for s in made if s not in small])[1] == pytest.approx(40, rel=0.3)


def test_kinds_that_cannot_follow_references_are_refused():
    with pytest.raises(ValueError, match="cannot follow reference images"):
        prepare(GenerateSettings(scene="adipocyte-stack"), natural(2))


def test_a_child_keeps_the_look_and_some_values_of_its_parent():
    reference = fit_reference([s.image.pixels for s in natural()])
    rng = np.random.default_rng(0)
    preset = fit_styles.find_preset("phase-contrast")
    parent = draw_style(rng, preset, reference)
    child = child_of(parent, rng, preset, reference)
    assert child.look_name == parent.look_name
    assert type(child.look) is type(parent.look)
    assert child != parent


def test_images_of_styles_take_type_and_brightness_from_the_references():
    dim = [(s.image.pixels // 2) for s in natural()]
    reference = fit_reference(dim)
    style = draw_style(np.random.default_rng(1), fit_styles.find_preset("bright-field"), reference)
    options = GenerateOptions(size_px=(48, 48), reference=reference, styles=(style,))
    made = generate("bright-field", 4, 5, options=options)
    assert {s.image.pixels.dtype for s in made} == {dim[0].dtype}
    level = float(np.median([np.median(s.image.pixels) for s in made]))
    assert level == pytest.approx(reference.background_level, rel=0.3, abs=3)


def test_many_unlabelled_images_are_measured_in_part():
    images = [s.image.pixels[:, :20, :20] for s in natural(2)] * 30
    assert len(fit_reference(images).each) == MAX_MEASURED
