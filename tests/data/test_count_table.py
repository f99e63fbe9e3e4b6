"""Tables of counts as people write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from microshot.data.count_table import overlooked, read_counts

if TYPE_CHECKING:
    from pathlib import Path


def table(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "counts ä.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_separators_line_ends_and_encodings(tmp_path, separator, end, encoding) -> None:
    rows = [["File name", "Count", "who"], ["Größe 1.png", "12", "A"], ["b.tif", "0", ""], []]
    text = end.join(separator.join(row) for row in rows)
    assert read_counts(table(tmp_path, text, encoding)) == {"Größe 1": 12, "b": 0}


def test_decimal_comma_and_point_are_the_same_count(tmp_path: Path) -> None:
    assert read_counts(table(tmp_path, "file;n\na.png;12,0\nb.png;12.0\n")) == {"a": 12, "b": 12}


def test_the_separator_line_of_excel_is_understood(tmp_path: Path) -> None:
    assert read_counts(table(tmp_path, "sep=;\nfile;n\na.png;3\n")) == {"a": 3}


@pytest.mark.parametrize("text", ["", "?", "NA", "n/a", "NaN", "-"])
def test_open_counts_are_none_and_zero_is_a_count(tmp_path: Path, text: str) -> None:
    counts = read_counts(table(tmp_path, f"image,cells\na.png,{text}\nb.png,0\n"))
    assert counts == {"a": None, "b": 0}


def test_a_line_that_ends_before_the_count_leaves_it_open(tmp_path: Path) -> None:
    assert read_counts(table(tmp_path, "file,who,count\na.png,B\nb.png\nc.png,B,4\n")) == {
        "a": None, "b": None, "c": 4,
    }  # fmt: skip


@pytest.mark.parametrize("first", ["", " ,"])
def test_the_summary_of_fiji_is_a_table_of_counts(tmp_path: Path, first: str) -> None:
    number = "1," if first else ""
    text = f"{first}Slice,Count,Total Area,Average Size,%Area,Mean\n"
    text += f"{number}a.tif,12,345,28.75,8.4,255\n{number}b.tif,0,0,NaN,0,NaN\n"
    assert read_counts(table(tmp_path, text)) == {"a": 12, "b": 0}


def test_a_table_of_objects_is_told_what_a_table_of_counts_is(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"one line per image, as in the table Summary of Fiji\.$"):
        read_counts(table(tmp_path, " ,Area,Mean,Min,Max\n1,20,255,255,255\n"))


def test_windows_paths_are_understood(tmp_path: Path) -> None:
    text = 'path,count\nday 1\\a.png,3\n"C:\\data\\b,c.tif",4\n'
    assert read_counts(table(tmp_path, text)) == {"a": 3, "b,c": 4}


@pytest.mark.parametrize(
    "header",
    [
        "file,count",
        "Image,Cells",
        "filename,n_cells",
        "Image Name,Cell count",
        "n,name",
        "Datei,Anzahl",
    ],
)
def test_columns_are_found_by_name(tmp_path: Path, header: str) -> None:
    row = "5,a.png" if header == "n,name" else "a.png,5"
    assert read_counts(table(tmp_path, f"{header}\n{row}\n")) == {"a": 5}


def test_the_best_name_wins(tmp_path: Path) -> None:
    text = "n_cells,count,id,file\n1,2,3,a.png\n"
    assert read_counts(table(tmp_path, text)) == {"a": 2}


@pytest.mark.parametrize("wrong", ["-1", "2.5", '"2,5"', "many", "inf", "1e99"])
def test_wrong_counts_name_file_line_and_column(tmp_path: Path, wrong: str) -> None:
    path = table(tmp_path, f"file,count\na.png,1\n\nb.png,{wrong}\n")
    found = wrong.strip('"')
    said = f'counts ä.csv", line 4, column "count": expected a whole number.*found "{found}"'
    with pytest.raises(ValueError, match=said):
        read_counts(path)


@pytest.mark.parametrize("text", ["1,000", "1.000", "12,345", "+999.000"])
def test_counts_with_a_separator_of_thousands_are_never_taken_for_small_ones(
    tmp_path, text
) -> None:
    path = table(tmp_path, f'file,count\na.png,"{text}"\n')
    with pytest.raises(ValueError, match=r'line 2, column "count".*write the number without it\.'):
        read_counts(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the table is empty"),
        ("a.png,12\nb.png,3\n", "line 1: expected a column with the file name"),
        ("file,comment\na.png,x\n", "line 1: expected a column with the count"),
        ("file,count\n,3\n", 'line 2, column "file": expected a file name'),
        ("file,count\na.png,3,4\n", "line 2: expected 2 columns as in the first line, found 3"),
        ("file,count\na.png,3\na.tif,4\n", '"a" has the count 4 here and 3 in line 2'),
        ("file,count\nA.png,3\na.tif,4\n", '"A" has the count 4 here and 3 in line 2'),
        ("file,count\na.png,3\na.tif,\n", '"a" has the count nothing here and 3 in line 2'),
        ("file,count\na.png,1_2\n", 'found "1_2"'),
        ("file,count\0\na.png,3\n", "found other data"),
    ],
)
def test_what_is_no_table_of_counts_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_counts(table(tmp_path, text))


def test_the_same_count_twice_is_fine(tmp_path: Path) -> None:
    assert read_counts(table(tmp_path, "file,count\na.png,3\na.png,3\n")) == {"a": 3}


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such table of counts"):
        read_counts(tmp_path / "counts.csv")


def test_a_line_that_is_no_csv_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'counts ä\.csv", line 2: the line cannot be read'):
        read_counts(table(tmp_path, "file,count\n" + "a" * 200_000 + ",1\n"))


def test_a_table_of_counts_under_another_name_is_told_where_none_is_read(tmp_path: Path) -> None:
    images = [tmp_path / "a.png", tmp_path / "b.png"]
    assert overlooked(images, tmp_path) == overlooked(images, tmp_path / "missing") == ""
    (tmp_path / "points.csv").write_text("y,x\n1,2\n")
    (tmp_path / "others.csv").write_text("file,count\nc.png,3\n")
    (tmp_path / "broken.csv").write_bytes(b"\0\1")
    assert overlooked(images, tmp_path) == ""
    (tmp_path / "Zellen.txt").write_text("Bild;Anzahl\nA.png;3\n")
    said = overlooked(images, tmp_path)
    assert said.startswith("Zellen.txt seems to hold counts of these images and is not read")
    (tmp_path / "counts.csv").write_text("file,count\nb.png,3\n")
    assert overlooked(images, tmp_path) == ""
