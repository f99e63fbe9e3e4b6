"""Counting with the Twin-VAE: what is drawn, what is learned, how images of any size are counted."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from discs import disc_labels
from microshot import api, knobs
from microshot.data.dataset import Dataset, Sample
from microshot.data.image import Image
from microshot.data.normalize import Normalization
from microshot.device import Device, seeded
from microshot.inference.predictor import TorchNetwork
from microshot.nn.twin_vae import TwinVAE
from microshot.nn.twin_vae_shapes import LEAST_WIDTH
from microshot.settings import TrainSettings
from microshot.settings.counting import TwinVaeSettings, TwinVaeTraining
from microshot.settings.learning import AUGMENTATIONS
from microshot.tasks.base import Recipe
from microshot.tasks.counting import twin_vae as way
from microshot.tasks.counting import twin_vae_recipes
from microshot.tasks.counting.twin_vae_changes import (
    Noise,
    augmented,
    changes,
    sampled,
    shifted,
)
from microshot.tasks.counting.twin_vae_images import EIGHT_BIT, joined, windows
from microshot.tasks.counting.twin_vae_recipes import FAITHFUL, FAST, TwinVaeHyper
from microshot.tasks.counting.twin_vae_training import (
    Batches,
    Loss,
    redrawn,
    validation_of,
)
from microshot.tasks.lesson import Lesson
from microshot.training import unfinished
from microshot.training.trainer import Batch, Fit, Plan, fit
from tasks_of_all_kinds import little_of

CPU = Device("cpu", "test", 1)


def settings(preset: str = "fast", **own: Any) -> Any:
    """Settings as the user's, with a small network."""
    base = TrainSettings(preset=preset)
    images = dataclasses.replace(base.images, **own.pop("images", {}))
    training = dataclasses.replace(base.training, **own.pop("training", {}))
    own = {"side_px": "64", "width": LEAST_WIDTH, **own}
    twin_vae = knobs.check(TwinVaeSettings(**own))
    return SimpleNamespace(preset=preset, training=training, images=images, twin_vae=twin_vae)


def sample(
    seed: int = 0, count: float | None = 3, shape: tuple[int, int] = (64, 64), **rest: Any
) -> Sample:
    pixels = np.random.default_rng(seed).integers(0, 200, (1, *shape), np.uint8)
    return Sample(f"image{seed}", Image(pixels), count=count, **rest)


def discs(seed: int, domain: Any = "natural", n: int | None = None) -> Sample:
    """An 8-bit image of 0 to 9 discs, with no more than their number."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(0, 10)) if n is None else n
    labels = disc_labels((64, 64), n, rng, (3, 5))
    inside = gaussian_filter((labels > 0).astype(float), 0.7)
    height = 100 if domain == "natural" else 60
    pixels = 60 + height * inside + rng.normal(0, 6, (1, 64, 64))
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    return Sample(f"discs{seed}", Image(pixels), count=float(labels.max()), domain=domain)


def recipe_of(**own: Any) -> Recipe:
    return way.recipe([sample()], settings(**own), None)


def network(recipe: Recipe, seed: int = 0) -> TorchNetwork:
    return TorchNetwork(way.build(recipe.architecture, seed), CPU)


def twin(recipe: Recipe) -> TwinVAE:
    model = way.build(recipe.architecture, 0)
    assert isinstance(model, TwinVAE)
    return model


def batches(samples: list[Sample], hyper: TwinVaeHyper, *, uncounted: bool = True) -> Batches:
    views = [way.prepare(s, recipe_of()) for s in samples]
    return Batches(views, hyper, 0, learn_uncounted=uncounted)


def made(draw: Batches, step: int = 0) -> Batch:
    return draw.make(draw(step))


def trained(
    natural: list[Sample], synthetic: list[Sample], steps: int, **own: Any
) -> tuple[Recipe, TwinVAE, Fit]:
    s = settings(**own)
    recipe, hyper = way.recipe(natural or synthetic, s, None), way.hyper(natural, s, None)
    model = twin(recipe)
    items, extra = ([way.prepare(x, recipe) for x in xs] for xs in (natural, synthetic))
    if not items:
        items, extra = extra, items
    stages = way.stages(model, Lesson(recipe, hyper, items, extra, items[:4]))
    plan = Plan(steps=steps, steps_per_epoch=max(1, steps), ema=hyper.ema, schedule=hyper.schedule)
    return recipe, model, fit(model, stages, plan, CPU)


# ---------------------------------------------------------------------------------- settings


def test_every_knob_of_retraining_is_one_of_training() -> None:
    names = {name for name, _, _ in knobs.knobs(TwinVaeTraining)}
    assert names < {name for name, _, _ in knobs.knobs(TwinVaeSettings)}


def test_the_faithful_preset_has_the_published_numbers() -> None:
    s = settings("faithful", side_px="128", width=0.0)
    h, r = way.hyper([sample()], s, None), way.recipe([sample()], s, None)
    assert (h.learning_rate, h.batch_size, h.weight_decay, h.epochs) == (1.3e-4, 128, 1e-5, 50_000)
    factors = (h.reconstruction_factor, h.counting_factor, h.divergence_factor)
    assert factors == (100, 3, 2)
    assert (h.optimizer, h.schedule, h.delay_epochs) == ("adam", "constant", 100)
    assert (h.masked, h.alternating, h.synthetic_ratio, h.ema) == (False, True, 0, 0)
    assert r.architecture["width"] == 1
    assert r.architecture["decoder"]
    assert (r.architecture["decoder_norm"], r.architecture["initial_count"]) == ("batch", 0)
    assert r.architecture["input"] == "plain"
    assert r.normalization == EIGHT_BIT


def test_the_fast_preset_masks_oversamples_joins_and_averages() -> None:
    s = settings(side_px="128", width=0.0)
    h, r = way.hyper([sample()], s, None), way.recipe([sample()], s, None)
    assert h == FAST
    assert (h.learning_rate, h.schedule, h.masked, h.labelled_share) == (2e-3, "cosine", True, 0.25)
    assert r.architecture["width"] == 0.25
    assert not r.architecture["decoder"]


def test_the_users_numbers_go_before_the_presets() -> None:
    own = {"counting_factor": 0.0, "delay_epochs": 0, "mean": "counted", "batches": "joint",
           "synthetic_ratio": 2.0, "noise": 0.1, "reconstruction": "bce"}  # fmt: skip
    h = way.hyper([sample()], settings("faithful", training={"learning_rate": 0.5}, **own), None)
    assert (h.counting_factor, h.delay_epochs, h.masked, h.alternating) == (0, 0, True, False)
    assert (h.synthetic_ratio, h.noise, h.reconstruction, h.learning_rate) == (2, 0.1, "bce", 0.5)


def test_the_part_of_synthetic_crops_is_the_ratio_where_no_other_is_given() -> None:
    h = way.hyper([sample()], settings(images={"synthetic_fraction": 0.75}), None)
    assert h.synthetic_ratio == pytest.approx(3)


def test_large_counts_are_learned_in_larger_units_and_small_ones_as_they_are() -> None:
    small = way.recipe([sample(count=4), sample(count=0)], settings(), None).architecture
    assert (small["initial_count"], small["count_scale"]) == (2, 1)
    large = way.recipe([sample(count=300), sample(count=100)], settings(), None).architecture
    assert (large["initial_count"], large["count_scale"]) == (200, 20)


def test_a_retrained_model_keeps_its_choices_and_may_leave_its_decoder_behind() -> None:
    start = way.recipe([sample(count=5)], settings(decoder="yes"), None)
    again = way.recipe([sample(count=50)], settings(width=1.0, side_px="128"), start)
    assert again.architecture == start.architecture
    assert again.normalization == start.normalization
    assert not again.preparation["from_scratch"]
    known = {"calibration_images": 12.0, "interval_80": 0.1}
    judged = way.recipe([sample()], settings(), dataclasses.replace(start, thresholds=known))
    assert judged.thresholds == {"calibration_images": 0.0}  # those were another model's errors
    without = way.recipe([sample()], settings(decoder="no"), start)
    assert without.architecture == {**start.architecture, "decoder": False}
    h = way.hyper([sample()], settings("faithful", training={"learning_rate": 0.01}), start)
    assert h.learning_rate == 0.01
    assert h.schedule == FAST.schedule


def test_what_cannot_be_is_refused_before_training() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        recipe_of(images={"normalization": "zscore"})
    with pytest.raises(ValueError, match="Reconstruct images"):
        recipe_of(cross_feed=True)


def test_a_map_by_umap_is_refused_before_training_where_its_package_is_missing(monkeypatch) -> None:
    there: list[str] = []
    monkeypatch.setattr(twin_vae_recipes, "find_spec", lambda name: name in there or None)
    with pytest.raises(ValueError, match="umap-learn, which is not installed; choose"):
        recipe_of(latent_map="umap")
    there.append("umap")
    assert recipe_of(latent_map="umap") == recipe_of()


def test_a_model_files_recipe_is_completed_or_refused() -> None:
    bare = Recipe({"name": "twin-vae", "side": 64}, Normalization("percentile"))
    full = way.checked(bare)
    assert full.architecture["width"] == 1
    assert full.preparation["large_images"] == "resize"
    assert way.checked(full) == full
    for wrong in (
        dataclasses.replace(bare, architecture={"side": 63}),
        dataclasses.replace(bare, preparation={"large_images": "shrink"}),
        dataclasses.replace(bare, normalization=Normalization("zscore")),
        dataclasses.replace(bare, thresholds={"interval_90": "wide"}),
    ):
        with pytest.raises(ValueError, match=r"expected|must"):
            way.checked(wrong)


# ------------------------------------------------------------------------------------ images


def test_zero_is_a_count_none_is_not_and_labels_stand_for_a_missing_count() -> None:
    labels = np.zeros((64, 64), np.int32)
    labels[3, 3], labels[9, 9] = 1, 7
    partly = labels.copy()
    partly[20, 20] = -1  # to be ignored: who knows what lies there
    samples = [sample(count=0), sample(count=None), sample(count=None, labels=labels)]
    samples.append(sample(count=None, labels=partly))
    counts = [way.prepare(s, recipe_of()).counts for s in samples]
    assert counts[0] == [0]
    assert np.isnan(counts[1])
    assert counts[2] == [2]
    assert np.isnan(counts[3])


def test_images_of_any_kind_end_between_0_and_1_at_the_networks_size() -> None:
    rng = np.random.default_rng(0)
    kinds = [
        rng.integers(0, 255, (1, 64, 64)).astype(np.uint8),
        rng.integers(200, 4000, (1, 200, 90)).astype(np.uint16),
        rng.normal(0, 1e3, (1, 33, 47)).astype(np.float32),
        rng.integers(0, 255, (3, 64, 64)).astype(np.uint8),
        np.full((1, 64, 64), 7, np.uint16),
    ]
    for preset in ("fast", "faithful"):
        recipe = way.recipe([sample()], settings(preset), None)
        for pixels in kinds:
            images = way.prepare(Sample("x", Image(pixels), count=1), recipe).images
            assert images.shape == (1, 64, 64)
            assert 0 <= images.min() <= images.max() <= 1


def test_8_bit_values_are_parts_of_255_and_all_others_parts_of_their_own_range() -> None:
    recipe = way.recipe([sample()], settings("faithful"), None)
    ramp = np.tile(np.arange(64), (64, 1))[None]

    def ends(pixels: np.ndarray) -> list[float]:
        images = way.prepare(Sample("x", Image(pixels), count=1), recipe).images
        return [float(images[0, 5, 0]), float(images[0, 5, -1])]

    assert ends((100 + ramp).astype(np.uint8)) == pytest.approx([100 / 255, 163 / 255], abs=3e-4)
    assert ends((1000 + ramp).astype(np.uint16)) == [0, 1]
    assert ends((ramp - 5).astype(np.float32)) == [0, 1]


def test_brightness_is_rounded() -> None:
    """0.299 · 10 + 0.587 · 200 + 0.114 · 30 = 123.81."""
    pixels = np.repeat(np.array([10, 200, 30], np.uint8), 64 * 64).reshape(3, 64, 64)
    recipe = way.recipe([sample()], settings("faithful"), None)
    images = way.prepare(Sample("x", Image(pixels), count=1), recipe).images
    assert float(images.max()) == pytest.approx(124 / 255, abs=3e-4)


def test_colour_becomes_brightness_as_pil_computes_it() -> None:
    from PIL import Image as PILImage

    pixels = np.random.default_rng(1).integers(0, 255, (3, 64, 64)).astype(np.uint8)
    recipe = way.recipe([sample()], settings("faithful"), None)
    ours = way.prepare(Sample("x", Image(pixels), count=1), recipe).images[0] * 255.0
    theirs = np.asarray(PILImage.fromarray(pixels.transpose(1, 2, 0)).convert("L"))
    assert np.abs(ours - theirs).max() <= 1


def test_the_channel_that_a_recipe_names_is_the_one_that_is_counted_in() -> None:
    pixels = np.random.default_rng(2).integers(0, 255, (4, 64, 64)).astype(np.uint8)
    recipe = recipe_of()
    for n, is_colour in ((4, False), (3, True)):
        several = Sample("x", Image(pixels[:n], is_colour=is_colour), count=1)
        alone = way.prepare(Sample("x", Image(pixels[1:2]), count=1), recipe).images
        found = way.prepare(several, recipe.for_channel("2")).images
        assert np.array_equal(found, alone)


def test_colour_images_are_counted_as_they_were_learned() -> None:
    wish, data = little_of("twin-vae")
    factor = np.array([4, 2, 1], np.uint16)[:, None, None]
    colours = Dataset.of(
        dataclasses.replace(s, image=Image(s.image.pixels // factor, is_colour=True)) for s in data
    )
    bundle = api.train(colours, wish).bundle
    assert len(bundle.card.channels) == 1
    predictor = api.Predictor(bundle)
    seen = predictor.seen(colours[0])
    assert seen.image.n_channels == 1
    assert predictor(seen).count == predictor(colours[0]).count


def test_reducing_keeps_proportions_and_fills_with_the_edge() -> None:
    pixels = np.zeros((1, 256, 128), np.uint8)
    pixels[:, :, -1], pixels[0, 0, 0] = 200, 255
    image = way.prepare(Sample("x", Image(pixels), count=0), recipe_of()).images[0]
    assert np.array_equal(image[:, 32:], np.repeat(image[:, 31:32], 32, axis=1))


@pytest.mark.parametrize("shape", [(64, 64), (65, 64), (40, 200), (130, 190)])
def test_windows_joined_are_the_image(shape: tuple[int, int]) -> None:
    grey = np.random.default_rng(0).random(shape, np.float32)
    cut = windows(grey, 64)
    assert cut.shape == (-(-shape[0] // 64) * -(-shape[1] // 64), 64, 64)
    assert np.array_equal(joined(cut, shape), grey)


def test_windows_beyond_an_image_repeat_its_last_row_and_column() -> None:
    grey = np.arange(1, 10, dtype=np.float32).reshape(3, 3)
    assert windows(grey, 2).tolist() == [
        [[1, 2], [4, 5]], [[3, 3], [6, 6]], [[7, 8], [7, 8]], [[9, 9], [9, 9]],
    ]  # fmt: skip


def test_objects_are_counted_in_the_window_that_holds_their_centre() -> None:
    labels = np.zeros((100, 130), np.int32)
    labels[60:70, 2:5] = 4  # centre at y 64.5: the lower window
    labels[0:3, 60:67] = 9  # centre at x 63: the left window
    labels[99, 129] = 5
    s = sample(count=None, shape=(100, 130), labels=labels)
    views = way.prepare(s, recipe_of(large_images="windows"))
    assert views.counts.tolist() == [1, 0, 0, 1, 0, 1]
    points = np.array([[64.5, 3.5], [1.0, 63.0], [99.4, 129.4]])
    s = sample(count=None, shape=(100, 130), points=points)
    assert np.array_equal(way.prepare(s, recipe_of(large_images="windows")).counts, views.counts)
    empty = sample(count=None, shape=(100, 130), points=np.zeros((0, 2)))
    assert not way.prepare(empty, recipe_of(large_images="windows")).counts.any()


def test_a_total_alone_cannot_teach_windows() -> None:
    recipe = recipe_of(large_images="windows")
    with pytest.raises(ValueError, match="image0: expected a label image"):
        way.prepare(sample(shape=(100, 64)), recipe)
    assert np.isnan(way.prepare(sample(count=None, shape=(100, 64)), recipe).counts).all()


def test_automatic_windows_are_chosen_where_objects_would_become_too_small() -> None:
    rng = np.random.default_rng(0)
    for side, expected in ((64, "resize"), (512, "windows")):
        labels = disc_labels((side, side), 5, rng)
        s = sample(count=None, shape=(side, side), labels=labels)
        assert way.recipe([s], settings(), None).preparation["large_images"] == expected
    assert recipe_of().preparation["large_images"] == "resize"


def test_images_that_are_too_small_or_no_colours_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="image0: expected an image of at least 32 x 32 px"):
        way.prepare(sample(shape=(31, 64)), recipe_of())
    two = Sample("two", Image(np.zeros((2, 64, 64), np.uint8)), count=1)
    with pytest.raises(ValueError, match=r"two: .* found 2 channels"):
        way.prepare(two, recipe_of())


# ----------------------------------------------------------------------------------- batches


def mixture(n_counted: int = 2, n_uncounted: int = 10, n_synthetic: int = 7) -> list[Sample]:
    samples = [sample(i, count=1 + i) for i in range(n_counted)]
    samples += [sample(100 + i, count=None) for i in range(n_uncounted)]
    return samples + [sample(200 + i, count=50, domain="synthetic") for i in range(n_synthetic)]


@pytest.mark.parametrize("ratio", [0.25, 1.0, 10.0])
def test_the_ratio_and_the_part_of_counted_images_hold_in_every_batch(ratio: float) -> None:
    h = dataclasses.replace(FAST, batch_size=8, synthetic_ratio=ratio)
    for step in range(3):
        batch = batches(mixture(), h)(step)
        assert len(batch["synthetic_image"]) == round(8 * ratio)
        assert len(batch["natural_image"]) == 8
        assert int((~batch["natural_count"].isnan()).sum()) == 2  # a quarter
        assert not batch["synthetic_count"].isnan().any()


def test_a_ratio_of_zero_leaves_synthetic_images_out_unless_it_means_as_many_as_there_are() -> None:
    h = way.hyper([sample()], settings(images={"synthetic_fraction": 0.0}), None)
    assert "synthetic_image" not in batches(mixture(), h)(0)
    in_turns = dataclasses.replace(h, alternating=True)
    assert "synthetic_image" in batches(mixture(), in_turns)(0)


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    first, second = batches(mixture(), FAST), batches(mixture(), FAST)
    first(0)
    again = second(5)
    assert all(torch.equal(v.nan_to_num(-1), again[k].nan_to_num(-1)) for k, v in first(5).items())
    assert not torch.equal(first(5)["natural_place"], first(6)["natural_place"])


def test_without_a_decoder_uncounted_images_are_not_drawn() -> None:
    batch = batches(mixture(), FAST, uncounted=False)(0)
    assert not batch["natural_count"].isnan().any()


def test_in_turns_every_image_is_seen_once_per_pass_synthetic_ones_first() -> None:
    h = dataclasses.replace(FAITHFUL, batch_size=4)
    draw = batches(mixture(4, 4, 7), h)
    drawn = [draw(step) for step in range(8)]
    domains = ["natural" if "natural_image" in b else "synthetic" for b in drawn]
    assert domains == ["synthetic", "synthetic", "natural", "natural"] * 2
    for cycle in (drawn[2:4], drawn[6:8]):
        counts = torch.cat([b["natural_count"] for b in cycle])
        assert sorted(counts[~counts.isnan()].tolist()) == [1, 2, 3, 4]
    twice = batches(mixture(4, 4, 7), dataclasses.replace(h, synthetic_ratio=2.0))
    assert ["natural_image" in twice(step) for step in range(6)] == [False] * 4 + [True] * 2


def test_the_beginning_may_show_one_domain_only() -> None:
    draw = batches(mixture(), dataclasses.replace(FAST, begin_with="synthetic"))
    assert "natural_image" not in draw(0)
    draw.fraction = 0.2
    assert "natural_image" in draw(0)


def test_counting_is_delayed_but_never_longer_than_a_tenth_of_the_training() -> None:
    h = dataclasses.replace(FAST, delay_epochs=3, steps_per_epoch=10, reconstruction_decay=0.5)
    draw = batches(mixture(), h)
    assert [draw.factors(step)[2] for step in (0, 29, 30)] == [0, 0, 1]
    assert [draw.factors(step)[0] for step in (0, 9, 10, 20)] == [100, 100, 50, 25]
    draw.fraction = 0.1
    assert draw.factors(0)[2] == 1


def test_augmentation_only_turns_and_mirrors_where_nothing_else_is_wished() -> None:
    plain = dataclasses.replace(FAST, augmentation="none", batch_size=64)
    draw = batches([sample()], plain)
    image = torch.from_numpy(way.prepare(sample(), recipe_of()).images[0]).float()
    turned = [torch.rot90(image, k) for k in range(4)]
    allowed = [*turned, *[t.flip(0) for t in turned]]
    seen = set()
    for picture in augmented(draw(0), "natural", None)[0][:, 0]:
        matches = [i for i, a in enumerate(allowed) if torch.allclose(picture, a, atol=1e-3)]
        assert matches
        seen |= set(matches)
    assert seen == set(range(8))


@pytest.mark.parametrize("augmentation", sorted({*AUGMENTATIONS} - {"auto"}))
def test_every_augmentation_that_can_be_chosen_changes_pictures(augmentation: str) -> None:
    h = dataclasses.replace(FAST, augmentation=augmentation, batch_size=16)
    picture = made(batches([sample()], h))["natural_image"]
    assert picture.shape == (16, 1, 64, 64)
    assert 0 <= picture.min() <= picture.max() <= 1


@pytest.mark.parametrize(
    ("augmentation", "part"), [("standard", 0), ("contrasts", 0.5), ("heavy", 0.3)]
)
def test_bright_becomes_dark_as_often_as_it_should(augmentation: str, part: float) -> None:
    h = dataclasses.replace(FAST, augmentation=augmentation)
    gain = changes(4000, 64, h, np.random.default_rng(0))["light"][:, 0]
    assert abs(np.mean(gain < 0) - part) < (0.03 if part else 1e-9)


def test_contrast_changes_around_the_middle_of_the_range() -> None:
    batch = {
        "natural_image": torch.full((2, 1, 4, 4), 0.3),
        "natural_count": torch.zeros(2),
        "natural_place": torch.eye(2, 3).expand(2, 2, 3),
        "natural_light": torch.tensor([[-1.0, 0.0], [2.0, 0.1]]),
    }
    image, _ = augmented(batch, "natural", None)
    assert image[:, 0, 0, 0].tolist() == pytest.approx([0.7, 0.2])


def test_shapes_change_where_grey_values_are_to_stay() -> None:
    flat = Sample("flat", Image(np.full((1, 64, 64), 128, np.uint8)), count=0)
    views = [way.prepare(flat, way.recipe([flat], settings("faithful"), None))]
    h = dataclasses.replace(FAST, augmentation="shapes", noise=0.1)
    draw = Batches(views, h, 0, learn_uncounted=True)
    batch = draw(0)
    assert (batch["natural_place"] - batch["natural_place"].round()).any()
    assert batch["natural_shift"].any()
    picture = draw.make(batch)["natural_image"]
    assert torch.allclose(picture, picture.mean(), atol=1e-4)


def test_part_of_the_pictures_is_only_turned_by_right_angles_and_stays_sharp() -> None:
    for hyper, least, most in ((FAST, 0.3, 0.7), (FAITHFUL, 1.0, 1.0)):
        h = dataclasses.replace(hyper, batch_size=100, alternating=False)
        place = batches([sample()], h)(0)["natural_place"]
        changed = (place - place.round()).abs().amax((1, 2)) > 1e-5
        assert least <= changed.float().mean() <= most


def test_small_rotations_are_in_degrees_and_crops_lie_in_the_picture() -> None:
    h = dataclasses.replace(FAST, changed_share=1.0, rotate_deg=5.0, crop_fraction=0.9)
    place = changes(400, 64, h, np.random.default_rng(0))["place"]
    assert np.allclose(np.hypot(place[:, 0, 1], place[:, 1, 1]), 0.9)
    angle = np.rad2deg(np.arctan2(-place[:, 0, 1], place[:, 1, 1]))
    off = np.abs(angle - 90 * np.round(angle / 90))  # beside quarter turns
    assert 4 < off.max() <= 5.001
    assert 0.05 < np.abs(place[:, :, 2]).max() <= 0.1001  # the middle, half a side being 1


def test_a_crop_magnifies_and_noise_is_as_strong_as_it_says() -> None:
    still = dataclasses.replace(FAITHFUL, rotate_deg=0.0, crop_fraction=0.8, batch_size=16)
    draw = batches([sample()], still)
    place = draw(0)["natural_place"][:, :, :2]
    assert torch.allclose(torch.linalg.det(place).abs(), torch.tensor(0.64), atol=1e-4)
    reach = draw(0)["natural_place"].abs().sum(2)
    assert reach.max() <= 1 + 1e-5  # crops stay inside the image
    flat = Sample("flat", Image(np.full((1, 64, 64), 128, np.uint8)), count=0)
    views = [way.prepare(flat, way.recipe([flat], settings("faithful"), None))]
    batch = Batches(views, FAST, 0, learn_uncounted=True)(0)
    with seeded(0):
        noisy = augmented(batch, "natural", Noise(0.0025, 0))[0]
    assert noisy.std().item() == pytest.approx(0.0025, rel=0.05)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_part_of_the_pictures_is_moved_around_and_loses_nothing(share: float) -> None:
    h = dataclasses.replace(FAST, batch_size=200, shifted_share=share)
    batch = batches([sample()], h)(0)
    if share == 0:
        assert "natural_shift" not in batch
        return
    moved = batch["natural_shift"].any(1)
    assert share - 0.12 <= moved.float().mean() <= share + 0.12
    images = batch["natural_image"].float()
    result = shifted(images, batch["natural_shift"])
    for before, after, by in zip(images, result, batch["natural_shift"].tolist(), strict=True):
        assert torch.equal(torch.roll(before, by, (1, 2)), after)
    none = dataclasses.replace(h, augmentation="none")
    assert "natural_shift" not in batches([sample()], none)(0)


@pytest.mark.parametrize("n", [8, 7])
def test_pictures_are_sampled_where_an_affine_grid_has_its_points(n: int) -> None:
    h = dataclasses.replace(FAITHFUL, batch_size=n, alternating=False)
    batch = batches([sample()], h)(0)
    image, place = batch["natural_image"].float(), batch["natural_place"]
    assert len(place) == (2 if n == 8 else n)
    place = place.repeat_interleave(n // len(place), 0)
    points = torch.nn.functional.affine_grid(place, list(image.shape), align_corners=False)
    expected = torch.nn.functional.grid_sample(
        image, points, padding_mode="border", align_corners=False
    )
    assert torch.allclose(sampled(image, batch["natural_place"]), expected, atol=1e-4)


def test_noise_differs_from_batch_to_batch_and_fits_any_number_of_pictures() -> None:
    noise, fields = Noise(0.5, 0), []
    with seeded(0):
        for n in (4, 4, 9):
            image = torch.zeros(n, 1, 64, 64)
            noise.add_to(image)
            assert image.std().item() == pytest.approx(0.5, rel=0.05)
            fields.append(image)
    assert not torch.equal(fields[0], fields[1])


def test_a_killed_training_goes_on_with_the_same_noise(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(unfinished, "EVERY_SECONDS", 0.0)
    recipe, hyper = recipe_of(), dataclasses.replace(FAST, noise=0.1, batch_size=4)
    items = [way.prepare(discs(i), recipe) for i in range(4)]

    def ended(killed_at: int, place: Any = None) -> Fit:
        model = twin(recipe)
        (stage,) = way.stages(model, Lesson(recipe, hyper, items))
        draw = stage.draw

        def drawn(step: int) -> Batch:
            if step == killed_at:
                raise KeyboardInterrupt
            return draw(step)

        stage.draw = drawn
        return fit(model, [stage], Plan(steps=6, steps_per_epoch=2), CPU, place=place)

    def place() -> Any:
        folder = tmp_path / ".m.unfinished"
        return unfinished.Unfinished.opened(folder, {}, restart=False).next()

    with pytest.raises(KeyboardInterrupt):
        ended(3, place())
    whole, resumed = ended(-1), ended(-1, place())
    assert [row["loss"] for row in whole.history] == [row["loss"] for row in resumed.history]
    assert all(torch.equal(whole.state[name], resumed.state[name]) for name in whole.state)


# ------------------------------------------------------------------------------------ losses


def test_the_loss_is_the_sum_of_both_domains_terms_times_their_factors() -> None:
    recipe = recipe_of(decoder="yes")
    model = twin(recipe).eval()
    h = dataclasses.replace(FAST, batch_size=4, augmentation="none", counting_factor=3.0)
    batch = made(batches(mixture(), h))
    with torch.no_grad():
        both = Loss(model, h)(batch)
        factors = dict(zip(("reconstruction", "divergence", "counting"), (100, 2, 3), strict=True))
        total = sum(f * both[f"{k}_loss"].item() for k, f in factors.items())
        assert both["loss"].item() == pytest.approx(total, rel=1e-5)
        single = [
            Loss(model, h)({k: v for k, v in batch.items() if not k.startswith(d)})["loss"].item()
            for d in ("natural", "synthetic")
        ]
        assert both["loss"].item() == pytest.approx(sum(single), rel=1e-5)


def test_without_factor_or_decoder_nothing_is_reconstructed() -> None:
    batch = made(batches(mixture(), FAST))
    for recipe, h in (
        (recipe_of(), FAST),
        (recipe_of(decoder="yes"), dataclasses.replace(FAST, reconstruction_factor=0.0)),
    ):
        model = twin(recipe)
        found = Loss(model, h)(batch)
        assert "reconstruction_loss" not in found
        found["loss"].backward()
        assert all(p.grad is None for n, p in model.named_parameters() if "writer" in n)


def test_cross_feed_teaches_the_natural_reader_synthetic_counts() -> None:
    model = twin(recipe_of(decoder="yes", cross_feed=True))
    h = dataclasses.replace(FAST, cross_feed=True, batch_size=4)
    only = [s for s in mixture() if s.domain == "synthetic"]
    found = Loss(model, h)(made(batches(only, h)))
    found["loss"].backward()
    assert model.reader["natural"][0][0].weight.grad.abs().sum() > 0
    model.zero_grad(set_to_none=True)
    without = dataclasses.replace(h, cross_feed=False)
    Loss(model, without)(made(batches(only, without)))["loss"].backward()
    assert model.reader["natural"][0][0].weight.grad is None
    image = torch.rand(2, 1, 64, 64)
    modes = [m.training for m in model.modules()]
    assert torch.equal(redrawn(model, image), redrawn(model, image))
    assert not redrawn(model, image).requires_grad
    assert [m.training for m in model.modules()] == modes


# ---------------------------------------------------------------------------------- training


def test_validation_is_the_mean_squared_error_of_counts_in_the_networks_unit() -> None:
    recipe = recipe_of(large_images="windows")
    architecture = {**recipe.architecture, "count_scale": 2.0, "initial_count": 3.0}
    model = twin(dataclasses.replace(recipe, architecture=architecture)).eval()
    torch.nn.init.zeros_(model.regressor[-1].weight)  # 3 objects in every window
    points = np.array([[1.0, 1.0], [2.0, 70.0]])
    known = [sample(1, count=1), sample(2, count=None, shape=(64, 128), points=points)]
    views = [way.prepare(s, recipe) for s in (*known, sample(3, count=None))]
    validate = validation_of(views, FAST)
    assert validate is not None
    with torch.no_grad():
        found = validate(model)  # 3 of 1, and 6 of 2
    assert found["mae"] == pytest.approx((2 + 4) / 2)
    assert found["loss"] == pytest.approx(((2 / 2) ** 2 + (4 / 2) ** 2) / 2)
    assert validation_of(views[2:], FAST) is None


def test_a_short_training_counts_far_better_than_always_the_same_number() -> None:
    natural = [discs(i) for i in range(150)]
    recipe, model, fitted = trained(natural, [], 130, width=0.125)
    model.load_state_dict(fitted.state)
    net = TorchNetwork(model, CPU)
    new = [discs(20_000 + i) for i in range(60)]
    truth = np.array([s.count for s in new])
    raws = [way.raw(net, recipe, s) for s in new]
    error = np.abs([r.count for r in raws] - truth).mean()
    constant = np.abs(truth - np.median(truth)).mean()
    assert error < 0.7 * constant
    assert all(r.spread is not None and r.spread > 0 for r in raws)


@pytest.mark.parametrize("preset", ["fast", "faithful"])
def test_both_presets_train_both_branches_repeatably(preset: str) -> None:
    natural = [discs(i) for i in range(4)] + [dataclasses.replace(discs(9), count=None)]
    synthetic = [discs(50 + i, "synthetic") for i in range(4)]
    own: Any = {"preset": preset, "decoder": "yes", "training": {"batch_size": 4}}
    recipe, model, first = trained(natural, synthetic, 6, **own)
    again = trained(natural, synthetic, 6, **own)[2]
    assert all(torch.equal(v, again.state[k]) for k, v in first.state.items())
    fresh = twin(recipe).state_dict()
    for part in ("reader.natural.1", "reader.synthetic.1", "writer.natural.3", "mu.0"):
        name = next(k for k in fresh if k.startswith(part))
        assert not torch.equal(fresh[name], model.state_dict()[name])
    assert {"loss", "reconstruction_loss", "divergence_loss"} <= set(first.history[-1])
    assert {"validation_loss", "validation_mae"} <= set(first.history[-1])


def test_trained_on_one_domain_from_scratch_a_model_counts_in_both() -> None:
    synthetic = [discs(i, "synthetic") for i in range(6)]
    recipe, model, fitted = trained([], synthetic, 3)
    model.load_state_dict(fitted.state)
    net = TorchNetwork(model, CPU)
    both = [way.raw(net, recipe, dataclasses.replace(synthetic[0], domain=d)) for d in ("natural", "synthetic")]  # fmt: skip
    assert both[0].count == pytest.approx(both[1].count, rel=1e-5)


def test_retrained_on_synthetic_images_alone_a_model_counts_so_in_microscope_images() -> None:
    start = recipe_of()
    recipe = way.recipe([sample()], settings(), start)
    model, hyper = twin(recipe), way.hyper([sample()], settings(), start)
    name = "reader.{}.1.0.weight"
    before = model.state_dict()[name.format("synthetic")].clone()
    synthetic = [discs(i, "synthetic") for i in range(4)]
    items = [way.prepare(x, recipe) for x in synthetic]
    stages = way.stages(model, Lesson(recipe, hyper, items))
    assert torch.equal(model.state_dict()[name.format("natural")], before)  # where both go on from
    fit(model, stages, Plan(steps=2), CPU)
    assert not torch.equal(model.state_dict()[name.format("natural")], before)
    net = TorchNetwork(model, CPU)
    both = [way.raw(net, recipe, dataclasses.replace(synthetic[0], domain=d)) for d in ("natural", "synthetic")]  # fmt: skip
    assert both[0].count == pytest.approx(both[1].count, rel=1e-5)


def test_retraining_with_microscope_images_alone_leaves_the_other_branch_as_it_was() -> None:
    start = recipe_of()
    recipe = way.recipe([sample()], settings(), start)
    model, hyper = twin(recipe), way.hyper([sample()], settings(), start)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    items = [way.prepare(discs(i), recipe) for i in range(4)]
    stages = way.stages(model, Lesson(recipe, hyper, items))
    assert stages[0].validate is None
    fit(model, stages, Plan(steps=2), CPU)
    for name, value in model.state_dict().items():
        changed = not torch.equal(value, before[name])
        assert changed == (".synthetic." not in name), name


@pytest.mark.parametrize("n_synthetic", [0, 3])
def test_a_new_decoder_of_a_retrained_model_draws_in_both_styles(n_synthetic: int) -> None:
    start = way.checked(recipe_of())
    recipe = way.recipe([sample()], settings(decoder="yes"), start)
    model, hyper = twin(recipe), way.hyper([sample()], settings(decoder="yes"), start)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    items = [way.prepare(discs(i), recipe) for i in range(4)]
    extra = [way.prepare(discs(i, "synthetic"), recipe) for i in range(n_synthetic)]
    fit(model, way.stages(model, Lesson(recipe, hyper, items, extra)), Plan(steps=2), CPU)
    after = model.state_dict()
    written = [name for name in after if name.startswith("writer.synthetic.")]
    assert all(not torch.equal(after[name], before[name]) for name in written)
    same = [torch.equal(after[n], after[n.replace("synthetic", "natural")]) for n in written]
    assert all(same) == (not n_synthetic)
    read = [name for name in after if name.startswith("reader.synthetic.")]
    assert all(torch.equal(after[name], before[name]) != bool(n_synthetic) for name in read)
    again = way.recipe([sample()], settings(decoder="yes"), recipe)
    assert not again.preparation["new_writers"]


def test_a_stage_leaves_thawing_alone_unless_it_needs_to_know_the_time() -> None:
    recipe, items = recipe_of(), [way.prepare(discs(0), recipe_of())]
    for own, wanted in (({}, False), ({"delay_epochs": 2}, True)):
        hyper = way.hyper([], settings(**own), None)
        stage = way.stages(twin(recipe), Lesson(recipe, hyper, items))[0]
        assert (stage.on_fraction is not None) == wanted


# -------------------------------------------------------------------------------- prediction


def test_counting_the_same_image_again_gives_the_same_count() -> None:
    recipe = recipe_of(decoder="yes")
    net = network(recipe)
    first, second = (way.raw(net, recipe, sample()) for _ in range(2))
    assert first.count == second.count
    assert first.spread == second.spread
    assert first.count >= 0
    assert first.embedding is not None
    assert first.embedding.shape == (16,)
    assert first.reconstruction is not None
    assert first.reconstruction.shape == (64, 64)


def test_the_count_of_a_large_image_is_the_sum_over_its_windows() -> None:
    recipe = recipe_of(large_images="windows", images={"normalization": "minmax"}, decoder="yes")
    recipe = dataclasses.replace(recipe, normalization=EIGHT_BIT)
    net = network(recipe)
    whole = sample(shape=(128, 192))
    parts = [
        Sample("part", Image(whole.image.pixels[:, y : y + 64, x : x + 64]))
        for y in (0, 64)
        for x in (0, 64, 128)
    ]
    raws = [way.raw(net, recipe, p) for p in parts]
    raw = way.raw(net, recipe, whole)
    assert all(r.count > 0 for r in raws)
    assert raw.count == pytest.approx(sum(r.count for r in raws), rel=1e-4)
    assert raw.spread == pytest.approx(sum((r.spread or 0) ** 2 for r in raws) ** 0.5, rel=1e-4)
    assert raw.reconstruction is not None
    assert raw.reconstruction.shape == (128, 192)


def test_a_count_is_never_below_nothing() -> None:
    recipe = recipe_of()
    net = network(recipe)
    torch.nn.init.zeros_(net.model.regressor[-1].weight)
    torch.nn.init.constant_(net.model.regressor[-1].bias, -5.0)
    assert way.raw(net, recipe, sample()).count == 0


def test_progress_is_told_window_by_window() -> None:
    recipe = recipe_of(large_images="windows")
    told: list[tuple[float, str]] = []
    way.raw(network(recipe), recipe, sample(shape=(64, 64 * 40)), None, lambda f, m="": told.append((f, m)))  # fmt: skip
    assert [round(f, 2) for f, _ in told] == [0, 0.8, 1]


def test_a_synthetic_sample_is_read_by_the_synthetic_reader() -> None:
    recipe = recipe_of(decoder="yes")
    net = network(recipe)
    grey = way.prepare(sample(), recipe).images[:, None].astype(np.float32)
    net.model.eval()
    for domain in ("natural", "synthetic"):
        mu, _ = net.model.encode(torch.from_numpy(grey), domain)
        found = way.raw(net, recipe, sample(domain=domain)).embedding
        assert np.allclose(found, mu[0].detach().numpy(), atol=0.01)


def test_switch_reconstructions_show_the_image_in_both_styles() -> None:
    recipe = recipe_of(decoder="yes")
    net = network(recipe)
    for domain in ("natural", "synthetic"):
        s = sample(shape=(64, 32), domain=domain)
        shown = way.reconstructions(net, recipe, s)
        assert set(shown) == {"image", "natural", "synthetic"}
        assert {v.shape for v in shown.values()} == {(64, 32)}
        assert np.array_equal(shown[domain], way.raw(net, recipe, s).reconstruction)
        assert not np.allclose(shown["natural"], shown["synthetic"])
    with pytest.raises(ValueError, match="draws no images"):
        way.reconstructions(network(recipe_of()), recipe_of(), sample())
