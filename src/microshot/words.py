"""Numbers with their nouns and units, as messages write them."""

from __future__ import annotations


def form(n: float, one: str, many: str = "") -> str:
    """Return the form of a noun or verb that goes with a number; `many` is `one` + s unless given."""
    return one if n == 1 else many or f"{one}s"


def how_many(n: float, one: str, many: str = "") -> str:
    """Write a number with its noun: ``1 image``, ``4 images``; see `form`."""
    return f"{n} {form(n, one, many)}"


def memory(mb: float) -> str:
    """Write memory given in MB: ``40 MB``, ``2.0 GB``."""
    return f"{mb:.0f} MB" if mb < 100 else f"{mb / 1024:.1f} GB"
