"""Tables that people, spreadsheets and other programs wrote."""

from __future__ import annotations

import math

import pytest

from microshot.data.text_tables import number_in, records

LINES = [(2, {"file": "Zähler.tif", "time": "0,5"}), (4, {"file": "b.tif", "time": ""})]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_records_are_the_same_whatever_program_wrote_the_table(tmp_path, encoding, separator):
    path = tmp_path / "t.csv"
    text = "File;TIME\nZähler.tif;0,5\n\nb.tif;\n".replace(";", separator)
    path.write_bytes(text.encode(encoding))
    assert records(path) == LINES


def test_a_cell_over_several_lines_is_not_joined(tmp_path):
    (tmp_path / "t.csv").write_text('file,time\na.tif,"1\n2"\nb.tif,3\n', newline="")
    assert records(tmp_path / "t.csv") == [
        (3, {"file": "a.tif", "time": "1\n2"}), (4, {"file": "b.tif", "time": "3"}),
    ]  # fmt: skip


def test_a_table_without_lines_has_no_records(tmp_path):
    (tmp_path / "t.csv").write_text("file,time\n")
    assert records(tmp_path / "t.csv") == []
    (tmp_path / "t.csv").write_text("")
    assert records(tmp_path / "t.csv") == []


def test_numbers_have_a_decimal_point_or_comma():
    assert [number_in(text) for text in ("12", "0.5", "0,5", "-1,25")] == [12, 0.5, 0.5, -1.25]
    assert all(math.isnan(number_in(text)) for text in ("", "noon", "1,000,000", "1,000.5", "3_4"))
