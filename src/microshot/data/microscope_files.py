"""Files of microscopes' own kinds: Zeiss CZI, Leica LIF, Nikon ND2; which images they hold.

One image of a file with several is addressed by its number, from 1 on as the microscopes' programs and
Fiji count them: ``exp.lif#3``. Behind ``#`` instead of ``/`` it stays a file name, beside others in its
folder, by which images are told apart in tables and messages. The packages that read such files are
optional.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from microshot.data.windowed import Windowed

#: What to do with a file that cannot be read.
IN_FIJI = "open it in Fiji and save it as TIFF"
_ADDRESS = re.compile(r"(.+)(\.(?:czi|lif|nd2))(?:#([1-9][0-9]{0,5}))?", re.IGNORECASE)


@dataclass(frozen=True)
class Kind:
    """A kind of file."""

    name: str
    package: str
    """Reads it."""
    module: str
    """In this package; has ``images(file)``, all images in a file as the arguments of ``Windows``."""
    heads: tuple[bytes, ...]
    """What files of this kind begin with."""

    @property
    def is_installed(self) -> bool:
        """Whether such files can be read."""
        return importlib.util.find_spec(self.package) is not None

    def reader(self) -> Any:
        """Return the module that reads such files."""
        return importlib.import_module(f"microshot.data.{self.module}")


#: By the ending of the file, lower case.
KINDS = {
    ".czi": Kind("Zeiss CZI", "pylibCZIrw", "czi_images", (b"ZISRAWFILE",)),
    ".lif": Kind("Leica LIF", "liffile", "lif_images", (b"\x70\0\0\0",)),
    ".nd2": Kind("Nikon ND2", "nd2", "nd2_images", (b"\xda\xce\xbe\x0a", b"\0\0\0\x0cjP")),
}


def parts_of(name: str) -> tuple[str, str, int | None] | None:
    """Return name, ending and number of an image, by the name of its file; None of another kind.

    >>> parts_of("exp.lif#3")
    ('exp', '.lif', 3)
    """
    found = _ADDRESS.fullmatch(name)
    return found and (found[1], found[2], int(found[3]) if found[3] else None)


def is_microscope(path: Path) -> bool:
    """Say whether a path is that of a microscope's file, or of an image in one, by its name."""
    return parts_of(path.name) is not None


def file_of(path: Path) -> Path:
    """Return the file in which an image lies: but for ``exp.lif#3``, the path itself."""
    parts = parts_of(path.name)
    return path if parts is None else path.with_name(parts[0] + parts[1])


def suffixes(*, installed: bool) -> tuple[str, ...]:
    """Return the endings of files that can be read, or cannot for want of a package."""
    return tuple(suffix for suffix, kind in KINDS.items() if kind.is_installed is installed)


def images_in(path: Path) -> list[Path]:
    """Return the paths of all images of a file, in order.

    A file with one image, of another kind or that cannot be read is its own image, and so is the path
    of one image of several.
    """
    parts = parts_of(path.name)
    if parts is None or parts[2] is not None:
        return [path]
    try:
        n = len(_images(path, f'"{path}"'))
    except (ValueError, OSError):  # reading it says why
        return [path]
    return [path] if n == 1 else [path.with_name(f"{path.name}#{i}") for i in range(1, n + 1)]


def opened(path: Path, where: str) -> Windowed:
    """Open an image for reading in parts.

    Raises
    ------
    FileNotFoundError : if there is no such file.
    ValueError : one sentence that begins with `where`, for damaged or unsupported files, those with
        several images of which none is addressed, and where a package is missing.
    """
    from microshot.data.files import not_there

    parts, file = parts_of(path.name), file_of(path)
    if parts is None or not file.exists():
        raise not_there(file, where)
    found, number = _images(file, where), parts[2]
    if number is None and len(found) > 1:
        raise ValueError(
            f"{where}: expected a file of one image, found {len(found)} in it; give one of them by its "
            f"number, such as {file.name}#1."
        )
    if (number or 1) > len(found):
        raise ValueError(
            f"{where}: expected an image of a number up to {len(found)}, found {number}; give one of "
            f"those, such as {file.name}#1."
        )
    kind = KINDS[file.suffix.lower()]
    with told(where, kind):
        return kind.reader().Windows(path, file, where, found[(number or 1) - 1])


def _images(file: Path, where: str) -> list[Any]:
    """Return the images in a file.

    Raises
    ------
    ValueError : as `opened`.
    """
    from microshot.data.codec import foreign
    from microshot.data.files import head_of_image

    kind = KINDS[file.suffix.lower()]
    head = head_of_image(file, where)
    if not head.startswith(kind.heads):
        raise ValueError(
            f"{where}: expected a {kind.name} file, but {foreign(head)}; give it the ending of its kind, "
            "or export or copy it again."
        )
    if not kind.is_installed:
        raise ValueError(
            f"{where}: {kind.name} files need the package {kind.package}, which is not installed; "
            f'install it with `pip install "microshot[microscopes]"`, or {IN_FIJI}.'
        )
    stat = file.stat()
    with told(where, kind):
        found = _known(file, stat.st_size, stat.st_mtime_ns)
    if not found:
        raise ValueError(f"{where}: the {kind.name} file holds no image; give another file.")
    return found


@lru_cache(maxsize=256)
def _known(file: Path, size: int, changed_ns: int) -> list[Any]:
    """Return the images in a file, which are asked for often while a folder is looked at."""
    del size, changed_ns  # another file in its place is looked at anew
    return KINDS[file.suffix.lower()].reader().images(file)


@contextmanager
def told(where: str, kind: Kind) -> Iterator[None]:
    """Turn whatever a package raises on damaged files into one sentence (ValueError)."""
    try:
        yield
    except MemoryError as error:
        raise ValueError(
            f"{where}: the image does not fit into memory; cut it into parts."
        ) from error
    except ImportError as error:
        raise ValueError(
            f"{where}: the package {kind.package}, which reads {kind.name} files, lacks something ({error}); "
            f"install it again with all that it needs, or {IN_FIJI}."
        ) from error
    except Exception as error:
        if str(error).startswith(where):
            raise
        detail = " ".join(str(error).split())[:120] or type(error).__name__
        raise ValueError(
            f"{where}: the {kind.name} file is damaged or of a kind that cannot be read ({detail}); copy it "
            f"again, or {IN_FIJI}."
        ) from error
