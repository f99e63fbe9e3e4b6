"""Which part of a large image is shown, so that its objects can be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from microshot.data.objects import median_diameter

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Objects smaller than this on the screen are shown in a detail instead.
LEAST_DIAMETER_PX = 11.0
#: Diameter that objects have in such a detail.
DETAIL_DIAMETER_PX = 18.0
#: Points closer together than this on the screen, and how far apart they are in a detail.
LEAST_SPACING_PX, DETAIL_SPACING_PX = 16.0, 28.0
#: How often the pixels of a detail are enlarged at most; specks alone would leave nothing to see.
MOST_ENLARGED = 4
Part = tuple[slice, slice]


def detail(shape: tuple[int, int], labels: Sequence[np.ndarray], max_px: int) -> Part | None:
    """Return the part of a large image to show, so that its objects can be seen; None = all.

    The part has most object pixels (of all `labels` together) among parts of its size. Images that
    are shown pixel by pixel or larger are shown whole.
    """
    diameter = None if max(shape) <= max_px else median_diameter(labels)
    if diameter is None or diameter * max_px / max(shape) >= LEAST_DIAMETER_PX:
        return None
    total = np.zeros(shape, np.int64)
    for image in labels:
        total += image > 0
    side = round(diameter * max_px / DETAIL_DIAMETER_PX)
    return _fullest(total, max(side, max_px // MOST_ENLARGED))


def detail_of_points(
    shape: tuple[int, int], points: Sequence[np.ndarray], max_px: int
) -> Part | None:
    """Return the part of a large image to show, so that its points are apart; None = all.

    Parameters
    ----------
    points : (n, 2) y and x, of all that is marked; the part has most of them.
    """
    most = max((len(p) for p in points), default=0)
    if not most or max(shape) <= max_px:
        return None
    apart = float(np.sqrt(shape[0] * shape[1] / most))
    if apart * max_px / max(shape) >= LEAST_SPACING_PX:
        return None
    total = np.zeros(shape, np.int64)
    for given in points:
        y, x = (np.clip(np.rint(given[:, i]).astype(int), 0, shape[i] - 1) for i in (0, 1))
        np.add.at(total, (y, x), 1)
    side = round(apart * max_px / DETAIL_SPACING_PX)
    return _fullest(total, max(side, max_px // MOST_ENLARGED))


def _fullest(values: np.ndarray, side: int) -> Part:
    """Return the square of `side` px (or the whole length) with the greatest sum of `values`."""
    shape = values.shape
    height, width = min(side, shape[0]), min(side, shape[1])
    total = np.zeros((shape[0] + 1, shape[1] + 1), np.int64)
    total[1:, 1:] = values.cumsum(0).cumsum(1)
    step = max(1, side // 8)
    y = np.arange(0, shape[0] - height + 1, step)[:, None]
    x = np.arange(0, shape[1] - width + 1, step)[None, :]
    inside = total[y + height, x + width] - total[y, x + width] - total[y + height, x] + total[y, x]
    row, column = np.unravel_index(int(inside.argmax()), inside.shape)
    top, left = int(y[row, 0]), int(x[0, column])
    return slice(top, top + height), slice(left, left + width)
