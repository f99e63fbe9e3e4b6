"""Pages of results: they hold the numbers of the result, escape names, and load nothing."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from microshot import api, pages, settings
from microshot.data.dataset import Dataset, Sample
from microshot.data.image import Image
from microshot.data.label_reading import labels_from_pixels
from microshot.metrics.object_scoring import ObjectScores
from microshot.pages.examples import MAX_SHOWN, example_pictures, worst_first
from microshot.synth.options import GenerateOptions
from microshot.synth.prepare import Prepared
from tiny_images import discs, page_text

PREPARED = Prepared(GenerateOptions())
NASTY = "<u>&\"ü'</u>.tif"
TINY = settings.TrainSettings(
    minutes=0.0,
    name=f"Model {NASTY}",
    licence="CC BY 4.0",
    network=settings.NetworkSettings(width=4, depth=1, rays=8),
    images=settings.ImageSettings(patch_px=32, augmentation="none"),
    training=settings.OptimizerSettings(
        learning_rate=0.01, epochs=1, steps_per_epoch=100, device="cpu"
    ),
)


def dataset(n: int, seed: int = 0, *, dark: bool = False) -> Dataset:
    made = [discs(n=2 + i % 3, seed=seed + i) for i in range(n)]
    return Dataset.of(
        Sample(
            NASTY if i == 0 else f"image {i}",
            Image((3000 - pixels if dark else pixels)[None], pixel_size_um=0.65),
            labels=labels,
        )
        for i, (pixels, labels) in enumerate(made)
    )


@pytest.fixture(scope="module")
def trained() -> api.Trained:
    return api.train(dataset(3), TINY)


@pytest.fixture(scope="module")
def retrained(trained: api.Trained) -> api.Retrained:
    given = settings.RetrainSettings(
        minutes=0.0, images=settings.CropSettings(patch_px=32), training=TINY.training
    )
    return api.retrain(trained.bundle, dataset(2, seed=9, dark=True), given)


def checked(html: str) -> str:
    """Return the text of a page in which nothing of a name became markup."""
    assert html.startswith("<!DOCTYPE html>")
    assert "<u>" not in html
    return page_text(html)


def test_the_page_of_a_training_holds_scores_settings_and_warnings(trained):
    text = checked(pages.training_page(trained, ["Mind <u>this</u>."]))
    card = trained.bundle.card
    for expected in (card.name, "CC BY 4.0", card.id, NASTY, "image 2", "Mind <u>this</u>."):
        assert expected in text
    assert f"{card.scores['f1']:.2f}" in text
    assert "The model was trained on these images; expect less on new ones." in text
    assert str(card.data["n_objects"]) in text


def test_the_page_of_a_retraining_opens_with_the_verdict_told_once(retrained):
    text = checked(pages.retrain_page(retrained, [retrained.verdict, "A warning."]))
    assert text.count(retrained.verdict) == 1
    assert "A warning." in text
    kept = "retrained" if retrained.kept == "new" else "old"
    assert f"Passed on: the {kept} model." in text
    for one in retrained.comparison:
        assert one.sample.name in text
        assert f"{one.scores['f1']:.2f}" in text
        assert f"{one.old_scores['f1']:.2f}" in text


def test_the_page_of_a_retraining_without_check_says_that_nothing_was_compared(retrained):
    alone = dataclasses.replace(retrained, comparison=[], verdict="", examples=retrained.examples)
    text = checked(pages.retrain_page(alone, []))
    assert "The retrained model was not compared with the old one." in text


def test_the_worst_images_are_shown_first_and_not_all(trained):
    one = trained.examples[0]
    many = [
        dataclasses.replace(
            one, sample=dataclasses.replace(one.sample, name=f"{i}"), scores={"f1": i / 20}
        )
        for i in range(20, 0, -1)
    ]
    shown = example_pictures(many)
    assert [p.name for p in shown] == [f"{i}" for i in range(1, MAX_SHOWN + 1)]


def test_images_without_a_score_hide_none_that_is_worse(trained):
    """Pearson's r does not exist where a stain has one grey value."""
    scores = [0.9, math.nan, 0.1, math.nan, 0.5]
    some = [dataclasses.replace(trained.examples[0], scores={"pearson": r}) for r in scores]
    assert worst_first(some, "translate") == [2, 4, 0, 1, 3]


def test_the_page_of_a_prediction_holds_counts_and_confidence(trained):
    predictor = api.Predictor(trained.bundle, settings.PredictSettings(device="cpu"))
    shown = [(s, predictor(s)) for s in dataset(2, seed=5)]
    rows = [
        {"name": s.name, "n_objects": p.n_objects, "confidence": p.confidence} for s, p in shown
    ]
    text = checked(pages.prediction_page(trained.bundle.card, shown, rows, ["One note."]))
    assert f"with the model {trained.bundle.card.name}" in text
    assert NASTY in text
    assert "One note." in text
    total = sum(p.n_objects for _, p in shown)
    assert f"Objects {total} " in text
    for _, prediction in shown:
        assert f"{prediction.confidence:.2f}" in text


def test_the_page_of_a_score_names_every_prediction_and_its_numbers():
    truth = discs(n=4, seed=1)[1]
    found = {NASTY: truth, "Half": np.where(truth > 2, 0, truth)}
    scores = {name: ObjectScores() for name in found}
    values = {name: scores[name].add("a <u>.png", truth, found[name]) for name in found}
    summary = [{"Prediction": n, "Images": 1, **s.summary()} for n, s in scores.items()]
    rows = [{"Image": "a <u>.png", "Prediction": n, **v} for n, v in values.items()]
    example = {
        "name": "a <u>.png", "pixels": discs(n=4, seed=1)[0][None], "truth": truth,
        "predictions": found, "scores": values,
    }  # fmt: skip
    given = settings.ScoreSettings(threshold=0.7)
    text = checked(pages.score_page(summary, rows, [example], ["Left out: one."], given))
    assert f"{NASTY} is best: F1 1.00 against 0.67." in text
    assert "Left out: one." in text
    assert "Objects count as found from an IoU of 0.7 on." in text
    assert "a <u>.png" in text


def test_the_page_of_generated_images_says_of_how_many_it_shows_the_first():
    given = settings.GenerateSettings(scene="phase-contrast", n=50, seed=77)
    shown = list(dataset(3))
    text = checked(pages.generated_page(shown, dataset(1, seed=4), given, PREPARED))
    assert "Phase contrast" in text
    assert "Random seed 77" in text
    assert "This page shows and counts the first 3 of 50 images only." in text
    objects = sum(s.labels.max() for s in shown)
    assert f"Objects {objects} " in text
    whole = pages.generated_page(shown, None, dataclasses.replace(given, n=3), PREPARED)
    assert "shows and counts" not in whole


def test_the_page_of_images_read_says_what_each_label_image_was_taken_for():
    pixels, labels = discs(n=3)
    mask = ((labels > 0) * 255).astype(np.uint8)
    image = Image(pixels[None], pixel_size_um=0.65)
    shown = [
        {"name": NASTY, "image": image, "reading": labels_from_pixels(mask), "count": 3.0},
        {"name": "plain.png", "image": image, "reading": None, "count": None},
    ]
    text = checked(pages.images_page(shown, ["A note."], 30))
    assert NASTY in text
    assert "binary mask, 3 objects" in text
    assert "no label image" in text
    assert "0.65" in text
    assert "A note." in text
    assert "first 2 of 30 images only" in text


def test_the_card_of_a_model_says_what_it_is_and_where_it_comes_from(trained, retrained):
    card = trained.bundle.card
    text = checked(pages.model_page(card))
    for expected in (card.name, card.id, "CC BY 4.0", "0.65"):
        assert expected in text
    if retrained.kept == "new":
        assert card.name in checked(pages.model_page(retrained.bundle.card))


def test_pages_of_nothing_are_pages():
    given = settings.ScoreSettings()
    assert checked(pages.score_page([], [], [], [], given))
    assert "No images." in checked(pages.images_page([], [], 0))
