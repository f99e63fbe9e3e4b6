"""What a disk refuses, said in one sentence; files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import uuid
from contextlib import contextmanager
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


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the system says of a disk that refuses into one sentence that names `path`.

    Raises
    ------
    OSError : of the same kind and number; others as they are.
    """
    try:
        yield
    except OSError as error:
        reason = _REASONS.get(error.errno or 0)
        if reason is None or error.strerror is None:
            raise
        told = type(error)(f'"{path}": {reason}.')
        told.errno = error.errno
        raise told from error


def made_folder(folder: Path) -> Path:
    """Make a folder and those above it, unless it is there already.

    Raises
    ------
    OSError : one sentence, where the disk refuses or a file is in the way.
    """
    with explained(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise type(error)(
                f'"{folder}": expected a folder, found a file on the way; choose another name.'
            ) from error
    return folder


@contextmanager
def replacing(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the place of `path` if the block succeeds.

    A reader never sees half a file, and a failed write leaves what was there.

    Raises
    ------
    FileExistsError : if `path` exists and `overwrite` is not set.
    FileNotFoundError : if its folder does not exist.
    OSError : one sentence, where the disk is full or refuses.
    """
    with explained(path):
        exists = path.exists()
    if exists and not overwrite:
        raise FileExistsError(
            f'"{path}" exists already; choose another name or folder, or allow overwriting.'
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(f'"{path.parent}" is no folder; create it first.')
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with explained(path):
            yield part
            os.replace(part, path)  # noqa: PTH105
    finally:
        part.unlink(missing_ok=True)
