from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from microshot.headless.cell_text import THUMBNAIL_PX, cell_text, is_image, rows_of, thumbnail
from microshot.headless.result_page import (
    NodePart,
    Picture,
    TablePart,
    overview_page,
    table_page,
)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, ""),
        (float("nan"), ""),
        (np.float64("nan"), ""),
        (pd.NA, ""),
        (pd.NaT, ""),
        (0, "0"),
        (0.1, "0.1"),
        (np.int64(7), "7"),
        (np.float32(0.5), "0.5"),
        (True, "True"),
        ("µ\n,", "µ\n,"),
        (b"abc", "3 bytes"),
        ([1.5, None], "[1.5, null]"),
        (np.array([1, 2]), "[1, 2]"),
        ({"b", "a"}, '["a", "b"]'),
        ([b"ab"], '["2 bytes"]'),
        (SimpleNamespace(fs_category="LOCAL", path="/a.tif"), "/a.tif"),
        (Image.new("L", (5, 3)), "image 5 x 3 px"),
    ],
)
def test_cells_become_text(cell, text):
    assert cell_text(cell) == text


def test_only_pictures_are_images():
    assert is_image(Image.new("L", (1, 1)))
    assert not is_image("image")


def test_rows_come_with_their_names_and_cells():
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=["r1", "r2"])
    assert list(rows_of(frame, 1)) == [("r1", [1, "x"])]
    assert [name for name, _ in rows_of(frame)] == ["r1", "r2"]


def pixels_of(address: str) -> np.ndarray:
    head, _, data = address.partition(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        return np.asarray(image)


def test_small_pictures_are_small_and_keep_the_shape():
    small = pixels_of(thumbnail(Image.new("RGB", (400, 200), (255, 0, 0))))
    assert small.shape == (THUMBNAIL_PX // 2, THUMBNAIL_PX, 3)
    assert (small == (255, 0, 0)).all()


def test_grey_values_are_stretched_so_that_labels_can_be_seen():
    labels = Image.fromarray(np.array([[0, 1], [2, 4]], dtype=np.uint16))
    assert pixels_of(thumbnail(labels)).tolist() == [[0, 63], [127, 255]]
    flat = Image.fromarray(np.full((2, 2), 700, dtype=np.uint16))
    assert (pixels_of(thumbnail(flat)) == 0).all()


class Checked(HTMLParser):
    """Notes the text and whether every element is closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1)


@given(name=TEXT, cell=TEXT, error=TEXT)
def test_any_text_is_shown_as_it_is(name, cell, error):
    table = TablePart(name, ("RowID", name), ((cell, cell),), 3)
    part = NodePart(name, "failed", 100, (error,), error, (f"a/{name}.csv",), (table,))
    page = Checked(overview_page(name, error, (part,), 2))
    assert page.open == []
    for text in (name, cell, error):
        assert text in page.text
    assert "0 of 2 nodes executed in 1.7 min." in page.text
    assert "1 of 3 rows shown." in page.text


def test_pictures_link_to_their_files():
    rows = ((Picture("data:x", "small", "a b/1.png"), Picture("data:y", "tiny")),)
    page = table_page(TablePart("T", ("A", "B"), rows, 1))
    assert '<a href="a%20b/1.png"><img src="data:x" alt="small"' in page
    assert '<td><img src="data:y" alt="tiny"' in page
    assert Checked(page).open == []
    assert "1 row." in page


def test_wide_tables_are_printed_across_the_page():
    printed = table_page(TablePart("t", (), (), 0)).partition("@media print")[2]
    assert "size: A4 landscape" in printed
    assert "th.n { white-space: normal; } .long { min-width: 0; }" in printed


def test_pages_need_nothing_from_elsewhere():
    page = overview_page(
        "W", "", (NodePart("N", "executed", 0.01), NodePart("M", "executed", 12)), 2
    )
    assert "http" not in page.replace("http-equiv", "")
    assert "&lt; 0.1 s" in page
    assert "12 s" in page
