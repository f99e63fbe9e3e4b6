"""What nodes write into the data area of a packed workflow, kept when that is deleted."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from microshot.data.addresses import ADDRESS
from microshot.data.disk import explained, made_folder
from microshot.data.jobs import stamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    Stamps = Mapping[Path, list[int] | None]
    """Size and time of files by their paths within a folder."""


def stamps(folder: Path) -> Stamps:
    """Return by what changes of the files in `folder` are known; the folder need not exist."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {file.relative_to(folder): stamp(file) for file in files}


@dataclass(frozen=True)
class PassingArea:
    """The data area of a packed workflow while it runs, and where it keeps what is new there."""

    folder: Path
    before: Stamps
    place: Path
    """A folder that is not there yet."""

    @classmethod
    def at(cls, folder: Path, wished: Path) -> PassingArea:
        """Look at a data area before a run; keeps in `wished`, numbered where that is there already.

        Raises
        ------
        OSError : one sentence, if nothing can be kept there, before there is anything to lose.
        """
        place = _free(wished)
        made_folder(place).rmdir()
        return cls(folder, stamps(folder), place)

    def keep(self) -> Path | None:
        """Copy the files that are new or changed and return their folder; None if there are none."""
        found = [file for file in stamps(self.folder) if self._is_new(file)]
        for file in found:
            made_folder((self.place / file).parent)
            with explained(self.place / file):
                shutil.copy2(self.folder / file, self.place / file)
        return self.place if found else None

    def told(self, text: str) -> str:
        """Return a text, with a path in the data area as it will be true after the run.

        New files lie where they are kept, the others in the workflow itself.
        """
        try:
            file = Path(text).relative_to(self.folder)
        except ValueError:
            return text
        if self._is_new(file):
            return str(self.place.absolute() / file)
        return f"{ADDRESS}/{file.as_posix()}"

    def said(self, sentence: str) -> str:
        """Return what a node says, with an address that holds after the run for the data area."""
        return sentence.replace(str(self.folder), ADDRESS)

    def _is_new(self, file: Path) -> bool:
        return self.before.get(file) != stamp(self.folder / file)


def _free(wished: Path) -> Path:
    place, number = wished, 1
    while place.exists():
        number += 1
        place = wished.with_name(f"{wished.name} {number}")
    return place
