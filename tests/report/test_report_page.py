"""Pages: escaped, self-contained, complete, cheap to import."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_markup import read, text_of

from microshot.report import page as pg
from microshot.report.style import STYLE

NASTY = "<b>&\"'</b><script>alert(1)</script>"
texts = st.one_of(st.just(NASTY), st.text(st.characters(exclude_categories=["Cs", "Cc"])))


@settings(max_examples=40, deadline=None)
@given(texts, texts, st.lists(texts, max_size=3))
def test_every_text_is_escaped(title, other, cells) -> None:
    html = pg.page(
        title,
        [
            other,
            pg.callout(other, "good"),
            pg.section(title, other, pg.facts([(title, other)])),
            pg.table({"name": title}, [{"name": cell} for cell in cells], caption=other),
            pg.folded(title, other),
            pg.figure("data:image/png;base64,AA==", other, title),
        ],
        subtitle=other,
        footer=other,
    )
    reader = read(html)
    known = {tag for tag, _ in reader.tags}
    assert "b" not in known
    assert [t for t, _ in reader.tags].count("script") == 1
    if title.strip():
        assert title in "".join(reader.texts)


def test_an_empty_page_is_a_page() -> None:
    read(pg.page("", []))


def test_a_table_writes_values_by_their_type() -> None:
    rows = [
        {"name": "a", "f1": 0.861, "n": 1204, "ok": True, "note": "x"},
        {"name": "b", "f1": None, "n": None, "ok": False},
    ]
    html = pg.table(["name", "f1", "n", "ok", "note"], rows, formats={"f1": "{:.2f}".format})
    reader = read(pg.page("t", [html], footer=""))
    texts = [t for t in reader.texts if t.strip()][2:]
    assert texts[5:10] == ["a", "0.86", "1\u202f204", "yes", "x"]
    assert texts[10:] == ["b", "–", "–", "no", "–"]
    headings = [a for t, a in reader.tags if t == "th" and a["scope"] == "col"]
    assert [a.get("class") for a in headings] == [None, "n", "n", None, None]


def test_numbers_stand_under_each_other_where_some_are_missing() -> None:
    html = pg.table(["name", "change", "text"], [
        {"name": "a", "change": "– → –", "text": "–"}, {"name": "b", "change": "1.00 → –", "text": "far"},
    ])  # fmt: skip
    assert html.count('<td class="n">') == 2
    assert '<td class="n">– → –</td>' in html


def test_a_table_without_rows_says_so() -> None:
    assert "No images." in pg.table(["a"], [])
    assert "Nothing." in pg.table(["a"], [], empty="Nothing.")


def test_a_long_table_is_cut_and_counted() -> None:
    html = pg.table(["a"], [{"a": i} for i in range(20)], most=5)
    assert html.count("<tr>") == 6
    assert "15 more rows not shown." in html


def test_facts_leave_out_what_is_not_known() -> None:
    html = pg.facts([("one", None), ("two", ""), ("three", 0)])
    assert html.count("<dt>") == 1
    assert pg.facts([]) == ""


def test_a_section_without_content_is_left_out() -> None:
    assert pg.section("Heading", "", pg.Markup("")) == ""


def test_a_figure_that_points_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match="SVG element or a data: address, found 'https"):
        pg.figure("https://example.org/a.png")


def test_rules_for_narrow_screens_do_not_hold_on_paper() -> None:
    """A printed page is 688 px wide; there, four pictures have room beside each other."""
    rules = re.findall(r"@media [^{]*max-width[^{]*", STYLE)
    assert rules
    assert all(rule.startswith("@media screen and ") for rule in rules)


def test_chapters_have_contents_and_one_level_more() -> None:
    html = pg.page("t", pg.chapters([("A & B", [pg.section("Inner", "text")]), ("C", ["x"])]))
    reader = read(html)
    levels = [t for t, _ in reader.tags if t in ("h1", "h2", "h3")]
    assert levels == ["h1", "h2", "h3", "h2"]
    assert text_of(html).count("A & B") == 2


def test_importing_the_package_needs_neither_matplotlib_nor_torch() -> None:
    code = (
        "import sys; from microshot.report import image_views, model_views, result_views, score_views;"
        "from microshot.report import stain_views, suggestion_views, training_views;"
        "heavy = {'matplotlib', 'torch', 'skimage', 'PIL', 'scipy', 'pandas', 'stardist'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_long_names_break_at_their_joints_and_stay_the_same_text() -> None:
    name = "plate_0001/well_A01-field_07_DAPI_<max>.tif"
    html = pg.page("t", [pg.table(["name"], [{"name": name}])])
    assert "plate_<wbr/>0001/<wbr/>well_<wbr/>A01-<wbr/>field" in html
    assert name in "".join(read(html).texts)


def test_long_headings_break_at_their_joints_too() -> None:
    html = pg.table(
        {"name": "Image", "n": "F1, StarDist 2D_versatile_fluo"}, [{"name": "a", "n": 1}]
    )
    assert "F1, StarDist 2D_<wbr/>versatile_<wbr/>fluo" in html


def test_pictures_of_one_image_that_need_several_lines_stay_of_one_size() -> None:
    """In a flexible row those of the last line would grow to fill it; in a grid they do not."""
    rule = STYLE.index(".row:has(> :nth-child(5)) { display: grid;")
    assert rule > STYLE.index(".row { display: flex;")
    assert rule < STYLE.index(".tile.large .row { display: flex; }")
