"""What a network is taught with: the prepared images, and how it learns from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.tasks.base import Recipe
    from microshot.tasks.hyper import Hyper

Item = TypeVar("Item", covariant=True)
H = TypeVar("H", bound="Hyper", covariant=True)


@dataclass(frozen=True, eq=False)
class Lesson(Generic[Item, H]):
    """All that the training of a network depends on; items are what `Task.prepare` returned."""

    recipe: Recipe
    hyper: H
    natural: Sequence[Item]
    """Images to learn from; generated ones where there are no others."""
    synthetic: Sequence[Item] = ()
    """Generated images beside them."""
    validation: Sequence[Item] = ()
    """Held-out images, never learned from."""
    seed: int = 0
