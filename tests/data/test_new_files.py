"""Files that no table tells of are deleted: at once after an error, by the next run after a kill."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from microshot.data.new_files import new_files

if TYPE_CHECKING:
    from pathlib import Path

KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {paths!r}
from microshot.data.new_files import new_files
folder = Path({folder!r})
with new_files(folder, overwrite={overwrite}) as new:
    for name in "abc":
        (folder / name).write_text(name)
        new.add(folder / name)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(folder: Path, *, overwrite: bool = False) -> None:
    code = KILLED.format(paths=sys.path, folder=str(folder), overwrite=overwrite)
    subprocess.run([sys.executable, "-c", code], check=False)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def written(folder: Path, *, overwrite: bool, ending: str) -> None:
    """Write a file and end well, in an error, or in one after all was kept or left."""
    with new_files(folder, overwrite=overwrite) as new:
        (folder / "a").touch()
        new.add(folder / "a")
        if ending == "kept":
            new.keep()
        if ending == "left":
            new.leave()
        if ending:
            raise KeyboardInterrupt


def test_files_stay_where_all_goes_well_or_they_are_kept_and_go_with_an_error(tmp_path) -> None:
    (tmp_path / "mine").touch()
    written(tmp_path, overwrite=False, ending="")
    assert names(tmp_path) == ["a", "mine"]
    for ending, left in (("kept", ["a", "mine"]), ("error", ["mine"])):
        with pytest.raises(KeyboardInterrupt):
            written(tmp_path, overwrite=False, ending=ending)
        assert names(tmp_path) == left


def test_where_files_may_be_replaced_none_is_deleted(tmp_path) -> None:
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path, overwrite=True, ending="error")
    assert names(tmp_path) == ["a"]
    killed(tmp_path, overwrite=True)
    with new_files(tmp_path, overwrite=False):
        assert names(tmp_path) == ["a", "b", "c"]


def test_the_files_of_a_killed_run_are_deleted_by_the_next_one_unless_changed(tmp_path) -> None:
    killed(tmp_path)
    (note,) = tmp_path.glob(".*")
    (tmp_path / "b").write_text("mine")
    outside = tmp_path.parent / "outside"
    outside.touch()
    with note.open("a") as file:
        file.write(f'["../outside", [0, {outside.stat().st_mtime_ns}]]\n["half a li')
    with new_files(tmp_path, overwrite=False):
        assert names(tmp_path) == ["b"]
    assert outside.exists()


def test_runs_into_the_same_folder_leave_each_other_s_files_alone(tmp_path) -> None:
    with new_files(tmp_path, overwrite=False) as first:
        (tmp_path / "a").touch()
        first.add(tmp_path / "a")
        with new_files(tmp_path, overwrite=False) as second:
            (tmp_path / "b").touch()
            second.add(tmp_path / "b")
        assert {"a", "b"} < set(names(tmp_path))
    assert names(tmp_path) == ["a", "b"]


def test_files_that_are_left_stay_until_the_next_run(tmp_path) -> None:
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path, overwrite=False, ending="left")
    assert (tmp_path / "a").exists()
    with new_files(tmp_path, overwrite=False):
        assert names(tmp_path) == []


def test_nothing_is_noted_without_a_folder(tmp_path) -> None:
    with new_files(None, overwrite=False) as new:
        new.add(tmp_path / "a")
    assert names(tmp_path) == []


def test_what_a_killed_write_has_left_is_deleted_once_it_is_old(tmp_path) -> None:
    old, young, other = f".{'0a' * 16}.part", f".{'1b' * 16}.part", ".mine.part"
    for name in (old, young, other):
        (tmp_path / name).touch()
    for name in (old, other):
        os.utime(tmp_path / name, (0, 0))
    with new_files(tmp_path, overwrite=True):
        pass
    assert {p.name for p in tmp_path.iterdir()} == {young, other}


def test_a_run_that_is_refused_leaves_no_empty_folder(tmp_path: Path) -> None:
    def refused(folder: Path, *names: str, overwrite: bool) -> None:
        with new_files(folder, overwrite=overwrite):
            folder.mkdir(exist_ok=True)
            for name in names:
                (folder / name).touch()
            raise KeyboardInterrupt

    made, there, filled = (tmp_path / name for name in ("made", "there", "filled"))
    there.mkdir()
    for overwrite in (False, True):
        for folder, names in ((made, ()), (there, ()), (filled, ("mine.txt",))):
            with pytest.raises(KeyboardInterrupt):
                refused(folder, *names, overwrite=overwrite)
        assert not made.exists()
        assert there.is_dir()
        assert (filled / "mine.txt").is_file()
