"""StarDist's targets of a batch of label images, made where the network is."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import torch
from torch.nn import functional as F

#: Values compared at once; bounds the memory, about nine bytes each.
_AT_ONCE = 1 << 25
#: Beyond any distance between two pixels; its square fits into 32 bits.
_FAR = 1 << 14


def star_targets(labels: torch.Tensor, rays: int, grid: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what `segmenting.stardist.targets` returns of each label image, on the device of `labels`.

    Parameters
    ----------
    labels : (N, Y, X) whole numbers; 0 background, negative = ignore.
    rays : number of directions; the first points to the right, the next ones turn towards larger y.
    grid : the targets are sampled at every `grid`-th pixel.

    Returns
    -------
    probability : (N, Y/g, X/g) float32; -1 where ignored.
    distance : (N, rays, Y/g, X/g) float32 px.
    """
    objects = labels.clamp_min(0).to(torch.int32)
    coarse = objects[:, ::grid, ::grid].contiguous()
    depth = relative_depth(coarse)
    probability = torch.where(labels[:, ::grid, ::grid] < 0, -1.0, depth)
    return probability, ray_lengths(objects, coarse, rays, grid)


def ray_lengths(objects: torch.Tensor, coarse: torch.Tensor, rays: int, grid: int) -> torch.Tensor:
    """Return how far it is from every pixel to the edge of its object, (N, rays, Y/g, X/g) float32.

    A ray goes on in steps of one pixel until the nearest pixel belongs to something else or lies
    outside; half a step along its longer axis is taken back. 0 on background.

    Parameters
    ----------
    objects : (N, Y, X) int32, 0 = background.
    coarse : every `grid`-th pixel of it.

    Notes
    -----
    The sums of steps are rounded to 32 bits as in the package `stardist`, so that both find the
    same pixels.
    """
    n, height, width = objects.shape
    outlined = F.pad(objects, (1, 1, 1, 1), value=-1).flatten(1)
    own = coarse[:, None, None]  # (N, 1, 1, Y/g, X/g)
    steps = torch.zeros((n, rays, *coarse.shape[1:]), dtype=torch.int16, device=objects.device)
    inside = (coarse > 0)[:, None].expand_as(steps)
    longest = height + width
    block = min(longest, max(1, _AT_ONCE // max(1, steps.numel())))
    number = torch.arange(block, device=objects.device, dtype=torch.int16)[:, None, None, None]
    for first in range(0, longest, block):
        rows, columns = (
            _path(ahead[first : first + block], length, grid).to(objects.device)
            for ahead, length in zip(_offsets(rays, first + block), (height, width), strict=True)
        )
        places = rows[..., None] * (width + 2) + columns[:, :, None]  # (T, R, Y/g, X/g)
        same = outlined.index_select(1, places.flatten()).view(n, *places.shape) == own
        left = torch.where(same, block, number).amin(1)  # steps that stay inside
        steps += torch.where(inside, left, 0)
        inside = inside & (left == block)
        if not bool(inside.any()):
            break
    lengths = _lengths(rays, longest).to(objects.device)
    taken = lengths.t().expand(n, -1, -1).gather(2, steps.flatten(2).long())
    return torch.where((coarse > 0)[:, None], taken.view(steps.shape), 0.0)


def _path(offset: np.ndarray, length: int, grid: int) -> torch.Tensor:
    """Return the rows or columns that rays with offsets (T, R) meet, (T, R, length/g) int64.

    They count in an image with a margin of 1 px, where everything outside ends up.
    """
    at = np.arange(0, length, grid, dtype=np.float32)
    place = np.rint(at + offset[..., None]).astype(np.int64)
    return torch.from_numpy(place.clip(-1, length) + 1)


@functools.lru_cache(maxsize=32)
def _offsets(rays: int, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how far a ray is from its origin after 1, 2, … steps, y and x (T, R) float32 px."""
    y, x = (
        np.stack(list(itertools.accumulate(itertools.repeat(one, n_steps))))
        for one in _directions(rays)
    )
    return y, x


def _directions(rays: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the unit vectors of the rays, y and x (R,) float32."""
    angle = np.arange(rays, dtype=np.float32) * np.float32(2 * np.pi / rays)
    return np.sin(angle), np.cos(angle)


def _lengths(rays: int, longest: int) -> torch.Tensor:
    """Return the length of a ray that leaves its object with step 1, 2, …, (T, R) float32 px."""
    y, x = _directions(rays)
    back = np.float32(1) - np.float32(0.5) / np.maximum(np.abs(y), np.abs(x))
    ahead_y, ahead_x = _offsets(rays, longest)
    return torch.from_numpy(np.hypot(ahead_y - back * y, ahead_x - back * x).astype(np.float32))


def relative_depth(objects: torch.Tensor) -> torch.Tensor:
    """Return the distance to the edge of each object over its greatest value, (N, Y, X) 0..1.

    The edge of the image is no edge of an object, except where one object is all there is.

    Parameters
    ----------
    objects : (N, Y, X) int32, 0 = background.
    """
    n = len(objects)
    squared = _squared_depth(objects)
    flat = objects.flatten(1)
    alone = (flat == flat[:, :1]).all(1)
    squared = torch.where(alone[:, None, None], _to_border(objects), squared)
    depth = torch.where(objects > 0, squared.float().sqrt(), 0.0).flatten(1)
    best = depth.new_zeros(n, int(objects.max()) + 1 if objects.numel() else 1)
    best.scatter_reduce_(1, flat.long(), depth, "amax")
    return (depth / (best.gather(1, flat.long()) + 1e-10)).view(objects.shape)


def _squared_depth(objects: torch.Tensor) -> torch.Tensor:
    """Return the squared distance to the nearest pixel of something else, (N, Y, X) int32.

    First along rows, then over columns: what is nearest in another row is nearest in that row.
    """
    n, height, width = objects.shape
    columns = torch.arange(width, device=objects.device, dtype=torch.int32)
    apart = (columns[:, None] - columns).abs()
    along = torch.empty_like(objects)
    for part in _blocks(n * width, height, width):
        here = objects[:, part]
        other = here[..., None] != here[:, :, None]  # (N, B, X, X)
        along[:, part] = torch.where(other, apart, _FAR).amin(-1)
    along = along.square()
    rows = torch.arange(height, device=objects.device, dtype=torch.int32)
    above = (rows[:, None] - rows).square()
    found = torch.empty_like(objects)
    for part in _blocks(n * width, height, height):
        same = objects[:, part, None] == objects[:, None]  # (N, B, Y, X)
        there = torch.where(same, along[:, None], 0) + above[part, :, None]
        found[:, part] = there.amin(2)
    return found


def _blocks(each: int, length: int, other: int) -> list[slice]:
    """Cut `length` rows so that `each` times `other` values per row stay within bounds."""
    step = max(1, _AT_ONCE // max(1, each * other))
    return [slice(begin, begin + step) for begin in range(0, length, step)]


def _to_border(objects: torch.Tensor) -> torch.Tensor:
    """Return the squared distance to the nearest pixel outside the image, (Y, X) int32."""
    height, width = objects.shape[1:]
    rows = torch.arange(height, device=objects.device, dtype=torch.int32)
    columns = torch.arange(width, device=objects.device, dtype=torch.int32)
    y, x = torch.minimum(rows + 1, height - rows), torch.minimum(columns + 1, width - columns)
    return torch.minimum(y[:, None], x).square()
