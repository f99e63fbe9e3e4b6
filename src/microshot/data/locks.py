"""Files that one process alone holds, so that no two work at the same thing at the same time."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from microshot.data.disk import explained

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: What the system says of a lock that another process has; Windows says the first two.
_TAKEN = (errno.EACCES, errno.EDEADLK, errno.EAGAIN)


def locked(path: Path) -> IO[bytes] | None:
    """Return the file `path`, which this process alone holds until it is closed or killed.

    None where another one holds it. A file system that knows no locks keeps nobody off.

    Raises
    ------
    OSError : where the file cannot be made.
    """
    file = path.open("ab")
    try:
        _lock(file)
        is_same = os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError as error:
        is_same = not isinstance(error, FileNotFoundError) and error.errno not in _TAKEN
    if not is_same:  # held by another process, or deleted by one while this one opened it
        file.close()
        return None
    return file


def _lock(file: IO[bytes]) -> None:
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold the file `path` in the block, and delete it; yield whether no other process holds it.

    Raises
    ------
    OSError : one sentence, where the file cannot be made.
    """
    with explained(path):
        file = locked(path)
    if file is None:
        yield False
        return
    try:
        yield True
    finally:
        if os.name == "nt":  # where no open file is deleted, also not one opened by another
            file.close()
            with suppress(OSError):
                path.unlink(missing_ok=True)
        else:  # while it is held, so that what is deleted is nobody else's
            path.unlink(missing_ok=True)
            file.close()
