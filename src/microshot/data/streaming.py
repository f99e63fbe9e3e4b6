"""The numbers of a normalisation, measured on an image that is seen block by block only.

Percentiles are exact, not sampled: a first pass counts by the upper 16 bits of every number, a
second by the lower ones, among the numbers only that share the upper bits with a wanted rank.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from microshot.data.normalize import Normalization, between, guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_HALF = 1 << 16


def fitted(
    normalization: Normalization, blocks: Callable[[], Iterable[np.ndarray]]
) -> Normalization:
    """Return `normalization` with the numbers of one image; as `Normalization.for_image`.

    Parameters
    ----------
    blocks : gives the image's blocks (C, Y, X) float32, each pixel once; called once for *zscore*,
        twice for the other kinds.
    """
    if normalization.offset is not None or normalization.per == "dataset":
        return normalization
    if normalization.kind == "zscore":
        numbers = _moments(blocks())
    else:
        least, most = normalization.low, normalization.high
        q = (least, most) if normalization.kind == "percentile" else (0.0, 100.0)
        numbers = []
        for bottom, top, low, high in percentiles(blocks, (*q, 0.0, 100.0)):
            offset, scale = between(bottom, top, low, high)
            numbers.append((offset, guarded(scale, max(abs(low), abs(high)))))
    return replace(
        normalization,
        offset=tuple(offset for offset, _ in numbers),
        scale=tuple(scale for _, scale in numbers),
    )


def _moments(blocks: Iterable[np.ndarray]) -> list[tuple[float, float]]:
    """Return mean and standard deviation of every channel, the latter never 0.

    References
    ----------
    .. [1] Chan, Golub & LeVeque 1983, doi:10.1080/00031305.1983.10483115 (merging of moments).
    """
    n, mean, squares, largest = 0, np.zeros(1), np.zeros(1), np.zeros(1)
    for block in blocks:
        values = block.reshape(len(block), -1).astype(np.float64)
        count, own = values.shape[1], values.mean(axis=1)
        shift = own - mean
        squares = squares + np.square(values - own[:, None]).sum(axis=1)
        squares = squares + shift**2 * (n * count / (n + count))
        mean = mean + shift * (count / (n + count))
        largest = np.maximum(largest, np.abs(values).max(axis=1))
        n += count
    spread = np.sqrt(squares / n)
    return [
        (float(m), guarded(float(s), float(most)))
        for m, s, most in zip(mean, spread, largest, strict=True)
    ]


def percentiles(
    blocks: Callable[[], Iterable[np.ndarray]], q: tuple[float, ...]
) -> list[list[float]]:
    """Return percentiles `q` of every channel, equal to ``numpy.percentile`` of all its values.

    Parameters
    ----------
    blocks : gives (C, Y, X) float32 blocks; called twice.
    """
    upper: list[np.ndarray] = []
    for block in blocks():
        keys = _keys(block)
        upper = upper or [np.zeros(_HALF, np.int64) for _ in keys]
        for counts, own in zip(upper, keys, strict=True):
            counts += np.bincount(own >> 16, minlength=_HALF)
    wanted = [_ranks(int(counts.sum()), q) for counts in upper]
    groups = [
        np.unique(np.searchsorted(np.cumsum(counts), np.concatenate(ranks[:2]), side="right"))
        for counts, ranks in zip(upper, wanted, strict=True)
    ]
    lower = [{int(g): np.zeros(_HALF, np.int64) for g in group} for group in groups]
    for block in blocks():
        for own, found in zip(_keys(block), lower, strict=True):
            for group, counts in found.items():
                inside = own[own >> 16 == group] & (_HALF - 1)
                counts += np.bincount(inside, minlength=_HALF)
    made = []
    for counts, found, (below, above, part) in zip(upper, lower, wanted, strict=True):
        a, b = (_values(counts, found, ranks) for ranks in (below, above))
        made.append((a + (b - a) * part).tolist())
    return made


def _ranks(n: int, q: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ranks below and above each percentile of `n` values, and how far between."""
    position = (n - 1) * np.asarray(q, np.float64) / 100
    below = np.floor(position)
    return below.astype(np.int64), np.ceil(position).astype(np.int64), position - below


def _values(upper: np.ndarray, lower: dict[int, np.ndarray], ranks: np.ndarray) -> np.ndarray:
    """Return the values, float64, that have these ranks."""
    before = np.concatenate([[0], np.cumsum(upper)])
    keys = []
    for rank in ranks:
        group = int(np.searchsorted(before, rank, side="right")) - 1
        inside = np.searchsorted(np.cumsum(lower[group]), rank - before[group], side="right")
        keys.append(group << 16 | int(inside))
    return _floats(np.asarray(keys, np.uint32)).astype(np.float64)


def _keys(block: np.ndarray) -> np.ndarray:
    """Return for every number of (C, Y, X) a whole number in the same order, (C, n) uint32."""
    bits = np.ascontiguousarray(block, np.float32).reshape(len(block), -1).view(np.uint32)
    negative = bits >> 31 == 1
    return np.where(negative, ~bits, bits | np.uint32(1 << 31))


def _floats(keys: np.ndarray) -> np.ndarray:
    """Return the numbers that `_keys` has made `keys` (n,) of."""
    positive = keys >> 31 == 1
    return np.where(positive, keys & np.uint32((1 << 31) - 1), ~keys).view(np.float32)
