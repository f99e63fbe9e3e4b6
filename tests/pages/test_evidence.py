"""A model file carries its evidence: scores per image and pictures, and no names of files."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from microshot import api, pages, settings
from microshot.bundle import Bundle
from microshot.cli.main import main
from microshot.data.dataset import Dataset, Sample
from microshot.data.image import Image
from microshot.pages.evidence import MOST_ROWS, with_evidence
from microshot.report.carried_pictures import MOST_IMAGES
from tasks_of_all_kinds import one_of_each
from tiny_images import discs, page_text
from tiny_models import RETRAIN, TRAIN, changed, fields

SECRET = "patient_<b>Meier</b>"


def named(n: int, start: int = 0) -> Dataset:
    made = fields(n, seed=start)
    return Dataset.of(dataclasses.replace(s, name=f"{SECRET}_{i}") for i, s in enumerate(made))


@pytest.fixture(scope="module")
def trained() -> api.Trained:
    return api.train(named(3), changed(TRAIN, name="tiny", network__head="foreground"))


@pytest.fixture(scope="module")
def retrained(trained: api.Trained) -> api.Retrained:
    always = changed(RETRAIN, keep_better=False, name="tiny again")
    return api.retrain(trained.bundle, named(2, 5), always)


def test_a_model_file_tells_scores_per_image_and_shows_the_worst_without_names(trained, tmp_path):
    bundle = with_evidence(trained)
    assert bundle.card.id == trained.bundle.card.id
    path = bundle.save(tmp_path / "a.microshot")
    assert b"Meier" not in path.read_bytes()
    card = Bundle.load(path).card
    assert [row["name"] for row in card.report["rows"]] == ["image 1", "image 2", "image 3"]
    assert card.report["rows"][0]["f1"] == pytest.approx(trained.examples[0].scores["f1"], abs=1e-4)
    assert len(card.report["pictures"]["tiles"]) == 3
    text = page_text(pages.model_page(card))
    for part in (
        "Scores per image", "image 2", "All together", "Worst images", "Training curve",
        "Settings", card.device, card.versions["numpy"], card.data["fingerprint"],
    ):  # fmt: skip
        assert part in text


def test_a_retrained_model_tells_old_and_new_score_of_every_image_and_the_verdict(retrained):
    card = with_evidence(retrained).card
    assert [r["name"] for r in card.report["comparison"]] == ["image 1", "image 2"]
    text = page_text(pages.model_page(card))
    for part in ("F1 old", "F1 new", "retrained model", "Lineage", "tiny", retrained.verdict):
        assert part in text
    assert text.count(retrained.verdict) == 1


@pytest.mark.parametrize("task", ["count", "twin-vae", "translate"])
def test_models_of_every_task_have_a_report(task):
    bundle, data = one_of_each(task)
    predictor = api.Predictor(bundle)
    examples = [api.Example(s, p, predictor.task.score(p, s)) for s in data for p in [predictor(s)]]
    card = with_evidence(api.Trained(bundle, [], examples=examples, data=data)).card
    text = page_text(pages.model_page(card))
    assert "image 3" in text
    assert "Worst images" in text


def test_evidence_stays_small_however_many_images_were_scored(trained):
    pixels, labels = discs(side=400, n=9)
    some = [Sample(f"s{i}", Image(pixels[None]), labels=labels) for i in range(2 * MOST_ROWS)]
    bad = dataclasses.replace(trained.examples[0].prediction, labels=labels)
    examples = [
        api.Example(s, bad, {"f1": i / 1000, "iou_sum": 1.0, "n": 1.0}) for i, s in enumerate(some)
    ]
    report = with_evidence(
        dataclasses.replace(trained, examples=examples, data=Dataset.of(some))
    ).card.report
    assert [r["name"] for r in report["rows"]] == [f"image {i + 1}" for i in range(MOST_ROWS)]
    assert [t["name"] for t in report["pictures"]["tiles"]] == [
        f"image {i + 1}" for i in range(MOST_IMAGES)
    ]
    assert len(json.dumps(report)) < 400_000


@pytest.mark.parametrize(
    "report",
    [
        {"rows": 3, "comparison": "x", "pictures": []},
        {"rows": [1, {"name": ["<b>"], "f1": {"a": 1}}], "pictures": {"tiles": [1, {}], "keys": 4}},
        {"comparison": [{"name": 1}, {"old": {}, "new": 3}]},
        {"rows": [{"name": "<script>x</script>", "f1": "<b>"}]},
        {"pictures": {"tiles": [{"name": "a", "shape": [2, 2], "panels": [
            {"title": "<b>", "note": 3, "images": ['data:image/png;base64,AA"onload="x', "http://x"]},
        ]}]}},
    ],
)  # fmt: skip
def test_a_report_of_a_wrong_kind_does_no_harm(trained, report):
    card = dataclasses.replace(trained.bundle.card, report=report)
    html = pages.model_page(card)
    assert not re.search(r"<b>|<script>x|onload", html)
    page_text(html)


def test_the_command_writes_a_report_and_replaces_none(trained, tmp_path, capsys):
    model = with_evidence(trained).save(tmp_path / "a.microshot")
    assert main(["report", str(model)]) == 0
    page = tmp_path / "a.html"
    text = page_text(page.read_text(encoding="utf-8"))
    assert "Scores per image" in text
    page.write_text("mine", encoding="utf-8")
    assert main(["report", str(model), "--out", str(page)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == "mine"
    assert main(["report", str(model), "--out", str(page), "--overwrite"]) == 0
    assert page.read_text(encoding="utf-8") != "mine"


def test_settings_of_the_evidence_do_not_reach_the_model_port(trained):
    """What configures a node stays small: no pictures in the port's spec."""
    from microshot.headless import standin

    standin.install()
    from microshot.nodes.ports import ModelObject

    made = ModelObject.of(with_evidence(trained))
    assert "report" not in made.spec.card
    assert Bundle.from_bytes(made.content).card.report["rows"]
    assert settings.TASKS[made.spec.task].label
