"""Which columns are guessed to hold what, by their names and types."""

from __future__ import annotations

from typing import Any

import pytest
from node_tables import spec_of


@pytest.fixture
def columns(host) -> Any:
    from microshot.nodes import columns

    return columns


def schema(**kinds: str) -> Any:
    return spec_of(**kinds).schema


@pytest.mark.parametrize(
    ("kinds", "image"),
    [
        ({"Number": "number", "Image": "png"}, "Image"),
        ({"Mask": "png", "Prediction": "png", "Overlay": "png", "Field": "png"}, "Field"),
        ({"Image_path": "text", "Field": "png"}, "Field"),
        ({"File_name": "text", "Image_path": "text"}, "Image path"),
        ({"Comment": "text", "File": "path"}, "File"),
        ({"Comment": "text", "Label_path": "text", "Mask": "png"}, None),
    ],
)
def test_images_are_pngs_before_paths_and_no_labels_or_results(columns, kinds, image) -> None:
    assert columns.guess_image(schema(**kinds)) == image


def test_a_column_that_is_taken_or_does_not_fit_holds_no_image(columns) -> None:
    table = schema(First="png", Second="png", Path="text")
    assert columns.guess_image(table, ["First"]) == "Second"
    assert columns.guess_image(table, fits=columns.is_text) == "Path"
    assert columns.guess_image(table, ["First", "Second"]) == "Path"


def test_planes_of_a_stack_differ_in_the_number_at_the_end_only(columns) -> None:
    table = schema(Z1="png", DAPI="png", Y2="png", Z2="png", Z10="png", Z3="text", Z4_b="png")
    assert columns.guess_planes(table, "Z2") == ["Z1", "Z10"]
    assert columns.guess_planes(table, "DAPI") == []
    assert columns.guess_planes(table, None) == []


def test_stains_are_known_by_their_names_and_pngs_go_before_paths(columns) -> None:
    table = schema(DAPI="png", Nuclei_mask="png", GFP="png", Lipid_path="text", GFP_predicted="png")
    assert columns.guess_targets(table, ["DAPI", None]) == ["GFP"]
    assert columns.guess_targets(table, ["DAPI", "GFP"]) == ["Lipid path"]
    assert columns.guess_targets(schema(Image="png"), []) == []


def test_labels_are_pngs_before_paths_and_no_results(columns) -> None:
    table = schema(Label_path="text", Predicted_mask="png", Ground_truth="png", Masks="number")
    assert columns.guess_label(table, "Image") == "Ground truth"
    assert columns.guess_label(table, "Ground truth") == "Label path"
    assert columns.guess_label(table, None, columns.is_text) == "Label path"
    assert columns.guess_label(schema(Image="png"), None) is None


def test_label_images_with_the_number_of_objects_and_the_model_behind_them_are_results(
    columns,
) -> None:
    made = schema(Image="png", Mask="png", Objects="number", Warning="text", Model="text")
    assert columns.predicted_labels(made) == ["Mask"]
    assert columns.guess_label(made, "Image") is None
    other = schema(Mask="png", Objects="number", Model="number")
    assert columns.predicted_labels(other) == []
    counted = schema(Image="png", Mask="png", Objects="number", Comment="text", Model="text")
    assert columns.predicted_labels(counted) == []
    assert columns.guess_label(counted, "Image") == "Mask"


def test_whole_numbers_of_any_length_and_others_are_numbers(columns) -> None:
    import knime.extension as knext

    types = [knext.int32(), knext.int64(), knext.double(), knext.string(), knext.bool_()]
    found = [columns.is_number(knext.Column(kind, "n")) for kind in types]
    assert found == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("kinds", "count"),
    [
        ({"Area": "number", "Cell_count": "number"}, "Cell count"),
        ({"n_cells2": "number"}, "n cells2"),
        ({"Discount": "number", "Country": "number"}, None),
        ({"Predicted_count": "number", "Count": "text"}, None),
        ({"Count": "number", "Count_(not_rounded)": "number", "Count_from": "number",
          "Count_to": "number", "Nuclei": "number"}, "Nuclei"),
    ],
)  # fmt: skip
def test_counts_are_numbers_called_so_by_a_whole_word_and_no_results(columns, kinds, count) -> None:
    assert columns.guess_count(schema(**kinds)) == count


def test_names_of_files_are_texts_called_so(columns) -> None:
    table = schema(Image="text", Profile="text", File_name="text", File="text")
    assert columns.guess_file_name(table, ["Image"]) == "File name"
    assert columns.guess_file_name(table, ["File name"]) == "File"
    assert columns.guess_file_name(schema(File="number", Profile="text"), []) is None


@pytest.mark.parametrize(
    ("kinds", "prediction"),
    [
        ({"Cells": "png", "Nuclei": "png"}, "Nuclei"),
        ({"Result_mask": "text", "Image": "png", "Comment": "text"}, "Result mask"),
        ({"Predicted_image": "png", "Image_2": "png"}, "Predicted image"),
        ({"Image": "png", "Comment": "text", "Objects": "number"}, None),
    ],
)
def test_the_last_column_that_may_be_one_is_the_prediction(columns, kinds, prediction) -> None:
    assert columns.guess_prediction(schema(**kinds), ["Truth"]) == prediction
    assert columns.guess_prediction(schema(**kinds), list(schema(**kinds).column_names)) is None


def test_a_column_that_is_missing_or_of_another_type_is_refused_with_those_that_fit(columns):
    from knime.extension import InvalidParametersError

    table = schema(Image="png", Path="text", Count="number")
    columns.require(table, "Path", "image", columns.is_image)
    for name, fits, told in (
        ("Field", columns.is_image, 'image column "Field" is not in .* choose one of Image, Path'),
        ("Count", columns.is_png, '"Count" cannot be the image .* its type; choose one of Image'),
        ("Image", lambda _: False, "its type; the table has none that would fit"),
    ):
        with pytest.raises(InvalidParametersError, match=told):
            columns.require(table, name, "image", fits)


def test_names_that_are_taken_get_a_number(columns) -> None:
    assert columns.unique("Count", ["Counts"]) == "Count"
    assert columns.unique("Count", ["Count", "Count (#1)", "Count (#3)"]) == "Count (#2)"
    taken: set[str] = set()
    made = [columns.unique_file(name, taken) for name in ("Well A1", "well a1", "WELL A1")]
    assert made == ["Well A1", "well a1 (#1)", "WELL A1 (#2)"]


def test_nothing_and_none_are_no_columns_but_none_alone_is_a_choice(columns) -> None:
    assert [columns.chosen(name) for name in (None, "", "<none>", "A")] == [None, None, None, "A"]
    assert [columns.declined(name) for name in (None, "", "<none>")] == [False, False, True]
