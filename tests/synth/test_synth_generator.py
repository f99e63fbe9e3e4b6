"""The generator as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microshot.progress import Cancelled
from microshot.synth import counts
from microshot.synth.generator import (
    PRESETS,
    GenerateOptions,
    generate,
    generate_one,
    generate_scene,
)
from microshot.synth.presets import Culture, draw_scene_law
from microshot.synth.reference import fit_reference

SMALL = (64, 80)
CULTURE = Culture((("ellipse", 1.0, 1.0),), (8, 8), (0.2, 0.2), (0.0, 0.0))


def same(a, b) -> bool:
    return (
        a.name == b.name
        and a.count == b.count
        and a.image.pixels.dtype == b.image.pixels.dtype
        and a.image.pixels.tobytes() == b.image.pixels.tobytes()
        and a.labels.tobytes() == b.labels.tobytes()
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_same_seed_gives_the_same_bytes_and_an_image_can_be_made_alone(preset):
    one = generate(preset, 4, 7, size_px=SMALL)
    two = generate(preset, 2, 7, size_px=SMALL)
    assert all(same(a, b) for a, b in zip(one, two, strict=False))
    options = GenerateOptions(size_px=SMALL)
    for index in (3, 0):
        assert same(one[index], generate_one(preset, index, 7, options))
        scene = generate_scene(preset, index, 7, options)
        assert np.array_equal(scene.labels, one[index].labels)


def test_other_seeds_and_indices_give_other_images():
    a = generate("mixed", 3, 1, size_px=SMALL)
    b = generate("mixed", 3, 2, size_px=SMALL)
    seen = {sample.image.pixels.tobytes() for sample in (*a, *b)}
    assert len(seen) == 6


def test_the_noise_level_changes_the_noise_and_not_the_scene():
    low, high = (generate("phase-contrast", 2, 3, size_px=SMALL, noise=n) for n in ("low", "high"))
    for a, b in zip(low, high, strict=True):
        assert np.array_equal(a.labels, b.labels)
        assert a.image.pixels.tobytes() != b.image.pixels.tobytes()


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.sampled_from(sorted(PRESETS)),
    st.integers(0, 2**40),
    st.sampled_from([(37, 53), (1, 1), (1, 40), (64, 64)]),
    st.sampled_from(["low", "medium", "high", "mixed"]),
    st.sampled_from([8, 12, 16]),
)
def test_samples_are_consistent_for_all_sizes(preset, seed, size, noise, bits):
    for sample in generate(preset, 2, seed, size_px=size, noise=noise, bits=bits):
        n_planes = 7 if PRESETS[preset].is_stack else 1
        assert sample.image.pixels.shape == (n_planes, *size)
        assert sample.image.pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
        assert (sample.target is not None) == (n_planes == 7)
        assert sample.labels.dtype == np.int32
        ids = np.unique(sample.labels)
        assert ids[ids > 0].tolist() == list(range(1, int(sample.count) + 1))
        areas = np.bincount(sample.labels.ravel())[1:]
        assert (areas >= 4).all()
        assert sample.domain == "synthetic"


def test_samples_are_named_from_one():
    assert [s.name for s in generate("bright-field", 2, 0, size_px=SMALL)] == [
        "synthetic_0001",
        "synthetic_0002",
    ]


def test_no_images_are_a_data_set_too():
    assert len(generate("mixed", 0, 0)) == 0


def test_counts_and_diameters_follow_the_options():
    ds = generate("fluorescence-nuclei", 6, 5, mean_count=9, count_law="fixed", diameter_px=16)
    assert [sample.count for sample in ds] == [9] * 6
    areas = np.concatenate([np.bincount(s.labels.ravel())[1:] for s in ds])
    assert 2 * np.sqrt(np.median(areas) / np.pi) == pytest.approx(16, rel=0.2)
    own = generate("fluorescence-nuclei", 1, 5, count_law=counts.fixed(3), diameter_px=16)
    assert own[0].count == 3


@pytest.mark.parametrize("preset", ["fluorescence-nuclei", "phase-contrast", "bright-field"])
def test_objects_larger_than_the_image_are_seen_in_part(preset):
    made = generate(preset, 4, 0, size_px=(48, 48), diameter_px=2000, mean_count=1)
    assert all((s.labels > 0).mean() > 0.02 for s in made if s.count)
    assert any(s.count for s in made)


def test_large_images_are_covered_as_much_as_small_ones():
    def covered(side: int) -> float:
        law = draw_scene_law(CULTURE, np.random.default_rng(0), (side, side), diameter_px=8)
        return law.count.mean / side**2

    assert covered(1024) == pytest.approx(covered(256), rel=1e-3)


def test_too_many_objects_give_fewer_and_a_note():
    ds = generate(
        "phase-contrast", 1, 0, size_px=SMALL, mean_count=900, count_law="fixed", diameter_px=20
    )
    n = int(ds[0].count)
    assert 0 < n < 60
    assert ds.notes == (f"synthetic_0001: room for {n} of the 900 objects asked for.",)
    assert generate("phase-contrast", 1, 0, size_px=SMALL).notes == ()


def test_progress_is_reported_and_can_cancel():
    seen = []
    generate("bright-field", 2, 0, size_px=SMALL, progress=lambda f, m="": seen.append((f, m)))
    assert seen[0] == (0.0, "Synthetic image 1 of 2")
    assert seen[-1][0] == 1.0

    def stop(fraction: float, message: str = "") -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        generate("bright-field", 2, 0, size_px=SMALL, progress=stop)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_images_follow_a_reference(dtype):
    scale = 1 if dtype == np.uint8 else 200
    rng = np.random.default_rng(0)
    y, x = np.indices((96, 96))
    labels = np.zeros((96, 96), dtype=np.int32)
    labels[(y - 40) ** 2 + (x - 45) ** 2 < 15**2] = 1
    image = scale * (80 - 30 * (labels > 0) + rng.normal(0, 1, labels.shape))
    reference = fit_reference([image.astype(dtype)[None]] * 3, [labels] * 3)
    ds = generate("phase-contrast", 8, 1, reference=reference, mean_count=3)
    assert {sample.image.pixels.dtype for sample in ds} == {np.dtype(dtype)}
    level = np.median([np.median(s.image.pixels) for s in ds])
    assert level == pytest.approx(80 * scale, rel=0.1)
    areas = np.concatenate([np.bincount(s.labels.ravel())[1:] for s in ds])
    assert 2 * np.sqrt(np.median(areas) / np.pi) == pytest.approx(30, rel=0.35)
    again = fit_reference([s.image.pixels for s in ds], [s.labels for s in ds])
    assert again.brighter is False
    assert 0.3 < again.contrast / reference.contrast < 2
    assert same(
        ds[2],
        generate_one("phase-contrast", 2, 1, GenerateOptions(reference=reference, mean_count=3)),
    )


def test_counts_can_imitate_the_reference():
    images = [np.zeros((1, 64, 64), np.uint8), np.zeros((1, 32, 64), np.uint8)]
    reference = fit_reference([*images, images[0]], counts=[2, 1, None])
    for size, n in (((64, 64), 2), ((128, 64), 4), ((32, 64), 1)):
        ds = generate(
            "bright-field", 3, 0, size_px=size, reference=reference, count_law="reference",
            diameter_px=9,
        )  # fmt: skip
        assert [sample.count for sample in ds] == [n] * 3


def test_the_reference_background_shows_through():
    background = np.tile(np.linspace(50, 200, 64), (64, 1))
    images = [np.rint(background).astype(np.uint8)[None]] * 20
    reference = fit_reference(images, counts=[0] * 20)
    for size in ((64, 64), (32, 48), (90, 64)):
        ds = generate(
            "bright-field", 1, 0, size_px=size, reference=reference, count_law=counts.fixed(0)
        )
        pixels = ds[0].image.pixels[0].astype(float)
        assert pixels.shape == size
        assert np.corrcoef(np.arange(size[1]), pixels.mean(axis=0))[0, 1] > 0.9


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"preset": "dic"},
            'Unknown preset "dic": choose one of fluorescence-nuclei, phase-contrast',
        ),
        ({"n": -1}, "number of images must be 0 or more, found -1"),
        ({"seed": -1}, "seed must be 0 or more, found -1"),
        ({"size_px": (0, 9)}, "at least 1 x 1 px, found 0 x 9 px"),
        ({"noise": "loud"}, 'Unknown noise level "loud": choose one of low, medium, high, mixed'),
        ({"diameter_px": 0}, "diameter must be above 0 px, found 0"),
        ({"bits": 10}, "bit depth must be 8, 12 or 16, found 10"),
        ({"count_law": "geometric"}, '"geometric" needs a mean number of objects'),
        ({"count_law": "normal"}, 'Unknown count law "normal"'),
        (
            {"count_law": "reference"},
            '"Match my labels" needs reference images with labels or counts',
        ),
        ({"mean_count": 1e7}, "between 0 and 10000"),
    ],
)
def test_impossible_options_are_refused(arguments, text):
    with pytest.raises(ValueError, match=text):
        generate(**{"preset": "mixed", "n": 0, "seed": 0, **arguments})


def test_a_bit_depth_contradicts_a_reference():
    reference = fit_reference([np.zeros((1, 9, 9), np.uint8)])
    with pytest.raises(ValueError, match="leave bits unset, found 16"):
        GenerateOptions(reference=reference, bits=16)
