"""Numbers with their nouns, as messages write them."""

from __future__ import annotations


def how_many(n: float, one: str, many: str = "") -> str:
    """Write a number with its noun: ``1 image``, ``4 images``; `many` is `one` + s unless given."""
    return f"{n} {one if n == 1 else many or one + 's'}"
