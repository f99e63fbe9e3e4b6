"""Which column names the model of a prediction that is scored."""

from __future__ import annotations

import pytest
from node_tables import cells, spec_of

from microshot.headless.standin import NodeFailure

SEGMENTED = {"Labels": "png", "Objects": "number", "Confidence": "number",
             "Unlike_training": "number", "Warning": "text", "Model": "text"}  # fmt: skip
COUNTED = {"Count": "number", "Count_(not_rounded)": "number", "Count_from": "number",
           "Count_to": "number", "Confidence": "number", "Unlike_training": "number",
           "Warning": "text", "Model": "text"}  # fmt: skip
STAINED = {"DAPI_(predicted)": "png", "GFP_(predicted)": "png", "Mask_(predicted)": "png",
           "Confidence_map_(predicted)": "png", "Unlike_training": "number", "Warning": "text",
           "Model": "text"}  # fmt: skip


def found(columns, prediction, ending=""):
    from microshot.nodes.columns import model_column

    return model_column(spec_of(**columns).schema, prediction, ending)


@pytest.mark.parametrize("number", ["", "_(#1)"])
@pytest.mark.parametrize(
    ("columns", "prediction", "ending"),
    [
        (SEGMENTED, "Labels{}", ""),
        (COUNTED, "Count{}", ""),
        (COUNTED, "Count{} (not rounded)", ""),
        (STAINED, "DAPI (predicted){}", "(predicted)"),
    ],
)
def test_the_model_stands_behind_its_result(host, columns, prediction, ending, number):
    named = {
        name.replace("Count", f"Count{number}") if name.startswith("Count") else name + number: kind
        for name, kind in columns.items()
    }
    number = number.replace("_", " ")
    wanted = prediction.format(number)
    assert found({"Image": "png", **named}, wanted, ending) == f"Model{number}"


def test_the_model_of_another_result_is_not_taken(host):
    second = {f"{name}_(New)": kind for name, kind in SEGMENTED.items()}
    columns = {"Mine": "png", **SEGMENTED, **second}
    assert found(columns, "Mine") is None
    assert found(columns, "Labels") == "Model"
    assert found(columns, "Labels (New)") == "Model (New)"
    assert found({"Labels": "png", "Model": "number"}, "Labels") is None
    assert found({"Labels": "png"}, "Labels") is None


READ = {"Image": "text", "Label": "text", "Count": "number", "File": "text"}


@pytest.mark.parametrize("ending", ["", "_(New)"])
def test_labels_that_predict_made_are_no_truth(host, ending):
    made = {name + ending: kind for name, kind in SEGMENTED.items()}
    predicted = "Labels" + ending.replace("_", " ")
    table = spec_of(**READ, **made)
    node = host.node("score")
    node.configure([table])
    assert node.settings["truth_column"] == "Label"
    assert node.settings["prediction_columns"] == [predicted]
    node = host.node("train")
    node.configure([table, None])
    assert node.settings["label_column"] == "Label"
    with pytest.raises(NodeFailure, match="no label column"):
        host.node("train").configure([spec_of(Image="png", **made), None])
    node = host.node("write_labels")
    node.configure([table])
    assert node.settings["label_column"] == predicted


def test_every_row_has_the_model_that_made_it(host, tables):
    table = tables.of(
        ["a", "b", "c"], Truth=[1.0, 2.0, 3.0], Count=[1.0, 2.0, 4.0], Count_from=[0.0, 1.0, 2.0],
        Model=["x (1)", "y (2), retrained from x (1)", None],
    )  # fmt: skip
    node = host.node("score")
    node.set("truth_column", "Truth")
    node.set("prediction_columns", ["Count"])
    rows, summary = node.execute([table])
    assert cells(rows, "Model") == ["x (1)", "y (2), retrained from x (1)", None]
    assert cells(summary, "Model") == ["x (1); y (2), retrained from x (1)"]
    assert "Retrained from" in node.view_html
