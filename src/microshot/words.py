"""Numbers with their nouns, as messages write them."""

from __future__ import annotations


def form(n: float, one: str, many: str = "") -> str:
    """Return the form of a noun or verb that goes with a number; `many` is `one` + s unless given."""
    return one if n == 1 else many or f"{one}s"


def how_many(n: float, one: str, many: str = "") -> str:
    """Write a number with its noun: ``1 image``, ``4 images``; see `form`."""
    return f"{n} {form(n, one, many)}"
