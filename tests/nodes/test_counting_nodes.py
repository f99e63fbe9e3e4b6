"""Counting with the nodes: from counts in a table to a model, counts with intervals, and scores."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from node_tables import arrays, card_of, cells, row_ids, set_tiny, spec_of, write_png

from microshot.bundle import Bundle
from microshot.headless import standin
from microshot.headless.standin import NodeFailure
from microshot.tasks.common_size import Trial
from microshot.tasks.segmenting import size_search
from tiny_images import discs, page_text
from tiny_models import any_size

TRUST = ["Unlike training", "Warning", "Model", "Device", "Seconds"]
COUNTS = ["Count", "Count (not rounded)", "Count from", "Count to", "Confidence", *TRUST]


def tiny(host, name="train", *, steps=2, **more):
    """Return a training node for counting that takes a moment."""
    node = set_tiny(host.node(name), steps=steps)
    if name == "train":
        node.set("task", "COUNT")
        node.set("network.rays", 32)  # a counter has none, and would say so
    for key, value in more.items():
        node.set(key.replace("__", "."), value)
    return node


def counted(tables, counts, *, side=48, seed=0, **more):
    """Return a table of images without label images, with counts as given."""
    images = [discs(side=side, n=2 + i % 3, seed=seed + i)[0] for i in range(len(counts))]
    return tables.of(Image=images, Count=counts, **more)


@pytest.fixture(scope="session")
def counter(host, tables):
    """A model that counts discs nearly right, with intervals from held-out images."""
    node = tiny(host, steps=400)
    node.set("images.validation_fraction", 0.4)
    made, _ = node.execute([tables.images(12, Count=[2.0 + i % 3 for i in range(12)]), None])
    return made


@pytest.fixture(scope="session")
def unsure(host, tables):
    """A model from three images: too few for intervals."""
    made, _ = tiny(host).execute([tables.images(3), None])
    return made


def predictor_of(host):
    node = host.node("predict")
    node.set("device", "CPU")
    return node


# ------------------------------------------------------------------------- train and retrain


def test_counts_alone_train_a_model_and_missing_ones_are_not_used(host, tables):
    node = tiny(host)
    table = counted(tables, [2.0, 0.0, None, 3.0, 4.0])
    assert table.batch_sizes == [2, 2, 1]
    announced, _ = node.configure([table.spec, None])
    assert announced.data["data"]["card"] == {"task": "count"}
    assert node.settings["count_column"] == "Count"
    model, history = node.execute([table, None])
    card = card_of(model)
    assert card["task"] == "count"
    assert card["data"]["n_images"] == 4
    assert card["scores"]["mae"] >= 0
    assert history.num_rows
    (warning,) = node.warnings
    assert "from 4 counts alone: mark the objects" in warning
    assert "MAE" in page_text(node.view_html)


def test_label_images_alone_suffice_and_counts_beside_them_are_believed(host, tables):
    node = tiny(host)
    model, _ = node.execute([tables.images(2), None])
    assert card_of(model)["data"]["n_images"] == 2
    node.execute([tables.images(2, Cells=[2, 7]), None])
    assert node.settings["count_column"] == "Cells"
    assert node.warnings == ["row 1: its count is 7, but there are 3 objects in its label image."]
    node.set("label_column", "<none>")
    node.execute([tables.images(2, Cells=[2, 7]), None])
    (warning,) = node.warnings
    assert "from 2 counts alone" in warning


@pytest.mark.parametrize("name", ["Count", "cell counts", "Number of cells", "Cells_2"])
def test_the_count_column_is_guessed_by_its_name(host, name):
    node = tiny(host)
    node.configure([spec_of(Image="png", Size="number", **{name: "number"}), None])
    assert node.settings["count_column"] == name.replace("_", " ")


def test_columns_that_cannot_teach_counting_are_refused_before_it_runs(host):
    node = tiny(host)
    with pytest.raises(NodeFailure, match="neither a count column nor a label column") as caught:
        node.configure([spec_of(Image="png", Size="number"), None])
    assert caught.value.invalid_settings
    assert "\n" not in caught.value.message
    with pytest.raises(NodeFailure, match="image column and a count column or a label column"):
        node.configure([spec_of(Image="png", Count="number"), spec_of(Image="png", X="number")])
    node.set("count_column", "Image")
    with pytest.raises(NodeFailure, match='"Image" cannot be the count column because of its type'):
        node.configure([spec_of(Image="png", Count="number"), None])
    node.set("count_column", "Gone")
    with pytest.raises(NodeFailure, match='count column "Gone" is not in the input table'):
        node.configure([spec_of(Image="png", Count="number"), None])


def test_counts_as_text_are_not_taken_for_counts(host, tables):
    table = tables.of(Image=[discs()[0]] * 2, Count=["2", "three"])
    with pytest.raises(NodeFailure, match=r'"Count" holds text, .* with the node String to Number'):
        tiny(host).configure([table.spec, None])
    tiny(host).configure([spec_of(Image="png", Count="text", Cells="number"), None])


@pytest.mark.parametrize(
    ("value", "words"), [(-1.0, "-1"), (2.5, "2.5"), (np.inf, "inf"), (np.nan, "nan")]
)
@pytest.mark.parametrize("unreadable", ["FAIL", "SKIP"])
def test_what_is_no_count_is_named_with_its_row_and_column(host, tables, value, words, unreadable):
    import pandas as pd
    import pyarrow as pa

    frame = counted(tables, [1.0, 2.0, 4.0]).to_pandas()
    numbers = pd.arrays.ArrowExtensionArray(pa.array([1.0, 2.0, value]))
    frame["Count"] = pd.Series(numbers, index=frame.index)
    table = standin.table_from_pandas(host, frame, 2)
    node = tiny(host, unreadable=unreadable)
    with pytest.raises(NodeFailure, match='Row "row 2", column "Count": expected a whole') as e:
        node.execute([table, None])
    assert f"found {words};" in e.value.message
    assert "\n" not in e.value.message


def test_tables_without_any_count_are_refused(host, tables):
    table = tables.of(Image=[discs()[0], discs()[0], None], Count=[None, None, 1.0])
    with pytest.raises(NodeFailure, match="None of the 2 images is labelled"):
        tiny(host).execute([table, None])
    with pytest.raises(NodeFailure, match="All images are counted as empty"):
        tiny(host).execute([counted(tables, [0.0, 0.0]), None])


def test_equal_counts_are_warned_of(host, tables):
    node = tiny(host)
    node.execute([counted(tables, [3, 3, 3]), None])
    assert node.warnings[0].startswith("All 3 images have the same count, 3:")


@pytest.mark.parametrize(
    "pixels",
    [
        discs(side=24)[0],
        discs(dtype=np.uint8)[0],
        np.dstack([discs(dtype=np.uint8)[0]] * 3),
    ],
    ids=["24 px", "8 bit", "colour"],
)
def test_images_of_all_kinds_teach_the_density_counter(host, tables, pixels):
    table = tables.of(Image=[pixels, pixels], Count=[3, 2])
    model, _ = tiny(host).execute([table, None])
    found, _ = predictor_of(host).execute([model, table])
    assert all(c >= 0 for c in cells(found, "Count (#1)"))


def twin_vae(host):
    node = tiny(host)
    node.set("count.architecture", "TWIN_VAE")
    node.set("twin_vae.width", 0.125)
    node.set("training.batch_size", 2)
    for name, default in {"network.width": 0, "network.depth": 3, "images.patch_px": 0}.items():
        node.set(name, default)  # of another kind of network, and it would say so
    return node


def test_the_twin_vae_learns_from_counts_and_generated_images_and_refuses_tiny_ones(host, tables):
    generate = host.node("generate_synthetic")
    for name, value in {"n": 2, "height_px": 48, "width_px": 48}.items():
        generate.set(name, value)
    (made,) = generate.execute([None])
    node = twin_vae(host)
    model, _ = node.execute([counted(tables, [2, 3, None]), made])
    card = card_of(model)
    assert card["architecture"]["name"] == "twin-vae"
    assert card["data"]["n_images"] == 4
    found, places = predictor_of(host).execute([model, counted(tables, [2, 3, None])])
    assert all(c >= 0 for c in cells(found, "Count (#1)"))
    assert places.num_rows == 0
    with pytest.raises(NodeFailure, match="32") as caught:
        twin_vae(host).execute([counted(tables, [2, 3], side=24), None])
    assert "\n" not in caught.value.message


def test_a_twin_vae_without_synthetic_images_says_so_or_makes_them(host, tables):
    table = counted(tables, [2, 3, 4])
    node = twin_vae(host)
    node.execute([table, None])
    (warning,) = node.warnings
    assert "there are none: connect Generate Synthetic Images" in warning
    assert "\n" not in warning
    node = twin_vae(host)
    node.set("twin_vae.generate", "PHASE_CONTRAST")
    model, _ = node.execute([table, None])
    (warning,) = node.warnings
    assert warning.startswith("100 synthetic images of the kind phase-contrast were generated")
    assert card_of(model)["data"]["n_images"] == 103


def test_one_counted_image_and_images_of_many_kinds_teach_a_twin_vae(host, tables):
    for pixels in (
        discs(side=64, dtype=np.uint16)[0],
        np.dstack([discs(side=64, dtype=np.uint8)[0]] * 3),
    ):
        model, _ = twin_vae(host).execute([tables.of(Image=[pixels], Count=[3]), None])
        assert card_of(model)["data"]["n_images"] == 1


def test_more_objects_than_the_published_method_takes_are_warned_of(host, tables):
    node = twin_vae(host)
    node.set("preset", "FAITHFUL")
    node.execute([counted(tables, [2, 31]), counted(tables, [3, 4], seed=9)])
    (warning,) = node.warnings
    assert warning.startswith("1 image holds more than 30 objects (most: 31, first: row 1)")


def test_retraining_compares_the_errors_of_both_models(host, tables, counter):
    node = tiny(host, "retrain")
    node.set("keep_better", False)
    new, comparison = node.execute([counter, counted(tables, [2, 3, None, 3], seed=30), None])
    assert cells(comparison, "Image") == ["row 0", "row 1", "row 3"]
    assert cells(comparison, "Score") == ["MAE"] * 3
    for old, own, better in zip(
        *(cells(comparison, c) for c in ("Old model", "Retrained model", "Better")), strict=True
    ):
        assert better == ("retrained" if own < old else "old" if own > old else "equal")
    card = card_of(new)
    assert card["task"] == "count"
    assert card["lineage"][0]["id"] == card_of(counter)["id"]
    page_text(node.view_html)


def test_one_counted_image_retrains_without_check(host, tables, counter):
    node = tiny(host, "retrain")
    new, comparison = node.execute([counter, counted(tables, [3]), None])
    assert comparison.num_rows == 0
    assert "nothing can be left out" in node.warnings[0]
    assert Bundle.from_bytes(new.data).card.task == "count"


def test_models_that_count_need_counts_or_labels_to_be_retrained(host, counter):
    with pytest.raises(NodeFailure, match="neither a count column nor a label column"):
        host.node("retrain").configure([counter.spec, spec_of(Image="png"), None])


# ----------------------------------------------------------------------------------- predict


def test_counts_stand_behind_the_input_with_their_interval_and_every_place(host, tables, counter):
    node = predictor_of(host)
    made = [discs(n=n, seed=40 + n) for n in (2, 3, 4)]
    table = tables.of(
        ["b", "a", "Ä 1", "none"], Image=[*(m[0] for m in made), None], Note=["1", None, "3", "4"]
    )
    announced = node.configure([counter.spec, table.spec])
    found, objects = node.execute([counter, table])
    assert [one.columns for one in announced] == [found.spec.columns, objects.spec.columns]
    assert found.column_names == ["Image", "Note", *COUNTS]
    assert found.batch_sizes == [2, 2]
    assert row_ids(found) == ["b", "a", "Ä 1", "none"]
    counts, raw = cells(found, "Count"), cells(found, "Count (not rounded)")
    assert counts == [*(round(r) for r in raw[:3]), None]
    assert np.abs(np.array(counts[:3]) - [2, 3, 4]).max() <= 1
    low, high = cells(found, "Count from"), cells(found, "Count to")
    assert all(a <= c <= b for a, c, b in zip(low[:3], counts[:3], high[:3], strict=True))
    assert low[3] is high[3] is None
    assert all(0 <= c <= 1 for c in cells(found, "Confidence")[:3])
    near = []
    for image, y, x in zip(
        *(cells(objects, c) for c in ("Image", "Y (px)", "X (px)")), strict=True
    ):
        labels = made[["b", "a", "Ä 1"].index(image)][1]
        near.append(labels[max(0, int(y) - 5) : int(y) + 6, max(0, int(x) - 5) : int(x) + 6].any())
    assert np.mean(near) > 0.7
    assert row_ids(objects)[0] == "b_1"
    assert set(cells(objects, "Area (px)")) == {None}
    assert node.warnings[0].startswith("1 row was skipped because the image is missing.")
    page_text(node.view_html)


@pytest.mark.parametrize("wish", ["AUTO", "EACH", "ONCE"])
def test_a_counter_of_any_size_has_the_size_found_unless_it_is_told(
    host, tables, counter, wish, monkeypatch
):
    best = pytest.approx(24.0)
    monkeypatch.setattr(
        size_search, "trial", lambda _, size: Trial(1.0 if size == best else 0.1, size)
    )
    data = any_size(Bundle.from_bytes(counter.data)).to_bytes()
    any_model, table = dataclasses.replace(counter, data=data), tables.images(2)
    node = predictor_of(host)
    node.set("size_found", wish)
    found, _ = node.execute([any_model, table])
    where = "in 2 of 2 images: 24 px, taken for all" if wish == "ONCE" else "in each image: 24 px"
    told_so = f"The size of the objects was looked for {where}"
    assert told_so in node.warnings[-1]
    assert "Size taken (px)" in page_text(node.view_html)
    node = predictor_of(host)
    node.set("diameter_px", 24.0)
    told, _ = node.execute([any_model, table])
    assert cells(told, "Count (not rounded)") == cells(found, "Count (not rounded)")
    assert not any("size of the objects" in warning for warning in node.warnings)
    node = predictor_of(host)
    (of_one_size, _) = node.execute([counter, table])
    assert cells(of_one_size, "Count (not rounded)") != cells(found, "Count (not rounded)")
    assert not any("size of the objects" in warning for warning in node.warnings)


def test_wider_intervals_hold_more_and_unbounded_ones_are_missing_and_said_once(
    host, tables, counter, unsure
):
    table = tables.of(Image=[discs(seed=i)[0] for i in range(3)])
    node = predictor_of(host)
    found, _ = node.execute([unsure, table])
    assert cells(found, "Count from") == cells(found, "Count to") == [None] * 3
    (warning,) = node.warnings
    assert warning.startswith("No interval around the counts: An interval that holds 80%")
    assert warning.count("No interval") == 1
    node = predictor_of(host)
    node.set("interval", "95")
    found, _ = node.execute([counter, table])
    assert cells(found, "Count to") == [None] * 3
    assert "95%" in node.warnings[0]


def test_several_models_that_count_can_be_chained(host, tables, counter, unsure):
    table = counted(tables, [2, 3, 4])
    first = predictor_of(host)
    one, _ = first.execute([counter, table])
    assert one.column_names[2:] == [
        "Count (#1)", "Count (#1) (not rounded)", "Count (#1) from", "Count (#1) to",
        "Confidence", *TRUST,
    ]  # fmt: skip
    second = predictor_of(host)
    second.set("count_name", "Other")
    two, _ = second.execute([unsure, one])
    assert two.column_names[12:] == [
        "Other", "Other (not rounded)", "Other from", "Other to", "Confidence (Other)",
        *(f"{name} (Other)" for name in TRUST),
    ]  # fmt: skip
    third, _ = predictor_of(host).execute([counter, two])
    assert third.column_names[22:] == [
        "Count (#2)", "Count (#2) (not rounded)", "Count (#2) from", "Count (#2) to",
        "Confidence (#1)", *(f"{name} (#1)" for name in TRUST),
    ]  # fmt: skip
    np.testing.assert_array_equal(arrays(third, "Image")[0], arrays(table, "Image")[0])
    node = host.node("score")
    node.set("truth_column", "Count")
    node.set("prediction_columns", ["Count (#1)", "Other"])
    _, summary = node.execute([third])
    assert cells(summary, "Intervals") == [3, 0]
    assert cells(summary, "Interval coverage")[1] is None


@pytest.mark.parametrize("images", [[], [None, None]])
def test_tables_without_images_give_tables_with_the_announced_columns(
    host, tables, counter, images
):
    found, objects = predictor_of(host).execute([counter, tables.of(Image=images)])
    assert (found.num_rows, found.column_names) == (len(images), ["Image", *COUNTS])
    assert objects.num_rows == 0


# ------------------------------------------------------------------------------------- score


def predictions(tables, **more):
    return tables.of(
        ["a", "b", "c", "d"],
        **{
            "Cells": [4, 0, 10, None],
            "Count": [5, 0, 10, 3],
            "Count_(not_rounded)": [4.6, 0.4, 10.0, 3.0],
            "Count_from": [3, 0, None, 1],
            "Count_to": [6, 1, None, 4],
            **more,
        },
    )


def test_counts_are_scored_with_their_intervals(host, tables):
    node = host.node("score")
    table = predictions(tables)
    announced = node.configure([table.spec])
    rows, summary = node.execute([table])
    assert (node.settings["truth_column"], node.settings["prediction_columns"]) == (
        "Cells",
        ["Count"],
    )
    assert [one.columns for one in announced] == [rows.spec.columns, summary.spec.columns]
    assert row_ids(rows) == ["a_Count", "b_Count", "c_Count"]
    assert cells(rows, "True count") == [4, 0, 10]
    assert cells(rows, "Error") == [1, 0, 0]
    assert cells(rows, "Inside interval") == [True, True, None]
    assert cells(summary, "Images") == [3]
    assert cells(summary, "MAE") == pytest.approx([1 / 3])
    assert cells(summary, "MRE") == pytest.approx([(1 / 4 + 0) / 2])
    assert cells(summary, "Accuracy") == pytest.approx([2 / 3])
    assert cells(summary, "RMSE") == pytest.approx([np.sqrt(1 / 3)])
    assert cells(summary, "Bias") == pytest.approx([1 / 3])
    assert (cells(summary, "Interval coverage"), cells(summary, "Intervals")) == ([1.0], [2])
    assert node.warnings == ["1 row left out because a count is missing."]
    assert "MAE" in page_text(node.view_html)


def names_shown(html):
    return re.findall(r'<span class="name">(.*?)</span>', html)


def test_the_images_that_are_counted_worst_are_shown_with_their_counts(host, tables):
    images = [discs(side=32, n=2, seed=i)[0] for i in range(4)]
    node = host.node("score")
    node.execute([predictions(tables, Count=[5, 0, 17, 3], Image=images)])
    assert names_shown(node.view_html) == ["c", "a", "b"]
    text = page_text(node.view_html)
    assert "counted 5 (3 to 6), true 4" in text
    assert "counted 17, true 10" in text
    node = host.node("score")
    node.set("prediction_columns", ["Count", "Count (not rounded)"])
    node.execute([predictions(tables, Image=images)])
    assert "Count counted 5 (3 to 6)" in page_text(node.view_html)
    assert "true 10" in page_text(node.view_html)


def test_counts_are_scored_though_an_image_cannot_be_shown(host, tables, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    images = discs(side=32, n=2)[0]
    node = host.node("score")
    node.set("image_column", "File")
    files = [str(broken), None, str(write_png(tmp_path / "c.png", images)), str(broken)]
    rows, _ = node.execute([predictions(tables, File=files)])
    assert rows.num_rows == 3
    assert names_shown(node.view_html) == ["c"]
    assert any("Not shown" in warning and '"a"' in warning for warning in node.warnings)


def test_counts_before_rounding_are_scored_as_they_are(host, tables):
    node = host.node("score")
    node.set("prediction_columns", ["Count", "Count (not rounded)"])
    rows, summary = node.execute([predictions(tables)])
    assert cells(rows, "Count")[3:] == [4.6, 0.4, 10.0]
    assert cells(summary, "MAE") == pytest.approx([1 / 3, 1 / 3])
    assert cells(summary, "Bias") == pytest.approx([1 / 3, 1.0 / 3])
    assert cells(summary, "RMSE")[1] == pytest.approx(np.sqrt((0.36 + 0.16) / 3))
    assert cells(summary, "Intervals") == [2, 2]


def test_without_a_pair_of_counts_every_score_is_missing(host, tables):
    node = host.node("score")
    rows, summary = node.execute([predictions(tables, Cells=[None, 1, None, None], Count=[1, None, 2, 3])])  # fmt: skip
    assert rows.num_rows == 0
    assert (cells(summary, "Images"), cells(summary, "MAE")) == ([0], [None])


def test_counts_and_label_images_cannot_be_compared(host):
    node = host.node("score")
    node.set("truth_column", "Cells")
    node.set("prediction_columns", ["Mask"])
    with pytest.raises(NodeFailure, match='"Mask" cannot be the predicted count column'):
        node.configure([spec_of(Cells="number", Mask="png")])
    node.set("prediction_columns", [])
    with pytest.raises(NodeFailure, match="no column with predicted counts"):
        node.configure([spec_of(Cells="number", Mask="png")])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"Cells": [1, -2, 3, 4]}, 'Row "b", column "Cells": expected a whole number'),
        ({"Cells": [1.0, 2.5, 3.0, 4.0]}, 'Row "b", column "Cells": expected a whole number'),
        ({"Count": [1, 2, -3, 4]}, 'Row "c", column "Count": expected a predicted count'),
    ],
)
def test_what_is_no_count_cannot_be_scored(host, tables, more, words):
    with pytest.raises(NodeFailure, match=words):
        host.node("score").execute([predictions(tables, **more)])


# -------------------------------------------------------------------------------------- read


def test_a_table_of_paths_may_hold_counts(host, tables, area):
    for i in range(3):
        write_png(area / f"{i}.png", discs(seed=i)[0])
    node = host.node("read_images")
    table = tables.of(Path=["0.png", "1.png", "2.png"], Cells=[3, None, 0])
    (found,) = node.execute([table], data_area=area)
    assert node.settings["count_column"] == "Cells"
    assert cells(found, "Count") == [3, None, 0]
    node.set("count_column", "<none>")
    (found,) = node.execute([table], data_area=area)
    assert cells(found, "Count") == [None] * 3
    bad = tables.of(Path=["0.png", "1.png"], Cells=[3, -3])
    with pytest.raises(NodeFailure, match='Row "row 1", column "Cells": expected a whole number'):
        host.node("read_images").execute([bad], data_area=area)


@pytest.mark.parametrize("way", ["watershed", "frozen-cnn"])
def test_baselines_train_count_and_retrain_like_every_counter(host, tables, tmp_path, way):
    node = tiny(host)
    node.set("count.architecture", way.upper().replace("-", "_"))
    if way == "frozen-cnn":
        import torch

        from microshot.nn.frozen_counter import UNetEncoder

        (tmp_path / "weights").mkdir()
        torch.save(UNetEncoder(1, [2, 3]).state_dict(), tmp_path / "weights" / "unet.pt")
        node.set("count.frozen_weights", "weights/unet.pt")
    table = counted(tables, [2, 3, 4, None])
    model, history = node.execute([table, None], data_area=tmp_path)
    weights = "unet.pt" if way == "frozen-cnn" else ""
    assert card_of(model)["settings"]["count"]["frozen_weights"] == weights
    assert card_of(model)["architecture"]["name"] == way
    assert history.num_rows >= 1
    again = tiny(host, "retrain")
    again.set("keep_better", False)
    new, comparison = again.execute([model, table, None])
    assert comparison.num_rows == 3
    found, places = predictor_of(host).execute([new, table])
    assert all(c >= 0 for c in cells(found, "Count (#1)"))
    assert (places.num_rows > 0) == (way == "watershed")
    assert page_text(again.view_html)
