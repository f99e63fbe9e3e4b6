"""Views: complete for full, missing and odd input, bounded in size, nothing unescaped."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re

import numpy as np
import pytest
from PIL import Image as PILImage
from report_markup import read, text_of

from microshot import knobs
from microshot.bundle import Card
from microshot.data.dataset import Sample
from microshot.data.image import Image
from microshot.metrics.object_scoring import ObjectScores
from microshot.report.count_views import compared_parts
from microshot.report.image_views import generated_view, images_view
from microshot.report.model_views import model_view
from microshot.report.page import chapters, page, section
from microshot.report.panels import result_panel
from microshot.report.pictures import Example, detail, gallery
from microshot.report.result_views import prediction_view
from microshot.report.score_views import counts_table, score_view
from microshot.report.stain_views import stain_score_view
from microshot.report.training_views import retrain_view, training_view
from microshot.settings import RetrainSettings, TrainSettings
from microshot.tasks.segmenting.task import Segmentation, SegmentTask

NASTY = "<b>&\"'</b>.tif"
RNG = np.random.default_rng(0)


def field(name: str, side: int = 64, n_channels: int = 1) -> Example:
    truth = np.zeros((side, side), np.int32)
    for i in range(9):
        top, left = 2 + 20 * (i // 3), 2 + 20 * (i % 3)
        truth[top : top + 14, left : left + 14] = i + 1
    prediction = np.where(truth == 9, 0, truth)
    prediction[50:60, 60:64] = 9
    old = np.where(truth > 4, 0, truth)
    pixels = RNG.integers(0, 4000, (n_channels, side, side)).astype(np.uint16)
    return Example(name, pixels, truth, prediction, old)


def opened(source: str) -> np.ndarray:
    """Return the picture of an ``src`` attribute (Y, X) or (Y, X, 3)."""
    data = base64.b64decode(source.partition(",")[2])
    return np.asarray(PILImage.open(io.BytesIO(data)), np.float32)


EXAMPLES = [field("a.tif"), field(NASTY)]
TASK = SegmentTask()


def scores_of(example: Example, labels: np.ndarray | None) -> dict[str, float]:
    assert labels is not None
    sample = Sample(example.name, Image(example.pixels), example.truth)
    return TASK.score(Segmentation(labels, np.ones(9, np.float32)), sample)


SCORES = [{"name": e.name, "held_out": True, **scores_of(e, e.prediction)} for e in EXAMPLES]
COMPARISON = [
    {"name": e.name, "old": scores_of(e, e.old), "new": scores_of(e, e.prediction)}
    for e in EXAMPLES
]
HISTORY = [
    {"stage": "training", "step": i, "seconds": i, "learning_rate": 1 / i, "loss": 1 / i}
    for i in range(1, 9)
]
EMPTY_CARD = Card(task="segment", architecture={}, normalization={})


def card(**more) -> Card:
    buffer = io.BytesIO()
    PILImage.new("RGB", (4, 4)).save(buffer, format="PNG")
    values = {
        "task": "segment", "architecture": {"name": "segmenter", "backbone": NASTY, "rays": 32},
        "normalization": {"kind": "percentile", "low": 1.0, "high": 99.8, "per": "image"},
        "name": f"Nuclei {NASTY}", "id": "9f3ab1c04e7d2281", "channels": ("DAPI", NASTY),
        "pixel_size_um": 0.65, "preparation": {"image_diameter_px": 21.4},
        "thresholds": {"probability": 0.4821},
        "scores": {"images": "held out", "n_images": 2, **TASK.summarize(SCORES)},
        "training": {"stopped": "cancelled", "steps": 1240, "seconds": 588.0,
                     "hyper": {"learning_rate": 1e-3}, "history": HISTORY},
        "settings": knobs.to_json(dataclasses.replace(TrainSettings(), name=NASTY)),
        "lineage": ({"id": "aa", "name": f"First {NASTY}", "created": "2025-01-01T00:00:00"},),
        "data": {"n_images": 12, "n_objects": 1204, "sizes_px": ["64x64"]}, "licence": NASTY,
        "versions": {"torch": "2.13.0"}, "device": f"CPU, 2 threads: {NASTY}",
        "created": "2025-11-21T05:20:11+00:00",
        "preview": base64.b64encode(buffer.getvalue()).decode(),
    } | more  # fmt: skip
    return Card(**values)


ROWS = [
    {"name": e.name, "count": 9, "confidence": 0.9, "unlike_training": e.name == NASTY, "x": None}
    for e in EXAMPLES
]
READ = [
    {"name": e.name, "file": NASTY, "taken_for": "image", "pixels": e.pixels, "labels": e.truth,
     "count": None, "pixel_size_um": 0.65}
    for e in EXAMPLES
]  # fmt: skip
FULL = {
    "training": training_view(card(), HISTORY, SCORES, EXAMPLES, [NASTY]),
    "retrain": retrain_view(
        card(), HISTORY, COMPARISON, f"Use {NASTY}.", "new", EXAMPLES, [NASTY]
    ),
    "prediction": prediction_view(card(), EXAMPLES, ROWS, [NASTY]),
    "score": score_view(
        [{"name": NASTY, "f1": 0.86, "true_count": 12}, {"name": "b", "f1": 0.5}],
        [{"prediction": NASTY, **row} for row in SCORES], EXAMPLES, [NASTY],
    ),
    "generated": generated_view(EXAMPLES, EXAMPLES[:1], [("Preset", NASTY)], [NASTY]),
    "images": images_view(READ, [NASTY]),
    "model": model_view(card()),
}  # fmt: skip


@pytest.mark.parametrize("name", FULL)
def test_a_view_is_well_formed_self_contained_and_escaped(name) -> None:
    html = FULL[name]
    reader = read(html)
    assert "<b>&" not in html
    assert NASTY in "".join(reader.texts)
    assert len(html) < 1_000_000


@pytest.mark.parametrize(
    ("part", "key"),
    [("training", "history"), ("training", "hyper"), ("data", "sizes_px"), ("data", "dtypes"),
     ("calibration", "confidence"), ("settings", "count")],
)  # fmt: skip
@pytest.mark.parametrize("value", [None, True, 1e308, "x", [], [1], {}, {"a": [1]}])
def test_what_a_foreign_model_file_holds_in_another_form_is_left_out(part, key, value) -> None:
    whole = card()
    html = model_view(card(**{part: {**getattr(whole, part), key: value}}))
    assert "9f3ab1c04e7d2281" in text_of(html)


def test_the_report_of_a_model_is_the_same_when_it_comes_from_a_file() -> None:
    """Whose entries are sorted by letter."""
    counted = card(
        task="count", scores={"images": "held out", "n_images": 3, "mre": 0.1, "mae": 1.5, "bias": 0},
    )  # fmt: skip
    stained = {"pearson_nuclei": 0.9, "pearson_lipids": 0.7, "pearson": 0.8, "ssim": 0.7, "psnr": 20.0,
               "feature_score": 1}  # fmt: skip
    stains = card(task="translate", scores=stained, targets=("nuclei", "lipids"))
    each = dataclasses.replace(stains, report={"rows": [{**stained, "name": "image 1"}]})
    rows = card(report={"rows": [{**s, "name": f"image {i}"} for i, s in enumerate(SCORES)]})
    two = card(thresholds={"probability": 0.5, "overlap": 0.3})
    for one in (rows, two, counted, stains, each):
        stored = json.loads(json.dumps(one.to_json(), sort_keys=True))
        assert model_view(Card.from_json(stored)) == model_view(one)
    assert "Scores MAE 1.5 MRE 0.10 Bias 0 Images 3" in " ".join(
        text_of(model_view(counted)).split()
    )


@pytest.mark.parametrize("value", [None, True, "x", [], {"a": 1}])
def test_a_foreign_reliability_diagram_and_stage_make_no_trouble(value) -> None:
    bins = {"n": [4, 9], "confidence": [0.2, 0.9], "right": [0.3, 0.8], "error": 0.1}
    known = {"slope": 1.0, "before": bins, "after": bins, "n_objects": 13, "n_images": 2}
    for key in known:
        model_view(card(calibration={"confidence": {**known, key: value}}))
    rows = [{**HISTORY[0], "stage": value}, *HISTORY[1:]]
    choice = {"network": {"head": value, "backbone": value}}
    model_view(card(training={"history": rows}, settings=choice))


def test_a_view_in_which_nothing_is_known_is_a_page() -> None:
    for html in (
        training_view(EMPTY_CARD),
        retrain_view(EMPTY_CARD),
        model_view(EMPTY_CARD),
        prediction_view(EMPTY_CARD),
        prediction_view(None),
        score_view(),
        generated_view(),
        images_view(),
        page("", []),
    ):
        read(html)
    for html in (prediction_view(None), score_view(), images_view()):
        assert "No images." in html


def test_a_card_as_it_comes_from_a_file_can_be_shown() -> None:
    """Numbers that JSON lacks are None in it."""
    stored = Card.from_json(card().to_json())
    rows = [{**row, "loss": None, "learning_rate": None} for row in HISTORY]
    hollow = dataclasses.replace(
        stored, training={"history": rows}, scores={"f1": None, "n_images": None, "images": None}
    )
    assert "has not been scored" in text_of(model_view(hollow))
    read(model_view(stored))


def test_a_preview_that_is_no_base64_is_left_out() -> None:
    html = model_view(card(preview='"><script>alert(1)</script>'))
    assert [t for t, _ in read(html).tags].count("script") == 1


def test_the_page_stays_small_with_many_noisy_images() -> None:
    truth = EXAMPLES[0].truth
    assert truth is not None
    labels = truth.repeat(8, 0).repeat(8, 1)
    many = [
        Example(f"image {i}", RNG.integers(0, 60_000, (1, 512, 512)).astype(np.uint16),
                labels, np.roll(labels, 3, 1))
        for i in range(30)
    ]  # fmt: skip
    html = prediction_view(card(), many, [])
    assert len(html) < 2_000_000
    assert html.count('<figure class="tile"') == 24
    assert "24 of 30 images shown." in html
    eight = retrain_view(card(), [], [], "", "new", [dataclasses.replace(e, old=e.truth) for e in many])  # fmt: skip
    assert len(eight) < 2_000_000


def test_real_images_are_compared_by_their_middle_not_by_a_corner() -> None:
    pixels = np.zeros((1, 64, 64), np.uint16)
    pixels[:, 28:36, 28:36] = 1000
    made = Example("made", RNG.integers(0, 1000, (1, 16, 16)).astype(np.uint16))
    html = generated_view([made], [Example("real", pixels)])
    shown = next(a for tag, a in read(html).tags if tag == "img" and a["alt"] == "real, real")
    picture = opened(shown["src"])
    assert picture[6:10, 6:10].mean() > 200
    assert picture[:3].mean() < 60


def test_what_is_not_shown_of_several_stains_is_not_called_images() -> None:
    stain = RNG.integers(0, 4000, (1, 16, 16)).astype(np.uint16)
    names = ("DAPI (predicted)", "GFP (predicted)")
    shown = [
        Example(f"image {i}", stain, target=stain, translated=stain, stains=(name,))
        for i in range(14) for name in names
    ]  # fmt: skip
    rows = [{"Image": e.name, "Stain": e.stains[0][:-12], "Prediction": e.stains[0]} for e in shown]
    html = stain_score_view(rows[:2], rows, shown)
    assert "24 of 28 predicted stains shown." in text_of(html)


def test_real_and_generated_images_are_compared_larger_than_thumbnails() -> None:
    html = generated_view([EXAMPLES[0]], [dataclasses.replace(EXAMPLES[1], truth=None)])
    compared = [
        a for tag, a in read(html).tags if tag == "img" and "256px" in (a.get("style") or "")
    ]
    assert [a["alt"] for a in compared] == [f"{NASTY}, real", "a.tif, generated"]
    assert all("class" not in a for a in compared)
    sheet = images_view([{"name": "a.tif", "pixels": EXAMPLES[0].pixels}])
    assert [a["class"] for tag, a in read(sheet).tags if tag == "img"] == ["small"]


def test_whole_numbers_of_settings_are_written_as_they_are_typed() -> None:
    made = RetrainSettings()
    made = dataclasses.replace(made, training=dataclasses.replace(made.training, seed=123456))
    assert "Random seed 123456 (default: 42)" in text_of(
        model_view(card(settings=knobs.to_json(made)))
    )


def test_a_changed_setting_of_a_section_in_a_section_is_among_the_changed_ones() -> None:
    values = knobs.to_json(TrainSettings())
    values["count"]["density"]["spread"] = 0.25
    text = text_of(model_view(card(settings=values)))
    assert "Spread of an object 0.25 (default: 0)" in " ".join(text.split())
    for part in ("Network", "Twin-VAE", "Translation"):
        assert f"Width ({part})" in text


def test_a_single_training_image_is_told_in_the_singular_and_not_blown_up() -> None:
    alone = card(
        scores={"f1": 0.5, "n_images": 1, "images": "training images"}, data={"n_images": 1}
    )
    html = training_view(alone, HISTORY, [{**SCORES[0], "held_out": False}])
    assert "F1 0.50 on the image it was trained on. None was held out" in text_of(html)
    assert "The model was trained on this image; expect less on new ones." in text_of(html)
    assert "The image it was trained on." in text_of(html)
    assert "max-width:220px" in html


def test_a_model_without_scores_has_no_section_of_them() -> None:
    html = model_view(card(scores={"images": "training images", "n_images": 0}, report={}))
    assert "This model has not been scored." in text_of(html)
    assert ">Scores<" not in html
    assert "What the scores mean" not in html


def test_what_was_kept_of_a_stopped_training_is_said_once() -> None:
    """Without validation images there are no best weights."""
    for why in ("cancelled", "out of memory", "device lost", "diverged"):
        text = text_of(training_view(card(training={"stopped": why, "steps": 8}), HISTORY))
        assert "the weights at the end were taken" in text
        assert "what it had learned by then was kept" in text
        assert "best weights" not in text


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (700, 1)])
@pytest.mark.parametrize("n_channels", [1, 2, 3, 7])
def test_images_of_any_shape_can_be_shown(shape, n_channels) -> None:
    one = np.ones(shape, np.int32)
    odd = Example("odd", np.ones((n_channels, *shape), np.float32), one, one, one)
    html = retrain_view(card(), examples=[odd]) + ""
    read(html)
    read(training_view(card(), examples=[odd]))
    read(generated_view([odd], [odd]))


def test_examples_need_neither_truth_nor_prediction() -> None:
    bare = [Example("bare", EXAMPLES[0].pixels)]
    read(prediction_view(None, bare))
    read(retrain_view(EMPTY_CARD, examples=bare))
    read(generated_view(bare))
    only = [Example("only a prediction", EXAMPLES[0].pixels, prediction=EXAMPLES[0].truth)]
    assert "9 objects" in text_of(prediction_view(None, only))


def test_fluorescence_is_shown_beside_its_prediction() -> None:
    pixels = EXAMPLES[0].pixels
    html = training_view(card(), examples=[Example("a", pixels, target=pixels, translated=pixels)])  # fmt: skip
    texts = text_of(html)
    assert all(title in texts for title in ("input", "predicted", "measured"))
    sources = [a["src"] for t, a in read(html).tags if t == "img" and a["alt"][:1] == "a"]
    assert len(sources) == 3
    assert sources[1] == sources[2]


@pytest.mark.parametrize(("offset", "own"), [(0, False), (9e4, True), (-9e4, True)])
def test_a_stain_that_would_be_all_white_or_black_is_drawn_with_its_own_grey_values(
    offset: float, own: bool
) -> None:
    measured = EXAMPLES[0].pixels.astype(np.float32)
    one = Example("a", measured, target=measured, translated=measured + offset, stains=("s",))
    row = {"Stain": "s", "Prediction": "s", "pearson": 1.0}
    for html in (
        training_view(card(), examples=[one]),
        stain_score_view([row], [{"Image": "a", **row}], [one]),
    ):
        assert ("drawn with its own grey values" in text_of(html)) == own
        shown = {a["alt"]: a["src"] for t, a in read(html).tags if t == "img" and "alt" in a}
        pair = [src for alt, src in shown.items() if alt[:4] == "a, s" and "difference" not in alt]
        measured_picture, predicted_picture = (opened(src) for src in pair)
        assert np.allclose(measured_picture, predicted_picture, atol=8)


def test_structure_in_the_prediction_of_a_flat_stain_is_told_with_its_few_grey_values() -> None:
    measured = np.full((1, 64, 64), 502, np.float32)
    found = measured + np.linspace(0, 0.4, 64, dtype=np.float32)
    one = Example("a", measured, target=measured, translated=found, stains=("s",))
    row = {"Stain": "s", "Prediction": "s", "pearson": None}
    for html in (
        training_view(card(), examples=[one]),
        stain_score_view([row], [{"Image": "a", **row}], [one]),
    ):
        assert "drawn with its own grey values, 502 to 502.4" in text_of(html)


def test_the_headline_says_how_the_score_is_known() -> None:
    def said(**scores) -> str:
        made = training_view(card(scores={"f1": 0.861, "n_images": 4, **scores}))
        return text_of(made)

    assert "F1 0.86 on 4 images held out from training." in said(images="held out")
    assert "expect less on new images" in said(images="training images")
    alone = card(scores={"f1": 0.861, "n_images": 4, "images": "held out"},
                 preparation={"each_image": True})  # fmt: skip
    told = "held out from training, where it is told the diameter of the objects in each."
    assert told in text_of(training_view(alone))
    assert "the model before: 0.75" in said(images="left out one at a time", old_f1=0.75)


def test_the_verdict_comes_first_and_its_colour_is_that_of_the_result() -> None:
    html = FULL["retrain"]
    assert html.index("callout good") < html.index("Old and retrained model")
    swapped = [{"name": r["name"], "old": r["new"], "new": r["old"]} for r in COMPARISON]
    worse = retrain_view(card(), [], swapped, "Keep the old model.", "old", better=False)
    assert "callout bad" in worse
    assert "Passed on: the old model." in text_of(worse)


def test_the_curve_of_a_new_model_that_is_not_passed_on_says_so() -> None:
    history = [{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.5}]
    for kept, told in (("old", True), ("new", False)):
        page = text_of(retrain_view(card(), history, COMPARISON, "A verdict.", kept))
        assert ("made the new model, which is not passed on" in page) == told
        assert "the weights at the end were kept" not in page


def test_the_comparison_has_a_row_per_image_and_one_for_all() -> None:
    texts = [t for t in read(FULL["retrain"]).texts if t.strip()]
    row = texts.index("a.tif", texts.index("F1 old"))
    assert texts[row + 1 : row + 4] == ["0.62", "0.89", "+0.27"]
    assert "4 → 8" in texts[row:]
    assert "8 → 16" in texts[texts.index("All together", row) :]


def test_captions_count_found_false_and_missed() -> None:
    assert "F1 0.89: 8 found, 1 false, 1 missed" in text_of(FULL["training"])


def test_worst_images_come_first() -> None:
    names = ["good", "bad", "unknown"]
    examples = [dataclasses.replace(EXAMPLES[0], name=n) for n in reversed(names)]
    rows = [{"name": "good", "f1": 0.9}, {"name": "bad", "f1": 0.1}]
    html = training_view(EMPTY_CARD, (), rows, examples)
    found = [html.index(f'<span class="name">{n}</span>') for n in ("bad", "good", "unknown")]
    assert found == sorted(found)


def test_score_tables_may_have_headings_or_keys() -> None:
    scored = ObjectScores()
    for e in EXAMPLES:
        assert e.truth is not None
        assert e.prediction is not None
        scored.add(e.name, e.truth, e.prediction)
    rows = [{"name": name, **values} for name, values in scored.rows]
    html = score_view([{"name": "all", **scored.summary()}], rows, EXAMPLES)
    assert "F1 0.89 on all images together." in text_of(html)
    assert "Average precision" not in text_of(html)


def compared() -> list[Example]:
    """Return the examples with two predictions each."""
    return [
        dataclasses.replace(e, prediction=None, old=None, predictions={"A": e.old, "B": e.truth})
        for e in EXAMPLES
    ]


def scored_twice() -> tuple[list[dict], list[dict]]:
    """Return the score node's two tables for `compared`."""
    scored = {"A": ObjectScores(), "B": ObjectScores()}
    for e in compared():
        for name, labels in e.predictions.items():
            scored[name].add(e.name, e.truth, labels)  # type: ignore[arg-type]
    rows = [{"Image": i, "Prediction": p, **v} for p, one in scored.items() for i, v in one.rows]
    return [{"Prediction": p, "Images": 2, **one.summary()} for p, one in scored.items()], rows


def test_several_predictions_are_named_and_shown_beside_the_truth() -> None:
    html = score_view(*scored_twice(), compared())
    text = " ".join(text_of(html).split())
    assert "B is best: F1 1.00 against 0.62." in text
    assert "2 images" in text
    assert html.count('<figure class="tile wide"') == 2
    assert "truth 9 objects A F1 0.62: 4 found, 0 false, 5 missed B F1 1.00: 9 found" in text


def test_true_and_predicted_counts_stand_before_their_errors() -> None:
    row = {"Image": "a", "Prediction": "A", "True count": 3, "Count": 4, "Error": 1,
           "Absolute error": 1, "Inside interval": True}  # fmt: skip
    text = " ".join(text_of(score_view([], [row], task="count")).split())
    assert "Image Prediction True count Count Inside interval Absolute error Error a" in text


def test_the_score_that_decides_stands_before_the_others() -> None:
    counted = {"prediction": "A", "Images": 3, "MRE": 0.1, "Accuracy": 0.5, "MAE": 1.5}
    html = score_view([counted, {**counted, "prediction": "B", "MAE": 2.5}], task="count")
    text = " ".join(text_of(html).split())
    assert "Prediction MAE MRE" in text
    assert "All images together; less is better." in text


def test_objects_are_counted_per_image_and_prediction() -> None:
    text = " ".join(text_of(score_view(*scored_twice(), compared())).split())
    assert "Image True objects A B F1, A F1, B a.tif 9 4 9 0.62 1.00" in text
    assert "All images 18 8 18 0.62 1.00" in text


@pytest.mark.parametrize(("n", "n_tables"), [(3, 1), (4, 2), (6, 2), (7, 4), (20, 8)])
def test_objects_of_many_predictions_stand_in_tables_that_fit_on_a_page(n, n_tables) -> None:
    names = ["name", "true", *(f"P{i}" for i in range(n - 2))]
    rows = [
        {"name": image, "prediction": p, "true_positives": i, "false_positives": 100,
         "false_negatives": 9}
        for i, p in enumerate(names)
        for image in "ab"
    ]  # fmt: skip
    tables = re.findall(r"<table>.*?</table>", counts_table(rows), re.DOTALL)
    heads = [re.findall('<th scope="col"[^>]*>(.*?)</th>', one) for one in tables]
    assert len(tables) == n_tables
    assert all(head[0] == "Image" and 3 <= len(head) <= 8 for head in heads)
    shown = [h for head in heads for h in head[1:] if h != "True objects"]
    assert shown == [*names, *(f"F1, {p}" for p in names)]
    for i in (0, n - 1):  # numbers of objects of the first and of the last prediction
        ((one, head),) = (pair for pair in zip(tables, heads, strict=True) if names[i] in pair[1])
        row = one[one.index("<tbody>") :].split("</tr>")[0]
        cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)
        assert dict(zip(head, cells, strict=True))[names[i]] == str(100 + i)


@pytest.mark.parametrize(("n", "n_tables"), [(6, 1), (8, 2), (13, 3)])
def test_counts_of_many_predictions_stand_in_tables_that_fit_on_a_page(n, n_tables) -> None:
    rows = [{"name": "a", "prediction": f"P{i}", "true_count": 5, "count": 5 + i} for i in range(n)]
    tables = [part for part in compared_parts(rows) if "True count" in part]
    text = " ".join(text_of(page("t", tables)).split())
    assert text.count("True count") == n_tables
    assert all(f" {5 + i} " in text for i in range(n))


def test_images_of_several_predictions_come_in_the_order_of_the_best() -> None:
    summary = [{"Prediction": "good", "F1": 0.9}, {"Prediction": "poor", "F1": 0.1}]
    rows = [
        {"Image": "a", "Prediction": "good", "F1": 0.95},
        {"Image": "b", "Prediction": "good", "F1": 0.85},
        {"Image": "a", "Prediction": "poor", "F1": 0.0},
        {"Image": "b", "Prediction": "poor", "F1": 0.2},
    ]
    examples = [dataclasses.replace(e, name=n) for n, e in zip("ab", compared(), strict=True)]
    html = score_view(summary, rows, examples)
    assert "Order of the images: F1 of good." in text_of(html)
    assert html.index('name">b<') < html.index('name">a<')


def test_columns_in_which_nothing_is_known_are_left_out() -> None:
    text = text_of(images_view([{**row, "count": None, "pixel_size_um": None} for row in READ]))
    assert "Pixel size" not in text
    assert "Count" not in text


def test_pictures_are_judged_at_the_threshold_of_the_scores() -> None:
    truth = EXAMPLES[0].truth
    assert truth is not None
    shifted = [dataclasses.replace(EXAMPLES[0], prediction=np.roll(truth, 1, 0))]  # IoU 13/15
    assert "9 found, 0 false, 0 missed" in text_of(score_view(examples=shifted))
    strict = score_view(examples=shifted, threshold=0.9)
    assert "0 found, 9 false, 9 missed" in text_of(strict)


def test_images_unlike_the_training_images_are_pointed_out() -> None:
    assert "1 of 2 images is unlike the training images" in text_of(FULL["prediction"])
    calm = [{**r, "unlike_training": False} for r in ROWS]
    assert '<div class="callout' not in prediction_view(None, EXAMPLES, calm)


def test_only_changed_settings_are_in_view() -> None:
    changed = knobs.to_json(dataclasses.replace(RetrainSettings(), strategy="thaw"))
    texts = text_of(model_view(card(settings=changed)))
    assert "Thaw step by step (default: Everything)" in texts
    assert "(default: 10)" not in texts
    usual = text_of(model_view(card(settings=knobs.to_json(TrainSettings()))))
    assert "none; all have their defaults" in usual


def test_details_are_shown_of_images_with_objects_too_small_to_see() -> None:
    labels = np.zeros((900, 1200), np.int32)
    for i in range(40):
        top, left = 700 + 7 * (i // 8), 1000 + 7 * (i % 8)
        labels[top : top + 5, left : left + 5] = i + 1
    part = detail((900, 1200), [labels], 360)
    assert part is not None
    y, x = part
    assert len(np.unique(labels[y, x])) == 41
    assert detail((64, 64), [EXAMPLES[0].truth], 360) is None  # type: ignore[list-item]
    specks = np.zeros((900, 1200), np.int32)
    specks[::40, ::40] = np.arange(1, 23 * 30 + 1).reshape(23, 30)
    part = detail((900, 1200), [specks], 360)
    assert part is not None
    assert part[0].stop - part[0].start == 90
    assert detail((300, 360), [specks[:300, :360]], 360) is None
    example = Example("big", labels[None].astype(np.uint16), labels, labels)
    made = gallery([example], result_panel)
    assert "40 found, 0 false, 0 missed" in made
    assert f"shown: {y.stop - y.start} × {x.stop - x.start} px" in gallery(
        [example] * 13, result_panel
    )


def test_several_reports_make_one_document() -> None:
    parts = chapters([("One", [section("Inner", NASTY)]), ("Two", [NASTY])])
    html = page("All", [NASTY, *parts], subtitle=NASTY)
    levels = [t for t, _ in read(html).tags if t in ("h1", "h2", "h3")]
    assert levels[:3] == ["h1", "h2", "h3"]
    assert levels[-1] == "h2"


def test_the_report_of_a_model_says_everything_once() -> None:
    html = model_view(card())
    for heading in ("The model", "Training images", "Lineage", "Settings"):
        assert html.count(f">{heading}<") == 1, heading
