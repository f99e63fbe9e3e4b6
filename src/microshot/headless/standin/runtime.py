"""What is true while a node is being called: extension version, file stores, and who may write."""

from __future__ import annotations

import contextlib
import sys
import threading
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Version(NamedTuple):
    """The version of an extension, three whole numbers."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    __repr__ = __str__

    @classmethod
    def parse_version(cls, text: str | Version | None) -> Version:
        """Read ``"major.minor.patch"``; None is 0.0.0, as for settings older than versions."""
        if text is None:
            return cls(0, 0, 0)
        if isinstance(text, Version):
            return text
        parts = text.split(".") if isinstance(text, str) else []
        if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
            raise ValueError(
                f"A version must be three whole numbers such as '0.2.0', found {text!r}."
            )
        return cls(*(int(part) for part in parts))


_STORES: list[Path] = []  # folders of every host of this process; keys are unique among them


class FileStores:
    """The folder in which image cells keep their bytes; a table holds only their keys."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        _STORES.append(folder)

    def create(self) -> tuple[Path, str]:
        """Return the path of a new file and the key that a table stores for it."""
        key = uuid.uuid4().hex
        return self._folder / key, key


def stored_file(key: str) -> Path:
    """Return the file that `key` stands for.

    Raises
    ------
    FileNotFoundError : if no host of this process wrote it, or its folder is gone.
    """
    for folder in reversed(_STORES):
        if (path := folder / key).exists():
            return path
    raise FileNotFoundError(
        f"The image cell refers to file store {key}, which does not exist: its host is gone."
    )


@dataclass
class Session:
    """One call into a node. Tables can be created only while `tables` is a folder."""

    version: Version
    stores: FileStores
    tables: Path | None = None
    closing: list[Callable[[], object]] = field(default_factory=list)

    def close(self) -> None:
        """Close every table file that the call opened."""
        for close in self.closing:
            close()
        self.closing.clear()


_lock = threading.RLock()
_current: list[Session] = []


@contextlib.contextmanager
def calling(session: Session) -> Iterator[Session]:
    """Make `session` the one that parameters and tables refer to; one node runs at a time."""
    with _lock:
        _current.append(session)
        try:
            yield session
        finally:
            session.close()
            _current.pop()


def current() -> Session | None:
    """Return the running call, or None outside of a node."""
    return _current[-1] if _current else None


def writing(what: str) -> Session:
    """Return the running call if it may create tables.

    Raises
    ------
    RuntimeError : in `configure`, in a dialog, at import, or outside of a node.
    """
    session = current()
    if session is None or session.tables is None:
        raise RuntimeError(f"{what} works only inside a node's execute, as in KNIME.")
    return session


class Registered(NamedTuple):
    """A node, category or port type, and the source file that registered it."""

    kind: Literal["node", "category", "port type"]
    value: Any
    source: Path


_registered: list[Registered] = []
_HERE = str(Path(__file__).parent)


def register(kind: Literal["node", "category", "port type"], value: Any) -> None:
    """Note `value` together with the file of the extension that registers it."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    _registered.append(Registered(kind, value, Path(frame.f_code.co_filename).resolve()))


def registered_below(folder: Path) -> list[Registered]:
    """Return what source files below `folder` have registered so far, in order."""
    return [one for one in _registered if one.source.is_relative_to(folder)]
