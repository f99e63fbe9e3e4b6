"""A StarDist 2-D model as StarDist saves it: a folder or zip of configuration, weights, thresholds."""

from __future__ import annotations

import errno
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from microshot.data.keras_weights import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CONFIG, THRESHOLDS = "config.json", "thresholds.json"
#: Names of weights files; the first that is there is taken.
WEIGHTS = ("weights_best.h5", "weights_last.h5", "weights_now.h5")
_MAX_JSON = 1 << 20
_MOST_MEMBERS = 10_000


@dataclass(frozen=True, eq=False)
class StarDistFiles:
    """What the folder holds, not yet judged."""

    name: str
    config: Mapping[str, Any]
    thresholds: Mapping[str, Any]
    """Empty where there is no such file."""
    weights: bytes
    weights_name: str


def is_stardist(path: Path) -> bool:
    """Say whether `path` may be a StarDist model: a folder or a zip archive."""
    return path.is_dir() or path.suffix.lower() == ".zip"


def read_stardist(path: Path) -> StarDistFiles:
    """Read the files of a StarDist model; archives are not unpacked to disk.

    Raises
    ------
    FileNotFoundError
        If there is no such folder or archive, or the configuration or weights are missing.
    ValueError
        If a file is damaged or larger than a model's may be.
    """
    if path.is_dir():
        return _collected(path.name, {p.name: p for p in path.iterdir() if p.is_file()}, _from_disk)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file or folder; check the name.")
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path.name)
            return _collected(path.stem, members, lambda m, limit: _from_zip(archive, m, limit))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        raise _damaged(path.name) from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # offsets outside of the file
            raise
        raise _damaged(path.name) from None


def _damaged(name: str) -> ValueError:
    return ValueError(
        f"{name}: expected the zip archive of a StarDist model, but it is damaged, locked or of "
        "another kind; copy it again."
    )


def _members(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    """Return the members by name that lie in the same folder as the configuration."""
    infos = [m for m in archive.infolist() if not m.is_dir()]
    if len(infos) > _MOST_MEMBERS:
        raise ValueError(f"{name}: {len(infos)} files are more than a model has.")
    configs = [
        PurePosixPath(m.filename) for m in infos
        if PurePosixPath(m.filename).name == CONFIG and "__MACOSX" not in m.filename
    ]  # fmt: skip
    if len(configs) > 1:
        raise ValueError(f"{name}: expected one model, found {len(configs)} files {CONFIG}.")
    folder = configs[0].parent if configs else PurePosixPath()
    paths = {m.filename: PurePosixPath(m.filename) for m in infos}
    return {paths[m.filename].name: m for m in infos if paths[m.filename].parent == folder}


def _collected(
    name: str, files: Mapping[str, Any], read: Callable[[Any, int], bytes]
) -> StarDistFiles:
    weights = next((w for w in WEIGHTS if w in files), None)
    if CONFIG not in files or weights is None:
        missing = CONFIG if CONFIG not in files else WEIGHTS[0]
        raise FileNotFoundError(
            f'{name}: expected a StarDist model with {CONFIG} and {WEIGHTS[0]}, found no "{missing}"; '
            "choose the folder that holds them."
        )
    config = _object(read(files[CONFIG], _MAX_JSON), f"{name}, {CONFIG}")
    thresholds: dict[str, Any] = {}
    if THRESHOLDS in files:
        thresholds = _object(read(files[THRESHOLDS], _MAX_JSON), f"{name}, {THRESHOLDS}")
    return StarDistFiles(name, config, thresholds, read(files[weights], MAX_BYTES), weights)


def _from_disk(path: Path, limit: int) -> bytes:
    if path.stat().st_size > limit:
        raise ValueError(
            f"{path.name}: {path.stat().st_size} bytes are more than it may have ({limit})."
        )
    return path.read_bytes()


def _from_zip(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int) -> bytes:
    with archive.open(member) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"{member.filename}: more bytes than it may have ({limit}).")
    return content


def _object(content: bytes, where: str) -> dict[str, Any]:
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise ValueError(f"{where}: expected a JSON object, the file is damaged; copy it again.")
    return values
