"""Packed workflows: a `.knwf` is a zip file that holds one workflow folder."""

from __future__ import annotations

import errno
import shutil
import stat
import tempfile
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from microshot.data.disk import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_UNPACKED_BYTES = 2 * 1024**3
"""Most bytes unpacked from one file."""
MAX_FILES = 20_000
"""Most files and folders unpacked from one file."""

STRUCTURE = "workflow.knime"
"""The file that makes a folder a workflow."""

_DAMAGE = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, UnicodeDecodeError)
_DAMAGE_CODES = (errno.EINVAL, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)
"""What the system says of offsets outside of the file, and of a file in place of a folder."""
_LEFT_OUT = {".knimeLock", ".DS_Store", "Thumbs.db", "desktop.ini"}
_CHUNK = 1024 * 1024
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can hold; packing must not depend on the clock."""


@contextmanager
def workflow_folder(path: Path) -> Iterator[Path]:
    """Give the workflow folder at `path`; a `.knwf` is unpacked until the context ends.

    Raises
    ------
    FileNotFoundError : if `path` is no workflow folder and no file.
    ValueError : if the packed workflow is damaged, too large, or leaves its folder.
    """
    if path.is_dir():
        if not (path / STRUCTURE).is_file():
            raise FileNotFoundError(
                f"{path}: expected a workflow folder with the file {STRUCTURE}, found none."
            )
        yield path
        return
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: there is no such workflow; give its folder or its .knwf file."
        )
    if path.suffix.lower() != ".knwf" and not zipfile.is_zipfile(path):
        raise ValueError(
            f'"{path}": expected a .knwf file or the folder of a workflow, found another file; give the '
            f"folder in which {STRUCTURE} lies."
        )
    with tempfile.TemporaryDirectory(prefix="microshot-") as temporary:
        yield _unpack(path, Path(temporary).resolve())  # nodes know it without links, too


def _unpack(path: Path, target: Path) -> Path:
    try:
        with zipfile.ZipFile(path) as packed:
            entries = _checked_entries(packed, path.name)
            top = _top_folder(entries, path.name)
            budget = MAX_UNPACKED_BYTES
            for info, name in entries:
                budget = _unpack_entry(packed, info, target / name, budget, path.name)
    except _DAMAGE as error:
        raise ValueError(_damaged(path.name, error)) from error
    except OSError as error:
        if error.errno not in _DAMAGE_CODES:  # a full disk is no fault of the file
            raise
        raise ValueError(_damaged(path.name, error)) from error
    return target / top


def _damaged(source: str, error: Exception) -> str:
    what = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
    return f"{source}: the packed workflow is damaged ({what}); export it again from KNIME."


def _checked_entries(
    packed: zipfile.ZipFile, source: str
) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    infos = packed.infolist()
    if len(infos) > MAX_FILES:
        raise ValueError(f"{source}: expected at most {MAX_FILES} files, found {len(infos)}.")
    size = sum(info.file_size for info in infos)
    if size > MAX_UNPACKED_BYTES:
        raise ValueError(_too_large(source))
    seen: set[str] = set()
    entries = []
    for info in infos:
        name = _safe_name(info, source)
        if name.as_posix().lower() in seen:
            raise ValueError(
                f'{source}: the file "{name}" occurs twice, or once more with other capital letters, '
                "which not every system tells apart; rename it and pack the workflow again."
            )
        seen.add(name.as_posix().lower())
        entries.append((info, name))
    return entries


def _too_large(source: str) -> str:
    return (
        f"{source}: unpacked, the workflow is larger than the {MAX_UNPACKED_BYTES / 2**30:g} GB "
        "allowed; unpack it by hand if you trust where it comes from."
    )


def _safe_name(info: zipfile.ZipInfo, source: str) -> PurePosixPath:
    name = info.filename.replace("\\", "/")
    parts = [part for part in name.split("/") if part]
    unsafe = not parts or name.startswith("/") or ".." in parts or PureWindowsPath(name).drive
    if unsafe or stat.S_ISLNK(info.external_attr >> 16):
        raise ValueError(f'{source}: the entry "{info.filename}" leaves the workflow folder.')
    if ":" in name:
        raise ValueError(
            f'{source}: the entry "{info.filename}" has a colon in its name, which Windows does not allow; '
            "rename the file and pack the workflow again."
        )
    if info.flag_bits & 1:
        raise ValueError(
            f'{source}: the entry "{info.filename}" is encrypted; export without a password.'
        )
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(
            f'{source}: the entry "{info.filename}" is packed by a method that KNIME cannot read.'
        )
    return PurePosixPath(*parts)


def _top_folder(entries: list[tuple[zipfile.ZipInfo, PurePosixPath]], source: str) -> str:
    tops = sorted({name.parts[0] for _, name in entries})
    loose = [name for info, name in entries if len(name.parts) == 1 and not info.is_dir()]
    if len(tops) != 1 or loose:
        raise ValueError(
            f"{source}: expected one workflow folder inside, found {', '.join(tops) or 'nothing'}."
        )
    if not any(name.parts[1:] == (STRUCTURE,) for _, name in entries):
        raise ValueError(f'{source}: the folder "{tops[0]}" inside is no workflow: no {STRUCTURE}.')
    return tops[0]


def _unpack_entry(
    packed: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, budget: int, source: str
) -> int:
    """Write one entry and return how many bytes may still be written."""
    if info.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return budget
    target.parent.mkdir(parents=True, exist_ok=True)
    with packed.open(info) as compressed, target.open("wb") as plain:
        while chunk := compressed.read(_CHUNK):
            budget -= len(chunk)
            if budget < 0:
                raise ValueError(_too_large(source))
            plain.write(chunk)
    return budget


def pack_workflow(folder: Path, knwf_path: Path, *, replace: bool = False) -> Path:
    """Pack a workflow folder into a `.knwf`; the same files give the same bytes everywhere.

    Entries are stored uncompressed, in alphabetical order and without times, because the output
    of a compressor differs between versions of it.

    Raises
    ------
    FileExistsError : if the file exists and `replace` is not set.
    ValueError : if the file would lie in the folder, and so in itself when that is packed again.
    """
    if not (folder / STRUCTURE).is_file():
        raise FileNotFoundError(f"{folder}: expected a workflow folder with the file {STRUCTURE}.")
    if folder.resolve() in knwf_path.resolve().parents:
        raise ValueError(
            f'"{knwf_path}": expected a place outside of the workflow folder that is packed; '
            "choose another folder."
        )
    top = folder.resolve().name
    with replacing(knwf_path, overwrite=replace) as part, zipfile.ZipFile(part, "w") as packed:
        for path in files_of(folder):
            relative = path.relative_to(folder).as_posix()
            info = zipfile.ZipInfo(f"{top}/{relative}", _EPOCH)
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            info.create_system = 3  # Unix, also where this runs on Windows
            with path.open("rb") as plain:
                info.file_size = path.stat().st_size
                with packed.open(info, "w") as target:
                    shutil.copyfileobj(plain, target, _CHUNK)
    return knwf_path


def files_of(folder: Path) -> list[Path]:
    """List the files of a workflow by name, without what editors and sessions leave behind."""
    found = []
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise ValueError(f"{path}: a workflow cannot hold a link; put the file itself there.")
        if path.is_file() and path.name not in _LEFT_OUT:
            found.append(path)
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())
