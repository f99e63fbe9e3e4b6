"""Trainings that were killed: by what one is known again, and where those without a file wait."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
from typing import IO, TYPE_CHECKING, Any

from microshot import __version__, knobs
from microshot.data.disk import made_folder
from microshot.data.locks import locked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from microshot.bundle import Bundle
    from microshot.data.dataset import Dataset
    from microshot.training.unfinished import Unfinished

#: A training that nobody goes on with is deleted after so many days, and the oldest beyond so many.
MOST_DAYS, MOST = 14, 4


def job_of(
    settings: Any, data: Dataset, synthetic: Dataset | None, start: Bundle | None = None
) -> dict[str, Any]:
    """Return what makes two trainings the same, as plain JSON."""
    return {
        "version of Microshot": __version__,
        "settings": knobs.to_json(settings),
        "images": _digest(data),
        "synthetic images": _digest(synthetic),
        "model": start.card.id if start else "",
    }


def _digest(data: Dataset | None) -> str:
    """Return what identifies images with all that is known of them, in their order."""
    from microshot.provenance import fingerprint

    digest = hashlib.sha256()
    for s in data or ():
        digest.update(repr((s.name, s.group, s.domain, fingerprint(s))).encode())
    return digest.hexdigest()


@contextlib.contextmanager
def waiting(base: Path, job: Mapping[str, Any]) -> Iterator[Unfinished | None]:
    """Give a training a folder of its own below `base`, known by its job; deleted if all goes well.

    None where another process is at the same training, or the disk refuses. A folder that is
    damaged is begun anew.
    """
    name = hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()[:32]
    lock = _locked(base / f"{name}.lock")
    if lock is None:
        yield None
        return
    from microshot.training.unfinished import Unfinished

    with lock:
        _tidy(base, name)
        made = Unfinished(base / name, job, forgiving=True)
        if not made.intact():
            made.remove()
        yield made
        made.remove()
        with contextlib.suppress(OSError):  # Windows deletes no open file; the next one does
            (base / f"{name}.lock").unlink()


def _locked(path: Path) -> IO[bytes] | None:
    """Return a file that this process alone holds until it is closed or killed, or None."""
    try:
        made_folder(path.parent)
        return locked(path)
    except OSError:
        return None


def _tidy(base: Path, name: str) -> None:
    """Delete what waits for too long below `base`, but not the training called `name`."""
    others = [p for p in base.glob("*.lock") if p.stem != name]
    n_newer = 0
    for path in sorted(others, key=_last_change, reverse=True):
        is_new = n_newer < MOST - 1 and _last_change(path) > time.time() - MOST_DAYS * 86_400
        n_newer += path.with_suffix("").is_dir()
        if is_new:
            continue
        lock = _locked(path)
        if lock is not None:  # else somebody is at it
            with lock:
                shutil.rmtree(path.with_suffix(""), ignore_errors=True)
            with contextlib.suppress(OSError):
                path.unlink()


def _last_change(lock: Path) -> float:
    """Return when a training was last written to, in seconds of the system's clock."""
    folder = lock.with_suffix("")
    times = []
    for path in (lock, *(folder.iterdir() if folder.is_dir() else ())):
        with contextlib.suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times, default=0.0)
