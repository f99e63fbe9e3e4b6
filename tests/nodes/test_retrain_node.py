"""Retrain Microscopy Model: old against retrained model on images left out, and which is passed on."""

from __future__ import annotations

import numpy as np
import pytest
from node_tables import card_of, cells, set_tiny, spec_of

from microshot.bundle import Bundle
from microshot.headless.standin import NodeFailure
from microshot.headless.standin.data import Spec
from tiny_images import discs, page_text

COLUMNS = ["Image", "Score", "Old model", "Retrained model", "Difference", "Better"]


@pytest.fixture
def retrainer(host):
    return set_tiny(host.node("retrain"))


def inverted(n):
    """Return dark discs on bright ground, which the model has not seen."""
    made = [discs(n=3, seed=20 + i) for i in range(n)]
    return {"Image": [3000 - m[0] for m in made], "Label": [m[1] for m in made]}


def test_the_better_model_is_passed_on_and_its_page_says_so(host, model, tables):
    node = set_tiny(host.node("retrain"), steps=60)
    new, comparison = node.execute([model, tables.of(**inverted(3)), None])
    assert comparison.column_names == COLUMNS
    assert cells(comparison, "Image") == ["row 0", "row 1", "row 2"]
    old_f1, new_f1 = cells(comparison, "Old model"), cells(comparison, "Retrained model")
    assert cells(comparison, "Difference") == pytest.approx(
        [n - o for n, o in zip(new_f1, old_f1, strict=True)]
    )
    assert set(cells(comparison, "Better")) == {"retrained"}
    card = card_of(new)
    assert [one["id"] for one in card["lineage"]] == [card_of(model)["id"]]
    assert card["licence"] == "CC0 1.0"
    assert card["name"] == "Discs, retrained on 3 images"
    text = page_text(node.view_html)
    assert "on images it had not seen (3 of 3 better): use it." in text
    assert "Passed on: the retrained model." in text
    assert node.warnings == []


def test_a_model_that_gets_no_better_is_not_replaced_and_a_warning_says_so(
    retrainer, model, tables
):
    same, comparison = retrainer.execute([model, tables.images(2, seed=30), None])
    assert card_of(same)["id"] == card_of(model)["id"]
    assert cells(comparison, "Better") in (["equal"] * 2, ["old"] * 2, ["old", "equal"],
                                           ["equal", "old"])  # fmt: skip
    (warning,) = retrainer.warnings
    assert "better, keep the old model" in warning
    retrainer.set("keep_better", False)
    other, _ = retrainer.execute([model, tables.images(2, seed=30), None])
    assert card_of(other)["id"] != card_of(model)["id"]


def test_images_are_called_by_their_file_names_where_these_differ(retrainer, model, tables):
    made = inverted(2)
    _, comparison = retrainer.execute([model, tables.of(**made, File=["b.tif", "a.tif"]), None])
    assert cells(comparison, "Image") == ["b.tif", "a.tif"]
    assert "b.tif" in page_text(retrainer.view_html)
    for names in (["a.tif", "a.tif"], ["a.tif", None]):
        _, comparison = retrainer.execute([model, tables.of(**made, File=names), None])
        assert cells(comparison, "Image") == ["row 0", "row 1"]


def test_the_report_says_how_many_images_are_needed(retrainer, model, tables):
    retrainer.set("learning_curve", True)
    retrainer.execute([model, tables.of(**inverted(3)), None])
    text = page_text(retrainer.view_html)
    assert "How many images do I need?" in text
    assert "likely to help: F1 on images not seen" in text


def test_one_labelled_image_cannot_be_left_out(retrainer, model, tables):
    table = tables.of(Image=[discs()[0]] * 2, Label=[discs()[1], None])
    new, comparison = retrainer.execute([model, table, None])
    assert comparison.num_rows == 0
    assert "nothing can be left out" in retrainer.warnings[0]
    assert card_of(new)["lineage"]


def test_synthetic_images_are_mixed_in(host, retrainer, model, tables):
    generate = host.node("generate_synthetic")
    for name, value in {"n": 3, "height_px": 48, "width_px": 48}.items():
        generate.set(name, value)
    (made,) = generate.execute([None])
    retrainer.set("check", "NONE")
    new, comparison = retrainer.execute([model, tables.images(2), made])
    assert comparison.num_rows == 0
    assert card_of(new)["data"]["n_images"] == 5


def test_only_the_head_learns_where_the_user_says_so(retrainer, model, tables):
    retrainer.set("strategy", "HEAD")
    retrainer.set("check", "NONE")
    new, _ = retrainer.execute([model, tables.images(2), None])
    old, own = Bundle.from_bytes(model.data).weights, Bundle.from_bytes(new.data).weights
    changed = {k.split(".")[0] for k in own if not np.array_equal(own[k], old[k])}
    assert changed == {"features", "head"}


def test_a_model_of_another_task_is_refused_before_it_runs(host, model, tables):
    data = model.spec.data
    data["data"]["card"]["task"] = "paint"
    spec = Spec.of("port", data)
    for name, inputs in {"retrain": [spec, tables.images(1).spec, None],
                         "predict": [spec, tables.images(1).spec]}.items():  # fmt: skip
        with pytest.raises(
            NodeFailure, match=r'made for the task "paint".*models for segment or count'
        ) as e:
            host.node(name).configure(inputs)
        assert e.value.invalid_settings


def test_columns_that_do_not_fit_are_refused_before_it_runs(host, model):
    node = host.node("retrain")
    with pytest.raises(NodeFailure, match="no label column"):
        node.configure([model.spec, spec_of(Image="png"), None])
    with pytest.raises(NodeFailure, match="The second table needs"):
        node.configure([model.spec, spec_of(Image="png", Label="png"), spec_of(N="number")])
    node.set("image_column", "Gone")
    with pytest.raises(NodeFailure, match='image column "Gone"') as caught:
        node.configure([model.spec, spec_of(Image="png", Label="png"), None])
    assert caught.value.invalid_settings


def test_no_labelled_row_is_refused(retrainer, model, tables):
    table = tables.of(Image=[discs()[0]], Label=[None])
    with pytest.raises(NodeFailure, match="The only image is not labelled"):
        retrainer.execute([model, table, None])
    with pytest.raises(NodeFailure, match="synthetic table alone is not enough"):
        retrainer.execute([model, table, tables.images(1)])


def test_progress_names_the_check_and_never_goes_back(retrainer, model, tables):
    retrainer.execute([model, tables.images(2), None])
    fractions = [fraction for fraction, _ in retrainer.progress]
    assert fractions == sorted(fractions)
    assert any((m or "").startswith("check: 2 of 2, ") for _, m in retrainer.progress)


@pytest.mark.parametrize(
    ("check", "kept"), [("NONE", ["retrain_1.microshot"]), ("LEAVE_ONE_OUT", [])]
)
def test_cancelling_the_final_training_keeps_its_best_model(host, model, tables, area, check, kept):
    node = set_tiny(host.node("retrain"), epochs=100_000, steps=5)
    node.set("check", check)
    with pytest.raises(NodeFailure, match="Canceled") as caught:
        node.execute(
            [model, tables.images(2), None],
            data_area=area,
            is_cancelled=lambda: any("loss" in (m or "") for _, m in node.progress),
        )
    assert caught.value.cancelled
    found = sorted(area.glob("cancelled/*"))
    assert [path.name for path in found] == kept
    for path in found:
        assert Bundle.load(path).card.lineage[0]["id"] == card_of(model)["id"]
