"""JSON that somebody else wrote: read within limits, refused in one sentence."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

#: Files larger than this are not read as text; outlines of a million cells fit.
MOST_BYTES = 512 * 1024 * 1024
#: Sides of images longer than this, in px, are refused before memory is taken.
MOST_SIDE = 200_000


def contents(path: Path, where: str) -> bytes:
    """Return the bytes of an annotation file.

    Raises
    ------
    ValueError : beginning with `where`, for a file too large to be one.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(
            f"{where}: expected an annotation file of at most {MOST_BYTES >> 20} MiB, found "
            f"{size >> 20} MiB; save a label image instead."
        )
    return path.read_bytes()


def parsed(data: bytes, where: str) -> Any:
    """Return what JSON text holds.

    Raises
    ------
    ValueError : beginning with `where`, for damaged, cut-off or absurdly nested text.
    """
    try:
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where}: expected JSON text (UTF-8), found other bytes at position {error.start}; "
            "export it again."
        ) from error
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{where}: the JSON text is damaged or cut off in line {error.lineno}, column "
            f"{error.colno} ({error.msg}); export it again."
        ) from error
    except (ValueError, RecursionError) as error:  # absurd numbers, absurd nesting
        raise ValueError(
            f"{where}: the JSON text is no annotation ({type(error).__name__}); export it again."
        ) from error


def shown(value: object) -> str:
    """Return a value from a foreign file as part of a sentence: one line, not too long."""
    return " ".join(str(value).split())[:60]


def size_in(height: Any, width: Any) -> tuple[int, int] | None:
    """Return the size (Y, X) in px that a file gives of its image; None where that is none."""
    sides = (height, width)
    return sides if all(isinstance(n, int) and 0 < n <= MOST_SIDE for n in sides) else None


def corners(value: Any, least: int, where: str, what: str) -> np.ndarray:
    """Return a list of positions as (n, 2) float64; further numbers (z) are left out.

    Raises
    ------
    ValueError : beginning with `where`, for anything but pairs of numbers, or fewer than `least`.
    """
    ok = isinstance(value, list) and len(value) >= least
    try:
        pairs = [(float(x), float(y)) for x, y, *_ in value] if ok else []
    except (TypeError, ValueError, OverflowError):
        pairs = []
    if not pairs or not all(math.isfinite(x) and math.isfinite(y) for x, y in pairs):
        raise ValueError(
            f"{where}, {what}: expected at least {least} pairs of numbers x, y, found "
            f"{value!r:.60}; export it again."
        )
    return np.asarray(pairs, float)
