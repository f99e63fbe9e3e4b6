"""Views call images by their files; tables keep the RowIDs to join by."""

from __future__ import annotations

import pytest
from node_tables import cells

from tiny_images import discs, page_text

FILES = ["first.tif", "second.tif", "third.tif"]


@pytest.fixture
def named(tables):
    """Return a function that makes a table of images with label images and names of files."""

    def made(files):
        pairs = [discs(n=2 + i, seed=i) for i in range(len(files))]
        images, labels = zip(*pairs, strict=True)
        return tables.of(Image=images, Truth=labels, Labels=labels, File=files)

    return made


def shown(view: str, files: list[str]) -> list[bool]:
    text = page_text(view)
    return [name in text for name in (*files, "row 0")]


@pytest.mark.parametrize("name", ["predict", "suggest"])
def test_a_model_s_views_call_images_by_their_files(host, model, named, name) -> None:
    node = host.node(name)
    node.set("device", "CPU")
    node.execute([model, named(FILES)])
    assert shown(node.view_html, FILES) == [True, True, True, False]


def test_scores_call_images_by_their_files_in_the_view_alone(host, named) -> None:
    node = host.node("score")
    node.set("truth_column", "Truth")
    node.set("prediction_columns", ["Labels"])
    per_image, _ = node.execute([named(FILES)])
    assert shown(node.view_html, FILES) == [True, True, True, False]
    assert cells(per_image, "Image") == ["row 0", "row 1", "row 2"]


@pytest.mark.parametrize("files", [["a.tif", "a.tif"], ["a.tif", None], ["a.tif", " "]])
def test_rowids_stay_where_files_do_not_tell_all_images_apart(host, named, files) -> None:
    node = host.node("score")
    node.set("truth_column", "Truth")
    node.set("prediction_columns", ["Labels"])
    node.execute([named(files)])
    assert shown(node.view_html, ["a.tif"]) == [False, True]
