"""The task count with the density counter: from images to counts, intervals and scores."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

import discs
from microshot import api
from microshot.bundle import Bundle
from microshot.data.dataset import Dataset, Sample
from microshot.data.image import Image
from microshot.data.objects import centroids
from microshot.inference.predictor import TorchNetwork
from microshot.settings import (
    ImageSettings,
    OptimizerSettings,
    PredictSettings,
    RetrainSettings,
    TrainSettings,
)
from microshot.settings.density import CountSettings, DensitySettings
from microshot.synth.generator import generate
from microshot.tasks import task_named
from microshot.tasks.counting import density_recipes
from microshot.tasks.counting.base import LEVELS, Options, RawCount, true_count
from microshot.tasks.counting.task import WAYS, CountTask, way_named

TASK = CountTask()
SETTINGS = TrainSettings(task="count")


def scenes(n: int, seed: int) -> Dataset:
    """Few or many nuclei of one size, as on images of one experiment."""
    made = [
        generate(
            "fluorescence-nuclei", n // 2, seed + 100 * mean, size_px=(96, 96), noise="low",
            diameter_px=14, mean_count=mean,
        )
        for mean in (4, 20)
    ]  # fmt: skip
    return Dataset.of(dataclasses.replace(s, domain="natural") for part in made for s in part)


def short(steps: int, **images) -> TrainSettings:
    return TrainSettings(
        task="count", minutes=0, images=ImageSettings(**images),
        training=OptimizerSettings(epochs=1, steps_per_epoch=steps, seed=1, device="cpu"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained() -> api.Trained:
    return api.train(scenes(12, 1), short(280, patch_px=64))


@pytest.fixture(scope="module")
def fresh():
    """A recipe for discs and the untrained network that belongs to it."""
    samples = list(discs.samples(2))
    recipe = TASK.recipe(samples, SETTINGS, None)
    from microshot.device import choose_device

    return recipe, TorchNetwork(TASK.build(recipe.architecture, 0), choose_device("cpu"))


# ---- learning and counting


def test_a_short_training_counts_far_better_than_a_constant(trained) -> None:
    unseen = scenes(12, 2)
    predictor = api.Predictor(Bundle.from_bytes(trained.bundle.to_bytes()))
    predictions = [predictor(sample) for sample in unseen]
    rows, total = api.score("count", predictions, unseen)
    truth = np.array([row["true_count"] for row in rows])
    assert total["mae"] < 0.4 * np.abs(truth - truth.mean()).mean()
    assert total["mre"] < 0.35
    for p, sample in zip(predictions, unseen, strict=True):
        assert p.heat.shape == sample.image.shape
        assert p.heat.sum() == pytest.approx(p.count, rel=1e-4)
        assert len(p.points) == p.n_objects
        assert 0 <= p.confidence <= 1
    on_nuclei = [
        s.labels[tuple(np.clip(np.rint(p.points).astype(int), 0, 95).T)] > 0
        for p, s in zip(predictions, unseen, strict=True)
    ]
    assert np.concatenate(on_nuclei).mean() > 0.8


def test_more_objects_than_ever_seen_are_counted(trained) -> None:
    predictor = api.Predictor(trained.bundle)
    sample = max(scenes(8, 3), key=lambda s: s.count)
    tiled = dataclasses.replace(
        sample, image=Image(np.tile(sample.image.pixels, (1, 4, 4))), labels=None
    )
    assert predictor(tiled).count == pytest.approx(16 * predictor(sample).count, rel=0.15)


def test_a_training_with_a_seed_repeats_exactly() -> None:
    first, second = (api.train(scenes(2, 5), short(3)).bundle for _ in range(2))
    assert first.card.id == second.card.id


@pytest.mark.parametrize("what", ["points", "count"])
def test_points_and_counts_alone_teach(what) -> None:
    data = scenes(4, 6)
    if what == "points":
        points = [centroids(s.labels) for s in data]
        data = Dataset.of(
            dataclasses.replace(s, labels=None, count=None, points=p)
            for s, p in zip(data, points, strict=True)
        )
    else:
        data = Dataset.of(dataclasses.replace(s, labels=None) for s in data)
    made = api.train(data, short(20))
    assert made.history[-1]["count_loss"] < 30
    predicted = api.Predictor(made.bundle)(data[0])
    assert math.isfinite(predicted.count)


def test_retraining_compares_by_the_error_and_keeps_intervals_of_left_out_images(trained) -> None:
    settings = RetrainSettings(
        minutes=0, training=OptimizerSettings(epochs=1, steps_per_epoch=2, device="cpu")
    )
    made = api.retrain(trained.bundle, scenes(4, 7), settings)
    assert len(made.comparison) == 4
    assert "MAE" in made.verdict
    if made.kept == "new":
        assert made.bundle.card.thresholds["calibration_images"] == 4
        assert "interval_80" in made.bundle.card.thresholds
        assert "interval_90" not in made.bundle.card.thresholds  # nine images at least


# ---- whole and tiles


@pytest.mark.parametrize("shape", [(37, 53), (150, 200), (161, 129)])
def test_tiles_add_up_to_the_whole(fresh, shape) -> None:
    recipe, network = fresh
    sample = discs.sample("a", 8, shape, 14)
    halo = recipe.tile["halo_px"]
    whole = TASK.raw(network, recipe, sample, Options(tile_px=4096))
    tiled = TASK.raw(network, recipe, sample, Options(tile_px=2 * halo + 64))
    assert tiled.count == pytest.approx(whole.count, rel=1e-5)
    np.testing.assert_allclose(tiled.heat, whole.heat, atol=1e-6)
    assert whole.heat.shape == shape
    assert whole.heat.sum() == pytest.approx(whole.count, rel=1e-4)
    assert (whole.points >= -0.5).all()
    assert (whole.points <= np.array(shape) - 0.5).all()


def test_objects_are_brought_to_the_working_diameter(fresh) -> None:
    recipe, network = fresh
    assert recipe.preparation["working_diameter_px"] == density_recipes.WORKING_DIAMETER_PX
    seen = []

    def spy(batch):
        seen.append(batch.shape[2:])
        return network(batch)

    sample = discs.sample("a", 1, (64, 64))
    TASK.raw(spy, recipe, sample, Options(diameter_px=8.0))
    assert seen == [(128, 128)]


def test_another_number_of_channels_is_refused(fresh) -> None:
    recipe, network = fresh
    with pytest.raises(ValueError, match=r"expected 1 channel .* found 2"):
        TASK.raw(network, recipe, discs.sample("a", 1, n_channels=2))


# ---- choices


@pytest.mark.parametrize("radius", [4, 7])
def test_the_size_of_objects_is_guessed_from_points(radius) -> None:
    rng = np.random.default_rng(0)
    points = np.array([(y, x) for y in range(20, 200, 45) for x in range(20, 200, 45)], float)
    yy, xx = np.mgrid[:200, :200]
    inside = np.min([(yy - y) ** 2 + (xx - x) ** 2 for y, x in points], axis=0) < radius**2
    pixels = (100 + 100 * inside + rng.normal(0, 5, (200, 200))).astype(np.uint8)
    sample = Sample("a", Image(pixels[None]), points=points)
    guess = density_recipes.guessed_diameter([sample])
    assert guess == pytest.approx(2 * radius, abs=2)
    recipe = TASK.recipe([sample], SETTINGS, None)
    assert recipe.preparation["working_diameter_px"] == max(8, guess)


def test_one_point_at_the_edge_is_enough_to_guess_a_size_and_no_point_or_image_is_none() -> None:
    pixels = np.full((1, 200, 200), 100, np.uint8)
    pixels[0, 194:, 194:] = 200
    one = Sample("a", Image(pixels), points=np.array([[199.5, 199.5]]))
    flat = Sample("b", Image(np.full((1, 90, 90), 7, np.uint8)), points=np.zeros((0, 2)))
    guess = density_recipes.guessed_diameter([flat, one])
    assert guess == density_recipes.guessed_diameter([one])
    assert 10 <= (guess or 0) <= 18  # 6 px from the point to the edge of the object
    assert density_recipes.guessed_diameter([flat]) is None
    blank = dataclasses.replace(flat, points=np.array([[5.0, 5.0]]))
    assert density_recipes.guessed_diameter([blank, one]) == guess  # nothing in it falls off


def test_a_network_begins_with_the_mean_density_at_its_own_scale() -> None:
    image = Image(np.zeros((1, 100, 50), np.uint8))
    samples = [Sample("a", image, count=40), Sample("b", image, count=10)]
    settings = dataclasses.replace(
        SETTINGS, images=dataclasses.replace(SETTINGS.images, diameter_px=32.0)
    )
    recipe = TASK.recipe(samples, settings, None)
    assert recipe.preparation["working_diameter_px"] == 16
    # 25 objects in 5000 px, which become a quarter of that
    assert recipe.architecture["initial_density"] == pytest.approx(0.02)


def test_settings_reach_the_network() -> None:
    settings = dataclasses.replace(
        SETTINGS, count=CountSettings(density=DensitySettings(spread=0.5, count_weight=2.0))
    )
    recipe = TASK.recipe(list(discs.samples(2)), settings, None)
    assert recipe.architecture["spread_px"] == 8.0
    assert recipe.architecture["count_weight"] == 2.0
    assert TASK.checked(recipe) == recipe


def test_large_images_with_counts_only_are_reduced() -> None:
    sample = Sample("a", Image(np.zeros((1, 10, 3072), np.uint8)), count=3.0)
    recipe = TASK.recipe([sample], SETTINGS, None)
    assert TASK.prepare(sample, recipe).field.image.shape == (1, 2, 768)


def test_counts_alone_are_learned_at_the_rate_of_points_and_labels() -> None:
    sample = Sample("a", Image(np.zeros((1, 64, 64), np.uint8)), count=3.0)
    start = TASK.recipe([sample], SETTINGS, None)
    marked = TASK.hyper(list(discs.samples(2)), SETTINGS, None)
    for settings, begun in ((SETTINGS, None), (RetrainSettings(), start)):
        rate = TASK.hyper([sample], settings, begun).learning_rate
        assert rate == marked.learning_rate == 3e-3


def test_a_retrained_model_keeps_its_network_and_learns_the_new_size() -> None:
    start = TASK.recipe(list(discs.samples(2)), SETTINGS, None)
    large = [discs.sample("a", 1, (200, 200), 8, (16, 18))]
    recipe = TASK.recipe(large, RetrainSettings(), start)
    assert recipe.architecture == start.architecture
    assert recipe.preparation["image_diameter_px"] > 30
    adapted = TASK.adapted(start, recipe)
    assert adapted.preparation == {**start.preparation, **recipe.preparation}
    of_any_size = {**start.preparation, "each_image": True}
    told = TASK.adapted(dataclasses.replace(start, preparation=of_any_size), recipe)
    assert told.preparation == adapted.preparation  # its objects are of one size now


def test_a_senseless_model_file_is_refused() -> None:
    recipe = TASK.recipe(list(discs.samples(2)), SETTINGS, None)

    def wrong(**changes):
        return dataclasses.replace(recipe, architecture={**recipe.architecture, **changes})

    for changes, told in (
        ({"head": "stardist"}, "expected the head foreground"),
        ({"spread_px": 0}, "spread_px must be a number"),
        ({"backbone": "resnet9000"}, "as backbone"),
        (
            {"name": "oracle"},
            "expected one of density, twin-vae, watershed, frozen-cnn as the way to count",
        ),
    ):
        with pytest.raises(ValueError, match=told):
            TASK.checked(wrong(**changes))
    for width in ("wide", -1.0, math.nan, math.inf, True):
        with pytest.raises(ValueError, match=f"interval_80 must be a number .*, found {width!r}"):
            TASK.checked(dataclasses.replace(recipe, thresholds={"interval_80": width}))


def test_every_way_has_the_functions_of_a_way() -> None:
    for name in WAYS:
        way = way_named(name)
        for function in ("hyper", "recipe", "checked", "build", "prepare", "stages", "raw"):
            assert callable(getattr(way, function))
        assert set(way.parts) <= set(TASK.parts)
    assert task_named("count").name == "count"
    strategies = TASK.strategies({"name": "density"})
    assert strategies == {}


# ---- labels


def test_what_is_known_first_is_the_count_then_points_then_labels() -> None:
    image = Image(np.zeros((1, 4, 4), np.uint8))
    labels = np.diag([1, 1, 7, 0]).astype(np.int32)
    points = np.zeros((3, 2))
    assert true_count(Sample("a", image, labels, 5.0, points)) == 5
    assert true_count(Sample("a", image, labels, points=points)) == 3
    assert true_count(Sample("a", image, labels)) == 2
    assert true_count(Sample("a", image, labels - np.diag([0, 0, 0, 1]))) is None
    assert true_count(Sample("a", image, count=0.0)) == 0
    assert TASK.is_labelled(Sample("a", image, count=0.0))
    assert not TASK.is_labelled(Sample("a", image))


def test_counts_that_teach_nothing_are_refused_or_noted() -> None:
    image = Image(np.zeros((1, 4, 4), np.uint8))

    def counted(*counts):
        return [Sample(f"Row{i}", image, count=c) for i, c in enumerate(counts)]

    assert TASK.check(counted(1.0, 2.0)) == []
    with pytest.raises(ValueError, match="All images are counted as empty"):
        TASK.check(counted(0.0, 0.0))
    with pytest.raises(ValueError, match=r"Row1: expected a count from 0 on, found -3"):
        TASK.check(counted(1.0, -3.0))
    assert "All 2 images have the same count, 4" in TASK.check(counted(4.0, 4.0))[0]
    differing = Sample("Row9", image, np.diag([1, 2, 0, 0]).astype(np.int32), 3.0)
    told = "Row9: its count is 3, but there are 2 objects in its label image."
    assert TASK.check([differing]) == [told]


# ---- intervals and scores


def raws(counts) -> list[RawCount]:
    return [RawCount(float(c)) for c in counts]


def counted(counts) -> list[Sample]:
    image = Image(np.zeros((1, 2, 2), np.uint8))
    return [Sample(str(i), image, count=float(c)) for i, c in enumerate(counts)]


def test_intervals_need_images_the_model_has_not_seen(fresh) -> None:
    recipe, _ = fresh
    seen = TASK.calibrate(raws(range(9)), counted(range(9)), recipe, held_out=False)
    assert seen == {"calibration_images": 0}
    blind = TASK.decode(RawCount(12.4), dataclasses.replace(recipe, thresholds=seen))
    assert (blind.low, blind.high) == (0, math.inf)
    assert "there were none" in blind.note
    assert blind.n_objects == 12


@pytest.mark.parametrize(("n", "known"), [(3, ()), (4, (80,)), (9, (80, 90)), (19, (80, 90, 95))])
def test_as_many_levels_are_kept_as_there_are_images_for(fresh, n, known) -> None:
    recipe, _ = fresh
    truth = np.arange(10, 10 + n)
    kept = TASK.calibrate(raws(truth + 2.0), counted(truth), recipe)
    assert set(kept) == {"calibration_images", *(f"interval_{k}" for k in known)}
    calibrated = dataclasses.replace(recipe, thresholds=kept)
    prediction = TASK.decode(RawCount(16.0), calibrated)
    assert prediction.level == (0.9 if n >= 9 else 0.8)
    if known:
        assert prediction.note == ""
        assert 12 <= prediction.low < 16 < prediction.high <= 20
        wider = TASK.decode(RawCount(1600.0), calibrated)
        assert wider.high - wider.low > prediction.high - prediction.low
    asked = TASK.decode(RawCount(16.0), calibrated, Options(level=0.95))
    assert math.isinf(asked.high) == (n < 19)
    assert ("at least 19 labelled images" in asked.note) == (n < 19)
    assert TASK.checked(calibrated).thresholds == kept


def test_intervals_by_hand(fresh) -> None:
    """Of nine errors the 8th bounds a new one with 80 %, the 9th with 90 %; √16 = 4 is their unit."""
    recipe, _ = fresh
    uncounted = Sample("x", counted([1])[0].image)
    samples = [*counted(range(16, 25)), uncounted]
    kept = TASK.calibrate(raws([16.0] * 10), samples, recipe)
    assert kept == {"calibration_images": 9, "interval_80": 7 / 4, "interval_90": 2.0}
    calibrated = dataclasses.replace(recipe, thresholds=kept)
    for level, low, high in ((0.0, 24, 48), (0.8, 26, 46), (0.9, 24, 48)):  # 36 ± 10.5 or 12
        found = TASK.decode(RawCount(36.0), calibrated, Options(level=level))
        assert (found.low, found.high) == (low, high)


def test_an_unknown_level_is_refused(fresh) -> None:
    with pytest.raises(ValueError, match=r"expected one of 0\.8, 0\.9, 0\.95 as level"):
        TASK.decode(RawCount(1.0), fresh[0], Options(level=0.5))
    assert LEVELS == (0.8, 0.9, 0.95)


def test_scores_are_those_of_the_paper(fresh) -> None:
    recipe, _ = fresh
    truth, predicted = [2, 4, 0], [2.5, 5.5, 0.4]
    rows = [
        TASK.score(TASK.decode(r, recipe), s)
        for r, s in zip(raws(predicted), counted(truth), strict=True)
    ]
    assert [row["mae"] for row in rows] == [0, 2, 0]
    assert [row["error"] for row in rows] == pytest.approx([0.5, 1.5, 0.4])
    assert math.isnan(rows[2]["relative_error"])
    total = TASK.summarize(rows)
    assert total["mae"] == pytest.approx(2 / 3)
    assert total["accuracy"] == pytest.approx(2 / 3)
    assert total["mre"] == pytest.approx(0.25)
    with pytest.raises(ValueError, match="a: has no count to compare with"):
        TASK.score(TASK.decode(RawCount(1.0), recipe), Sample("a", counted([1])[0].image))


def test_options_are_taken_as_far_as_the_settings_have_them() -> None:
    assert TASK.options(PredictSettings(diameter_px=9.0, tile_px=256)).tile_px == 256
    assert TASK.options(PredictSettings(diameter_px=9.0)).diameter_px == 9.0
