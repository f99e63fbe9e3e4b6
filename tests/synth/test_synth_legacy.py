"""The published counting images: counts, places, greys, and their variants."""

from __future__ import annotations

import numpy as np
import pytest

from microshot.synth.generator import generate
from microshot.synth.legacy import LEGACY, LegacyVariant, sample_legacy
from microshot.synth.legacy_look import box_of, chamber, render_legacy
from microshot.synth.options import GenerateOptions
from microshot.synth.reference import fit_reference


def made(preset: str, n: int, seed: int = 0, **options):
    return generate(preset, n, seed, options=GenerateOptions(**{"size_px": (128, 128), **options}))


@pytest.mark.parametrize(
    ("preset", "mean"), [("legacy-bright-field", 0.77), ("legacy-phase-contrast", 0.243)]
)
def test_mean_grey_is_that_of_the_released_images(preset, mean):
    images = [s.image.pixels for s in made(preset, 100)]
    assert np.mean(images) / 255 == pytest.approx(mean, abs=0.01)


@pytest.mark.parametrize(
    ("bright_field", "mean", "low", "high"), [(True, 199, 125, 240), (False, 60, 42, 117)]
)
def test_chambers_have_the_statistics_of_the_released_backgrounds(bright_field, mean, low, high):
    field = chamber((128, 128), bright_field=bright_field)
    assert field.mean() == pytest.approx(mean, abs=2)
    assert low <= field.min() < field.max() <= high


def test_counts_follow_36_minus_n():
    rng = np.random.default_rng(0)
    counts = [sample_legacy(rng, LEGACY["legacy-phase-contrast"], (128, 128)).n_asked
              for _ in range(1500)]  # fmt: skip
    expected = 1500 * (36 - np.arange(1, 31)) / 615
    found = np.bincount(counts, minlength=31)[1:]
    assert found.sum() == 1500
    assert ((found - expected) ** 2 / expected).sum() < 58.3  # chi-square, 29 degrees, p = 0.001


@pytest.mark.parametrize("preset", LEGACY)
def test_cells_keep_their_sizes_margins_and_distances(preset):
    recipe, rng = LEGACY[preset], np.random.default_rng(3)
    left, right, top, bottom = recipe.margin_px
    for _ in range(20):
        scene = sample_legacy(rng, recipe, (128, 128))
        discs = []
        for item in scene.objects:
            x0, y0, x1, y1 = box_of(item)
            widths = (x1 - x0, y1 - y0)
            assert 2 * recipe.radius_px[0] - 1 <= min(widths)
            assert max(widths) <= 2 * recipe.radius_px[1] + 2
            assert x1 <= 128 - right
            assert y1 <= 128 - bottom
            assert x0 >= left - 2
            assert y0 >= top - 2
            discs.append((x1, y1, max(widths) + 2))
        assert scene.count == len(np.unique(scene.labels)) - 1


@pytest.mark.parametrize("preset", LEGACY)
def test_dividing_cells_of_the_papers_recipe_lie_inside_the_chamber(preset):
    recipe = LEGACY[preset].varied(LegacyVariant(paper=True))
    left, right, top, bottom = recipe.margin_px
    rng, pairs = np.random.default_rng(5), 0
    for _ in range(100):
        objects = sample_legacy(rng, recipe, (128, 128)).objects
        pairs += len(objects) - len({item.group for item in objects})
        boxes = np.array([box_of(item) for item in objects])
        assert (boxes >= np.array([left - 2, top - 2, 0, 0]) - 1e-5).all()
        assert (boxes <= np.array([128, 128, 128 - right, 128 - bottom]) + 1e-5).all()
    assert pairs > 20


def test_inner_and_rim_greys_are_those_of_the_recipe():
    recipe = LEGACY["legacy-bright-field"].varied(LegacyVariant(softness="0.1"))
    rng = np.random.default_rng(1)
    scene = sample_legacy(rng, recipe, (128, 128))
    image = render_legacy(scene, recipe, np.full((128, 128), 255.0), rng)
    for item in scene.objects:
        if item.radius_px >= 5:
            y, x = (round(v) for v in item.origin_yx)
            assert 179 <= image[y, x] <= 210


def test_documented_variants_change_rim_and_softness():
    phase, bright = LEGACY["legacy-phase-contrast"], LEGACY["legacy-bright-field"]
    rims = {s: phase.varied(LegacyVariant(softness=s)).rim[0]  # type: ignore[arg-type]
            for s in ("released", "0.1", "0.5", "0.75", "1")}  # fmt: skip
    assert rims == {"released": 160, "0.1": 160, "0.5": 190, "0.75": 200, "1": 210}
    assert phase.varied(LegacyVariant(high_contrast=True)).rim[0] == 180
    assert bright.varied(LegacyVariant(high_contrast=True)).rim[0] == 40
    assert phase.varied(LegacyVariant()).softness == 0.5


def test_the_papers_recipe_makes_overlapping_pairs_and_other_images():
    plain = made("legacy-phase-contrast", 8)
    paper = made("legacy-phase-contrast", 8, legacy=LegacyVariant(paper=True))
    assert not np.array_equal(plain[0].image.pixels, paper[0].image.pixels)
    rng, pairs = np.random.default_rng(0), 0
    recipe = LEGACY["legacy-phase-contrast"].varied(LegacyVariant(paper=True))
    for _ in range(20):
        groups = [item.group for item in sample_legacy(rng, recipe, (128, 128)).objects]
        pairs += len(groups) - len(set(groups))
    assert pairs > 0


def test_cells_lie_over_the_mean_of_reference_images_with_few_cells():
    rng = np.random.default_rng(0)
    images = [rng.integers(90, 110, (1, 128, 128)).astype(np.uint8) for _ in range(30)]
    counts = [1.0] * 20 + [9.0] * 10
    reference = fit_reference(images, counts=counts)
    sample = made("legacy-bright-field", 1, reference=reference)[0]
    mean = np.rint(np.mean(images[:20], axis=0)[0])
    far = np.ones((128, 128), bool)
    for y, x in np.argwhere(sample.labels > 0):
        far[max(y - 4, 0) : y + 5, max(x - 4, 0) : x + 5] = False
    assert np.abs(sample.image.pixels[0][far] - mean[far]).max() <= 1
    assert "mean of the 20 reference images with fewer than 5 objects" in reference.note


@pytest.mark.parametrize("white", [1023, 4095, 65535, 1.0])
@pytest.mark.parametrize("preset", LEGACY)
def test_cells_have_the_greys_of_the_references_camera_whatever_type_holds_them(preset, white):
    field = chamber((128, 128), bright_field=LEGACY[preset].bright_field)
    rng = np.random.default_rng(0)
    images = [np.rint(field + rng.normal(0, 2, field.shape))[None] for _ in range(20)]
    dtype = np.float32 if white == 1.0 else np.uint16
    pixels = [
        made(preset, 1, reference=fit_reference(given, counts=[1.0] * 20))[0].image.pixels
        for given in (
            [i.astype(np.uint8) for i in images],
            [(i * white / 255).astype(dtype) for i in images],
        )
    ]
    assert np.abs(pixels[1] * (255 / white) - pixels[0]).max() <= 1.5


def test_crowded_frames_end_with_fewer_cells_and_a_note():
    data = generate(
        "legacy-bright-field", 1, 0,
        options=GenerateOptions(size_px=(64, 64), mean_count=500, count_law="fixed"),
    )  # fmt: skip
    assert 0 < (data[0].count or 0) < 500
    assert "room for" in data.notes[0]
