"""The task translate through the verbs: train, predict, retrain, score, and what is refused."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from translation_scenes import RETRAIN, TRAIN, scene, scenes

from microshot import api
from microshot.bundle import Bundle
from microshot.data.dataset import Dataset, Sample
from microshot.data.image import Image
from microshot.metrics.images import pearson
from microshot.nn.translator_geometry import has_mask
from microshot.settings import PredictSettings, TranslateSettings
from microshot.tasks import task_named
from microshot.tasks.translating.stacks import told
from microshot.tasks.translating.task import TranslateTask
from tiny_models import changed

TASK = TranslateTask()
DENSE = {"translation__growth": 2, "translation__layers": 2, "translation__width": 4}


def with_target(sample: Sample, pixels: np.ndarray) -> Sample:
    return dataclasses.replace(sample, target=Image(pixels))


def test_a_short_training_finds_the_stain_that_no_plane_shows() -> None:
    data, fresh = scenes(4, shape=(96, 96)), scenes(2, seed=100, shape=(96, 96))
    settings = changed(
        TRAIN, training__epochs=1, training__steps_per_epoch=160, training__batch_size=4
    )
    predict = api.Predictor(api.train(data, settings).bundle)
    for sample in fresh:
        assert sample.target is not None
        truth = sample.target.pixels[0]
        found = predict(sample).stains.pixels[0]
        baseline = abs(pearson(truth, sample.image.pixels.mean(axis=0)))
        assert pearson(truth, found) > max(0.7, baseline + 0.3)
        constant = np.abs(truth - np.median(truth)).mean()
        assert np.abs(truth - found).mean() < 0.7 * constant  # in the camera's numbers


@pytest.mark.parametrize("preset", ["fast", "nuclei", "lipids", "cytoplasm", "faithful"])
def test_every_preset_trains_is_stored_and_predicts(preset) -> None:
    data = scenes(2, n_stains=2)
    result = api.train(data, changed(TRAIN, preset=preset, training__epochs=2, **DENSE))
    again = Bundle.from_bytes(result.bundle.to_bytes())
    sample = scene(9, (41, 50))
    first, second = (api.Predictor(b)(sample) for b in (result.bundle, again))
    assert np.array_equal(first.stains.pixels, second.stains.pixels)
    assert first.stains.pixels.shape == (2, 41, 50)
    assert first.stains.pixels.dtype == np.float32
    assert first.stains.channels == ("S0", "S1")
    assert first.stains.pixel_size_um == 0.5
    assert first.as_camera().dtype == np.uint16
    masked = has_mask(result.bundle.card.architecture)
    assert masked == (preset in ("nuclei", "faithful"))
    assert (first.mask is not None) == masked
    assert first.confidence is None  # nothing was held out
    stages = list(dict.fromkeys(row["stage"] for row in result.history))
    expected = ["training"] if masked or preset == "fast" else ["pretraining", "adversarial"]
    assert stages == expected
    if "adversarial" in stages:  # the network's own, not that of the adversary
        assert {row["learning_rate"] for row in result.history} == {1e-4}
    scores = result.bundle.card.scores
    assert -1 <= scores["pearson"] <= 1
    assert {"pearson_S1", "med_mae", "psnr", "ssim"} <= scores.keys()


def test_prediction_of_a_network_taught_by_masks_needs_no_mask() -> None:
    bundle = api.train(scenes(2), changed(TRAIN, preset="nuclei", **DENSE)).bundle
    bare = scene(3, labels=False)
    result = api.Predictor(bundle)(dataclasses.replace(bare, target=None))
    assert result.mask_probability is not None
    assert result.mask is not None
    assert result.mask.dtype == bool


def test_without_masks_the_preset_for_nuclei_takes_one_decoder() -> None:
    data = scenes(2, labels=False)
    card = api.train(data, changed(TRAIN, preset="nuclei", **DENSE)).bundle.card
    assert card.architecture["kind"] == "dense-unet"
    assert card.training["hyper"]["terms"] == {"l1": 1.0}


def test_masks_that_are_asked_for_and_missing_are_told() -> None:
    bare, masked = scenes(2, labels=False), {"translation__network": "lupi-unet", **DENSE}
    trained = api.train(bare, changed(TRAIN, **masked))
    assert trained.notes == [
        "None of the images has a label image of nuclei, so the network learned nothing of its "
        "mask: do not use the masks it predicts, or add label images."
    ]
    wish = {"translation__objective": "nuclei"}
    assert api.train(scenes(2), changed(TRAIN, **masked, **wish)).notes == []
    (note,) = api.train(scenes(2), changed(TRAIN, **wish)).notes
    assert 'needs the network "Dense U-Net with masks", found unet' in note
    again = api.retrain(trained.bundle, bare, changed(RETRAIN, check="none"))
    assert again.notes == trained.notes


def test_stacks_that_lie_the_other_way_around_are_told_in_training_and_retraining() -> None:
    def turned(sample: Sample) -> Sample:
        image = dataclasses.replace(sample.image, pixels=sample.image.pixels[::-1])
        return dataclasses.replace(sample, image=image)

    right = scenes(4)
    trained = api.train(right, TRAIN)
    assert trained.notes == []
    (note,) = api.train(Dataset.of([turned(right[0]), *right.samples[1:]]), TRAIN).notes
    assert note.startswith(f"{right[0].name}: the planes seem to be in the opposite order")
    wish = changed(RETRAIN, check="none")
    assert api.retrain(trained.bundle, right, wish).notes == []
    (note,) = api.retrain(trained.bundle, Dataset.of(map(turned, right)), wish).notes
    assert "choose the columns the other way around" in note


@pytest.mark.parametrize("preset", ["faithful", "nuclei"])
def test_masks_of_generated_images_alone_do_not_choose_what_is_learned(preset) -> None:
    own, settings = scenes(2, labels=False), changed(TRAIN, preset=preset, **DENSE)
    made = Dataset.of(dataclasses.replace(s, domain="synthetic") for s in scenes(2, seed=1))
    card = api.train(own, settings, synthetic=made).bundle.card
    alone = api.train(own, settings).bundle.card
    assert card.architecture == alone.architecture
    assert card.training["hyper"] == alone.training["hyper"]


def test_the_same_seed_repeats_a_training_exactly() -> None:
    for preset in ("fast", "lipids"):
        settings = changed(TRAIN, preset=preset, training__epochs=2, **DENSE)
        first, second = (api.train(scenes(2), settings).bundle.weights for _ in range(2))
        assert all(np.array_equal(v, second[k]) for k, v in first.items())


def test_retraining_takes_over_the_network_and_compares_with_the_old_one() -> None:
    start = api.train(scenes(2), TRAIN).bundle
    bright = Dataset.of(
        with_target(s, np.clip(s.target.pixels * 10.0, 0, 65535).astype(np.uint16))  # type: ignore[union-attr]
        for s in scenes(4, seed=50)
    )
    made = api.retrain(start, bright, RETRAIN)
    assert len(made.comparison) == 4
    assert "Pearson r" in made.verdict
    again = api.retrain(start, bright, changed(RETRAIN, check="none")).bundle.card
    assert again.architecture == start.card.architecture
    low, high = (c.preparation["stain_range"]["scale"][0] for c in (start.card, again))
    assert high == pytest.approx(10 * low, rel=0.1)  # brought to the new camera's numbers
    found = made.comparison[0].old.stains.pixels, made.comparison[0].prediction.stains.pixels
    assert all(500 < pixels.mean() < 20_000 for pixels in found)


def test_retraining_for_other_stains_is_not_compared_and_other_order_is_put_right() -> None:
    start = api.train(scenes(2, n_stains=2), TRAIN).bundle
    assert start.card.targets == ("S0", "S1")
    one = api.retrain(start, scenes(2, seed=9), RETRAIN)
    assert one.comparison == []
    assert any("predicts 2 stains and these images have 1" in note for note in one.notes)
    assert one.bundle.card.targets == ("S0",)
    turned = Dataset.of(
        dataclasses.replace(
            s,
            target=Image(s.target.pixels[::-1].copy(), channels=s.target.channels[::-1]),  # type: ignore[union-attr]
        )
        for s in scenes(2, seed=9, n_stains=2)
    )
    made = api.retrain(start, turned, RETRAIN)
    assert made.bundle.card.targets == ("S0", "S1")
    straight = api.retrain(start, scenes(2, seed=9, n_stains=2), RETRAIN)
    assert made.bundle.card.scores == straight.bundle.card.scores


def test_stains_that_names_do_not_tell_are_told_and_never_compared() -> None:
    start = api.train(scenes(2, n_stains=2), TRAIN).bundle
    other = Dataset.of(
        dataclasses.replace(s, target=Image(s.target.pixels, channels=("red", "green")))  # type: ignore[union-attr]
        for s in scenes(2, seed=9, n_stains=2)
    )
    made = api.retrain(start, other, RETRAIN)
    assert made.comparison == []
    assert made.kept == "new"
    assert any('stain 1 "red" is taken for "S0"' in note for note in made.notes)
    assert any("predicts S0, S1 and these images have red, green" in note for note in made.notes)


def test_models_together_give_what_each_gives_alone() -> None:
    bundles = [api.train(scenes(2, seed=s), TRAIN).bundle for s in (0, 5)]
    predictors = [api.Predictor(b) for b in bundles]
    sample = scene(9)
    together = api.translate(predictors, sample)
    for predictor, found in zip(predictors, together, strict=True):
        np.testing.assert_allclose(found.stains.pixels, predictor(sample).stains.pixels, rtol=1e-4)


def test_mirror_images_are_looked_at_where_asked_and_leave_masks_alone() -> None:
    bundle = api.train(scenes(2), changed(TRAIN, preset="nuclei", **DENSE)).bundle
    plain = api.Predictor(bundle, TranslateSettings(device="cpu"))
    asked = api.Predictor(bundle, TranslateSettings(device="cpu", mirrored=True))
    sample = scene(9, (48, 64))
    over = Sample("over", Image(sample.image.pixels[:, ::-1].copy(), sample.image.pixel_size_um))
    found, (together, _), turned = asked(sample), api.translate([asked, plain], sample), asked(over)
    span = np.ptp(found.stains.pixels)
    assert np.abs(found.stains.pixels - plain(sample).stains.pixels).max() > 0.01 * span
    np.testing.assert_allclose(found.stains.pixels, turned.stains.pixels[:, ::-1], atol=1e-4 * span)
    np.testing.assert_allclose(together.stains.pixels, found.stains.pixels, rtol=1e-4)
    np.testing.assert_array_equal(found.mask_probability, plain(sample).mask_probability)


@pytest.mark.parametrize("preset", ["nuclei", "lipids"])
def test_published_systems_are_retrained_without_adversary(preset) -> None:
    start = api.train(scenes(2), changed(TRAIN, preset=preset, training__epochs=2, **DENSE)).bundle
    made = api.retrain(start, scenes(2, labels=False), changed(RETRAIN, check="none"))
    assert made.bundle.card.training["hyper"]["adversarial"] == 0
    assert {row["stage"] for row in made.history} == {"training"}


def test_images_without_a_measured_stain_are_left_aside() -> None:
    bare = dataclasses.replace(scene(7), target=None)
    assert not TASK.is_labelled(bare)
    card = api.train(Dataset((*scenes(2), bare)), TRAIN).bundle.card
    assert card.data["n_images"] == 2


def test_eight_images_give_a_validation_curve_by_the_wished_score() -> None:
    data = scenes(8, shape=(40, 40))
    by_loss = api.train(data, TRAIN).history[-1]
    by_pixel = api.train(data, changed(TRAIN, translation__selection="pixel")).history[-1]
    assert by_loss["validation_loss"] == by_loss["validation_l2"]
    assert by_pixel["validation_loss"] == by_pixel["validation_pixel_score"]
    assert by_pixel["validation_weighted_loss"] == by_loss["validation_loss"]


# ------------------------------------------------------------------------------- refusals


def test_empty_stains_are_refused_or_told() -> None:
    empty = with_target(scene(1), np.zeros((1, 64, 72), np.uint16))
    with pytest.raises(ValueError, match='The stain "stain 1" is empty in every image'):
        TASK.check([empty])
    named = Image(np.zeros((1, 64, 72), np.uint16), channels=("DAPI",))
    data = [
        dataclasses.replace(scene(i), target=dataclasses.replace(named, pixels=one))
        for i, one in enumerate((scene(0).target.pixels, named.pixels))
    ]
    assert TASK.check(data) == [
        'scene1: the stain "DAPI" is empty (every pixel has the same value).'
    ]


def test_differing_numbers_of_stains_are_refused() -> None:
    with pytest.raises(ValueError, match="scene1: expected 1 stain as in scene0, found 2"):
        TASK.check([scene(0), scene(1, n_stains=2)])


def test_saturated_planes_are_told() -> None:
    sample = scene(0)
    pixels = np.minimum(sample.image.pixels, np.percentile(sample.image.pixels, 90).astype(int))
    notes = TASK.check([dataclasses.replace(sample, image=Image(pixels.astype(np.uint16)))])
    assert len(notes) == 1
    assert "saturated" in notes[0]
    assert TASK.check([sample]) == []


def test_another_number_of_planes_is_refused() -> None:
    bundle = api.train(scenes(1), TRAIN).bundle
    with pytest.raises(ValueError, match=r"scene5: expected 3 planes .* found 2"):
        api.Predictor(bundle)(scene(5, n_planes=2))


def test_another_magnification_is_told() -> None:
    bundle = api.train(scenes(1), TRAIN).bundle
    sample = scene(5)
    coarse = dataclasses.replace(sample, image=Image(sample.image.pixels, 1.0))
    assert api.Predictor(bundle)(sample).notes == ()
    (note,) = told(api.Predictor(bundle)(coarse).notes)
    assert "one pixel is 1 µm, but 0.5 µm" in note


def test_float_images_and_stains_work() -> None:
    sample = scene(0)
    pixels = (sample.image.pixels / 60000).astype(np.float32)
    data = Dataset((dataclasses.replace(scene(0, dtype=np.float32), image=Image(pixels)),))
    card = api.train(data, TRAIN).bundle.card
    assert card.preparation["target_dtype"] == "float32"


# --------------------------------------------------------------------------------- scores


def test_a_perfect_prediction_scores_one_and_summaries_leave_out_what_is_missing() -> None:
    bundle = api.train(scenes(1), TRAIN).bundle
    sample = scene(0)
    assert sample.target is not None
    made = api.Predictor(bundle)(sample)
    pixels = sample.target.pixels.astype(np.float32)
    perfect = dataclasses.replace(made, stains=Image(pixels, channels=("S0",)))
    scores = TASK.score(perfect, sample)
    assert scores["pearson"] == pytest.approx(1)
    assert scores["ssim"] == pytest.approx(1)
    assert scores["med_mae"] == 0
    assert scores["psnr"] == math.inf
    flat = with_target(sample, np.full((1, 64, 72), 5, np.uint16))
    undefined = TASK.score(perfect, flat)
    assert math.isnan(undefined["pearson"])
    assert TASK.summarize([scores, undefined])["pearson"] == pytest.approx(1)
    rows, summary = api.score("translate", [perfect, perfect], Dataset((sample, sample)))
    assert [row["name"] for row in rows] == ["scene0", "scene0"]
    assert summary["pearson"] == pytest.approx(1)
    with pytest.raises(ValueError, match="has no measured stain"):
        TASK.score(perfect, dataclasses.replace(sample, target=None))


def test_the_mask_threshold_with_the_best_overlap_is_found() -> None:
    recipe = TASK.recipe(scenes(1).samples, changed(TRAIN, preset="nuclei"), None)
    sample = scene(0)
    assert sample.labels is not None
    mask = np.where(sample.labels > 0, 0.38, 0.2).astype(np.float16)
    raw = TASK.raw(_constant(2), recipe, sample)
    found = TASK.calibrate([dataclasses.replace(raw, mask=mask)], [sample], recipe)
    assert 0.2 <= found["mask"] < 0.38
    scores = TASK.score(
        TASK.decode(dataclasses.replace(raw, mask=mask), dataclasses.replace(recipe, thresholds=found)),
        sample,
    )  # fmt: skip
    assert scores["mask_iou"] == 1.0
    for low, high, only in ((0.05, 0.14, 0.1), (0.86, 0.94, 0.9)):
        mask = np.where(sample.labels > 0, high, low).astype(np.float16)
        found = TASK.calibrate([dataclasses.replace(raw, mask=mask)], [sample], recipe)
        assert found["mask"] == only


@pytest.mark.parametrize(("error", "certain"), [(0.1, 0), (0.3, 1)])
def test_as_many_errors_are_allowed_as_the_user_says(error, certain) -> None:
    """No strange pixel among four of each class: that 0.95 is background has a p-value of 1/5."""
    known = {name: [0.1, 0.2, 0.3, 0.4] for name in ("background", "nucleus")}
    recipe = TASK.recipe(scenes(1).samples, changed(TRAIN, preset="nuclei"), None)
    recipe = dataclasses.replace(recipe, thresholds={"mask": 0.5, "confidence": known})
    raw = TASK.raw(_constant(2), recipe, scene(0))
    raw = dataclasses.replace(raw, mask=np.full((4, 5), 0.95, np.float16))
    found = TASK.decode(raw, recipe, TASK.options(TranslateSettings(allowed_error=error)))
    assert found.certain == certain
    assert found.seeds is not None
    assert found.seeds.max() == certain


def test_of_the_settings_of_other_tasks_the_size_of_tiles_is_taken() -> None:
    assert TASK.options(PredictSettings(tile_px=512)).tile_px == 512


def _constant(n: int):
    return lambda x: np.full((len(x), n, *x.shape[2:]), 0.5, np.float32)


def test_the_task_is_known_by_name() -> None:
    assert task_named("translate").name == "translate"
