"""What a prediction of a large image has finished, kept beside its result until that is complete.

The folder holds ``job.json`` (which model, image and settings), ``size.json`` and
``normalization.json`` (what was measured on the image), ``tile_N.npz`` (the network's output of tile
N), ``labels.raw`` (ids of all pixels, uint32), ``objects.csv`` and ``blocks.jsonl``, one line
per block whose objects are in both. A line is written after what it tells of is on the disk.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
import zlib
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any, TypeVar

import numpy as np

from microshot.data.disk import explained, made_folder, replacing
from microshot.data.jobs import begin, damaged, goes_on, read_note, stamp, write_note
from microshot.data.normalize import Normalization

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from microshot.inference.blocks import Rect
    from microshot.tasks.segmenting.blocks import Output

T = TypeVar("T")

#: What NumPy raises on a damaged file of arrays.
_DAMAGE = (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)
#: What tells which file the label image became.
_MARK = "written.json"


@dataclass(frozen=True)
class Done:
    """One finished block."""

    block: int
    last_id: int
    """Greatest id so far."""
    confidence: float
    """Sum over the objects so far."""
    n_cut: int
    """Objects so far that are larger than what is looked at together."""
    table_bytes: int
    """Length of ``objects.csv`` with this block."""


class Journal:
    """The folder of one unfinished prediction."""

    def __init__(self, folder: Path, shape: tuple[int, int]) -> None:
        self.folder, self.shape = folder, shape
        self.table = folder / "objects.csv"
        self._raw, self._lines = folder / "labels.raw", folder / "blocks.jsonl"
        self._mark, self._normalization = folder / _MARK, folder / "normalization.json"
        self._size = folder / "size.json"

    @classmethod
    def opened(
        cls, folder: Path, job: Mapping[str, Any], shape: tuple[int, int], *, restart: bool
    ) -> Journal:
        """Return the journal in `folder`, begun anew if there is none.

        Raises
        ------
        ValueError
            If the folder is that of another job and not to `restart`, see `jobs.goes_on`.
        """
        made = cls(folder, shape)
        if not goes_on(folder, job, "prediction", restart=restart):
            shutil.rmtree(folder, ignore_errors=True)
            made_folder(folder)
            with made._raw.open("wb") as file:
                file.truncate(shape[0] * shape[1] * 4)  # a file with holes, zero where unwritten
            begin(folder, job)
        return made

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder)

    @property
    def is_spent(self) -> bool:
        """Whether the label image was written, and what it was made from deleted."""
        return self._mark.exists()

    def note_written(self, out: Path) -> None:
        """Note that the label image is complete and is `out`; delete what it was made from."""
        write_note(self._mark, {"stamp": _stamp(out)})
        for path in [self._raw, *self.folder.glob("tile_*.npz")]:
            path.unlink()

    # ---- size of objects and normalisation

    def diameter_px(self) -> float | None:
        """Return what `keep_diameter` kept, if it did.

        Raises
        ------
        ValueError
            If its file is damaged.
        """
        return _kept(self._size, lambda note: float(note["diameter_px"]))

    def keep_diameter(self, found: float) -> None:
        """Keep the diameter of the objects in px, as it was found in the image."""
        write_note(self._size, {"diameter_px": found})

    def normalization(self) -> Normalization | None:
        """Return what `keep_normalization` kept, if it did.

        Raises
        ------
        ValueError
            If its file is damaged.
        """
        return _kept(self._normalization, Normalization.from_json)

    def keep_normalization(self, fitted: Normalization) -> None:
        """Keep the normalisation with the numbers of the whole image."""
        write_note(self._normalization, fitted.to_json())

    # ---- outputs of the network

    def _tile(self, index: int) -> Path:
        return self.folder / f"tile_{index}.npz"

    def missing(self, n: int) -> list[int]:
        """Return which of `n` tiles are not there."""
        return [index for index in range(n) if not self._tile(index).is_file()]

    def keep(self, index: int, output: Output) -> None:
        """Keep the output of a tile, whole or not at all."""
        with replacing(self._tile(index), overwrite=True) as part, part.open("wb") as file:
            np.savez(file, **output)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())

    def output(self, index: int) -> Output:
        """Return the output of a tile.

        Raises
        ------
        ValueError
            If its file is damaged.
        """
        path = self._tile(index)
        try:
            with path.open("rb") as stream, np.load(stream) as file:
                return {name: file[name] for name in file.files}
        except _DAMAGE:
            raise ValueError(damaged(path)) from None

    # ---- objects

    def finished(self) -> list[Done]:
        """Return the finished blocks in order; cuts the table back to the last of them.

        Raises
        ------
        ValueError
            If what was noted of them, or the table, is damaged.
        """
        self._lines.touch()
        self.table.touch()
        lines = self._lines.read_bytes().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]  # the last may be cut off
        try:
            found = [Done(**json.loads(line)) for line in whole]
        except (ValueError, TypeError):
            raise ValueError(damaged(self._lines)) from None
        table_bytes = found[-1].table_bytes if found else 0
        if self.table.stat().st_size < table_bytes:
            raise ValueError(damaged(self.table))
        os.truncate(self._lines, sum(map(len, whole)))
        os.truncate(self.table, table_bytes)
        return found

    def paint(self, window: Rect, labels: np.ndarray) -> None:
        """Write the ids of `labels` (y, x) int64 where they are not 0."""
        columns = slice(window.left, window.right)
        # not through a memory map: where the disk is full, that ends the process
        with explained(self._raw), self._opened("r+b") as file:
            for y in map(int, np.flatnonzero(labels.any(axis=1))):
                row = self._row(file, window.top + y, columns)
                inside = labels[y] > 0
                row[inside] = labels[y][inside]
                file.seek(-row.nbytes, os.SEEK_CUR)
                file.write(row.tobytes())
            file.flush()
            os.fsync(file.fileno())

    def append(self, text: str) -> int:
        """Append rows to the table and return its length in bytes."""
        with explained(self.table), self.table.open("ab") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
            return file.tell()

    def finish(self, done: Done) -> None:
        """Note that a block is finished."""
        with explained(self._lines), self._lines.open("a", encoding="utf-8") as file:
            file.write(_line(done))
            file.flush()
            os.fsync(file.fileno())

    def labels(self, rows: slice, columns: slice) -> np.ndarray:
        """Return ids (y, x) uint32 of a part of the image."""
        found = np.empty((rows.stop - rows.start, columns.stop - columns.start), np.uint32)
        with explained(self._raw), self._opened("rb") as file:
            for index, y in enumerate(range(rows.start, rows.stop)):
                found[index] = self._row(file, y, columns)
        return found

    def _opened(self, mode: str) -> IO[bytes]:
        try:
            return self._raw.open(mode)
        except FileNotFoundError:
            raise ValueError(damaged(self._raw)) from None

    def _row(self, file: IO[bytes], y: int, columns: slice) -> np.ndarray:
        """Read ids of a part of one row of the image."""
        n_bytes = (columns.stop - columns.start) * 4
        file.seek((y * self.shape[1] + columns.start) * 4)
        found = file.read(n_bytes)
        if len(found) != n_bytes:
            raise ValueError(damaged(self._raw))
        return np.frombuffer(found, np.uint32).copy()


def wrote(folder: Path, out: Path) -> bool:
    """Say whether `out` is the label image that the journal in `folder` has written."""
    mark = folder / _MARK
    return mark.is_file() and read_note(mark)["stamp"] == _stamp(out)


def _kept(path: Path, read: Callable[[dict[str, Any]], T]) -> T | None:
    """Read what a note holds; None where none was written."""
    if not path.is_file():
        return None
    try:
        return read(read_note(path))
    except (KeyError, TypeError, ValueError):
        raise ValueError(damaged(path)) from None


def _stamp(out: Path) -> list[int] | None:
    return stamp(out / "zarr.json" if out.is_dir() else out)


def _line(done: Done) -> str:
    return json.dumps(asdict(done)) + "\n"
