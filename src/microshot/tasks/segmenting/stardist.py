"""Star-convex polygons: targets for training, and from network output back to labels.

The geometry, the non-maximum suppression and the rasterisation are those of the `stardist`
package (its TensorFlow part is never imported).
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.objects import id_counts, renumbered, selected
from microshot.tasks.segmenting.polygon_filling import filled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Overlap thresholds tried by `optimize_thresholds`, as in StarDist.
OVERLAP_THRESHOLDS = (0.3, 0.4, 0.5)
#: The search for a probability threshold ends once it is known so well, or after so many tries.
TOLERANCE, EVALUATIONS = 0.01, 20
#: Candidates below this probability are never kept; also the floor of the threshold search.
LEAST_PROBABILITY = 0.05
#: The package `stardist` holds ids in 16 bits; larger ones would wrap around.
GREATEST_ID = 65535


def targets(labels: np.ndarray, rays: int, grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Return StarDist's targets of a label image.

    Parameters
    ----------
    labels : (Y, X) int32; 0 background, negative = ignore.
    rays : number of directions; the first points to the right, the next ones turn towards larger y.
    grid : the targets are sampled at every `grid`-th pixel.

    Returns
    -------
    probability : (Y/g, X/g) float32; distance to the object's edge over its greatest value
        in the object, 0 on background, -1 where ignored.
    distance : (rays, Y/g, X/g) float32 px to the object's edge; 0 on background.

    References
    ----------
    .. [1] Schmidt et al. 2018, doi:10.1007/978-3-030-00934-2_30, section 2.
    """
    from stardist.geometry import star_dist

    objects = np.maximum(labels, 0)
    if objects.max(initial=0) > GREATEST_ID:
        objects = renumbered(objects)
    distance = np.asarray(star_dist(objects, rays, mode="cpp", grid=(grid, grid)))
    probability = _relative_depth(np.ascontiguousarray(objects[::grid, ::grid]))
    probability[labels[::grid, ::grid] < 0] = -1
    return probability, np.moveaxis(distance, -1, 0)


def _relative_depth(objects: np.ndarray) -> np.ndarray:
    """Distance to the edge of each object over its greatest value, (Y, X) float32 in 0..1.

    The edge of the image is no edge of an object, except where one object is all there is.
    """
    from stardist.utils import edt_prob

    if objects.min() == objects.max() > 0:
        return edt_prob(np.pad(objects, 1))[1:-1, 1:-1]
    return edt_prob(objects)


def polygons(points: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Return outlines (M, R, 2) as (y, x) px of points (M, 2) with ray lengths (M, R)."""
    return points[:, None] + distance[..., None] * _directions(distance.shape[1])


def _directions(rays: int) -> np.ndarray:
    """Return the unit vectors (y, x) of the rays, (R, 2)."""
    angles = np.linspace(0, 2 * np.pi, rays, endpoint=False)
    return np.stack([np.sin(angles), np.cos(angles)], -1)


def _maxima(values: np.ndarray) -> np.ndarray:
    """Say which pixels (Y, X) none of their eight neighbours exceeds; several on a plateau."""
    highest = np.pad(values, 1, constant_values=-np.inf)
    highest = np.maximum(np.maximum(highest[:-2], highest[1:-1]), highest[2:])
    highest = np.maximum(np.maximum(highest[:, :-2], highest[:, 1:-1]), highest[:, 2:])
    return values >= highest


@dataclass
class Candidates:
    """Pixels that may be object centres, in px of the network's input, gathered from tiles."""

    points: list[np.ndarray] = field(default_factory=list)
    probability: list[np.ndarray] = field(default_factory=list)
    distance: list[np.ndarray] = field(default_factory=list)

    def add(
        self,
        output: np.ndarray,
        offset: tuple[int, int],
        grid: int,
        least: float,
        keep: tuple[slice, slice] = (slice(None), slice(None)),
    ) -> None:
        """Take candidates above probability `least` from a tile's output: its local maxima.

        A pixel on the flank of an object is no better a centre than the maximum beside it, and
        with all of them the suppression takes tens of times as long.

        Parameters
        ----------
        output : (1 + R, Y/g, X/g) float32 with the logit first.
        offset : position of its first pixel in px of the whole image.
        keep : the pixels to take candidates from; those around are only compared with.
        """
        rows, columns = np.nonzero(_maxima(output[0])[keep])
        rows, columns = rows + (keep[0].start or 0), columns + (keep[1].start or 0)
        logit = output[0, rows, columns].astype(np.float64)
        probability = np.exp(-np.logaddexp(0, -logit)).astype(np.float32)
        kept = probability > least
        rows, columns = rows[kept], columns[kept]
        grid_points = np.stack([rows, columns], -1) * grid
        self.points.append((grid_points + np.asarray(offset)).astype(np.int32))
        self.probability.append(probability[kept])
        self.distance.append(output[1:, rows, columns].T.astype(np.float32))

    def merged(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return points (M, 2) int32, probability (M,) and distance (M, R), best first.

        Equal probabilities are ordered by position, so that the way the image was cut
        into tiles does not matter.
        """
        if not self.points:
            return np.zeros((0, 2), np.int32), np.zeros(0, np.float32), np.zeros((0, 3), np.float32)
        points = np.concatenate(self.points)
        probability = np.concatenate(self.probability)
        distance = np.concatenate(self.distance)
        order = np.lexsort((points[:, 1], points[:, 0], -probability))
        return points[order], probability[order], distance[order]


@dataclass(frozen=True, eq=False)
class Objects:
    """Objects that survived the suppression, most probable first, in px of the original image."""

    points: np.ndarray
    """(M, 2) float32 (y, x)."""
    probability: np.ndarray
    """(M,) float32."""
    distance: np.ndarray
    """(M, R) float32."""


@functools.cache
def _compiled() -> Any:
    """Return the compiled part of `stardist` for images, without the rest of the package.

    The rest imports a compiler and a plotting library, which takes 30 times as long.
    """
    name = "stardist2d"
    package = importlib.util.find_spec("stardist")
    for folder in (package and package.submodule_search_locations) or ():
        spec = PathFinder.find_spec(name, [os.path.join(folder, "lib")])  # noqa: PTH118
        if spec is None or spec.loader is None:
            continue
        try:
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        except ImportError:  # libraries that only the package finds, as on Windows
            break
        return module
    return importlib.import_module(f"stardist.lib.{name}")


def suppress(
    candidates: Candidates,
    shape: tuple[int, int],
    scale: tuple[float, float],
    threshold: float,
    overlap: float,
) -> Objects:
    """Keep the most probable of overlapping candidates.

    Parameters
    ----------
    candidates : gathered in px of the network's input.
    shape : (Y, X) of the original image.
    scale : px of the network's input per px of the original image, along y and x.
    threshold : least probability of an object.
    overlap : greatest intersection with a better object, relative to the smaller of the two.
    """
    points, probability, distance = candidates.merged()
    keep = probability > threshold
    points, probability, distance = points[keep], probability[keep], distance[keep]
    if not len(points):
        return Objects(points.astype(np.float32), probability, distance)
    distance = np.maximum(distance, 1e-3)
    use_tree, use_boxes, verbose = 1, 1, 0
    keep = _compiled().c_non_max_suppression_inds(
        np.ascontiguousarray(distance, np.float32), np.ascontiguousarray(points, np.float32),
        use_tree, use_boxes, verbose, np.float32(overlap),
    )  # fmt: skip
    factor = np.asarray(scale, np.float32)
    where = (points[keep].astype(np.float32) + 0.5) / factor - 0.5
    where = np.clip(where, 0, np.asarray(shape, np.float32) - 1)
    length = np.linalg.norm(_directions(distance.shape[1]) / factor, axis=1)  # (R,)
    return Objects(where, probability[keep], (distance[keep] * length).astype(np.float32))


def draw(objects: Objects, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rasterise `objects`; the more probable lies on top.

    Returns
    -------
    labels : (Y, X) int32, ids 1..n without gaps.
    source : (n,) int, index into `objects` of each id; objects hidden altogether are dropped.
    """
    outlines = polygons(objects.points, objects.distance)
    labels = filled(outlines, shape)
    present = id_counts(labels, len(outlines) + 1)[1:] > 0
    if not present.all():
        labels = selected(labels, present)
    return labels, np.flatnonzero(present)


def least_threshold(greatest: float) -> float:
    """Return the least probability threshold tried where the greatest probability is `greatest`."""
    return max(LEAST_PROBABILITY, greatest / 2 if greatest > 0.2 else LEAST_PROBABILITY)


def optimize_thresholds(
    score: Callable[[float, float], float],
    greatest: float,
    overlaps: Sequence[float] = OVERLAP_THRESHOLDS,
) -> tuple[float, float, float]:
    """Find the probability and overlap thresholds with the best score.

    For each overlap threshold a golden-section search over the probability between
    `least_threshold`, half the greatest predicted probability where that is not small, and that
    probability itself. `score` takes (probability, overlap).

    Returns
    -------
    (probability threshold, overlap threshold, score). Never worse than the start values
    0.5 and 0.4, which are scored too.

    References
    ----------
    .. [1] Weigert et al. 2020, doi:10.1109/WACV45572.2020.9093435; procedure as in the
       released `optimize_threshold`.
    """
    best = (0.5, 0.4, score(0.5, 0.4))
    low = least_threshold(greatest)
    for overlap in overlaps:
        p, value = _golden(lambda t, o=overlap: score(t, o), low, greatest)
        if value > best[2]:
            best = (p, overlap, value)
    return best


def _golden(f: Callable[[float], float], low: float, high: float) -> tuple[float, float]:
    """Maximise `f` between `low` and `high` by golden-section search."""
    ratio = (5**0.5 - 1) / 2
    seen: dict[float, float] = {}

    def at(x: float) -> float:
        if x not in seen:
            seen[x] = f(x)
        return seen[x]

    a, b = low, max(high, low)
    c, d = b - ratio * (b - a), a + ratio * (b - a)
    while b - a > TOLERANCE and len(seen) < EVALUATIONS:
        if at(c) >= at(d):
            b, d = d, c
            c = b - ratio * (b - a)
        else:
            a, c = c, d
            d = a + ratio * (b - a)
    at((a + b) / 2)
    best = max(seen, key=lambda x: seen[x])
    return best, seen[best]
