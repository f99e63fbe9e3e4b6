"""Score Microscopy Predictions: what was found, invented and missed, per image and together."""

from __future__ import annotations

import importlib
import re

import numpy as np
import pytest
from node_tables import cells, row_ids, spec_of, write_tiff

from microshot.headless.standin import NodeFailure
from microshot.metrics.count_scoring import CountScores
from microshot.metrics.object_scoring import ObjectScores
from microshot.metrics.stain_scoring import StainScores
from microshot.report import wording
from microshot.report.style import NEW, OLD, SERIES
from tiny_images import discs, page_text

PER_IMAGE = [
    "Image", "Prediction", "F1", "Precision", "Recall", "Average precision (0.50-0.95)",
    "Panoptic quality", "Foreground Dice", "Found", "False", "Missed", "Model",
]  # fmt: skip


#: Columns that say what was scored; and a score that is computed beside the others.
NO_SCORES = {"Image", "Images", "Prediction", "Stain", "Feature score"}


@pytest.fixture
def scorer(host):
    return host.node("score")


def without(labels, *ids):
    """Return labels without the objects `ids`."""
    return np.where(np.isin(labels, ids), 0, labels)


def moved(labels):
    """Return labels with one more object where nothing is."""
    more = labels.copy()
    more[:3, :3] = labels.max() + 1
    return more


def test_several_predictions_are_compared_on_the_same_images(scorer, tables):
    truth = [discs(n=4, seed=i)[1] for i in range(3)]
    table = tables.of(
        ["a", "b", "c"],
        Image=[discs(n=4, seed=i)[0] for i in range(3)], Label=truth,
        Good=[truth[0], truth[1], truth[2]],
        Bad=[without(truth[0], 1, 2), moved(truth[1]), np.zeros_like(truth[2])],
    )  # fmt: skip
    scorer.set("prediction_columns", ["Good", "Bad"])
    announced = scorer.configure([table.spec])
    rows, summary = scorer.execute([table])
    assert [one.columns for one in announced] == [rows.spec.columns, summary.spec.columns]
    assert rows.column_names == PER_IMAGE
    assert row_ids(rows) == [f"{i}_{p}" for p in ("Good", "Bad") for i in "abc"]
    assert cells(rows, "Found") == [4, 4, 4, 2, 4, 0]
    assert cells(rows, "False") == [0, 0, 0, 0, 1, 0]
    assert cells(rows, "Missed") == [0, 0, 0, 2, 0, 4]
    assert cells(rows, "F1")[3:] == pytest.approx([2 * 2 / 6, 2 * 4 / 9, 0])
    assert row_ids(summary) == cells(summary, "Prediction") == ["Good", "Bad"]
    assert cells(summary, "Images") == [3, 3]
    assert (cells(summary, "Found"), cells(summary, "Missed")) == ([12, 6], [0, 6])
    assert cells(summary, "F1") == pytest.approx([1, 2 * 6 / (2 * 6 + 1 + 6)])
    text = page_text(scorer.view_html)
    assert "Good is best: F1 1.00 against 0.63." in text
    assert scorer.warnings == []


def test_old_and_retrained_model_have_the_colours_of_all_reports(scorer, tables):
    truth = [discs(n=4, seed=i)[1] for i in range(2)]
    made = {
        "Labels": truth, "Model": ["other (3c)"] * 2,
        "Before": truth, "Model (Before)": ["first (1a)"] * 2,
        "After": truth, "Model (After)": ["mine (2b), retrained from first (1a)"] * 2,
    }  # fmt: skip
    scorer.set("prediction_columns", ["Labels", "Before", "After"])
    scorer.execute([tables.of(Image=truth, Label=truth, **made)])
    bars = re.findall(r'<rect [^>]*fill="([^"]+)"', scorer.view_html)
    assert bars[:3] == [SERIES[1], OLD, NEW]


def test_the_worst_images_are_shown_and_the_others_counted(scorer, tables):
    truth = [discs(n=4, seed=i)[1] for i in range(15)]
    poor = [*truth[:11], *(without(t, *range(1, i)) for i, t in enumerate(truth[11:], 2))]
    worse = [without(truth[0], 1, 2, 3), *(without(t, 1, 2) for t in truth[1:])]
    table = tables.of(Image=truth, Label=truth, Poor=poor, Worse=worse)
    scorer.set("prediction_columns", ["Worse", "Poor"])
    scorer.execute([table])
    text = page_text(scorer.view_html)
    shown = text.split("Images, worst first")[1].split("Objects per image")[0]
    order = [shown.index(f"row {i} ") for i in (14, 13, 12, 11, 0)]
    assert order == sorted(order)
    assert "row 10" not in shown
    assert "12 of 15 images shown." in shown


def test_columns_are_guessed(host, model, tables):
    predicted, _ = host.node("predict").execute([model, tables.images(3)])
    node = host.node("score")
    rows, summary = node.execute([predicted])
    named = cells(predicted, "Model")
    assert cells(rows, "Model") == named
    assert cells(summary, "Model") == [named[0]]
    assert cells(summary, "Device") == ["CPU, 1 thread: no network is applied"]
    assert cells(summary, "Seconds")[0] >= 0
    text = page_text(node.view_html)
    assert "Where these results come from" in text
    assert named[0] in text
    assert "Most memory" in text
    assert (node.settings["truth_column"], node.settings["prediction_columns"]) == (
        "Label",
        ["Labels"],
    )
    assert cells(summary, "F1") == [1.0]
    cases = [
        ({"Image": "png", "Truth": "png", "Retrained": "png"}, ["Retrained"]),
        ({"Truth": "png", "Retrained": "png"}, ["Retrained"]),
        ({"Image": "png", "Label": "png", "Predicted_path": "text"}, ["Predicted path"]),
        ({"Label": "png", "Labels": "png", "New": "png"}, ["New"]),
    ]
    for columns, expected in cases:
        node = host.node("score")
        node.configure([spec_of(**columns)])
        assert node.settings["prediction_columns"] == expected


@pytest.mark.parametrize(
    ("settings", "columns", "words"),
    [
        ({}, {"Image": "png"}, "no column with true labels"),
        ({}, {"Image": "png", "Label": "png"}, "no column with predicted labels"),
        ({"truth_column": "Gone"}, {"Label": "png"}, 'true label column "Gone" is not in the input'),
        ({"prediction_columns": ["Label"]}, {"Label": "png", "New": "png"},
         "no column with true labels"),
        ({"prediction_columns": ["N"]}, {"Label": "png", "N": "number"},
         '"N" cannot be the predicted label column'),
    ],
)  # fmt: skip
def test_columns_that_do_not_fit_are_refused_before_it_runs(scorer, settings, columns, words):
    for name, value in settings.items():
        scorer.set(name, value)
    with pytest.raises(NodeFailure, match=words) as caught:
        scorer.configure([spec_of(**columns)])
    assert caught.value.invalid_settings


def test_a_chosen_prediction_is_neither_guessed_as_truth_nor_scored_twice(host, tables):
    node = host.node("score")
    node.set("prediction_columns", ["Count"])
    node.configure([spec_of(Count="number", Cells="number")])
    assert node.settings["truth_column"] == "Cells"
    node, truth = host.node("score"), discs(n=2)[1]
    node.set("prediction_columns", ["New", "New"])
    _, summary = node.execute([tables.of(Label=[truth], New=[truth])])
    assert cells(summary, "Prediction") == ["New"]
    assert node.warnings == []


@pytest.mark.parametrize("column", ["Label", "Count"])
def test_what_is_compared_with_itself_is_told(scorer, tables, column):
    scorer.set("truth_column", column)
    scorer.set("prediction_columns", [column])
    scorer.execute([tables.of(Label=[discs(n=2)[1]], Count=[2.0])])
    (warning,) = scorer.warnings
    assert warning.startswith(f'The column "{column}" is compared with itself')


def test_rows_that_lack_a_label_image_count_for_no_prediction(scorer, tables):
    truth = discs(n=2)[1]
    table = tables.of(Label=[truth, truth, None], A=[truth, None, truth], B=[truth, truth, truth])
    scorer.set("prediction_columns", ["A", "B"])
    rows, summary = scorer.execute([table])
    assert cells(summary, "Images") == [1, 1]
    assert rows.num_rows == 2
    assert scorer.warnings == ["2 rows left out because a label image is missing."]


@pytest.mark.parametrize("rows", [0, 2])
def test_nothing_to_score_gives_no_scores(scorer, tables, rows):
    per_image, summary = scorer.execute([tables.of(Label=[None] * rows, New=[None] * rows)])
    assert per_image.num_rows == 0
    assert (cells(summary, "Images"), cells(summary, "F1")) == ([0], [None])
    page_text(scorer.view_html)


def test_labels_in_files_are_scored_as_those_in_cells(scorer, tables, area):
    truth = discs(n=3)[1]
    write_tiff(area / "größe" / "a.tif", truth.astype(np.uint16))
    table = tables.of(Label=[truth], Predicted_path=["größe/a.tif"])
    _, summary = scorer.execute([table], data_area=area)
    assert cells(summary, "F1") == [1.0]


def test_label_images_of_different_size_stop_or_are_left_out_for_all_predictions(scorer, tables):
    truth = discs(n=2)[1]
    table = tables.of(["x", "y"], Label=[truth] * 2, A=[truth] * 2, B=[truth, truth[:30]])
    scorer.set("prediction_columns", ["A", "B"])
    with pytest.raises(
        NodeFailure, match=r'Row "y", column "B": expected the size .* 48 x 48 px, found 30 x 48 px'
    ):
        scorer.execute([table])
    scorer.set("unreadable", "SKIP")
    _, summary = scorer.execute([table])
    assert cells(summary, "Images") == [1, 1]
    assert scorer.warnings[0].startswith('Left out: Row "y", column "B"')


def test_a_photograph_in_place_of_labels_is_named(scorer, tables):
    truth = discs(n=2)[1]
    photo = np.random.default_rng(0).integers(0, 60000, truth.shape).astype(np.uint16)
    table = tables.of(Label=[truth], New=[photo])
    with pytest.raises(NodeFailure, match=r'Row "row 0", column "New".*as in a photograph'):
        scorer.execute([table])


def test_the_picture_never_decides_whether_a_row_is_scored(scorer, tables, area):
    truth = discs(n=2)[1]
    table = tables.of(Image_path=["gone.png", None], Label=[truth] * 2, New=[truth] * 2)
    scorer.set("image_column", "Image path")
    _, summary = scorer.execute([table], data_area=area)
    assert cells(summary, "Images") == [2]
    assert scorer.warnings[0].startswith('Not shown: Row "row 0", column "Image path"')
    page_text(scorer.view_html)


def test_neither_truth_nor_prediction_is_taken_for_the_picture(scorer, tables, area):
    """The picture of the view is guessed: what is compared, or came from a model, is none."""
    truth = discs(n=2)[1]
    photo = np.full(truth.shape, 7, np.uint16)
    write_tiff(area / "a.tif", photo)
    more = {"Objects (B)": [2], "Confidence (B)": [0.9], "Model (B)": ["M"]}
    table = tables.of(
        Cells=[truth], A=[truth], B=[truth], **more, Predicted_path=["gone.tif"], File=["a.tif"]
    )
    scorer.set("truth_column", "Cells")
    scorer.set("prediction_columns", ["A"])
    scorer.execute([table], data_area=area)
    with_guess = scorer.view_html
    scorer.set("image_column", "File")
    scorer.execute([table], data_area=area)
    pictures = [re.findall(r"data:image/[^\"]+", html) for html in (with_guess, scorer.view_html)]
    assert pictures[0] == pictures[1]
    assert scorer.warnings == []


def test_no_picture_is_read_where_none_is_wished_for(scorer, tables, area):
    truth = discs(n=2)[1]
    table = tables.of(Image_path=["gone.png"], Label=[truth], Prediction=[truth])
    scorer.set("image_column", "<none>")
    _, summary = scorer.execute([table], data_area=area)
    assert cells(summary, "Images") == [1]
    assert scorer.warnings == []


def test_threshold_and_border_are_obeyed(scorer, tables):
    truth = np.zeros((40, 40), np.int32)
    truth[10:20, 10:20] = 1
    truth[0:3, 0:3] = 2
    half = np.zeros_like(truth)
    half[10:20, 10:16] = 1
    table = tables.of(Label=[truth], New=[half])
    _, summary = scorer.execute([table])
    assert (cells(summary, "Found"), cells(summary, "Missed")) == ([1], [1])
    scorer.set("threshold", 0.7)
    scorer.set("border_px", 4)
    _, summary = scorer.execute([table])
    assert (cells(summary, "Found"), cells(summary, "Missed")) == ([0], [1])
    text = page_text(scorer.view_html)
    assert "Objects count as found from an IoU of 0.7 on." in text
    assert "Objects entirely within 4 px of the image's edge are not scored." in text


def test_row_ids_stay_unique_whatever_the_names(scorer, tables):
    truth = discs(n=2)[1]
    table = tables.of(["x", "x_A"], Label=[truth] * 2, A_B=[truth] * 2, B=[truth] * 2)
    names = {"A B": "A_B"}
    table = renamed(tables, table, names)
    scorer.set("prediction_columns", ["A_B", "B"])
    rows, _ = scorer.execute([table])
    assert row_ids(rows) == [f"Row{i}" for i in range(4)]


def renamed(tables, table, names):
    from microshot.headless import standin

    data = table.to_pyarrow()
    return standin.table_from_pyarrow(
        tables.host, data.rename_columns([names.get(n, n) for n in data.column_names])
    )


def test_progress_counts_images_and_cancel_stops(scorer, tables):
    truth = discs(n=2)[1]
    table = tables.of(Label=[truth] * 4, New=[truth] * 4)
    scorer.execute([table])
    told = [m for _, m in scorer.progress]
    assert told == [f"image {i} of 4" for i in range(1, 5)] + ["making the view"] * 4
    with pytest.raises(NodeFailure, match="Canceled"):
        scorer.execute([table], is_cancelled=lambda: len(scorer.progress) > 1)


@pytest.mark.parametrize(
    ("module", "name", "scores", "one"),
    [
        ("score_counts", "Counts", CountScores(), (4.0, 3.2, 1.0, 6.0)),
        ("score_objects", "Objects", ObjectScores(), (np.eye(8, dtype=np.int32),) * 2),
        ("score_stains", "Stains", StainScores(), (np.eye(16), np.eye(16) + 1)),
    ],
)
def test_every_score_has_its_column_and_is_explained_in_reports(host, module, name, scores, one):
    """A column that is not declared would be left out, a score that reports do not know has no meaning."""
    kind = getattr(importlib.import_module(f"microshot.nodes.{module}"), name)
    of_one, of_all = scores.add("a", *one), scores.summary()
    assert set(of_one) == set(kind.PER_IMAGE) - NO_SCORES
    assert set(of_all) == set(kind.SUMMARY) - NO_SCORES
    assert set(wording.by_key(of_one | of_all)) <= set(wording.SCORES)
