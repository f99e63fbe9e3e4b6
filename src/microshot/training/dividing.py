"""Parts of a batch, for where memory does not suffice for all of its images at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from microshot.training.trainer import Batch


def n_images(batch: Mapping[str, torch.Tensor]) -> int:
    """Return how many images a batch has; where it has several kinds, of the most frequent one."""
    return max((len(v) for v in batch.values() if v.ndim), default=1)


def divided(batch: Batch, at_once: int) -> list[Batch]:
    """Cut a batch into as few parts as have at most `at_once` images each; 0 = one part.

    All values are cut along their first axis into as many pieces; those without an axis go with
    every part. A value with fewer entries than there are parts, such as a kind of image of which
    there is one only, is repeated: no part is without it.
    """
    n_parts = -(-n_images(batch) // at_once) if at_once else 1
    if n_parts == 1:
        return [batch]
    return [
        {key: _piece(value, part, n_parts) for key, value in batch.items()}
        for part in range(n_parts)
    ]


def _piece(value: torch.Tensor, part: int, n_parts: int) -> torch.Tensor:
    if not value.ndim:
        return value
    begin, end = (i * len(value) // n_parts for i in (part, part + 1))
    return value[begin : max(end, begin + 1)]


def halved(parts: list[Batch]) -> int | None:
    """Return how many images to try at once after `parts` were too large; None after single ones."""
    largest = max(n_images(part) for part in parts)
    return (largest + 1) // 2 if largest > 1 else None


def too_little(batch: Batch) -> MemoryError:
    """Return the error where not even one image at a time fits."""
    sizes = [value.shape[-2:] for value in batch.values() if value.ndim == 4]
    of = f" of {sizes[0][0]} x {sizes[0][1]} px" if sizes else ""
    return MemoryError(f"not even for one image{of} at a time")


def parts_note(at_once: int) -> str:
    """Say what was done with less memory than a batch needs."""
    return (
        "There was not enough memory for all images of a training step at once: the network "
        f"looked at {at_once} at a time and learned from all of them together, which takes longer "
        "and changes the result little; smaller patches or a smaller batch size avoid it."
    )
