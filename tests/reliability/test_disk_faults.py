"""Killed, without space, without leave, at the same time: a file is whole or it is not there."""

from __future__ import annotations

import csv
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from microshot.bundle import Bundle, Card
from microshot.cli import main
from microshot.cli.tables import write_csv, write_text
from microshot.data import disk
from microshot.data.disk import check_way, delete_parts, explained, made_folder, replacing
from microshot.data.image import Image
from microshot.data.write import write_image, write_labels
from microshot.inference.blocks import Rect
from microshot.large.journal import Journal
from tiny_images import discs
from tiny_models import model

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="uses files that only Linux has")
SRC = str(Path(__file__).parents[2] / "src")


def small(name: str) -> Bundle:
    card = Card("segment", {"name": "unet"}, {"kind": "fixed"}, name=name)
    return Bundle.make(card, {"w": np.full((64, 64), len(name), np.float32)})


def background(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Start another Python that can import Microshot."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": SRC, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


# ----------------------------------------------------------------------------------- killed

WRITING = """
import os, signal, sys
from pathlib import Path
import numpy as np
from microshot.bundle import Bundle, Card
from microshot.data.write import write_labels

folder = Path(sys.argv[1])
def at_the_end(part, target):
    # everything is on disk under its temporary name
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "labels":
    os.replace = at_the_end
    write_labels(folder / "a.tif", np.ones((64, 64), np.uint16), overwrite=True)
card = Card("segment", {"name": "unet"}, {"kind": "fixed"}, name="new")
made = Bundle.make(card, {"w": np.zeros((64, 64), np.float32)})
content = made.to_bytes()
def half_written(handle):
    os.ftruncate(handle, len(content) // 2)
    os.kill(os.getpid(), signal.SIGKILL)
os.fsync = half_written
made.save(folder / "a.microshot", overwrite=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill so")
@pytest.mark.parametrize("what", ["labels", "model"])
def test_who_is_killed_while_writing_leaves_what_was_there(what, tmp_path) -> None:
    small("old").save(tmp_path / "a.microshot")
    write_labels(tmp_path / "a.tif", np.full((8, 8), 7))
    before = {name: (tmp_path / name).read_bytes() for name in visible(tmp_path)}
    assert background(WRITING, tmp_path, what).wait() == -signal.SIGKILL
    assert {name: (tmp_path / name).read_bytes() for name in visible(tmp_path)} == before
    assert len(list(tmp_path.iterdir())) == len(before) + 1  # it had begun
    write_labels(tmp_path / "a.tif", np.full((8, 8), 9), overwrite=True)
    assert Bundle.load(tmp_path / "a.microshot").card.name == "old"


AFTER_THREE = """
import os, signal, sys
from microshot.cli import main

written, replace = [], os.replace
def counted(part, target):
    replace(part, target)
    written.append(target)
    if len(written) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
os.replace = counted
main(sys.argv[1:])
"""


@LINUX
def test_a_prediction_that_is_killed_leaves_whole_files_and_can_be_done_again(tmp_path) -> None:
    images, out, path = tmp_path / "in", tmp_path / "out", tmp_path / "m.microshot"
    images.mkdir()
    for i in range(6):
        tifffile.imwrite(images / f"{i}.tif", discs(seed=i, side=160, n=9)[0])
    model().save(path)
    arguments = ["predict", "--model", path, "--images", images, "--out", out, "--device", "cpu"]
    assert background(AFTER_THREE, *arguments).wait() == -signal.SIGKILL
    done = visible(out)
    assert 0 < len(done) < 6
    assert all(name.endswith(".tif") for name in done)  # tables come last
    first = {name: tifffile.imread(out / name) for name in done}
    assert all(labels.shape == (160, 160) for labels in first.values())
    assert main([*map(str, arguments), "--overwrite"]) == 0
    assert visible(out) == [f"{i}.tif" for i in range(6)] + ["counts.csv", "objects.csv"]
    for name, labels in first.items():
        np.testing.assert_array_equal(tifffile.imread(out / name), labels)


@LINUX
def test_a_training_that_is_killed_leaves_the_model_that_was_there(tmp_path) -> None:
    images, labels = tmp_path / "images", tmp_path / "labels"
    for folder in (images, labels):
        folder.mkdir()
    for i in range(3):
        pixels, truth = discs(seed=i)
        tifffile.imwrite(images / f"{i}.tif", pixels)
        tifffile.imwrite(labels / f"{i}.tif", truth.astype(np.uint16))
    path = small("old").save(tmp_path / "m.microshot")
    before, log = path.read_bytes(), tmp_path / "log"
    code = f"""
import sys
sys.stderr = open({str(log)!r}, "w", buffering=1)
from microshot.cli import main
main(sys.argv[1:])
"""
    process = background(
        code, "train", "--images", images, "--labels", labels, "--minutes", "10", "--device", "cpu",
        "--set", "network.width=4", "--set", "network.depth=1", "--set", "patch_px=32",
        "--overwrite", "--out", path,
    )  # fmt: skip
    try:
        while not (log.is_file() and "training, step" in log.read_text()):
            assert process.poll() is None, log.read_text()
            time.sleep(0.02)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    assert visible(tmp_path) == ["images", "labels", "log", "m.microshot"]
    assert path.read_bytes() == before


# -------------------------------------------------------------------------- full and closed

WRITERS = {
    "model": lambda path: small("new").save(path, overwrite=True),
    "labels": lambda path: write_labels(path, np.ones((300, 300), int), overwrite=True),
    "image": lambda path: write_image(
        path, Image(np.zeros((2, 99, 99), np.float32)), overwrite=True
    ),
    "table": lambda path: write_csv(path, [{"a": i} for i in range(9000)]),
    "text": lambda path: write_text(path, "x" * 100_000),
}


@LINUX
@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("existing", [True, False])
def test_a_full_disk_is_told_and_leaves_what_was_there(kind, existing, tmp_path, monkeypatch):
    """The temporary file is the device that is always full."""
    monkeypatch.setattr(disk.uuid, "uuid4", lambda: SimpleNamespace(hex="part"))
    path = tmp_path / "result.tif"
    if existing:
        path.write_bytes(b"before")
    (tmp_path / ".part.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r'^"[^"]*result.tif": the disk is full; .*\.$') as caught:
        WRITERS[kind](path)
    assert caught.value.errno == errno.ENOSPC
    assert [p.name for p in tmp_path.iterdir()] == (["result.tif"] if existing else [])
    assert not existing or path.read_bytes() == b"before"


@LINUX
def test_a_full_disk_ends_a_large_prediction_with_a_sentence_not_with_the_process(tmp_path) -> None:
    journal = Journal.opened(tmp_path / "unfinished", {}, (30, 40), restart=False)
    (tmp_path / "unfinished" / "labels.raw").unlink()
    (tmp_path / "unfinished" / "labels.raw").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r'labels.raw": the disk is full; .*\.$'):
        journal.paint(Rect(3, 4, 13, 24), np.ones((10, 20), np.int64))


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO])
def test_a_folder_that_is_closed_is_named_in_one_sentence(number, tmp_path) -> None:
    told = pytest.raises(OSError, match=r'^"[^"]*b.tif": [^;]+; [^;]+\.$')
    with told as caught, explained(tmp_path / "b.tif"):
        raise OSError(number, os.strerror(number), "/some/part")
    assert caught.value.errno == number
    assert isinstance(caught.value, type(OSError(number, "")))


@LINUX
@pytest.mark.parametrize("kind", WRITERS)
def test_where_no_file_can_be_made_that_is_told(kind) -> None:
    with pytest.raises(
        FileNotFoundError, match=r'^"/proc/result.tif": nothing can be made there; '
    ):
        WRITERS[kind](Path("/proc/result.tif"))


@LINUX
def test_a_place_that_takes_nothing_is_refused_before_the_work(tmp_path) -> None:
    for path in (Path("/proc/a"), Path("/proc/a/b.tif"), tmp_path / ("x" * 300)):
        with pytest.raises(OSError, match=r'^"[^"]+": [^;]+; [^;]+\.$'):
            check_way(path)
    check_way(tmp_path / "new" / "a.tif")
    assert not list(tmp_path.iterdir())
    with pytest.raises(OSError, match=r'^"[^"]+": the name is too long; choose a shorter one\.$'):
        delete_parts(tmp_path / ("x" * 300))


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_in_the_place_of_a_folder_is_told(kind, tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r'file": expected a folder, found a file on the way; '):
        WRITERS[kind](tmp_path / "file" / "result.tif")


@LINUX
@pytest.mark.parametrize("kind", WRITERS)
def test_where_nobody_may_write_nobody_is_told_of_temporary_names(kind) -> None:
    closed = Path("/sys/kernel")  # not even root may make a file here
    with pytest.raises(OSError, match=r'^"/sys/kernel/result.tif": [^;]+; [^;]+\.$'):
        WRITERS[kind](closed / "result.tif")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_read_only_folder_is_told(tmp_path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match="must not be written to"):
            made_folder(tmp_path / "a" / "b")
        with pytest.raises(PermissionError, match="must not be written to"):
            small("new").save(tmp_path / "m.microshot")
    finally:
        tmp_path.chmod(0o700)


def test_a_name_that_is_too_long_is_told(tmp_path) -> None:
    with pytest.raises(OSError, match=r"the name is too long; choose a shorter one\.$"):
        made_folder(tmp_path / ("x" * 300))
    with pytest.raises(OSError, match=r"the name is too long; choose a shorter one\.$"):
        write_text(tmp_path / ("ä" * 140), "")


def test_a_file_in_the_way_of_a_folder_is_told(tmp_path) -> None:
    (tmp_path / "a").write_text("here")
    for folder in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(OSError, match="expected a folder, found a file on the way"):
            made_folder(folder)


def test_errors_that_are_not_the_disks_stay_as_they_are(tmp_path) -> None:
    told = pytest.raises(FileExistsError, match="exists already")
    with told, replacing(tmp_path / "a", overwrite=True):
        raise FileExistsError("b exists already; choose another.")
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------ open in another program


def held(winerror: int, times: int, monkeypatch) -> list[float]:
    """Let files be renamed as on Windows, where another program has them open; return the waits."""
    waits: list[float] = []
    rename = os.replace

    def refusing(part: Path, path: Path) -> None:
        if len(waits) < times:
            error = PermissionError(errno.EACCES, "The process cannot access the file", str(part))
            error.winerror = winerror  # type: ignore[attr-defined]
            raise error
        rename(part, path)

    monkeypatch.setattr(disk.os, "replace", refusing)
    monkeypatch.setattr(disk.time, "sleep", waits.append)
    return waits


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("winerror", [5, 32, 33])
def test_a_file_that_a_scanner_looks_at_for_a_moment_is_written(
    kind, winerror, tmp_path, monkeypatch
) -> None:
    path = tmp_path / "result.tif"
    path.write_bytes(b"before")
    waits = held(winerror, 3, monkeypatch)
    WRITERS[kind](path)
    assert len(waits) == 3
    assert path.read_bytes() != b"before"
    assert visible(tmp_path) == [p.name for p in tmp_path.iterdir()] == ["result.tif"]


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("winerror", [5, 32, 33])
def test_a_file_that_stays_open_elsewhere_is_told_and_left_as_it_was(
    kind, winerror, tmp_path, monkeypatch
) -> None:
    path = tmp_path / "result.tif"
    path.write_bytes(b"before")
    waits = held(winerror, 10**6, monkeypatch)
    told = r'^"[^"]*result.tif": another program has it open[^;]*; close it there[^.]*\.$'
    with pytest.raises(PermissionError, match=told):
        WRITERS[kind](path)
    assert 0.5 < sum(waits) < 2  # nobody waits for long
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["result.tif"]


def test_a_temporary_file_that_cannot_be_deleted_hides_no_error(tmp_path, monkeypatch) -> None:
    def refused(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "in use", str(path))

    monkeypatch.setattr(Path, "unlink", refused)
    with (
        pytest.raises(ValueError, match="what went wrong"),
        replacing(tmp_path / "a", overwrite=True),
    ):
        raise ValueError("what went wrong")


# ---------------------------------------------------------------------------- two at a time

OVER_AND_OVER = """
import sys
from pathlib import Path
import numpy as np
from microshot.bundle import Bundle, Card
name = sys.argv[2]
card = Card("segment", {"name": "unet"}, {"kind": "fixed"}, name=name)
made = Bundle.make(card, {"w": np.full((300, 300), len(name), np.float32)})
for _ in range(25):
    made.save(Path(sys.argv[1]), overwrite=True)
"""


def test_of_two_who_write_the_same_model_one_wins_whole(tmp_path) -> None:
    path = small("first").save(tmp_path / "m.microshot")
    writers = [background(OVER_AND_OVER, path, name) for name in ("a", "bb")]
    seen = set()
    while any(one.poll() is None for one in writers):
        found = Bundle.load(path)
        assert len(found.card.name) == found.weights["w"].max() == found.weights["w"].min()
        seen.add(found.card.name)
    assert [one.returncode for one in writers] == [0, 0]
    assert Bundle.load(path).card.name in ("a", "bb")
    assert visible(tmp_path) == [p.name for p in tmp_path.iterdir()] == ["m.microshot"]
    assert seen <= {"first", "a", "bb"}


def test_of_two_who_write_the_same_table_one_wins_whole(tmp_path) -> None:
    path = tmp_path / "t.csv"
    with replacing(path, overwrite=True) as mine:
        mine.write_text("n\n1\n")
        write_csv(path, [{"n": 2}, {"n": 3}])
        with path.open(newline="") as file:
            assert [row["n"] for row in csv.DictReader(file)] == ["2", "3"]
    assert path.read_text() == "n\n1\n"
