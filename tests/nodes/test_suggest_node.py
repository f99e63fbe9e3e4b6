"""Suggest Images to Label: the table in a new order, its reasons, its view."""

from __future__ import annotations

import numpy as np
import pytest
from node_tables import arrays, card_of, cells, row_ids, spec_of

from microshot.headless.standin import NodeFailure
from tiny_images import discs, page_text

NEW = ["Rank", "Expected benefit", "Doubt", "Reason", "Model", "Device", "Seconds"]


@pytest.fixture
def suggester(host):
    node = host.node("suggest")
    node.set("device", "CPU")
    return node


def test_all_images_come_back_in_the_order_of_their_ranks(suggester, model, tables):
    made = [discs(n=1 + i % 4, seed=i) for i in range(5)]
    table = tables.of(
        ["b", "a", "Ä 1", "x/y", "z"], Image=[m[0] for m in made],
        Note=["1", None, "3", "4", "5"], N=[1.5, 2.0, None, 4.0, 5.0],
    )  # fmt: skip
    (announced,) = suggester.configure([model.spec, table.spec])
    (found,) = suggester.execute([model, table])
    assert announced.columns == found.spec.columns
    assert found.column_names == ["Image", "Note", "N", *NEW]
    assert cells(found, "Rank") == [1, 2, 3, 4, 5]
    assert sorted(row_ids(found)) == sorted(["b", "a", "Ä 1", "x/y", "z"])
    assert cells(found, "Expected benefit")[0] == pytest.approx(1)
    notes = dict(zip(["b", "a", "Ä 1", "x/y", "z"], ["1", None, "3", "4", "5"], strict=True))
    images = dict(zip(["b", "a", "Ä 1", "x/y", "z"], [m[0] for m in made], strict=True))
    for i, name in enumerate(row_ids(found)):
        assert cells(found, "Note")[i] == notes[name]
        np.testing.assert_array_equal(arrays(found, "Image")[i], images[name])
    assert all(0 <= d <= 1 for d in cells(found, "Doubt"))
    text = page_text(suggester.view_html)
    assert "Label these first" in text
    assert cells(found, "Reason")[0] in text
    told = [message for _, message in suggester.progress]
    assert [f"making the view, image {i} of 5" in told for i in range(1, 6)] == [True] * 5
    card = card_of(model)
    assert set(cells(found, "Model")) == {f"{card['name']} ({card['id']})"}
    assert all(line.startswith("CPU") for line in cells(found, "Device"))
    assert all(seconds >= 0 for seconds in cells(found, "Seconds"))
    assert "Where these results come from" in text


def test_only_as_many_as_wanted_and_missing_images_are_left_out(suggester, model, tables):
    made = [discs(n=2, seed=i)[0] for i in range(4)]
    suggester.set("n", 2)
    (found,) = suggester.execute([model, tables.of(Image=[None, *made])])
    assert found.num_rows == 2
    assert "row 0" not in row_ids(found)
    assert suggester.warnings == ["1 row was skipped because the image is missing."]


def test_a_table_without_images_gives_an_empty_one(suggester, model, tables):
    (found,) = suggester.execute([model, tables.of(Image=[None, None])])
    assert (found.num_rows, found.column_names) == (0, ["Image", *NEW])
    assert "no image to choose from" in page_text(suggester.view_html)


def test_columns_of_the_same_names_are_kept(suggester, model, tables):
    table = tables.of(Image=[discs()[0]], Rank=[7.0])
    (found,) = suggester.execute([model, table])
    assert cells(found, "Rank") == [7.0]
    assert cells(found, "Rank (#1)") == [1]


def test_cells_keep_their_values_beside_missing_ones(suggester, model, tables):
    ids = ["a", "b", "c", "d", "e"]
    large = [2**60 + 1, None, 2**60 + 3, None, 5]
    decimal = [1.5, None, float("nan"), 2.5, None]
    made = [discs(n=1 + i % 4, seed=i)[0] for i in range(5)]
    table = tables.of(ids, Image=made, Barcode=large, Area=decimal)
    (found,) = suggester.execute([model, table])
    cells_ = found.to_pyarrow()
    order = [ids.index(name) for name in cells_.column(0).to_pylist()]
    assert cells_["Barcode"].to_pylist() == [large[i] for i in order]
    given = table.to_pyarrow()["Area"].to_pylist()
    assert str(cells_["Area"].to_pylist()) == str([given[i] for i in order])


def test_a_table_without_image_column_is_refused(suggester, model):
    with pytest.raises(NodeFailure, match="has no image column"):
        suggester.configure([model.spec, spec_of(N="number")])


def test_an_image_with_other_channels_than_the_models_stops_or_is_left_out(
    suggester, model, tables
):
    grey = [discs(n=1 + i, seed=i)[0] for i in range(2)]
    colour = np.stack([grey[0] // 256, grey[0] // 512, grey[0] // 1024], axis=-1).astype(np.uint8)
    table = tables.of(Image=[grey[0], colour, grey[1]])
    with pytest.raises(NodeFailure, match="row 1: expected 1 channel"):
        suggester.execute([model, table])
    suggester.set("unreadable", "SKIP")
    (found,) = suggester.execute([model, table])
    assert sorted(row_ids(found)) == ["row 0", "row 2"]
    assert "1 row was skipped" in suggester.warnings[0]
