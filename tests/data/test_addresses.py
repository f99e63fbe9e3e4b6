"""A path in a workflow means the same file on every machine."""

from __future__ import annotations

import os

import pytest

from microshot.data.addresses import resolve


@pytest.mark.skipif(os.sep != "/", reason="a backslash separates folders there")
def test_a_backslash_in_the_name_of_an_existing_folder_stays_one(tmp_path) -> None:
    (tmp_path / "a\\b").mkdir()
    assert resolve("a\\b", tmp_path) == tmp_path / "a\\b"
    assert resolve("a\\c", tmp_path) == tmp_path / "a" / "c"
    assert resolve("C:\\a", tmp_path).name == "C:\\a"


def test_only_addresses_of_the_workflows_data_area_lie_in_it(tmp_path) -> None:
    area = "knime://knime.workflow/data"
    assert resolve(area, tmp_path) == resolve(f"{area}/", tmp_path) == tmp_path
    assert resolve(f"{area}/set/x", tmp_path) == tmp_path / "set" / "x"
    for other in (f"{area}set/x", "knime://LOCAL/data/x"):
        with pytest.raises(ValueError, match="expected a path, or an address that begins with"):
            resolve(other, tmp_path)


def test_a_tilde_means_the_own_home_folder_and_else_is_part_of_a_name(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert resolve("~/set/x", tmp_path / "data") == tmp_path / "me" / "set" / "x"
    assert resolve("~$x.tif", tmp_path) == tmp_path / "~$x.tif"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("file:/a/b%20c.tif", "/a/b c.tif"),
        ("file:///a/b.tif", "/a/b.tif"),
        ("FILE://localhost/a", "/a"),
        ("file:/C:/a/b.tif", "C:/a/b.tif"),
        ("file://server/share/a", "//server/share/a"),
    ],
)
def test_addresses_of_local_files_become_their_paths(text, expected, tmp_path) -> None:
    assert str(resolve(text, tmp_path)).replace(os.sep, "/") == expected
