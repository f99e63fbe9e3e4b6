from __future__ import annotations

import stat
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from microshot.headless import knwf
from microshot.headless.knwf import pack_workflow, workflow_folder


def packed(path, entries, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in entries:
            file.writestr(name, data)
    return path


def unpack(path):
    with workflow_folder(path) as folder:
        return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*"))


GOOD = [("W/workflow.knime", b"<x/>"), ("W/data/a.png", b"png")]


def test_the_single_folder_inside_is_the_workflow(tmp_path):
    path = packed(tmp_path / "a.knwf", [("W/", b""), *GOOD])
    assert unpack(path) == ["data", "data/a.png", "workflow.knime"]


def test_stored_entries_are_read(tmp_path):
    assert "workflow.knime" in unpack(packed(tmp_path / "a.knwf", GOOD, zipfile.ZIP_STORED))


def linked(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([*GOOD, ("W/../../evil.txt", b"x")], "leaves the workflow folder"),
        ([*GOOD, ("../evil.txt", b"x")], "leaves the workflow folder"),
        ([*GOOD, ("/etc/evil", b"x")], "leaves the workflow folder"),
        ([*GOOD, ("W\\..\\..\\evil.txt", b"x")], "leaves the workflow folder"),
        ([*GOOD, ("C:\\evil.txt", b"x")], "leaves the workflow folder"),
        ([*GOOD, (linked("W/link"), b"/etc/passwd")], "leaves the workflow folder"),
        ([*GOOD, ("W/data/A.PNG", b"x")], "occurs twice, or once more with other capital letters"),
        ([*GOOD, ("W/data/plate 1: a.png", b"x")], "has a colon in its name"),
        ([*GOOD, ("V/workflow.knime", b"x")], "one workflow folder inside, found V, W"),
        ([*GOOD, ("loose.txt", b"x")], "one workflow folder inside"),
        ([*GOOD, ("W/data/a.png/b.png", b"x")], "damaged"),
        ([("W/data/a.png/b.png", b"x"), *GOOD], "damaged"),
        ([], "found nothing"),
        ([("W/data/a.png", b"png")], "is no workflow"),
    ],
)
def test_hostile_or_foreign_files_are_refused_with_one_sentence(tmp_path, entries, words):
    path = packed(tmp_path / "a.knwf", entries)
    with pytest.raises(ValueError, match=words) as caught:
        unpack(path)
    assert str(caught.value).startswith("a.knwf: ")
    assert not (tmp_path / "evil.txt").exists()


def test_other_compressions_are_refused(tmp_path):
    path = packed(tmp_path / "a.knwf", GOOD, zipfile.ZIP_LZMA)
    with pytest.raises(ValueError, match="KNIME cannot read"):
        unpack(path)


def test_encrypted_entries_are_refused(tmp_path):
    path = packed(tmp_path / "a.knwf", GOOD, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="encrypted"):
        unpack(path)


def test_bombs_are_refused_by_declared_and_by_real_size(tmp_path, monkeypatch):
    path = packed(tmp_path / "a.knwf", [*GOOD, ("W/zeros", bytes(200_000))])
    monkeypatch.setattr(knwf, "MAX_UNPACKED_BYTES", 100_000)
    with pytest.raises(ValueError, match="larger than"):
        unpack(path)
    data = path.read_bytes()
    declared = (200_000).to_bytes(4, "little")
    assert data.count(declared) == 2
    path.write_bytes(data.replace(declared, (10).to_bytes(4, "little")))
    with pytest.raises(ValueError, match=r"larger than|damaged"):
        unpack(path)


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(knwf, "MAX_FILES", 1)
    with pytest.raises(ValueError, match="at most 1 files, found 2"):
        unpack(packed(tmp_path / "a.knwf", GOOD))


def test_damaged_files_are_refused(tmp_path):
    path = packed(tmp_path / "a.knwf", GOOD)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match="damaged"):
        unpack(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="damaged"):
        unpack(path)


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(position=st.integers(0, 10_000), value=st.integers(0, 255))
def test_flipped_bytes_never_raise_anything_but_a_sentence(tmp_path, position, value):
    path = packed(tmp_path / "a.knwf", [*GOOD, ("W/é.txt", b"x" * 50)])
    data = bytearray(path.read_bytes())
    data[position % len(data)] = value
    path.write_bytes(data)
    try:
        unpack(path)
    except ValueError as error:
        assert str(error).startswith("a.knwf: ")  # noqa: PT017 not raising is fine, too


def test_a_file_that_is_no_packed_workflow_is_not_called_damaged(tmp_path):
    path = a_folder(tmp_path) / "workflow.knime"
    with pytest.raises(
        ValueError, match=r"expected a \.knwf file or the folder .* found another file"
    ):
        unpack(path)
    assert unpack(packed(tmp_path / "a.zip", GOOD)) == ["data", "data/a.png", "workflow.knime"]


def test_missing_workflows_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such workflow"):
        unpack(tmp_path / "gone.knwf")
    with pytest.raises(FileNotFoundError, match=r"with the file workflow\.knime, found none"):
        unpack(tmp_path)


def a_folder(tmp_path):
    folder = tmp_path / "W"
    (folder / "data").mkdir(parents=True)
    (folder / "workflow.knime").write_text("<x/>")
    (folder / ".knimeLock").write_text("")
    (folder / "data" / "a.png").write_bytes(b"png")
    return folder


def test_packing_keeps_files_and_drops_what_sessions_leave(tmp_path):
    path = pack_workflow(a_folder(tmp_path), tmp_path / "W.knwf")
    assert unpack(path) == ["data", "data/a.png", "workflow.knime"]
    assert zipfile.ZipFile(path).namelist() == ["W/data/a.png", "W/workflow.knime"]


def test_packing_overwrites_only_when_told(tmp_path):
    folder = a_folder(tmp_path)
    path = pack_workflow(folder, tmp_path / "W.knwf")
    with pytest.raises(FileExistsError, match="exists already"):
        pack_workflow(folder, path)
    pack_workflow(folder, path, replace=True)
    with pytest.raises(FileNotFoundError, match="expected a workflow folder"):
        pack_workflow(tmp_path, tmp_path / "b.knwf")


def test_packing_refuses_links(tmp_path):
    folder = a_folder(tmp_path)
    (folder / "data" / "link").symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match="cannot hold a link"):
        pack_workflow(folder, tmp_path / "W.knwf")
    assert not (tmp_path / "W.knwf").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["W"]


def test_a_packed_workflow_never_lies_in_itself(tmp_path):
    folder = a_folder(tmp_path)
    for path in (folder / "W.knwf", folder / "data" / "W.knwf"):
        path.parent.mkdir(exist_ok=True)
        with pytest.raises(ValueError, match="outside of the workflow folder"):
            pack_workflow(folder, path, replace=True)
    assert list(folder.rglob("*.knwf")) == []
