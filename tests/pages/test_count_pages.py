"""Pages of counting: the numbers of the result, marks, drawings, and what intervals mean."""

from __future__ import annotations

import dataclasses
import re
from html import escape

import numpy as np
import pytest

from microshot import api, pages, settings
from microshot.bundle import Bundle
from microshot.data.dataset import Dataset, Sample
from microshot.data.image import Image
from microshot.pages import counting
from microshot.pages.evidence import with_evidence
from microshot.pages.examples import MAX_SHOWN, example_pictures
from microshot.settings.counting import TwinVaeSettings
from microshot.settings.density import CountSettings
from tiny_images import discs, page_text

NASTY = "<u>&\"ü'</u>.tif"
OPTIMIZER = settings.OptimizerSettings(epochs=1, steps_per_epoch=2, device="cpu")
DENSITY = settings.TrainSettings(
    task="count",
    minutes=0.0,
    name=f"Counter {NASTY}",
    network=settings.NetworkSettings(width=4, depth=1),
    images=settings.ImageSettings(patch_px=32, augmentation="none"),
    training=OPTIMIZER,
)
TWIN = dataclasses.replace(
    DENSITY,
    images=settings.ImageSettings(validation_fraction=0.5),
    count=CountSettings(architecture="twin-vae"),
    twin_vae=TwinVaeSettings(side_px="64", width=0.05, decoder="yes"),
)


def sample(i: int, *, labels: bool = True, domain: str = "natural") -> Sample:
    pixels, found = discs(side=64, n=1 + i % 5, seed=i)
    truth = {"labels": found} if labels else {"count": float(found.max())}
    name = NASTY if i == 0 else f"image {i}"
    return Sample(name, Image(pixels[None]), domain=domain, **truth)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def trained() -> api.Trained:
    return api.train(Dataset.of(sample(i) for i in range(3)), DENSITY)


@pytest.fixture(scope="module")
def twin() -> api.Trained:
    own = Dataset.of(sample(i, labels=False) for i in range(12))
    own += Dataset.of(dataclasses.replace(sample(i, labels=False), count=None) for i in (12, 13))
    made = Dataset.of(sample(i, labels=False, domain="synthetic") for i in range(20, 24))
    return api.train(own, TWIN, synthetic=made)


def checked(html: str) -> str:
    assert "<u>" not in html
    text = page_text(html)
    assert not re.search(r"\b(nan|inf)\b", text)
    return text


def test_the_page_of_a_training_holds_every_count_and_why_intervals_are_without_bound(trained):
    text = checked(pages.training_page(trained, ["Mind <u>this</u>."]))
    assert f"MAE {trained.bundle.card.scores['mae']:.3g}"[:6] in text
    assert "exact in" in text
    assert "True and predicted counts" in text
    assert "The intervals have no upper bound." in text
    for example in trained.examples:
        assert example.sample.name in text
        assert counting.counted(example).text in text
    assert "F1" not in text


def test_worst_counts_come_first(trained):
    one = trained.examples[0]
    many = [
        dataclasses.replace(
            one, sample=dataclasses.replace(one.sample, name=f"{i}"), scores={"mae": float(i)}
        )
        for i in range(20)
    ]
    shown = example_pictures(many, "count")
    assert [p.name for p in shown] == [f"{i}" for i in range(19, 19 - MAX_SHOWN, -1)]


def test_true_places_are_points_or_the_middles_of_labels(trained):
    example = trained.examples[0]
    labels = example.sample.labels
    places = counting.counted(example).true_points
    for i, place in enumerate(places, 1):
        assert place == pytest.approx(np.argwhere(labels == i).mean(0))
    points = np.array([[3.0, 4.0]])
    marked = Sample("a", example.sample.image, labels=labels, points=points)
    given = counting.counted(dataclasses.replace(example, sample=marked))
    assert given.true_points is points


def test_the_page_of_a_retraining_compares_errors(trained):
    wish = settings.RetrainSettings(
        minutes=0.0, images=settings.CropSettings(patch_px=32), training=OPTIMIZER
    )
    made = api.retrain(trained.bundle, Dataset.of(sample(i) for i in range(30, 32)), wish)
    text = checked(pages.retrain_page(made, [made.verdict]))
    assert text.count(made.verdict) == 1
    assert "Less MAE is better." in text
    assert "old model" in text
    assert checked(pages.model_page(made.bundle.card))
    without = dataclasses.replace(made, comparison=[], verdict="")
    assert "was not compared" in checked(pages.retrain_page(without, []))


def test_the_page_of_a_prediction_has_one_column_for_the_interval(trained):
    predictor = api.Predictor(trained.bundle, settings.PredictSettings(device="cpu"))
    shown = [(s, predictor(s)) for s in (sample(0), sample(41))]
    rows = [
        {
            "name": s.name,
            "n_objects": p.n_objects,
            "not_rounded": p.count,
            "low": p.low,
            "high": p.high,
        }
        for s, p in shown
    ]
    text = checked(pages.prediction_page(trained.bundle.card, shown, rows, []))
    assert text.count("without bound") == 2
    assert "The intervals have no upper bound." in text
    assert ", true" not in text
    known = [(s, dataclasses.replace(p, low=2.0, high=8.0, note="")) for s, p in shown]
    bounded = [row | {"low": 2, "high": 8} for row in rows]
    text = checked(pages.prediction_page(trained.bundle.card, known, bounded, []))
    assert "2 to 8" in text
    assert "no upper bound" not in text


def test_the_page_of_a_prediction_says_whole_numbers_of_objects_as_the_table_does(trained):
    predictor = api.Predictor(trained.bundle, settings.PredictSettings(device="cpu"))
    found = predictor(sample(0))
    shown = [
        (s, dataclasses.replace(found, raw=dataclasses.replace(found.raw, count=n)))
        for s, n in ((sample(0), 2.4), (sample(41), 3.4))
    ]
    rows = [
        {"name": s.name, "n_objects": round(p.count), "not_rounded": p.count, "low": 0, "high": 6,
         "confidence": 0.61, "unlike_training": True, "warning": "out of focus"}
        for s, p in shown
    ]  # fmt: skip
    text = checked(pages.prediction_page(trained.bundle.card, shown, rows, []))
    assert "Objects 5 Objects per image median 2.5 (2 to 3)" in text
    assert "Objects Not rounded Interval" in text
    assert "confidence 0.61, out of focus" in text
    assert "count 2.4" not in text  # said once, as what was counted


def test_marks_of_a_model_without_labels_are_not_taken_for_places(trained):
    predictor = api.Predictor(trained.bundle, settings.PredictSettings(device="cpu"))
    shown = [(sample(0), predictor(sample(0)))]
    card = trained.bundle.card
    said = counting.COUNTS_ONLY
    assert said not in checked(pages.prediction_page(card, shown, [], []))
    counted = dataclasses.replace(card, data=card.data | {"n_labelled": 0})
    assert said in checked(pages.prediction_page(counted, shown, [], []))


def test_a_twin_vae_shows_what_it_draws_and_its_latent_space(twin):
    text = checked(pages.training_page(twin, []))
    assert "Reconstructions" in text
    assert "drawn as a synthetic image, switched" in text
    assert "placed by what the network makes of it" in text
    drawn = counting.reconstructions(twin)
    assert [d for _, d, _ in drawn] == ["natural"] * 3 + ["synthetic"] * 3
    assert {p.shape for _, _, some in drawn for p in some.values()} == {(64, 64)}


def test_the_latent_map_holds_every_image_of_both_domains_counted_or_not(twin):
    mapped = counting.mapped(twin)
    assert len(mapped) == 18
    assert {c.name for c in mapped} == {s.name for s in twin.data}
    assert [c.domain for c in mapped].count("synthetic") == 4
    assert sum(c.true is None for c in mapped) == 2
    assert all(c.embedding is not None for c in mapped)
    text = checked(pages.training_page(twin, []))
    assert "natural images" in text
    assert "synthetic images" in text


def test_the_file_of_a_twin_vae_carries_its_latent_map_without_names(twin, tmp_path, monkeypatch):
    bundle = with_evidence(twin)
    card = Bundle.load(bundle.save(tmp_path / "m.microshot")).card
    dots = card.report["latent_map"]["dots"]
    assert len(dots) == len(twin.data)
    assert [dot[3] for dot in dots] == [s.domain for s in twin.data]
    assert not any(s.name in str(card.report["latent_map"]) for s in twin.data)
    text = checked(pages.model_page(card))
    assert "placed by what the network makes of it" in text
    assert "synthetic images" in text
    monkeypatch.delattr(counting, "mapped")  # the page of the training takes it from there
    whole = pages.training_page(dataclasses.replace(twin, bundle=bundle), [])
    assert f"{escape(twin.data[0].name)}: " in whole


def test_a_retrained_twin_vae_shows_what_it_draws_and_its_latent_space(twin):
    wish = settings.RetrainSettings(minutes=0.0, check="none", training=OPTIMIZER)
    few = Dataset.of(sample(i, labels=False) for i in range(30, 35))
    result = api.retrain(twin.bundle, few, wish)
    text = checked(pages.retrain_page(result, []))
    assert "Reconstructions" in text
    assert "placed by what the network makes of it" in text
    result.kept = "old"
    assert "placed by what the network makes of it" not in checked(pages.retrain_page(result, []))


def test_a_model_that_draws_nothing_has_no_drawings(trained):
    assert counting.reconstructions(trained) == []
    assert counting.mapped(trained) == []


def test_scores_of_counts_are_compared_by_their_errors():
    rows = [
        {"Image": "a <u>.png", "Prediction": p, "True count": 4.0, "Count": c, "Error": c - 4,
         "Absolute error": abs(c - 4), "Inside interval": None}
        for p, c in ((NASTY, 4.0), ("Other", 7.0))
    ]  # fmt: skip
    summary = [
        {"Prediction": NASTY, "Images": 1, "MAE": 0.0, "MRE": 0.0, "Accuracy": 1.0},
        {"Prediction": "Other", "Images": 1, "MAE": 3.0, "MRE": 0.75, "Accuracy": 0.0},
    ]
    text = checked(pages.score_page(summary, rows, [], [], settings.ScoreSettings(threshold=0.7)))
    assert f"{NASTY} is best: MAE 0 against 3." in text
    assert "IoU" not in text
    assert "for few and for many objects" not in text  # one true count only
    more = [{**rows[0], "Image": "b.png", "True count": 9.0, "Count": 8.0}, *rows[:1]]
    html = pages.score_page(summary[:1], more, [], [], settings.ScoreSettings())
    assert f"How good it is for few and for many objects: {NASTY}" in checked(html)
    assert "MAE per true count" in html
    assert "No images." not in text
    one = checked(pages.score_page(summary[:1], rows[:1], [], [], settings.ScoreSettings()))
    assert "MAE 0 on all images together." in one
    assert "less is better" in text
    assert "less is better" not in one  # there is nothing to draw it against
    near = [summary[0] | {"MAE": 0.66667}, summary[1] | {"MAE": 0.66668}]
    alike = checked(pages.score_page(near, rows, [], [], settings.ScoreSettings()))
    assert "MAE 0.667: the best predictions are equal." in alike
