"""What a disk refuses, said in one sentence; files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import time
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CLOSED = "it must not be written to; choose another folder, or ask who may write there"
_REASONS = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EROFS: _CLOSED,
    errno.EACCES: _CLOSED,
    errno.EPERM: _CLOSED,
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.EIO: "the disk failed; check it and choose another one",
}
if hasattr(errno, "EDQUOT"):  # not on Windows
    _REASONS[errno.EDQUOT] = "your share of the disk is used up; free some space"
#: What the system says where a file or folder cannot be made, as below /proc.
_NOT_THERE = "nothing can be made there; choose another folder"
#: What Windows says of a file that another program has open (`Microsoft, System Error Codes
#: <https://learn.microsoft.com/windows/win32/debug/system-error-codes--0-499->`_): access denied,
#: sharing violation, lock violation. The first also means a file that must not be written to.
_ACCESS_DENIED, *_IN_USE = 5, 32, 33
#: A virus scanner or an indexer lets go of a new file within moments: so long it is asked again.
_PAUSES_S = (0.02, 0.05, 0.1, 0.2, 0.4)
#: Ending of a file that is being written, and the time without a change after which none writes it, s.
_PART, _DEAD_S = ".part", 24 * 3600.0


@contextmanager
def explained(path: Path, *, making: bool = False) -> Iterator[None]:
    """Turn what the system says of a disk that refuses into one sentence that names `path`.

    Parameters
    ----------
    making : whether `path` is to be made, in a folder that is there or is made, too; then that
        something is missing means that the place takes none.

    Raises
    ------
    OSError : of the same kind and number; others as they are.
    """
    try:
        yield
    except OSError as error:
        reason = _reason(error)
        if reason is None and making and isinstance(error, FileNotFoundError):
            reason = _NOT_THERE
        if reason is None or error.strerror is None:
            raise
        told = type(error)(f'"{path}": {reason}.')
        told.errno = error.errno
        raise told from error


def _reason(error: OSError) -> str | None:
    """Return what a user can do about what the system says, or None."""
    windows = getattr(error, "winerror", None)
    if windows in _IN_USE:
        return "another program has it open; close it there and try again"
    if windows == _ACCESS_DENIED:
        return (
            "another program has it open or it must not be written to; close it there, or choose "
            "another folder"
        )
    return _REASONS.get(error.errno or 0)


def made_folder(folder: Path) -> Path:
    """Make a folder and those above it, unless it is there already.

    Raises
    ------
    OSError : one sentence, where the disk refuses or a file is in the way.
    """
    with explained(folder, making=True):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise _in_the_way(folder, type(error)) from error
    return folder


def check_no_folder(path: Path) -> None:
    """Refuse a folder where a file is to be written.

    Raises
    ------
    IsADirectoryError : one sentence.
    """
    if path.is_dir():
        raise IsADirectoryError(
            f'"{path}": expected the name of a file to write, found a folder; add a name to it.'
        )


def check_way(path: Path) -> None:
    """Refuse, before work whose result is to be written to `path`, a place that cannot hold it.

    Raises
    ------
    OSError : one sentence, where `path` is a folder, a file is in the way, or nothing may be written.
    """
    with explained(path, making=True):
        check_no_folder(path)
        above = _folder_above(path)
        part = _part_in(above)  # nothing but an attempt tells on every system
        try:
            part.touch(exist_ok=False)
        finally:
            part.unlink(missing_ok=True)


def _folder_above(path: Path) -> Path:
    """Return the nearest folder there is above `path`.

    Raises
    ------
    NotADirectoryError : one sentence, where a file is in the way.
    """
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        raise _in_the_way(path.parent, NotADirectoryError)
    return above


def _in_the_way(folder: Path, kind: type[OSError]) -> OSError:
    return kind(f'"{folder}": expected a folder, found a file on the way; choose another name.')


def check_apart(out: Path, source: Path) -> None:
    """Refuse to write a result to where it is read from.

    Raises
    ------
    ValueError : if `out` is the file or folder `source`, lies in it or holds it.
    """
    there, here = out.resolve(), source.resolve()
    if there == here or here in there.parents or there in here.parents:
        raise ValueError(
            f'"{out}": the image "{source}" is read from there; choose another name or folder.'
        )


def delete_parts(folder: Path) -> None:
    """Delete the temporary files of `replacing` and `aside` that killed processes have left in `folder`.

    Those are left by which nothing was written for `_DEAD_S`; younger ones may be in use.

    Raises
    ------
    OSError : one sentence, where there cannot be such a folder.
    """
    before = time.time() - _DEAD_S
    with explained(folder):
        parts = list(folder.glob(f".{'[0-9a-f]' * 32}{_PART}"))
    for part in parts:
        with suppress(OSError):
            if part.stat().st_mtime < before:
                _delete(part)


def _delete(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part)
    else:
        part.unlink()


@contextmanager
def aside(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder in `folder` for files that `put` moves there; it is deleted at the end.

    Raises
    ------
    OSError : one sentence, where the disk refuses.
    """
    part = made_folder(_part_in(folder))
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def put(part: Path, path: Path, *, overwrite: bool) -> None:
    """Move the file `part` to `path` on the same disk.

    Raises
    ------
    FileExistsError : if `path` exists and `overwrite` is not set.
    OSError : one sentence, where the disk refuses.
    """
    _check_new(path, overwrite=overwrite)
    with explained(path, making=True):
        _put_in_place(part, path)


def _part_in(folder: Path) -> Path:
    """Return a name in `folder` for a file that is being written."""
    return folder / f".{uuid.uuid4().hex}{_PART}"


@contextmanager
def replacing(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the place of `path` if the block succeeds.

    A reader never sees half a file, and a failed write leaves what was there.

    Raises
    ------
    FileExistsError : if `path` exists and `overwrite` is not set.
    IsADirectoryError : if it is a folder.
    FileNotFoundError : if its folder does not exist.
    NotADirectoryError : if a file is in the way.
    OSError : one sentence, where the disk is full or refuses.
    """
    with explained(path):
        check_no_folder(path)
        above = _folder_above(path)
    _check_new(path, overwrite=overwrite)
    if above != path.parent.absolute():
        raise FileNotFoundError(f'"{path.parent}" is no folder; create it first.')
    part = _part_in(path.parent)
    try:
        with explained(path, making=True):
            yield part
            put(part, path, overwrite=overwrite)  # another run may have written it meanwhile
    finally:
        with suppress(PermissionError):  # Windows, while a scanner looks at it
            part.unlink(missing_ok=True)


def _check_new(path: Path, *, overwrite: bool) -> None:
    """Refuse a file that is there and may not be replaced."""
    with explained(path):
        exists = path.exists()
    if exists and not overwrite:
        raise FileExistsError(
            f'"{path}" exists already; choose another name or folder, or allow overwriting.'
        )


def _put_in_place(part: Path, path: Path) -> None:
    """Rename `part` to `path`; where another program looks at either, after a moment again."""
    for pause in (*_PAUSES_S, None):
        try:
            os.replace(part, path)  # noqa: PTH105
        except PermissionError as error:
            is_open = getattr(error, "winerror", None) in (_ACCESS_DENIED, *_IN_USE)
            if pause is None or not is_open:
                raise
            time.sleep(pause)
        else:
            return
