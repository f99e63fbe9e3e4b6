"""Files that a run writes before the table that tells of them, so that a run can be repeated.

Where files may not be replaced, those of a run that did not come to its table would be in the way of
the next one.
"""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from microshot.data.disk import delete_parts, explained
from microshot.data.jobs import stamp
from microshot.data.locks import held, locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Ending of the note that lies beside the files; its run alone holds it.
_NOTE = ".written"


class NewFiles:
    """The files that one run has written to a folder; none are noted without one."""

    def __init__(self, folder: Path | None) -> None:
        self._note = None if folder is None else folder / f".{uuid.uuid4().hex}{_NOTE}"
        self._file: IO[bytes] | None = None
        self._paths: list[Path] = []

    def add(self, path: Path) -> None:
        """Note a file of the folder that is written.

        Raises
        ------
        OSError : one sentence, where the disk refuses.
        """
        if self._note is None:
            return
        self._paths.append(path)
        with explained(self._note):
            self._file = self._file or locked(self._note)
            if self._file is not None:
                self._file.write(json.dumps([path.name, stamp(path)]).encode() + b"\n")
                self._file.flush()

    def keep(self) -> None:
        """Forget the files noted: a table tells of them."""
        noted = self._file is not None
        self.leave()
        if noted and self._note is not None:
            self._note.unlink(missing_ok=True)

    def leave(self) -> None:
        """Leave the files noted to the user, until the next run begins anew and deletes them."""
        self._paths.clear()
        if self._file is not None:
            self._file.close()
            self._file = None

    def delete(self) -> None:
        """Delete the files noted."""
        for path in self._paths:
            path.unlink(missing_ok=True)
        self.keep()


@contextmanager
def new_files(folder: Path | None, *, overwrite: bool) -> Iterator[NewFiles]:
    """Yield what is to be told of each file written to `folder`; nothing is done without one.

    Where files may not be replaced, those noted are deleted if the block ends in an error or a
    cancel: they would be in the way, and no table tells of them. For that reason those that a killed
    or stopped run has left are deleted first. A folder that the block has made and left empty goes, too.
    """
    there = folder is None or folder.exists()
    if folder is not None:
        delete_parts(folder)
        _tidy(folder)
    made = NewFiles(None if overwrite else folder)
    try:
        yield made
    except BaseException:
        made.delete()
        if folder is not None and not there:
            with suppress(OSError):  # something is in it
                folder.rmdir()
        raise
    made.keep()


def _tidy(folder: Path) -> None:
    """Delete what killed or stopped runs have left in `folder`, unless it was changed since."""
    for note in folder.glob(f".*{_NOTE}"):
        with suppress(OSError), held(note) as alone:  # else it is that of a run under way
            for line in note.read_text("utf-8").splitlines() if alone else ():
                with suppress(ValueError):  # the last line may be cut off
                    name, known = json.loads(line)
                    path = folder / name
                    if path.parent == folder and stamp(path) == known:
                        path.unlink(missing_ok=True)
