"""What a model remembers to judge its predictions by, and what it says with it."""

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import tiny_models as tiny
from microshot import trust
from microshot.bundle import Card
from microshot.data.dataset import Sample
from microshot.data.image import Image
from microshot.data.normalize import Normalization
from microshot.data.scale import resize_image
from microshot.learning.fitting import Example
from microshot.tasks.base import Recipe
from microshot.tasks.segmenting.segmentation import Segmentation

RECIPE = Recipe({}, Normalization(), {"image_diameter_px": 14.0})


def card(calibration) -> Card:
    return Card("segment", {}, {}, calibration=calibration)


def found(sample, probability=0.8) -> Segmentation:
    """Return the truth of a sample as prediction."""
    return Segmentation(sample.labels, np.full(sample.labels.max(), probability, np.float32))


@pytest.fixture(scope="module")
def larger():
    return trust.learned(tiny.fields(6, shape=(192, 192)).samples, [], RECIPE)


@pytest.fixture(scope="module")
def learned():
    data = tiny.fields(6, shape=(96, 96)).samples
    return trust.learned(data, [], RECIPE)


def test_new_images_of_the_kind_are_like_the_training_images(learned):
    judge = trust.Judge(card(learned), RECIPE)
    scores = [judge(s, found(s)).unlike for s in tiny.fields(6, seed=5, shape=(96, 96))]
    assert np.median(scores) < 1


@pytest.mark.parametrize(
    ("change", "told"),
    [(lambda s: tiny.field(77, (192, 192), radius=14), "objects twice as large"),
     (lambda s: dataclasses.replace(
         s, image=dataclasses.replace(s.image, pixels=s.image.pixels.max() - s.image.pixels)),
      "inverted contrast")],
)  # fmt: skip
def test_changed_images_are_named(learned, change, told):
    sample = change(tiny.field(500, (96, 96)))
    verdict = trust.Judge(card(learned), RECIPE)(sample, found(sample))
    assert verdict.unlike > 1
    assert told in verdict.warning


def test_a_user_who_gives_the_size_of_larger_objects_is_not_warned_of_it(learned):
    sample = tiny.field(77, (192, 192), radius=14)
    told = trust.Judge(card(learned), RECIPE, diameter_px=28.0)(sample, found(sample))
    assert "large" not in told.warning


def test_of_a_large_image_only_what_is_looked_at_is_brought_to_the_models_scale(learned):
    parts = [tiny.field(78 + i, (340, 300), radius=14).image for i in range(15)]
    pixels = np.block([[p.pixels[0] for p in parts[i : i + 3]] for i in range(0, 15, 3)])
    sample = Sample("large", dataclasses.replace(parts[0], pixels=pixels[None]))
    small = resize_image(sample.image.pixels, (850, 450)).round().astype(np.uint16)
    reduced = Sample("reduced", dataclasses.replace(sample.image, pixels=small))
    whole = trust.Judge(card(learned), RECIPE)(reduced, None).unlike
    part = trust.Judge(card(learned), RECIPE, diameter_px=28.0)(sample, None).unlike
    assert part == pytest.approx(whole, rel=0.01)


@pytest.mark.parametrize("value", [0, 65535])
def test_an_image_of_one_grey_value_is_warned_of_by_every_model(learned, value):
    sample = tiny.field(1)
    blank = np.full_like(sample.image.pixels, value)
    sample = dataclasses.replace(sample, image=dataclasses.replace(sample.image, pixels=blank))
    for known in (learned, {}):
        assert trust.Judge(card(known), RECIPE)(sample, None).warning == trust.judging.BLANK_WORDS


def test_models_that_remember_nothing_say_nothing():
    sample = tiny.field(1)
    verdict = trust.Judge(card({}), RECIPE)(sample, found(sample))
    assert (verdict.unlike, verdict.warning, verdict.confidences) == (None, None, None)
    assert verdict.confidence is None
    few = trust.learned(tiny.fields(2).samples, [], RECIPE)
    assert "likeness" not in few


def test_confidence_is_learned_from_images_the_model_had_not_seen_only():
    rng = np.random.default_rng(0)
    examples = []
    for sample in tiny.fields(12, seed=3, shape=(96, 96)):
        labels = sample.labels.copy()
        wrong = np.flatnonzero(rng.random(labels.max()) < 0.4) + 1
        for one in wrong:  # a sliver of the object only
            inside = np.flatnonzero(labels == one)
            labels.ravel()[inside[5:]] = 0
        p = np.where(np.isin(np.arange(1, labels.max() + 1), wrong), 0.55, 0.7)
        p = (p + rng.normal(0, 0.08, len(p))).astype(np.float32)
        examples.append(Example(sample, Segmentation(labels, p), {}, held_out=True))
    kept = trust.learned([], examples, RECIPE)["confidence"]
    assert kept["n_images"] == 12
    verdict = trust.Judge(card({"confidence": kept}), RECIPE)(
        examples[0].sample, examples[0].prediction
    )
    order = np.argsort(examples[0].prediction.probability)
    assert (np.diff(verdict.confidences[order]) >= 0).all()
    assert verdict.confidence == pytest.approx(verdict.confidences.mean())
    seen = [dataclasses.replace(e, held_out=False) for e in examples]
    assert "confidence" not in trust.learned([], seen, RECIPE)
    partly = examples[0].sample.labels.copy()
    partly[0, 0] = -1
    some = [
        dataclasses.replace(examples[0].sample, labels=partly),
        *(e.sample for e in examples[1:]),
    ]
    some = [dataclasses.replace(e, sample=s) for e, s in zip(examples, some, strict=True)]
    assert trust.learned([], some, RECIPE)["confidence"]["n_images"] == 11


def test_an_object_is_right_from_an_overlap_of_one_half_on():
    """The first object is found with an IoU of 0.6, the second with one of 0.4."""
    image = tiny.field(1).image
    truth, found = np.zeros((2, *image.shape), np.int32)
    truth[2:12, 2:12], truth[20:30, 20:30] = 1, 2
    found[20:30, 20:24], found[2:12, 2:8] = 1, 2
    sample, prediction = Sample("a", image, truth), Segmentation(found, np.array([0.7, 0.6]))
    made = trust.objects_of(Example(sample, prediction, {}))
    assert made is not None
    assert [a.tolist() for a in made] == [[0.7, 0.6], [False, True]]
    assert trust.objects_of(Example(Sample("a", image), prediction, {})) is None
    assert trust.objects_of(Example(sample, None, {})) is None


def squares(n: int) -> Sample:
    """Return an image with so many squares, of 8 px but for one of 40 px."""
    labels = np.zeros((64, 128), np.int32)
    labels[20:60, 80:120] = n
    for i in range(1, n):
        labels[4:12, 4 + 12 * i : 12 + 12 * i] = i
    rng = np.random.default_rng(n)
    pixels = 100 * (labels > 0) + rng.integers(0, 20, labels.shape)
    return Sample(f"{n}", Image(pixels[None].astype(np.uint16)), labels)


def test_the_size_of_objects_is_the_median_of_images_with_five_of_them():
    kept = trust.learned([squares(n) for n in (5, 5, 6)], [], RECIPE)
    assert kept["likeness"]["sizes"][0] == pytest.approx(np.log2(8 * (4 / np.pi) ** 0.5))
    assert kept["image_diameter_px"] == 14.0
    few = trust.learned([squares(n) for n in (5, 6, 4)], [], RECIPE)
    assert "sizes" not in few["likeness"]


def test_who_does_not_want_to_wait_gets_no_changed_images():
    data = tiny.fields(3, shape=(48, 48)).samples
    patient, brief = (trust.learned(data, [], RECIPE, brief=b)["likeness"] for b in (False, True))
    assert {name: len(v) for name, v in patient["variants"].items()} == {
        "blurred": 3, "larger": 3, "smaller": 3,
    }  # fmt: skip
    assert brief["variants"] == {}
    assert brief["references"] == patient["references"]


@pytest.mark.parametrize(
    ("change", "told"),
    [(lambda p: gaussian_filter(p, 2.0), "out of focus"),
     (lambda p: gaussian_filter(p, 4.0), "out of focus"),
     (lambda p: resize_image(p[None, :96, :96], (192, 192))[0], "structures about twice as large"),
     (lambda p: resize_image(p[None], (96, 96))[0], "structures about half as large")],
)  # fmt: skip
def test_changed_images_are_named_without_objects_too(larger, change, told):
    judge = trust.Judge(card(larger), RECIPE)
    sample = tiny.field(500, (192, 192))
    pixels = change(sample.image.pixels[0].astype(np.float32)).round().astype(np.uint16)
    image = dataclasses.replace(sample.image, pixels=pixels[None])
    assert told in judge(dataclasses.replace(sample, image=image, labels=None), None).warning


def test_confidence_is_told_of_blank_images_and_not_where_there_are_no_objects():
    judge = trust.Judge(card({"confidence": {"slope": 1.0, "offset": 0.0}}), RECIPE)
    sample = tiny.field(1)
    assert judge(sample, None).confidences is None
    blank = dataclasses.replace(sample.image, pixels=np.full_like(sample.image.pixels, 7))
    told = judge(dataclasses.replace(sample, image=blank), found(sample, 0.8))
    assert told.confidence == pytest.approx(0.8)


def test_one_sentence_names_how_many_images_and_why():
    assert trust.joined(["", ""]) == ""
    assert trust.joined(["x"]).startswith("1 of 1 image is unlike the training images (1 × x)")
    assert trust.joined(["", "out of focus", "x", "out of focus"]).startswith(
        "3 of 4 images are unlike the training images (2 × out of focus, 1 × x): check"
    )


def test_several_models_give_the_greatest_score_and_all_warnings():
    every = [trust.Trust(0.5, ""), trust.Trust(), trust.Trust(2.0, "a"), trust.Trust(1.5, "b")]
    made = trust.together(every)
    assert (made.unlike, made.warning) == (2.0, "a, b")
    nothing = trust.together([trust.Trust()])
    assert (nothing.unlike, nothing.warning) == (None, None)
    assert trust.together([trust.Trust(), trust.Trust(0.5, "")]).warning == ""
